"""What goes wrong in a cluster is outlived, or told as what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import flyte_jupyter as flyte

from .conftest import until
from .faulting import KERNEL, TASKS, begun, pod_of, said_of


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


def test_a_pod_is_asked_for_again_until_the_api_server_is_back(
    book: Callable[[str], Any], order: Callable[..., None]
) -> None:
    there = book(TASKS)
    assert flyte.run(there.fine).result() == 1
    order("kill", "kube-apiserver")
    huge = there.fine.override(resources=flyte.Resources(cpu="10m"))  # no standby pod serves that
    run = flyte.run(huge)
    until(lambda: any("does not answer" in why for why in said_of(run, "why")))
    order("start", "kube-apiserver")
    assert run.result() == 1


def test_what_ran_when_the_hub_was_lost_runs_again(
    book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    there = book(TASKS)
    run = flyte.run(there.lasts)
    begun(run)
    core.delete_namespaced_pod(pod_of(core, namespace, "hub"), namespace, grace_period_seconds=0)
    assert run.result() == 1
    (said,) = said_of(run, "sentence")
    assert "The hub of the session in the cluster was lost" in said
    assert flyte.run(there.fine).result() == 1


def test_what_ran_in_a_pod_that_is_removed_runs_again(
    book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    there = book(TASKS)
    run = flyte.run(there.lasts)
    begun(run)
    core.delete_namespaced_pod(pod_of(core, namespace, "worker"), namespace)
    assert run.result() == 1
    (said,) = said_of(run, "sentence")
    assert "removed from outside" in said
    assert "tries again, as what it ran on was lost (1 of 3 times)" in said_of(run, "why")


def test_a_pod_that_is_removed_again_and_again_is_told(
    book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    there = book(TASKS)
    run = flyte.run(there.counts, 60.0)
    removed: set[str] = set()

    def remove() -> bool:
        for name in {pod_of(core, namespace, "worker")} - removed - {""}:
            removed.add(name)
            core.delete_namespaced_pod(name, namespace)
        return run.done

    begun(run)
    until(remove)
    with pytest.raises(flyte.errors.RuntimeSystemError, match=r"removed (from outside|before)"):
        run.result()
    assert len(said_of(run, "sentence")) == 4


def test_when_its_namespace_is_deleted_a_run_says_so(
    core: Any, fresh_namespace: Callable[..., str], cell: Callable[[str], Any], tmp_path: Any
) -> None:
    doomed = fresh_namespace()
    flyte.init(target="kubernetes", namespace=doomed, state=tmp_path / "state")
    there = cell(TASKS)
    run = flyte.run(there.counts, 60.0)
    begun(run)
    core.delete_namespace(doomed)
    told = f"namespace {doomed} is being deleted|no namespace {doomed}"
    with pytest.raises(flyte.errors.TargetError, match=told):
        run.result()
    with pytest.raises(flyte.errors.TargetError, match=told):
        flyte.run(there.fine).result()
    flyte.shut_down()


def test_the_cluster_removes_what_a_killed_kernel_leaves(
    kernel: Callable[[str], Any], core: Any, namespace: str
) -> None:
    process = kernel(KERNEL.format(namespace=namespace, patience=5))
    assert process.stdout.readline() == "begun\n", process.stderr.read()
    process.kill()
    process.wait()
    until(lambda: not core.list_namespaced_pod(namespace).items)
