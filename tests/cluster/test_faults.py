"""What goes wrong in a cluster is outlived, or told as what it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import flyte_jupyter as flyte

from .conftest import until

TASKS = """
    import os, time

    @env.task
    def counts(seconds: float) -> int:
        begun, lines = time.monotonic(), 0
        while time.monotonic() - begun < seconds:
            print("line", lines, flush=True)
            lines += 1
            time.sleep(0.05)
        return lines

    @env.task
    def fine() -> int:
        return 1
"""


def begun(run: flyte.Run) -> None:
    printed = threading.Event()
    run.subscribe(lambda event: event.kind in ("log", "end") and printed.set())
    assert printed.wait(60)
    assert run.phase == "running"


def pod_of(core: Any, namespace: str, kind: str) -> str:
    found = core.list_namespaced_pod(namespace, label_selector=f"flyte-jupyter/kind={kind}").items
    return next(
        pod.metadata.name
        for pod in sorted(found, key=lambda pod: pod.metadata.creation_timestamp)
        if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp
    )


def test_a_run_outlives_the_loss_of_the_api_server(
    book: Callable[[str], Any], order: Callable[..., None]
) -> None:
    there = book(TASKS)
    run = flyte.run(there.counts, 6.0)
    begun(run)
    order("kill", "kube-apiserver")
    order("start", "kube-apiserver")
    lines = run.result()
    assert run.logs().splitlines() == [f"line {number}" for number in range(lines)]
    assert flyte.run(there.fine).result() == 1


def test_a_lost_hub_is_told_and_the_next_run_has_another(
    book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    there = book(TASKS)
    run = flyte.run(there.counts, 600.0)
    begun(run)
    core.delete_namespaced_pod(pod_of(core, namespace, "hub"), namespace, grace_period_seconds=0)
    with pytest.raises(flyte.errors.RuntimeSystemError, match="The hub of the session"):
        run.result()
    assert flyte.run(there.fine).result() == 1


def test_a_pod_that_is_removed_is_told(
    book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    there = book(TASKS)
    run = flyte.run(there.counts, 600.0)
    begun(run)
    core.delete_namespaced_pod(pod_of(core, namespace, "worker"), namespace)
    with pytest.raises(flyte.errors.RuntimeSystemError, match="removed from outside"):
        run.result()


KERNEL = """
    import time
    from flyte_jupyter.targets.kubernetes import fleet, manifest

    {work}
    manifest.PATIENCE = {patience}
    manifest.LEFT = 1

    @env.task
    def sleeps():
        print("here", flush=True)
        time.sleep(600)

    if __name__ == "__main__":
        flyte.init(target="kubernetes", namespace="{namespace}")
        run = flyte.run(sleeps)
        run.subscribe(lambda event: event.kind == "log" and print("begun", flush=True))
        run.wait()
"""


@pytest.mark.parametrize("janitor", [True, False])
def test_the_cluster_removes_what_a_killed_kernel_leaves(
    janitor: bool, kernel: Callable[[str], Any], core: Any, namespace: str
) -> None:
    patience, work = (600, "pass") if janitor else (5, "fleet.TIDY = ''")
    process = kernel(KERNEL.format(namespace=namespace, patience=patience, work=work))
    assert process.stdout.readline() == "begun\n", process.stderr.read()
    process.kill()
    process.wait()
    until(lambda: not core.list_namespaced_pod(namespace).items)
