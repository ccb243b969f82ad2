"""A cluster for the tests: any that KUBECONFIG names, and namespaces of their own in it."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

# how long a pod, a namespace or a node may take, in seconds
LIMIT = 90
HOW = "export KUBECONFIG=$(python .ci/cluster.py up)"


@pytest.fixture(scope="session")
def core() -> Iterator[Any]:
    """The core of the API of the cluster that KUBECONFIG names; skips where it names none."""
    # that a machine has ~/.kube/config does not mean that tests may work there
    if not os.environ.get("KUBECONFIG"):
        pytest.skip(f"needs a cluster: {HOW}, or name one of your own there")
    from kubernetes import client, config

    with config.new_client_from_config() as connection:
        yield client.CoreV1Api(connection)


@pytest.fixture(scope="session")
def fresh_namespace(core: Any) -> Iterator[Callable[..., str]]:
    """A function that makes a namespace, which is gone when the tests end."""
    made: list[str] = []

    def make(labels: dict[str, str] | None = None) -> str:
        name = f"flyte-jupyter-test-{uuid.uuid4().hex[:8]}"
        core.create_namespace({"metadata": {"name": name, "labels": labels or {}}})
        made.append(name)
        # a pod is refused before that
        until(lambda: found(core.read_namespaced_service_account, "default", name))
        return name

    yield make
    remove_namespaces(core, made)


@dataclass(frozen=True)
class Place:
    """A namespace for kernels that are told of the cluster by KUBECONFIG alone.

    Args:
        kubeconfig: the value of that variable: the tests' own, with this namespace.
        namespace: its name.
        pods: every pod that was there since the beginning, by its name, as it was seen last.
    """

    kubeconfig: str
    namespace: str
    pods: dict[str, Any] = field(default_factory=dict)

    def workers(self) -> dict[str, Any]:
        """Return the pods in which tasks ran or could have run."""
        label = "flyte-jupyter/kind"
        return {
            name: pod
            for name, pod in self.pods.items()
            if pod.metadata.labels.get(label) == "worker"
        }


@pytest.fixture(scope="module")
def place(
    core: Any, fresh_namespace: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A namespace in which kernels work, and what was seen in it; in the end it is empty."""
    from kubernetes import config

    _, active = config.list_kube_config_contexts()
    namespace = fresh_namespace()
    context = {**active, "context": {**active["context"], "namespace": namespace}}
    overlay = tmp_path_factory.mktemp("kube") / "namespace"
    told = {"apiVersion": "v1", "kind": "Config", "current-context": active["name"]}
    overlay.write_text(json.dumps({**told, "contexts": [context]}))
    # of two that say something of a context, the first is believed
    place = Place(f"{overlay}{os.pathsep}{os.environ['KUBECONFIG']}", namespace)
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(core, place, done))
    watcher.start()
    yield place
    until(lambda: not core.list_namespaced_pod(namespace).items)
    done.set()
    watcher.join()


def _watch(core: Any, place: Place, done: threading.Event) -> None:
    """See every pod of a namespace."""
    from kubernetes import watch

    version = core.list_namespaced_pod(place.namespace).metadata.resource_version
    while not done.is_set():
        stream = watch.Watch().stream(
            core.list_namespaced_pod, place.namespace, resource_version=version, timeout_seconds=1
        )
        for event in stream:
            pod = event["object"]
            version = pod.metadata.resource_version
            place.pods[pod.metadata.name] = pod


@pytest.fixture
def node(core: Any) -> Iterator[Callable[..., None]]:
    """A function that gives a node resources, labels and a taint, which are taken back."""
    from kubernetes.client import ApiException

    name = core.list_node().items[0].metadata.name
    given: list[dict[str, int]] = []

    def give(resources: dict[str, int], labels: dict[str, str], taint: str | None = None) -> None:
        given.append(resources)
        try:
            for resource, count in resources.items():
                _patch(core, name, "add", f"/status/capacity/{_escaped(resource)}", str(count))
        except ApiException as error:
            if error.status != 403:
                raise
            pytest.skip(f"nodes cannot be patched here: {error.reason}")
        taints = [{"key": taint, "effect": "NoSchedule"}] if taint else []
        core.patch_node(name, {"metadata": {"labels": labels}, "spec": {"taints": taints}})
        given.append(dict.fromkeys(labels, 0))
        until(lambda: set(resources) <= set(core.read_node(name).status.allocatable))

    yield give
    if given:
        resources, labels = given
        for resource in resources:
            for part in ("capacity", "allocatable"):
                _patch(core, name, "remove", f"/status/{part}/{_escaped(resource)}", None)
        gone = dict.fromkeys(labels)
        core.patch_node(name, {"metadata": {"labels": gone}, "spec": {"taints": []}})


def _patch(core: Any, node: str, verb: str, path: str, value: str | None) -> None:
    core.patch_node_status(node, [{"op": verb, "path": path, "value": value}])


def _escaped(resource: str) -> str:
    return resource.replace("/", "~1")


def remove_namespaces(core: Any, names: list[str]) -> None:
    """Remove namespaces, and wait until they are gone with all that was in them."""
    for name in names:
        if found(core.read_namespace, name):
            core.delete_namespace(name)
    until(lambda: not any(found(core.read_namespace, name) for name in names))


def found(read: Callable[..., Any], *names: str) -> Any:
    """Return what is read, nothing where it is not there."""
    from kubernetes.client import ApiException

    try:
        return read(*names)
    except ApiException as error:
        if error.status != 404:
            raise
        return None


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds that no watch tells."""
    limit = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < limit, f"not within {LIMIT} s"
        time.sleep(0.05)
