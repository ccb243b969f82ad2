"""The objects that are made in a cluster: a session's hub, and a pod for each worker."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flyte_jupyter.spec.pod import PodTemplate
from flyte_jupyter.spec.resources import AUTO
from flyte_jupyter.spec.secret import MOUNT
from flyte_jupyter.store.owners import REMOTE_LEASE, owner
from flyte_jupyter.targets.kubernetes import placement
from flyte_jupyter.targets.kubernetes.boot import (
    CERTIFICATE,
    HUB,
    KEY,
    POD,
    PORT,
    PRIVATE,
    ROOM,
)
from flyte_jupyter.targets.kubernetes.nodes import Nodes
from flyte_jupyter.targets.kubernetes.security import NOBODY, confined, rights
from flyte_jupyter.targets.kubernetes.template import DEFAULT_CONTAINER, PRIMARY, lay_over
from flyte_jupyter.targets.kubernetes.trust import Trust
from flyte_jupyter.targets.kubernetes.volumes import have_place_to_write, mount
from flyte_jupyter.targets.protocol import StartRequest

__all__ = [
    "ENVIRONMENT",
    "KIND",
    "MANAGED",
    "OWNER",
    "SESSION",
    "hub_job",
    "hub_secret",
    "job_reference",
    "label_value",
    "pod_name",
    "probe_pod",
    "worker_pod",
]

MANAGED = {"app.kubernetes.io/managed-by": "flyte-jupyter"}
SESSION = "flyte-jupyter/session"
KIND = "flyte-jupyter/kind"
ENVIRONMENT = "flyte-jupyter/environment"
OWNER = "flyte-jupyter/owner"
QUEUE = "kueue.x-k8s.io/queue-name"
# What is left of a session after its end is removed by the cluster after so many seconds.
LEFT = 10
# A pod whose node is lost is given up after so many seconds.
NODE_LOST = 60
HUB_KEYS = (KEY, CERTIFICATE, PRIVATE)
# What a pod may take beyond the timeout of its task: its image is pulled in that time too, and it
# may wait for its call. Its first process and the kernel know the time better.
BEYOND = 1800
PROBE_RESOURCES = {
    "requests": {"cpu": "50m", "memory": "64Mi"},
    "limits": {"memory": "256Mi"},
}
HUB_RESOURCES = {
    "requests": {"cpu": "50m", "memory": "96Mi"},
    "limits": {"memory": "512Mi"},
}


def hub_secret(session: str, trust: Trust) -> dict[str, Any]:
    """Return the secret with what only a session's hub may know.

    Args:
        session: name of the session, and of the secret.
        trust: what the session is let in by.
    """
    values = (trust.key.hex(), trust.certificate, trust.private)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": session, "labels": {**MANAGED, SESSION: session}},
        "stringData": dict(zip(HUB_KEYS, values, strict=True)),
        "immutable": True,
    }


def hub_job(
    session: str, image: str, owner: str, user: int | None = NOBODY, lease: float = REMOTE_LEASE
) -> dict[str, Any]:
    """Return the job of a session's hub; everything else of the session belongs to it.

    Args:
        session: name of the session, and of its secret.
        image: any with Python.
        owner: the kernel.
        user: who it runs as, ``None`` where the namespace says that; so for the others.
        lease: seconds without the kernel after which it ends.
    """
    labels = {**MANAGED, SESSION: session, KIND: "hub"}
    container = {
        "name": "hub",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", HUB, f"{lease:g}"],
        "env": [*_surroundings(), *(_secret(session, name) for name in HUB_KEYS)],
        "ports": [{"containerPort": PORT}],
        "resources": HUB_RESOURCES,
        "securityContext": rights(),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": session, "labels": labels, "annotations": {OWNER: owner}},
        "spec": {
            "ttlSecondsAfterFinished": LEFT,
            "backoffLimit": 3,
            "template": {
                "metadata": {"labels": labels, "annotations": _apart()},
                "spec": {
                    **_pod(user),
                    "restartPolicy": "OnFailure",
                    "terminationGracePeriodSeconds": 1,
                    "containers": [container],
                },
            },
        },
    }


def worker_pod(
    name: str,
    session: Mapping[str, str],
    image: str,
    hub: str,
    key: str,
    certificate: str,
    request: StartRequest,
    blobs: Sequence[str] = (),
    nodes: Nodes | None = None,
    user: int | None = NOBODY,
    pull_secrets: Sequence[str] = (),
    workdir: str | None = None,
    lease: float = REMOTE_LEASE,
) -> dict[str, Any]:
    """Return the pod of one worker.

    Args:
        name: its name.
        session: ``name`` and ``uid`` of the session's job.
        image: any with Python.
        hub: address of the hub.
        key: the pod's own.
        certificate: the hub's, PEM.
        request: what the worker needs.
        blobs: what it fetches from the hub before it begins.
        nodes: what the cluster has, ``None`` where one may not ask.
        user: who it runs as.
        pull_secrets: names of the secrets that open the image's registry.
        workdir: working directory to be made, ``None`` where there is one.
        lease: seconds without its hub after which it ends.
    """
    labels = {**MANAGED, SESSION: session["name"], KIND: "worker"}
    if request.group:
        labels[ENVIRONMENT] = label_value(request.group)
    if request.queue:
        labels[QUEUE] = request.queue
    environ = {**dict(request.prepared.environ), **dict(request.environ)}
    defaults = _surroundings(environ)
    container: dict[str, Any] = {
        "name": PRIMARY,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", POD, hub, name, f"{lease:g}", *blobs],
        "env": [
            *defaults,
            *({"name": k, "value": v} for k, v in environ.items()),
            {"name": KEY, "value": key},
            {"name": CERTIFICATE, "value": certificate},
        ],
        "resources": _resources(request, nodes),
        "securityContext": rights(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    spec: dict[str, Any] = {
        **_pod(user),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        **_opened(pull_secrets),
    }
    if blobs:
        mount(spec, "room", ROOM, {})
    if workdir:
        mount(spec, "workdir", workdir, {})
    resources = request.resources
    if resources is not None and resources.shm_bytes is not None:
        limit = {} if resources.shm_bytes == AUTO else {"sizeLimit": str(resources.shm_bytes)}
        mount(spec, "shm", "/dev/shm", {"medium": "Memory", **limit})
    if request.secret_files:
        mount(spec, "secrets", MOUNT, {"medium": "Memory", "sizeLimit": "8Mi"})
    if request.timeout:
        spec["activeDeadlineSeconds"] = math.ceil(request.timeout) + BEYOND
    device = None if resources is None else resources.device
    if device is not None:
        spec["tolerations"] = [*spec["tolerations"], *placement.tolerations(device)]
        affinity = placement.affinity(device, nodes)
        if affinity is not None:
            spec["affinity"] = affinity
    if request.service_account:
        spec["serviceAccountName"] = request.service_account
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {**_apart(), OWNER: owner(), DEFAULT_CONTAINER: PRIMARY},
            "ownerReferences": [job_reference(session)],
        },
        "spec": spec,
    }
    if isinstance(request.pod_template, PodTemplate):
        lay_over(pod, request.pod_template, [one["name"] for one in defaults])
        have_place_to_write(spec)
    return pod


def probe_pod(
    name: str,
    session: Mapping[str, str],
    image: str,
    question: str,
    user: int | None = NOBODY,
    pull_secrets: Sequence[str] = (),
) -> dict[str, Any]:
    """Return a pod that prints what an image has, and ends.

    Args:
        name: its name.
        session: ``name`` and ``uid`` of the session's job.
        image: the image.
        question: a program.
        user: who it runs as.
        pull_secrets: names of the secrets that open the image's registry.
    """
    labels = {**MANAGED, SESSION: session["name"], KIND: "probe"}
    container = {
        "name": PRIMARY,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", question, "/none"],
        "resources": PROBE_RESOURCES,
        "securityContext": rights(),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": _apart(),
            "ownerReferences": [job_reference(session)],
        },
        "spec": {
            **_pod(user),
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            **_opened(pull_secrets),
        },
    }


def pod_name(session: str, environment: str, number: int) -> str:
    """Return the name of a session's pod, which people can read; a node's host name can hold it.

    Args:
        session: name of the session.
        environment: name of the environment that it serves, if any.
        number: tells it from the session's other pods.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", environment.lower())[:30].strip("-")
    return "-".join(filter(None, (session, slug, str(number))))


