"""A process that ends before its task does: each cause is told apart."""

from __future__ import annotations

from typing import Any

import pytest

import flyte_jupyter as flyte

HUNGRY = """
    import subprocess, sys, time

    small = flyte.TaskEnvironment(name="small", resources=flyte.Resources(memory="200Mi"))
    EAT = "data = bytearray(400 << 20); print(len(data), flush=True); import time; time.sleep(60)"

    @small.task
    def eat() -> int:
        data = bytearray(400 << 20)
        for at in range(0, len(data), 4096):
            data[at] = 1
        time.sleep(60)

    @small.task
    def eat_by_child() -> int:
        code = "d = bytearray(b'x') * (400 << 20); import time; time.sleep(60)"
        return subprocess.run([sys.executable, "-c", code]).returncode

    @small.task
    def modest() -> int:
        return len(bytearray(b"x") * (50 << 20))
"""


@pytest.mark.parametrize("name", ["eat", "eat_by_child"])
def test_more_memory_than_the_limit_ends_the_task_with_the_limit_named(
    cell: Any, name: str
) -> None:
    book = cell(HUNGRY)
    run = flyte.run(getattr(book, name))
    with pytest.raises(flyte.errors.OOMError) as caught:
        run.outputs()
    text = str(caught.value)
    assert f"small.{name} used more memory than its limit of 200Mi and was ended." in text
    assert 'Resources(memory="400Mi")' in text
    assert caught.value.code == "OOMError"


def test_memory_below_the_limit_is_left_alone_and_its_peak_is_told(cell: Any, until: Any) -> None:
    book = cell(HUNGRY)
    run = flyte.run(book.modest)
    assert run.outputs() == (50 << 20,)
    until(lambda: run.actions[0].peak_memory)
    assert 50 << 20 < (run.actions[0].peak_memory or 0) < 200 << 20


def test_more_memory_by_override_is_enough(cell: Any) -> None:
    book = cell("""
        small = flyte.TaskEnvironment(name="small", resources=flyte.Resources(memory="100Mi"))

        @small.task
        def eat() -> int:
            return len(bytearray(b"x") * (150 << 20))
    """)
    more = book.eat.override(resources=flyte.Resources(memory="400Mi"))
    assert flyte.run(more).outputs() == (150 << 20,)


ENDS = """
    import ctypes, os, signal, sys

    @env.task
    def leave():
        os._exit(7)

    @env.task
    def kill():
        os.kill(os.getpid(), signal.SIGKILL)

    @env.task
    def terminate():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    @env.task
    def crash():
        print("before")
        ctypes.string_at(0)

    @env.task
    def give_up():
        os.abort()
"""

CAUSES = (
    ("leave", "Exited", "ended by itself with status 7"),
    ("kill", "SIGKILL", "was ended by SIGKILL"),
    ("terminate", "SIGTERM", "was ended by SIGTERM"),
    ("crash", "SIGSEGV", "was ended by SIGSEGV: a compiled library touched memory"),
    ("give_up", "SIGABRT", "was ended by SIGABRT: a compiled library gave up"),
)


@pytest.mark.parametrize(("name", "code", "sentence"), CAUSES)
def test_how_a_process_ended_is_told(cell: Any, name: str, code: str, sentence: str) -> None:
    book = cell(ENDS)
    run = flyte.run(getattr(book, name))
    with pytest.raises(flyte.errors.RuntimeUserError) as caught:
        run.outputs()
    assert f"The process of env.{name} " in str(caught.value)
    assert sentence in str(caught.value)
    assert caught.value.code == code


def test_a_crash_says_where_in_the_task_it_happened(cell: Any) -> None:
    book = cell(ENDS)
    logs = flyte.run(book.crash).wait().logs()
    assert logs.startswith("before\n")
    assert "Segmentation fault" in logs
    assert "in crash" in logs


def test_a_parent_can_catch_the_death_of_a_child(cell: Any) -> None:
    book = cell("""
        import os

        @env.task
        def child():
            os._exit(7)

        @env.task
        async def parent() -> str:
            try:
                await child.aio()
            except flyte.errors.RuntimeUserError as error:
                return error.code
    """)
    assert flyte.run(book.parent).outputs() == ("Exited",)


def test_a_parent_can_give_a_child_more_memory_after_it_ran_out(cell: Any) -> None:
    book = cell("""
        small = flyte.TaskEnvironment(name="small", resources=flyte.Resources(memory="100Mi"))

        @small.task
        def eat() -> int:
            import time
            data = bytearray(b"x") * (150 << 20)
            time.sleep(0.3)
            return len(data)

        @env.task
        async def parent() -> int:
            try:
                return await eat.aio()
            except flyte.errors.OOMError:
                return await eat.override(resources=flyte.Resources(memory="400Mi")).aio()
    """)
    run = flyte.run(book.parent)
    assert run.outputs() == (150 << 20,)
    assert [a.phase for a in run.actions] == ["succeeded", "failed", "succeeded"]


def test_the_next_run_works_after_each_kind_of_end(cell: Any) -> None:
    book = cell(ENDS)
    after = cell("""
        @env.task
        def fine() -> int:
            return 1
    """)
    for name, *_ in CAUSES:
        flyte.run(getattr(book, name)).wait()
        assert flyte.run(after.fine).outputs() == (1,)
