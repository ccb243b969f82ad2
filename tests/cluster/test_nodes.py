"""A node that is lost: what runs there goes on if it can, else elsewhere, and only one counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import flyte_jupyter as flyte

from .conftest import until
from .faulting import TASKS, begun, pod_of, pull_the_cable, ready, said_of


@pytest.fixture
def kubelet(order: Callable[..., None], core: Any) -> Iterator[Callable[[str], None]]:
    """A function that orders something of the kubelet, which runs again at the end."""
    orders: list[str] = []

    def give(what: str) -> None:
        orders.append(what)
        order(what, "kubelet")

    yield give
    if orders[-1] != "start":
        give("start")
    until(lambda: ready(core))


def test_what_runs_on_a_node_that_is_not_ready_goes_on(
    book: Callable[[str], Any], kubelet: Callable[[str], None], core: Any
) -> None:
    there = book(TASKS)
    run = flyte.run(there.counts, 15.0)
    begun(run)
    kubelet("kill")
    until(lambda: not ready(core))  # the task has ended by then
    kubelet("start")
    lines = run.result()
    assert run.logs().splitlines() == [f"line {number}" for number in range(lines)]
    assert not said_of(run, "sentence")


def test_what_runs_where_the_network_is_lost_runs_again(
    book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    there = book("""
        import time

        @env.task
        def which() -> int:
            number = flyte.ctx().attempt_number
            while not number:
                print("the first", flush=True)
                time.sleep(0.1)
            return number
    """)
    run = flyte.run(there.which)
    begun(run)
    name = pod_of(core, namespace, "worker")
    pull_the_cable(name)
    lines = run.logs().count("the first")
    assert run.result() == 1
    (said,) = said_of(run, "sentence")
    assert "The connection to the worker of env.which was lost" in said
    assert run.logs().count("the first") - lines <= 10
