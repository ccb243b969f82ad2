"""The objects that are made in a cluster: a session's hub, and a pod for each worker."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flyte_jupyter.spec.pod import PodTemplate
from flyte_jupyter.spec.resources import AUTO
from flyte_jupyter.spec.secret import MOUNT
from flyte_jupyter.targets.kubernetes import placement
from flyte_jupyter.targets.kubernetes.boot import HUB, KEY, POD, PORT, ROOM
from flyte_jupyter.targets.kubernetes.nodes import Nodes
from flyte_jupyter.targets.protocol import StartRequest

__all__ = [
    "ENVIRONMENT",
    "KIND",
    "MANAGED",
    "OWNER",
    "SESSION",
    "hub_job",
    "label_value",
    "probe_pod",
    "worker_pod",
]

MANAGED = {"app.kubernetes.io/managed-by": "flyte-jupyter"}
SESSION = "flyte-jupyter/session"
KIND = "flyte-jupyter/kind"
ENVIRONMENT = "flyte-jupyter/environment"
OWNER = "flyte-jupyter/owner"
QUEUE = "kueue.x-k8s.io/queue-name"
PRIMARY = "primary"
# nobody that an image knows, which is all that clusters with rules for pods let run
NOBODY = 65532
#: Seconds without the kernel after which a session ends: a laptop that sleeps is not dead.
PATIENCE = 600
# What is left of a session after its end is removed by the cluster after so many seconds.
LEFT = 60
# A pod whose node is lost is given up after so many seconds.
NODE_LOST = 60
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


def hub_job(session: str, image: str, key: str, owner: str) -> dict[str, Any]:
    """Return the job of a session's hub; everything else of the session belongs to it.

    Args:
        session: name of the session.
        image: any with Python.
        key: the session's, in hexadecimal digits.
        owner: the kernel.
    """
    labels = {**MANAGED, SESSION: session, KIND: "hub"}
    container = {
        "name": "hub",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", HUB, str(PATIENCE)],
        "env": [*_surroundings(), {"name": KEY, "value": key}],
        "ports": [{"containerPort": PORT}],
        "resources": HUB_RESOURCES,
        "securityContext": _rights(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
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
                    **_pod(),
                    "restartPolicy": "OnFailure",
                    "terminationGracePeriodSeconds": 1,
                    "containers": [container],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
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
    request: StartRequest,
    blobs: Sequence[str] = (),
    nodes: Nodes | None = None,
) -> dict[str, Any]:
    """Return the pod of one worker.

    Args:
        name: its name.
        session: ``name`` and ``uid`` of the session's job.
        image: any with Python.
        hub: address of the hub.
        key: the pod's own.
        request: what the worker needs.
        blobs: what it fetches from the hub before it begins.
        nodes: what the cluster has, ``None`` where one may not ask.
    """
    labels = {**MANAGED, SESSION: session["name"], KIND: "worker"}
    if request.group:
        labels[ENVIRONMENT] = label_value(request.group)
    if request.queue:
        labels[QUEUE] = request.queue
    environ = {**dict(request.prepared.environ), **dict(request.environ)}
    container: dict[str, Any] = {
        "name": PRIMARY,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", POD, hub, name, str(PATIENCE), *blobs],
        "env": [
            *_surroundings(environ),
            *({"name": k, "value": v} for k, v in environ.items()),
            {"name": KEY, "value": key},
        ],
        "resources": _resources(request, nodes),
        "securityContext": _rights(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if blobs:
        volumes.append({"name": "room", "emptyDir": {}})
        container["volumeMounts"].append({"name": "room", "mountPath": ROOM})
    resources = request.resources
    if resources is not None and resources.shm_bytes is not None:
        memory: dict[str, Any] = {"medium": "Memory"}
        if resources.shm_bytes != AUTO:
            memory["sizeLimit"] = str(resources.shm_bytes)
        volumes.append({"name": "shm", "emptyDir": memory})
        container["volumeMounts"].append({"name": "shm", "mountPath": "/dev/shm"})
    if request.secret_files:
        held = {"medium": "Memory", "sizeLimit": "8Mi"}
        volumes.append({"name": "secrets", "emptyDir": held})
        container["volumeMounts"].append({"name": "secrets", "mountPath": MOUNT})
    spec: dict[str, Any] = {
        **_pod(),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": volumes,
    }
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
            "annotations": _apart(),
            "ownerReferences": [_job(session)],
        },
        "spec": spec,
    }
    if isinstance(request.pod_template, PodTemplate):
        _merge_template(pod, request.pod_template)
    return pod


def probe_pod(name: str, session: Mapping[str, str], image: str, question: str) -> dict[str, Any]:
    """Return a pod that prints what an image has, and ends.

    Args:
        name: its name.
        session: ``name`` and ``uid`` of the session's job.
        image: the image.
        question: a program.
    """
    labels = {**MANAGED, SESSION: session["name"], KIND: "probe"}
    container = {
        "name": PRIMARY,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", question, "/none"],
        "resources": PROBE_RESOURCES,
        "securityContext": _rights(),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": _apart(),
            "ownerReferences": [_job(session)],
        },
        "spec": {
            **_pod(),
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
        },
    }


def label_value(text: str) -> str:
    """Return a text as the value of a label can hold it."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[:63].strip("-._")


def _pod() -> dict[str, Any]:
    lost = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "runAsGroup": NOBODY,
            "fsGroup": NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
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


def _job(session: Mapping[str, str]) -> dict[str, str]:
    return {"apiVersion": "batch/v1", "kind": "Job", **session}


def _apart() -> dict[str, str]:
    # a service mesh's companion would outlive the task, and keep its pod
    return {"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"}


def _rights() -> dict[str, Any]:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


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


def _merge_template(pod: dict[str, Any], template: PodTemplate) -> None:
    """Lay a template over a pod: what the task's own settings say stays."""
    metadata = pod["metadata"]
    metadata["labels"] = {**template.labels, **metadata["labels"]}
    metadata["annotations"] = {**metadata["annotations"], **template.annotations}
    given = template.pod_spec
    containers = given.pop("containers", [])
    ours = pod["spec"]["containers"][0]
    for one in containers:
        if one.get("name", PRIMARY) == template.primary_container_name:
            _merge_container(ours, one)
            ours["name"] = template.primary_container_name
        else:
            pod["spec"]["containers"].append(one)
    for key, value in given.items():
        held = pod["spec"].get(key)
        if isinstance(held, list):
            pod["spec"][key] = [*held, *value]
        elif isinstance(held, dict):
            pod["spec"][key] = {**held, **value}
        else:
            pod["spec"][key] = value


def _merge_container(ours: dict[str, Any], given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        if key in ("name", "command", "args", "image"):
            continue
        held: Any = ours.get(key)
        if key == "resources":
            ours[key] = {
                part: {**value.get(part, {}), **held.get(part, {})}
                for part in ("requests", "limits")
            }
        elif isinstance(held, list):
            ours[key] = [*value, *held]
        elif isinstance(held, dict):
            ours[key] = {**held, **value}
        else:
            ours[key] = value
