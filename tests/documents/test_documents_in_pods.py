"""On a cluster the environments of the documents are pods, each of the image that it names."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from document_accounts import ACCOUNTS, BY_NAME, only

from tests.clusters import Place, until

each = pytest.mark.parametrize("played", ACCOUNTS, indirect=True, ids=lambda a: a.name)
on_kubernetes = pytest.mark.parametrize("target", ["kubernetes"], indirect=True, scope="module")

# Eight processors are not in every node; accelerators are, once a node is said to have them.
WHERE = """
import importlib.metadata, os, platform, socket

def where() -> dict:
    return {
        "host": socket.gethostname(),
        "boot": open("/proc/sys/kernel/random/boot_id").read().strip(),
        "token": os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount"),
        "packages": sorted({each.name for each in importlib.metadata.distributions()}),
        "system": platform.freedesktop_os_release()["VERSION_CODENAME"],
        "python": platform.python_version(),
    }

def here(env):
    task, asked = env.task(where), env.resources
    if asked is None or asked.cpu_request is None or asked.cpu_request <= 1000:
        return task
    return task.override(resources=flyte.Resources(cpu=1, memory="1Gi", gpu=asked.device))

from flyte_jupyter import catalog
declared = catalog.current().environments
"""
DEFAULT = "python:{}.{}-slim".format(*sys.version_info)
IMAGES = {
    "base-utils": "python:3.12-slim",
    "ml-training": "pytorch:latest",
    "base": "python:3.12",
    "ml": "pytorch:latest",
    "api": "fastapi:latest",
    "base-template": "python:3.12-slim",
    "training-specialized": "python:3.12-slim",
}
GPUS = {"training-specialized": "2", "gpu_training": "1"}
LABELS = {
    "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
    "karpenter.k8s.aws/instance-gpu-name": "a10g",
}
# what the kernel has and no image of a document
OF_THE_KERNEL = {"ipykernel", "jupyterlab", "flyte_jupyter", "nbclient"}


def places_of(played: Any, *names: str) -> dict[str, dict[str, Any]]:
    """Return what a task of each environment says of where it is, of all where none is named."""
    played.kernel.does(WHERE)
    wanted = f"{names!r} or tuple(declared)"
    played.kernel.does(f"runs = {{n: flyte.run(here(declared[n].value)) for n in {wanted}}}")
    places = played.kernel.value("{name: run.result() for name, run in runs.items()}")
    assert isinstance(places, dict)
    return places


@on_kubernetes
@each
def test_every_environment_is_a_pod_of_its_own_with_the_image_that_it_names(
    played: Any, core: Any, place: Place, node: Callable[..., None]
) -> None:
    nodes = {one.metadata.name: one.status.node_info.boot_id for one in core.list_node().items}
    node({"nvidia.com/gpu": 4}, LABELS)
    places = places_of(played)
    assert set(places) >= set(played.account.environments)
    assert len({each["host"] for each in places.values()}) == len(places)
    for name, found in places.items():
        pod = place.pods[found["host"]]
        assert pod.metadata.labels["flyte-jupyter/environment"] == name
        (container,) = pod.spec.containers
        assert container.image == IMAGES.get(name, DEFAULT), name
        assert (container.resources.limits or {}).get("nvidia.com/gpu") == GPUS.get(name), name
        assert nodes[pod.spec.node_name] == found["boot"]
        assert not found["token"]
        assert not OF_THE_KERNEL & set(found["packages"]), name


@on_kubernetes
@only("depends-on")
def test_an_environment_has_the_system_and_the_python_of_the_image_it_names(
    played: Any, inside: Callable[[str], tuple[str, str]]
) -> None:
    for name, place in places_of(played, "base", "ml", "api").items():
        assert (place["system"], place["python"]) == inside(IMAGES[name]), name


@on_kubernetes
@only("task-environment")
def test_an_environment_has_the_packages_that_its_image_adds(played: Any) -> None:
    places = places_of(played, "ml_env", "light")
    assert {"pandas", "scikit-learn"} <= set(places["ml_env"]["packages"])
    assert not {"pandas", "scikit-learn"} & set(places["light"]["packages"])


@on_kubernetes
def test_a_block_that_asks_for_accelerators_waits_for_a_node_with_them(
    documents: Any, kernel: Any, core: Any, place: Place
) -> None:
    document = documents[BY_NAME["depends-on"].digest]
    kernel.does("import flyte")
    kernel.does(document.python[0])
    kernel.does("run = flyte.run(train_model)")
    until(lambda: waiting(core, place))
    (pod,) = waiting(core, place)
    asks = pod.spec.containers[0].resources
    held = {"memory": str(16 << 30), "nvidia.com/gpu": "2"}
    assert (asks.limits, asks.requests) == (held, {"cpu": "8", **held})
    kernel.does("run.abort()")
    assert kernel.value("str(run.phase)") == "aborted"
    until(lambda: not waiting(core, place))


def waiting(core: Any, place: Place) -> list[Any]:
    """Return the pods that wait for a node which has what they ask for."""
    return [
        pod
        for pod in core.list_namespaced_pod(place.namespace).items
        if any(one.reason == "Unschedulable" for one in pod.status.conditions or ())
    ]
