"""Runs of other kernels are read, followed, and told as lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte

KERNEL = """
    import sys, time

    @env.task
    def waits(text: str) -> str:
        print("first", flush=True)
        while not __import__("os").path.exists({gate!r}):
            time.sleep(0.05)
        print("second", flush=True)
        if text == "fail":
            raise ValueError("no good")
        return text

    if __name__ == "__main__":
        flyte.init(state={state!r})
        run = flyte.run(waits, {text!r})
        run.subscribe(lambda event: event.kind == "log" and print("begun", flush=True))
        run.wait()
        print("over", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def other(kernel: Callable[[str], Any], tmp_path: Path) -> Any:
    """A function that has another kernel run a task, and a file that lets it go on."""
    gate, state = tmp_path / "gate", tmp_path / "state"

    def begin(text: str) -> tuple[Any, Path]:
        process = kernel(KERNEL.format(gate=str(gate), state=str(state), text=text))
        assert process.stdout.readline() == "begun\n", process.stderr.read()
        flyte.init(target="local", state=state)
        return process, gate

    yield begin
    flyte.shut_down()


def test_a_run_of_a_living_kernel_is_followed_and_read_again(other: Any) -> None:
    _, gate = other("done")
    run = flyte.attach()
    assert run.phase == "running"
    gate.touch()
    assert run.result() == "done"
    assert run.logs() == "first\nsecond\n"
    again = flyte.attach(run.name)
    assert again.done
    assert again.result() == "done"
    assert again.logs() == "first\nsecond\n"
    assert [action.phase for action in again.actions] == ["succeeded"]


def test_what_a_run_failed_with_is_raised_by_its_name(other: Any) -> None:
    _, gate = other("fail")
    run = flyte.attach()
    gate.touch()
    with pytest.raises(flyte.errors.RuntimeUserError, match="no good") as caught:
        run.result()
    assert caught.value.code == "ValueError"


def test_what_ends_with_its_kernel_is_told_as_lost(other: Any) -> None:
    process, _ = other("never")
    process.kill()
    process.wait()
    run = flyte.attach()
    with pytest.raises(flyte.errors.RuntimeSystemError, match="lost after the end of its kernel"):
        run.result()
    assert run.logs() == "first\n"


def test_an_unknown_run_is_refused(other: Any) -> None:
    other("done")
    with pytest.raises(flyte.errors.NotFoundError, match="no run"):
        flyte.attach("nothing-12345678")
