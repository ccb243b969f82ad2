"""Everything of a run ends when it is to end, whatever ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte

FAMILY = """
    import os, subprocess, sys, time

    SLEEP = "import time; time.sleep(300)"

    def daemonise():
        said, says = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                print("daemon", os.getpid(), flush=True)
                os.close(says)
                time.sleep(300)
            os._exit(0)
        os.close(says)
        os.read(said, 1)
        os.wait()

    @env.task
    def child():
        process = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
        daemonise()
        print("process", process.pid, flush=True)
        print("child", os.getpid(), flush=True)
        time.sleep(300)

    @env.task
    async def parent():
        print("parent", os.getpid(), flush=True)
        await child.aio()
"""


def pids_of(text: str) -> dict[str, int]:
    rows = [line.split() for line in text.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


@pytest.fixture
def family(cell: Any, logged: Callable[..., str]) -> tuple[flyte.Run, dict[str, int]]:
    """A run whose child has a process in another session and a daemon; their numbers by name."""
    book = cell(FAMILY)
    run = flyte.run(book.parent)
    logged(run, "child ")
    pids: dict[str, int] = {}
    limit = time.monotonic() + 10
    while len(pids) < 4 and time.monotonic() < limit:
        pids = pids_of(run.logs())
    assert len(pids) == 4, run.logs()
    return run, pids


def test_abort_ends_children_grandchildren_and_daemons(
    family: Any, until: Callable[..., None], process_runs: Any
) -> None:
    run, pids = family
    assert all(process_runs(pid) for pid in pids.values())
    begin = time.monotonic()
    run.abort()
    assert run.phase == "aborted"
    until(lambda: not any(process_runs(pid) for pid in pids.values()), 2)
    assert time.monotonic() - begin < 2
    with pytest.raises(flyte.errors.ActionAbortedError, match=r"env\.parent was aborted"):
        run.outputs()


def test_what_a_task_leaves_running_ends_with_it(
    cell: Any, until: Callable[..., None], process_runs: Any
) -> None:
    book = cell(FAMILY)
    book = cell("""
        @env.task
        def leaves() -> int:
            daemonise()
            return subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True).pid
    """)
    run = flyte.run(book.leaves)
    (pid,) = run.outputs()
    daemon = pids_of(run.logs())["daemon"]
    until(lambda: not process_runs(pid) and not process_runs(daemon), 3)


def test_an_orphan_of_one_task_ends_while_another_runs_on(
    cell: Any, logged: Callable[..., str], until: Callable[..., None], process_runs: Any
) -> None:
    book = cell(FAMILY)
    book = cell("""
        @env.task
        def stays():
            daemonise()
            time.sleep(300)

        @env.task
        def dies():
            daemonise()
            os._exit(1)
    """)
    stays = flyte.run(book.stays)
    kept = pids_of(logged(stays, "\n"))["daemon"]
    dies = flyte.run(book.dies).wait()
    gone = pids_of(dies.logs())["daemon"]
    until(lambda: not process_runs(gone), 2)
    assert process_runs(kept)
    stays.abort()
    until(lambda: not process_runs(kept), 2)


def test_a_task_may_clean_up_when_it_is_aborted(
    cell: Any, logged: Callable[..., str], tmp_path: Path
) -> None:
    book = cell("""
        import asyncio, pathlib, time

        @env.task
        def sync(path: str):
            try:
                print("ready", flush=True)
                time.sleep(300)
            finally:
                pathlib.Path(path).write_text("cleaned")

        @env.task
        async def awaits(path: str):
            try:
                print("ready", flush=True)
                await asyncio.sleep(300)
            finally:
                pathlib.Path(path).write_text("cleaned")
    """)
    for task in (book.sync, book.awaits):
        path = tmp_path / task.func_name
        run = flyte.run(task, str(path))
        logged(run, "ready")
        run.abort()
        assert path.read_text() == "cleaned"


def test_a_task_that_will_not_end_is_ended(
    cell: Any, logged: Callable[..., str], until: Callable[..., None], process_runs: Any
) -> None:
    book = cell("""
        import os, signal, time

        @env.task
        def stubborn():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print(os.getpid(), flush=True)
            while True:
                try:
                    time.sleep(300)
                except KeyboardInterrupt:
                    pass
    """)
    run = flyte.run(book.stubborn)
    pid = int(logged(run, "\n"))
    begin = time.monotonic()
    run.abort()
    assert time.monotonic() - begin < 2
    until(lambda: not process_runs(pid), 2)


def test_a_run_is_aborted_before_it_began_and_after_it_ended(cell: Any) -> None:
    book = cell("""
        @env.task
        def fine() -> int:
            return 1
    """)
    run = flyte.run(book.fine)
    run.abort()
    assert run.phase in ("aborted", "succeeded")
    done = flyte.run(book.fine).wait()
    done.abort()
    assert done.phase == "succeeded"
    assert done.outputs() == (1,)


def test_the_next_run_is_not_hurt_by_an_abort(cell: Any, logged: Callable[..., str]) -> None:
    book = cell("""
        import time

        @env.task
        def slow():
            print("ready", flush=True)
            time.sleep(300)

        @env.task
        def fine() -> int:
            return 1
    """)
    for _ in range(3):
        run = flyte.run(book.slow)
        logged(run, "ready")
        run.abort()
        assert flyte.run(book.fine).outputs() == (1,)


KERNEL = """
    import os, subprocess, sys, threading, time

    SLEEP = "import time; time.sleep(300)"

    @env.task
    def child():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                print("daemon", os.getpid(), flush=True)
                time.sleep(300)
            os._exit(0)
        print("process", subprocess.Popen([sys.executable, "-c", SLEEP]).pid, flush=True)
        print("child", os.getpid(), flush=True)
        time.sleep(300)

    @env.task
    async def parent():
        print("parent", os.getpid(), flush=True)
        await child.aio()

    def tell(event):
        if event.kind == "log":
            print(event.data["text"], end="", flush=True)
            told.add(len(event.data["text"]))

    if __name__ == "__main__":
        told = set()
        run = flyte.run(parent)
        run.subscribe(tell)
        try:
            run.outputs()
        except KeyboardInterrupt:
            print("interrupted", run.phase, flush=True)
