"""Pods and notebooks of the tests in the cluster, and what of it can be killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clusters import HOW, LIMIT, found, remove_namespaces, until

__all__ = ["IMAGE", "LIMIT", "PROGRAM", "found", "manifest", "remove_namespaces", "until"]

IMAGE = "python:3.11-slim"
PROGRAM = Path(__file__).parent.parent.parent / ".ci" / "cluster.py"


@pytest.fixture(scope="module")
def namespace(fresh_namespace: Callable[..., str]) -> str:
    """A namespace of a module's own: what others leave is not taken for what it leaves."""
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
def account(core: Any, fresh_namespace: Callable[..., str], tmp_path: Path) -> Iterator[Account]:
    """Somebody in a namespace of their own who may do nothing yet."""
    place = fresh_namespace()
    core.create_namespaced_service_account(place, {"metadata": {"name": "somebody"}})
    somebody = Account(core, place, tmp_path)
    yield somebody
    somebody.may_no_more()


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


class Account:
    """A service account with rights of its own, and what it is let in by."""

    def __init__(self, core: Any, namespace: str, folder: Path) -> None:
        self.core = core
        self.namespace = namespace
        self.folder = folder
        self._given: list[str] = []

    def may(self, text: str) -> None:
        """Apply manifests: roles, and their bindings."""
        import yaml

        api = self._admin()
        for one in filter(None, yaml.safe_load_all(text)):
            where = "" if one["kind"].startswith("Cluster") else f"/namespaces/{self.namespace}"
            path = f"/apis/rbac.authorization.k8s.io/v1{where}/{one['kind'].lower()}s"
            api.call("POST", path, one)
            self._given.append(f"{path}/{one['metadata']['name']}")
        api.close()

    def may_no_more(self) -> None:
        """Take all rights back."""
        api = self._admin()
        while self._given:
            api.call("DELETE", self._given.pop())
        api.close()

    def _admin(self) -> Any:
        from flyte_jupyter.cluster.api import Api
        from flyte_jupyter.cluster.connect import connect

        return Api(connect({"kubeconfig": os.environ["KUBECONFIG"]}))

    def token(self, secret: str = "") -> str:
        """Return a token, which ends when a secret does that it is bound to."""
        spec: dict[str, Any] = {"audiences": [], "expirationSeconds": 3600}
        if secret:
            made = self.core.create_namespaced_secret(
                self.namespace, {"metadata": {"name": secret}}
            )
            bound = {"kind": "Secret", "apiVersion": "v1", "name": secret}
            spec["boundObjectRef"] = {**bound, "uid": made.metadata.uid}
        answer = self.core.create_namespaced_service_account_token(
            "somebody", self.namespace, {"spec": spec}
        )
        return str(answer.status.token)

    def kubeconfig(self, user: dict[str, Any], **cluster: Any) -> str:
        """Write a kubeconfig, and return its path.

        Args:
            user: how one is let in.
            **cluster: more of how the cluster is reached; ``None`` takes something away.
        """
        import yaml

        whole = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
        whole["users"] = [{"name": "somebody", "user": user}]
        whole["contexts"] = [
            {
                "name": "theirs",
                "context": {
                    "cluster": whole["clusters"][0]["name"],
                    "user": "somebody",
                    "namespace": self.namespace,
                },
            }
        ]
        reached = {**whole["clusters"][0]["cluster"], **cluster}
        whole["clusters"][0]["cluster"] = {k: v for k, v in reached.items() if v is not None}
        whole["current-context"] = "theirs"
        path = self.folder / "kubeconfig"
        path.write_text(yaml.safe_dump(whole))
        return str(path)


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