def label_value(text: str) -> str:
    """Return a text as the value of a label can hold it."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[:63].strip("-._")


def _pod(user: int | None) -> dict[str, Any]:
    lost = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": confined(user),
        "tolerations": [
            {
                "key": key,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": NODE_LOST,
            }
            for key in lost
        ],
    }


def _opened(secrets: Sequence[str]) -> dict[str, Any]:
    return {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}


def _secret(session: str, name: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": session, "key": name}}}


def job_reference(session: Mapping[str, str]) -> dict[str, str]:
    """Return what makes an object end with a session.

    Args:
        session: ``name`` and ``uid`` of its job.
    """
    return {"apiVersion": "batch/v1", "kind": "Job", **session}


def _apart() -> dict[str, str]:
    # a service mesh's companion would outlive the task, and keep its pod
    return {"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"}


def _surroundings(environ: Mapping[str, str] = {}) -> list[dict[str, str]]:
    """Return what a user that no image knows lacks, as far as nothing else is said."""
    home = {"HOME": "/tmp", "USER": "task", "LOGNAME": "task", "PYTHONUNBUFFERED": "1"}
    return [{"name": k, "value": v} for k, v in home.items() if k not in environ]


def _resources(request: StartRequest, nodes: Nodes | None) -> dict[str, Any]:
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    resources = request.resources
    if request.cpu is not None:
        requests["cpu"] = f"{request.cpu}m"
    if request.memory is not None:
        limits["memory"] = str(request.memory)
    if resources is not None:
        if resources.cpu_limit is not None:
            limits["cpu"] = f"{resources.cpu_limit}m"
        if resources.memory_request is not None:
            requests["memory"] = str(resources.memory_request)
        if resources.disk_bytes is not None:
            requests["ephemeral-storage"] = limits["ephemeral-storage"] = str(resources.disk_bytes)
        if resources.device is not None:
            limits[placement.resource_of(resources.device, nodes)] = str(resources.device.quantity)
    return {"requests": requests, "limits": limits}
