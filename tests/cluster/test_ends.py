"""How pods end: each end is caused, told as what it is, and tried again if it was the cluster's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.targets.kubernetes import manifest

from .conftest import IMAGE, until
from .faulting import TASKS, begun, pod_of, said_of


def test_what_was_evicted_runs_again(book: Callable[[str], Any], core: Any, namespace: str) -> None:
    there = book(TASKS)
    run = flyte.run(there.lasts)
    begun(run)
    name = pod_of(core, namespace, "worker")
    core.create_namespaced_pod_eviction(name, namespace, {"metadata": {"name": name}})
    assert run.result() == 1
    (said,) = said_of(run, "sentence")
    assert "was evicted while the task ran" in said


def test_what_was_ended_from_outside_runs_again(book: Callable[[str], Any]) -> None:
    there = book("""
        import os, signal, time

        @env.task
        def ends() -> int:
            if not flyte.ctx().attempt_number:
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(60)
            return flyte.ctx().attempt_number
    """)
    run = flyte.run(there.ends)
    assert run.result() == 1
    (said,) = said_of(run, "sentence")
    assert "was ended from outside, and not for its memory" in said


def test_a_full_disk_is_told_and_not_tried_again(book: Callable[[str], Any]) -> None:
    there = book("""
        import time

        @env.task
        def writes() -> None:
            with open("/tmp/large", "wb") as file:
                for _ in range(64):
                    file.write(bytes(1 << 20))
                    file.flush()
            time.sleep(60)
    """)
    small = there.writes.override(resources=flyte.Resources(disk="16Mi"))
    run = flyte.run(small)
    with pytest.raises(flyte.errors.RuntimeUserError, match="more than its disk has") as caught:
        run.result()
    assert caught.value.code == "DiskFull"
    assert len(said_of(run, "sentence")) == 1


def test_a_pod_ends_at_its_time_limit_though_nobody_watches(
    book: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "BEYOND", -57)
    there = book(TASKS)
    with pytest.raises(flyte.errors.MaxRuntimeExceededError, match="longer than its timeout"):
        flyte.run(there.lasts.override(timeout=60)).result()


def test_too_little_memory_is_told_and_not_tried_again(book: Callable[[str], Any]) -> None:
    there = book("""
        @env.task
        def eats() -> int:
            return len(bytearray(512 << 20))
    """)
    run = flyte.run(there.eats.override(resources=flyte.Resources(memory="128Mi")))
    with pytest.raises(flyte.errors.OOMError, match="limit of 128Mi"):
        run.result()
    assert len(said_of(run, "sentence")) == 1


@pytest.fixture
def important(core: Any) -> Iterator[str]:
    """A class of pods that others make room for."""
    from kubernetes import client

    classes = client.SchedulingV1Api(core.api_client)
    name = "flyte-jupyter-test-important"
    try:
        classes.create_priority_class({"metadata": {"name": name}, "value": 1000})
    except client.ApiException as error:
        pytest.skip(f"needs the right to make priority classes: {error.reason}")
    yield name
    classes.delete_priority_class(name)


def test_what_made_room_for_another_runs_again(
    important: str, book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    there = book(TASKS)
    cpu = int(core.list_node().items[0].status.allocatable["cpu"])
    run = flyte.run(there.lasts.override(resources=flyte.Resources(cpu=f"{cpu * 600}m")))
    begun(run)
    pod = {
        "metadata": {"name": "important"},
        "spec": {
            "priorityClassName": important,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "command": ["sleep", "600"],
                    "resources": {"requests": {"cpu": f"{cpu * 600}m"}},
                }
            ],
        },
    }
    core.create_namespaced_pod(namespace, pod)
    until(lambda: any("none has" in why for why in said_of(run, "why")))
    core.delete_namespaced_pod("important", namespace)
    assert run.result() == 1
    assert "had to make room for one of higher priority" in said_of(run, "sentence")[0]


def test_what_was_driven_from_its_node_runs_again(book: Callable[[str], Any], core: Any) -> None:
    there = book(TASKS)
    run = flyte.run(there.lasts)
    begun(run)
    node = core.list_node().items[0].metadata.name
    taint = {"key": "flyte-jupyter.test/leave", "effect": "NoExecute"}
    core.patch_node(node, {"spec": {"taints": [taint]}})
    try:
        until(lambda: said_of(run, "sentence"))
    finally:
        core.patch_node(node, {"spec": {"taints": []}})
    assert run.result() >= 1
