"""A run outlives its kernel in a cluster, and another kernel takes it up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.session.leftovers import clean, present

from .conftest import until

KERNEL = """
    import time
    import numpy as np

    image = flyte.Image.from_debian_base().with_pip_packages("numpy")
    other = flyte.TaskEnvironment("other", image=image)

    @other.task
    def counts(lines: int) -> np.ndarray:
        for line in range(lines):
            print("line", line, flush=True)
            time.sleep(0.1)
        return np.arange(1_000_000)

    @env.task
    async def calls(lines: int) -> float:
        first = await counts.aio(lines)
        return await counts.aio(2)

    if __name__ == "__main__":
        flyte.init(target="kubernetes", namespace="{namespace}", state="{state}")
        run = flyte.run({call})
        run.subscribe(lambda event: event.kind == "log" and print("begun", flush=True))
        run.wait()
"""


@pytest.fixture
def survived(kernel: Callable[[str], Any], core: Any, namespace: str, tmp_path: Path) -> Any:
    """A function that returns a run whose kernel was killed while a task printed."""

    def kill(call: str) -> flyte.Run:
        state = tmp_path / "state"
        text = KERNEL.format(namespace=namespace, state=state, call=call)
        process = kernel(text)
        assert process.stdout.readline() == "begun\n", process.stderr.read()
        process.kill()
        process.wait()
        flyte.init(target="kubernetes", namespace=namespace, state=state)
        return flyte.attach()

    yield kill
    flyte.shut_down()
    until(lambda: not core.list_namespaced_pod(namespace).items)


def test_what_runs_goes_on_and_comes_to_another_kernel(survived: Any) -> None:
    run = survived("counts, 60")
    assert run.phase == "running"
    assert run.result().sum() == sum(range(1_000_000))
    assert run.logs().splitlines() == [f"line {number}" for number in range(60)]
    again = flyte.attach(run.name)
    assert again.phase == "succeeded"
    assert again.logs() == run.logs()


def test_what_calls_others_is_ended_and_says_so(survived: Any) -> None:
    run = survived("calls, 20")
    with pytest.raises(flyte.errors.ActionAbortedError, match="went with the kernel"):
        run.result()
    assert [action.phase for action in run.actions] == ["aborted", "succeeded"]


def test_what_a_killed_kernel_has_is_listed_and_removed(
    kernel: Callable[[str], Any], core: Any, namespace: str, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    process = kernel(KERNEL.format(namespace=namespace, state=state, call="counts, 6000"))
    assert process.stdout.readline() == "begun\n", process.stderr.read()
    process.kill()
    process.wait()
    found = [one for one in present() if one.target == "kubernetes"]
    assert {one.what.kind for one in found} == {"session", "pod"}
    assert {one.what.alive for one in found} == {False}
    assert {one.what.environment for one in found} == {"", "other"}
    clean()
    until(lambda: not core.list_namespaced_pod(namespace).items)
    assert not [one for one in present() if one.target == "kubernetes"]
