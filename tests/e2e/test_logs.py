"""What a task prints arrives: all of it, in order, while it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flyte_jupyter as flyte


def test_print_and_stderr_arrive_with_their_stream(cell: Any) -> None:
    book = cell("""
        import sys

        @env.task
        def talk():
            print("out")
            print("err", file=sys.stderr)
            print("ünï", "☃", sep="-", end="!\\n")
    """)
    run = flyte.run(book.talk).wait()
    pieces = [(e.data["stream"], e.data["text"]) for e in run.events() if e.kind == "log"]
    assert "".join(text for stream, text in pieces if stream == "stdout") == "out\nünï-☃!\n"
    assert "".join(text for stream, text in pieces if stream == "stderr") == "err\n"


def test_what_the_two_streams_print_in_turn_stays_in_order(cell: Any) -> None:
    book = cell("""
        import sys

        @env.task
        def talk():
            for i in range(50):
                print(i, file=sys.stderr if i % 2 else sys.stdout)
    """)
    logs = flyte.run(book.talk).wait().logs()
    assert logs == "".join(f"{i}\n" for i in range(50))


def test_output_of_c_code_and_child_processes_stands_where_it_was_made(cell: Any) -> None:
    book = cell("""
        import ctypes, os, subprocess, sys

        @env.task
        def talk():
            print("one")
            os.write(1, b"two\\n")
            print("three")
            subprocess.run(["sh", "-c", "echo four; echo five >&2"])
            print("six")
            libc = ctypes.CDLL(None)
            libc.printf(b"seven\\n")
            libc.fflush(None)
            print("eight")
            sys.stdout.buffer.write(b"nine\\n")
            os.system("echo ten")
    """)
    logs = flyte.run(book.talk).wait().logs()
    assert logs.split() == [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
    ]


def test_c_output_that_was_never_flushed_arrives_too(cell: Any) -> None:
    book = cell("""
        import ctypes

        @env.task
        def talk():
            ctypes.CDLL(None).printf(b"buffered by C")
    """)
    assert "buffered by C" in flyte.run(book.talk).wait().logs()


def test_text_without_a_newline_arrives_while_the_task_runs(
    cell: Any, logged: Callable[..., str], tmp_path: Path
) -> None:
    book = cell("""
        @env.task
        def ask(path: str):
            print("half a line", end="")
            open(path).read()
    """)
    gate = tmp_path / "gate"
    _fifo(gate)
    run = flyte.run(book.ask, str(gate))
    logged(run, "half a line")
    assert not run.done
    gate.write_text("go")
    assert run.wait().phase == "succeeded"


def test_a_progress_bar_arrives_as_it_moves(
    cell: Any, logged: Callable[..., str], tmp_path: Path
) -> None:
    book = cell("""
        import sys

        @env.task
        def bar(path: str):
            for percent in range(0, 101, 10):
                sys.stderr.write(f"\\r{percent:3d}%")
                if percent == 50:
                    open(path).read()
            sys.stderr.write("\\n")
    """)
    gate = tmp_path / "gate"
    _fifo(gate)
    run = flyte.run(book.bar, str(gate))
    assert "100%" not in logged(run, "\r 50%")
    gate.write_text("go")
    assert run.wait().logs() == "".join(f"\r{p:3d}%" for p in range(0, 101, 10)) + "\n"


def test_a_flood_arrives_complete_and_in_order(cell: Any) -> None:
    book = cell("""
        @env.task
        def flood(count: int) -> int:
            for i in range(count):
                print("line", i)
            return count
    """)
    run = flyte.run(book.flood, 100_000)
    assert run.outputs() == (100_000,)
    assert run.logs().splitlines() == [f"line {i}" for i in range(100_000)]


def test_a_flood_from_below_arrives_complete(cell: Any) -> None:
    book = cell("""
        import subprocess

        @env.task
        def flood():
            subprocess.run(["sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done"])
            subprocess.run(["head", "-c", "3000000", "/dev/zero"])
    """)
    logs = flyte.run(book.flood).wait().logs()
    assert logs.startswith("".join(f"{i}\n" for i in range(3000)))
    assert logs.count("\0") == 3_000_000


def test_characters_cut_in_two_by_a_pipe_are_whole_again(cell: Any) -> None:
    book = cell("""
        import os

        @env.task
        def talk():
            snow = "☃".encode()
            os.write(1, snow[:1])
            os.write(1, snow[1:] + b"\\n")
            os.write(1, b"\\xff\\n")
    """)
    assert flyte.run(book.talk).wait().logs() == "☃\n\ufffd\n"


def test_the_last_words_of_a_process_that_dies_arrive(cell: Any) -> None:
    book = cell("""
        import os

        @env.task
        def die():
            print("goodbye")
            os.write(2, b"from below\\n")
            os._exit(3)
    """)
    logs = flyte.run(book.die).wait().logs()
    assert "goodbye" in logs
    assert "from below" in logs


def test_threads_and_exit_handlers_of_a_task_are_heard(cell: Any) -> None:
    book = cell("""
        import logging, threading, warnings

        @env.task
        def talk():
            thread = threading.Thread(target=print, args=("from a thread",))
            thread.start()
            thread.join()
            logging.getLogger("x").warning("from logging")
            warnings.warn("from warnings")
    """)
    logs = flyte.run(book.talk).wait().logs()
    for text in ("from a thread", "from logging", "from warnings"):
        assert text in logs


def test_each_action_has_its_own_log(cell: Any) -> None:
    book = cell("""
        @env.task
        def child():
            print("I am the child")

        @env.task
        def parent():
            print("I am the parent")
            child()
    """)
    run = flyte.run(book.parent).wait()
    assert run.logs("a0") == "I am the parent\n"
    assert run.logs("a1") == "I am the child\n"


def _fifo(path: Path) -> None:
    import os

    os.mkfifo(path)
