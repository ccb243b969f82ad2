"""Pods that ask for accelerators go where they are: nodes that are said to have them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.doctor import examine_cluster
from flyte_jupyter.targets.kubernetes import rbac
from flyte_jupyter.targets.protocol import Inventory

from .conftest import Account

TASKS = """
    @env.task
    def where() -> str:
        import socket

        return socket.gethostname()
"""


def begun(book: Callable[[str], Any]) -> Any:
    """Return a notebook whose session has its hub: that needs a node without a taint."""
    there = book(TASKS)
    flyte.run(there.where).result()
    return there


def waits(run: flyte.Run) -> str:
    """Return what a run waits for, once it says so."""
    said: list[str] = []
    heard = threading.Event()

    def look(event: Any) -> None:
        if event.kind == "phase" and "node" in event.data["why"]:
            said.append(event.data["why"])
            heard.set()

    run.subscribe(look)
    assert heard.wait(60), run.phase
    run.abort()
    return said[-1]


@pytest.mark.parametrize(
    ("labels", "asked"),
    [
        ({"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}, "A100:2"),
        ({"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}, "A100 80G:1"),
        # as a newer driver may call it, which no table knows
        ({"nvidia.com/gpu.product": "NVIDIA-A100-PG509-40GB"}, "A100:1"),
        ({"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}, "T4:1"),
        ({"karpenter.k8s.aws/instance-gpu-name": "a10g"}, "A10G:1"),
        ({}, "2"),
    ],
)
def test_the_right_type_runs(
    labels: dict[str, str], asked: str, node: Callable[..., None], book: Callable[[str], Any]
) -> None:
    there = begun(book)
    node({"nvidia.com/gpu": 2}, labels, "nvidia.com/gpu")
    assert flyte.run(there.where.override(resources=flyte.Resources(gpu=asked))).result()


@pytest.mark.parametrize("asked", ["T4:1", "A100 80G:1", "A100:3"])
def test_what_is_not_there_waits_and_says_for_what(
    asked: str, node: Callable[..., None], book: Callable[[str], Any]
) -> None:
    there = begun(book)
    node({"nvidia.com/gpu": 2}, {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"})
    run = flyte.run(there.where.override(resources=flyte.Resources(gpu=asked)))
    said = waits(run)
    assert "waits for a node" in said
    assert "Insufficient nvidia.com/gpu" in said or "node affinity" in said


def test_a_part_of_a_device_is_a_resource_of_its_own(
    node: Callable[..., None], book: Callable[[str], Any]
) -> None:
    there = begun(book)
    node(
        {"nvidia.com/mig-1g.5gb": 2},
        {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"},
        "nvidia.com/gpu",
    )
    part = flyte.Resources(gpu=flyte.GPU("A100", 1, partition="1g.5gb"))
    assert flyte.run(there.where.override(resources=part)).result()


A100 = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"}
GKE = {"cloud.google.com/gke-accelerator": "nvidia-l4"}


def inventory(file: str) -> Any:
    from flyte_jupyter.targets.kubernetes import KubernetesTarget

    return KubernetesTarget({"kubeconfig": file}).inventory()


@pytest.mark.parametrize(
    ("resource", "labels", "kind"),
    [
        ("nvidia.com/gpu", A100, "A100"),
        ("nvidia.com/gpu", GKE, "L4"),
        ("nvidia.com/gpu", {}, ""),
        ("nvidia.com/mig-1g.5gb", A100, "A100/1g.5gb"),
        ("aws.amazon.com/neuron", {}, "NEURON"),
    ],
)
def test_what_there_is_and_is_free_is_told_by_type(
    resource: str,
    labels: dict[str, str],
    kind: str,
    node: Callable[..., None],
    core: Any,
    namespace: str,
    pod: Callable[..., str],
    becomes: Callable[..., Any],
) -> None:
    node({resource: 3}, labels)
    before = inventory(os.environ["KUBECONFIG"])
    assert before.accelerators == {kind: 3}
    assert before.free.accelerators == {kind: 3}
    asks = {"limits": {resource: "2", "memory": "64Mi"}, "requests": {"cpu": "100m"}}
    name = pod("python3", "-c", "import time; time.sleep(600)", resources=asks)
    becomes(name, lambda pod: pod.spec.node_name)
    has = inventory(os.environ["KUBECONFIG"])
    assert has.accelerators == {kind: 3}
    assert has.free.accelerators == {kind: 1}
    assert has.free.cpu == before.free.cpu - 100
    assert has.free.memory == before.free.memory - (64 << 20)
    core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)


def test_what_one_may_not_see_is_not_told(account: Account, node: Callable[..., None]) -> None:
    node({"nvidia.com/gpu": 3}, A100)
    file = account.kubeconfig({"token": account.token()})
    assert inventory(file) == Inventory(0, 0)
    somebody = rbac.account("somebody", account.namespace)
    own = f"nodes-of-{account.namespace}"
    account.may(rbac.node_reader([somebody]).replace("flyte-jupyter-nodes", own))
    has = inventory(file)
    assert has.accelerators == {"A100": 3}
    assert has.cpu >= 1000
    assert has.free is None
    (told,) = (one for one in examine_cluster({"kubeconfig": file}) if one.subject == "nodes")
    assert "3 × A100" in told.details