"""


def members(process: Any) -> dict[str, int]:
    """Read the process numbers that the kernel's program prints, until the last is there."""
    text = ""
    while len(pids_of(text)) < 4 or not text.endswith("\n"):
        line = process.stdout.readline()
        assert line, process.stderr.read()
        text += line
    return pids_of(text)


def test_an_interrupt_ends_the_run_and_comes_through(
    kernel: Any, until: Callable[..., None], process_runs: Any
) -> None:
    process = kernel(KERNEL)
    pids = members(process)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted aborted\n"
    until(lambda: not any(process_runs(pid) for pid in pids.values()), 2)
    assert process.wait(10) == 0


def test_a_killed_kernel_leaves_no_process_and_no_folder(
    kernel: Any, until: Callable[..., None], process_runs: Any, tmp_path: Path
) -> None:
    process = kernel(KERNEL)
    pids = members(process)
    temporary = tmp_path / "tmp_0"
    assert list(temporary.iterdir())
    process.kill()
    process.wait()
    until(lambda: not any(process_runs(pid) for pid in pids.values()), 15)
    until(lambda: not list(temporary.iterdir()), 15)


def test_a_kernel_that_ends_by_itself_leaves_nothing(
    kernel: Any, until: Callable[..., None], process_runs: Any, tmp_path: Path
) -> None:
    process = kernel("""
        import os, time

        @env.task
        def slow():
            print(os.getpid(), flush=True)
            time.sleep(300)

        if __name__ == "__main__":
            import threading
            ready = threading.Event()
            run = flyte.run(slow)
            run.subscribe(lambda event: event.kind == "log" and ready.set())
            ready.wait(20)
            print(run.logs())
    """)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert errors == ""
    until(lambda: not process_runs(int(output)), 3)
    assert list((tmp_path / "tmp_0").iterdir()) == []


def test_a_lost_supervisor_is_reported_and_the_next_run_works(
    cell: Any, logged: Callable[..., str], until: Callable[..., None], process_runs: Any
) -> None:
    book = cell("""
        import os, subprocess, sys, time

        @env.task
        def slow():
            other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
            print(os.getppid(), os.getpid(), other.pid, flush=True)
            time.sleep(300)

        @env.task
        def fine() -> int:
            return 1
    """)
    run = flyte.run(book.slow)
    supervisor, *others = map(int, logged(run, "\n").split())
    os.kill(supervisor, signal.SIGKILL)
    with pytest.raises(flyte.errors.RuntimeSystemError) as caught:
        run.outputs()
    assert "The process that watches the workers of local was ended" in str(caught.value)
    until(lambda: not any(process_runs(pid) for pid in others), 2)
    assert flyte.run(book.fine).outputs() == (1,)


def test_a_cancelled_await_aborts_the_run(cell: Any, logged: Callable[..., str]) -> None:
    book = cell("""
        import time

        @env.task
        def slow():
            print("ready", flush=True)
            time.sleep(300)
    """)

    async def program() -> flyte.Run:
        run = await flyte.run.aio(book.slow)
        waiting = asyncio.ensure_future(run.outputs.aio())
        await asyncio.to_thread(logged, run, "ready")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return run

    run = asyncio.run(program())
    assert run.wait().phase == "aborted"
