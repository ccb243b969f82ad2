"""A cluster for the tests: any that KUBECONFIG names, and a namespace of their own in it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

IMAGE = "python:3.11-slim"
# how long a pod, a namespace or a node may take, in seconds
LIMIT = 90
PROGRAM = Path(__file__).parent.parent.parent / ".ci" / "cluster.py"
HOW = "export KUBECONFIG=$(python .ci/cluster.py up)"


@pytest.fixture(scope="session")
def core() -> Iterator[Any]:
    """The core of the API of the cluster that KUBECONFIG names; skips where it names none."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip(f"no cluster is given: {HOW}, or name one of your own there")
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


@pytest.fixture(scope="session")
def namespace(fresh_namespace: Callable[..., str]) -> str:
    """A namespace of the tests' own."""
    return fresh_namespace()


@pytest.fixture
def pod(core: Any, namespace: str) -> Callable[..., str]:
    """A function that makes a pod with one container, and returns its name."""

    def make(*command: str, **container: Any) -> str:
        name = f"pod-{uuid.uuid4().hex[:8]}"
        core.create_namespaced_pod(namespace, manifest(name, *command, **container))
        return name

    return make


@pytest.fixture
def becomes(core: Any, namespace: str) -> Callable[[str, Callable[[Any], object]], Any]:
    """A function that waits until something holds for a pod, and returns the pod."""
    from kubernetes import watch

    def wait(name: str, holds: Callable[[Any], object]) -> Any:
        stream = watch.Watch().stream(
            core.list_namespaced_pod,
            namespace,
            field_selector=f"metadata.name={name}",
            timeout_seconds=LIMIT,
        )
        last = None
        with contextlib.closing(stream):
            for event in stream:
                last = event["object"]
                if holds(last):
                    return last
        events = core.list_namespaced_event(namespace, field_selector=f"involvedObject.name={name}")
        said = "\n".join(f"{each.reason}: {each.message}" for each in events.items)
        raise TimeoutError(f"{name} did not come so far within {LIMIT} s:\n{said}\n{last}")

    return wait


@pytest.fixture
def ends(becomes: Callable[..., Any]) -> Callable[[str], Any]:
    """A function that waits until a pod has ended, and returns the state of its container."""

    def wait(name: str) -> Any:
        pod = becomes(name, lambda pod: pod.status.phase in ("Succeeded", "Failed"))
        return pod.status.container_statuses[0].state.terminated

    return wait


@pytest.fixture
def order() -> Callable[..., None]:
    """A function that kills or starts a program of the cluster that `.ci/cluster.py` made."""
    place = Path(os.environ.get("KUBECONFIG", "")).parent
    if not (place / "control.sock").exists():
        pytest.skip(f"only a cluster of ours has programs to kill: {HOW}")

    def give(*words: str) -> None:
        subprocess.run([sys.executable, PROGRAM, "--place", place, *words], check=True)

    return give


@pytest.fixture
def book(
    core: Any, namespace: str, cell: Callable[[str], Any], tmp_path: Path
) -> Iterator[Callable[[str], Any]]:
    """A function that executes a cell of a notebook whose tasks run in the cluster."""
    import flyte_jupyter as flyte

    flyte.init(target="kubernetes", namespace=namespace, state=tmp_path / "state")
    yield cell
    flyte.shut_down()
    until(lambda: not core.list_namespaced_pod(namespace).items)


def manifest(name: str, *command: str, **container: Any) -> dict[str, Any]:
    """Return a pod that runs a command in the image that every cluster has or can pull."""
    only = {"name": "main", "image": IMAGE, "command": list(command), **container}
    return {
        "metadata": {"name": name},
        "spec": {
            "containers": [only],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            # a cluster for tests may have no name service of its own
            "dnsPolicy": "Default",
        },
    }


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
