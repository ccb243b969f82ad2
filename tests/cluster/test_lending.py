"""A task that waits for what it has called lends its processors to that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import flyte_jupyter as flyte

from .conftest import until
from .faulting import begun, said_of

CALLS = """
    import asyncio

    large = flyte.TaskEnvironment(name="large", resources=flyte.Resources(cpu="{cpu}m"))

    @large.task
    def inner(number: int) -> int:
        return number + 1

    @large.task
    async def middle(number: int) -> int:
        return await inner.aio(number) + 10

    @large.task
    async def outer() -> int:
        found = await middle.aio(0)
        print("goes on", flush=True)
        await asyncio.sleep({seconds})
        return found + 100
"""


@pytest.fixture
def most(core: Any) -> int:
    """More than half of a node's processors, in millicores: two such tasks do not fit there."""
    cpus = [int(one.status.allocatable["cpu"].removesuffix("m")) for one in core.list_node().items]
    if len(cpus) > 1:
        pytest.skip("with more than one node there is room for both")
    return cpus[0] * 600


def requested(core: Any, namespace: str) -> dict[str, str]:
    """Return how many processors each worker's pod requests now."""
    pods = core.list_namespaced_pod(namespace, label_selector="flyte-jupyter/kind=worker").items
    return {pod.metadata.name: pod.spec.containers[0].resources.requests["cpu"] for pod in pods}


def test_callers_make_room_for_what_they_call_and_get_it_back(
    core: Any, namespace: str, book: Callable[[str], Any], most: int
) -> None:
    there = book(CALLS.format(cpu=most, seconds=600))
    run = flyte.run(there.outer)
    begun(run)  # what it has called has ended by then
    assert "goes on" in run.logs()
    until(lambda: list(requested(core, namespace).values()) == [f"{most}m"])
    run.abort()


def test_a_quota_of_processors_is_shared_in_the_same_way(
    core: Any, namespace: str, book: Callable[[str], Any]
) -> None:
    there = book(CALLS.format(cpu=200, seconds=0))
    flyte.run(there.inner, 0).result()  # the hub is there, which has a request, too
    quota = {"metadata": {"name": "processors"}, "spec": {"hard": {"requests.cpu": "300m"}}}
    core.create_namespaced_resource_quota(namespace, quota)
    read = core.read_namespaced_resource_quota
    until(lambda: (read("processors", namespace).status.used or {}).get("requests.cpu"))
    run = flyte.run(there.outer)
    assert run.result() == 111
    assert any("quota processors" in why for why in said_of(run, "why"))
    core.delete_namespaced_resource_quota("processors", namespace)
