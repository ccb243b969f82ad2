"""An exception crosses as itself: its type, its message, the user's part of its traceback."""

from __future__ import annotations

from typing import Any

import pytest

import flyte_jupyter as flyte


def test_a_builtin_exception_keeps_type_and_message(cell: Any) -> None:
    book = cell("""
        @env.task
        def look(names: dict):
            return names["absent"]
    """)
    with pytest.raises(KeyError) as caught:
        flyte.run(book.look, {}).outputs()
    assert caught.value.args == ("absent",)
    assert isinstance(caught.value, flyte.errors.RuntimeUserError)
    assert caught.value.code == "KeyError"


def test_an_exception_of_a_cell_is_the_notebooks_own(cell: Any) -> None:
    book = cell("""
        class Refused(Exception):
            def __init__(self, who, *, why):
                super().__init__(f"{who}: {why}")
                self.who = who
                self.why = why

        @env.task
        def refuse():
            raise Refused("bank", why="no money")
    """)
    with pytest.raises(book.Refused) as caught:
        flyte.run(book.refuse).outputs()
    assert str(caught.value) == "bank: no money"
    assert (caught.value.who, caught.value.why) == ("bank", "no money")


def test_the_traceback_shows_the_users_frames_and_no_others(cell: Any) -> None:
    book = cell("""
        def inner(x):
            return 1 / x

        @env.task
        def outer(x: int):
            return inner(x)
    """)
    with pytest.raises(ZeroDivisionError) as caught:
        flyte.run(book.outer, 0).outputs()
    text = caught.value.remote_traceback
    assert "return inner(x)" in text
    assert "return 1 / x" in text
    assert "ZeroDivisionError" in text
    assert "flyte_jupyter" not in text
    assert text.count("File ") == 2


def test_the_traceback_of_an_async_task_has_no_frames_of_ours_or_of_the_loop(cell: Any) -> None:
    book = cell("""
        @env.task
        async def outer():
            raise LookupError("here")
    """)
    with pytest.raises(LookupError, match="here") as caught:
        flyte.run(book.outer).outputs()
    text = caught.value.remote_traceback
    assert text.count("File ") == 1
    assert "asyncio" not in text


def test_causes_are_told(cell: Any) -> None:
    book = cell("""
        @env.task
        def load():
            try:
                int("x")
            except ValueError as error:
                raise OSError("cannot load") from error
    """)
    with pytest.raises(OSError, match="cannot load") as caught:
        flyte.run(book.load).outputs()
    assert isinstance(caught.value.__cause__, ValueError)
    assert "direct cause" in caught.value.remote_traceback


def test_sys_exit_is_told_as_what_it_is(cell: Any) -> None:
    book = cell("""
        import sys

        @env.task
        def leave():
            sys.exit(3)
    """)
    with pytest.raises(flyte.errors.RuntimeUserError, match=r"sys\.exit\(3\)") as caught:
        flyte.run(book.leave).outputs()
    assert caught.value.code == "SystemExit"


def test_keyboard_interrupt_raised_by_a_task_does_not_interrupt_the_notebook(cell: Any) -> None:
    book = cell("""
        @env.task
        def stop():
            raise KeyboardInterrupt
    """)
    with pytest.raises(flyte.errors.RuntimeUserError) as caught:
        flyte.run(book.stop).outputs()
    assert caught.value.code == "KeyboardInterrupt"


def test_a_stop_iteration_does_not_end_a_loop_of_the_notebook(cell: Any) -> None:
    book = cell("""
        @env.task
        def stop():
            return next(iter(()))
    """)
    with pytest.raises(flyte.errors.RuntimeUserError) as caught:
        flyte.run(book.stop).outputs()
    assert caught.value.code == "StopIteration"


def test_an_exception_group_arrives_with_its_parts(cell: Any) -> None:
    book = cell("""
        @env.task
        def many():
            raise ExceptionGroup("two", [ValueError("a"), KeyError("b")])
    """)
    with pytest.raises(ExceptionGroup) as caught:
        flyte.run(book.many).outputs()
    assert len(caught.value.exceptions) == 2
    assert caught.value.subgroup(ValueError) is not None
    assert caught.value.subgroup(KeyError) is not None


def test_a_parent_catches_the_childs_exception_by_its_type(cell: Any) -> None:
    book = cell("""
        class Mine(Exception):
            pass

        @env.task
        def child(kind: str):
            if kind == "mine":
                raise Mine("own")
            raise ValueError("builtin")

        @env.task
        async def parent() -> list[str]:
            said = []
            try:
                await child.aio("builtin")
            except ValueError as error:
                said.append(f"{error}")
            try:
                await child.aio("mine")
            except Mine as error:
                said.append(f"{error}")
            try:
                await child.aio("builtin")
            except flyte.errors.RuntimeUserError as error:
                said.append(error.code)
            return said

        @env.task
        def sync_parent() -> str:
            try:
                return child("builtin")
            except ValueError as error:
                return str(error)
    """)
    assert flyte.run(book.parent).outputs()[0] == ["builtin", "own", "ValueError"]
    assert flyte.run(book.sync_parent).outputs()[0] == "builtin"


def test_a_childs_exception_goes_up_through_its_parent(cell: Any) -> None:
    book = cell("""
        @env.task
        def child():
            raise ValueError("deep")

        @env.task
        def middle():
            child()

        @env.task
        async def top():
            await middle.aio()
    """)
    with pytest.raises(ValueError, match="deep") as caught:
        flyte.run(book.top).outputs()
    assert 'raise ValueError("deep")' in caught.value.remote_traceback


def test_an_exception_that_cannot_be_encoded_still_tells_its_message(cell: Any) -> None:
    book = cell("""
        import threading

        class Odd(Exception):
            pass

        @env.task
        def fail():
            raise Odd("kept", threading.Lock())
    """)
    with pytest.raises(book.Odd, match="kept"):
        flyte.run(book.fail).outputs()


def test_a_missing_module_names_the_package_and_the_way_to_add_it(cell: Any) -> None:
    book = cell("""
        @env.task
        def load():
            import yaml
            return yaml
    """)
    with pytest.raises(ModuleNotFoundError) as caught:
        flyte.run(book.load).outputs()
    assert "pyyaml" in caught.value.remedy


def test_a_variable_of_the_kernel_that_is_missing_gets_a_hint(
    cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNEL_ONLY", "1")
    book = cell("""
        import os

        @env.task
        def read():
            return os.environ["KERNEL_ONLY"]
    """)
    with pytest.raises(KeyError) as caught:
        flyte.run(book.read).outputs()
    assert "env_vars=" in caught.value.remedy


def test_the_same_error_is_raised_each_time_and_told_by_the_run(cell: Any) -> None:
    book = cell("""
        @env.task
        def fail():
            raise ValueError("once")
    """)
    run = flyte.run(book.fail).wait()
    assert run.phase == "failed"
    with pytest.raises(ValueError, match="once") as caught:
        run.outputs()
    assert caught.value is run.error
