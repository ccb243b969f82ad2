"""Who a pod runs as and what it may do: what the strictest of Kubernetes' profiles lets run.

The root file system of a container stays writable, which that profile allows and many images need;
a template says ``readOnlyRootFilesystem`` where it is not wanted, and gets a volume as ``/tmp``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.errors import FlyteError

__all__ = ["NOBODY", "confined", "opts_out", "rights", "unconfine", "user_of"]

# nobody that an image knows, which is all that clusters with rules for pods let run
NOBODY = 65532
# OpenShift's word on a namespace that gives its pods a user itself, and takes no other
ASSIGNED = "openshift.io/sa.scc.uid-range"
USER = ("runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup")


def confined(user: int | None = NOBODY) -> dict[str, Any]:
    """Return the security context of a pod.

    Args:
        user: who it runs as, ``None`` where the namespace says that.
    """
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if user is None:
        return context
    return {**context, "runAsUser": user, "runAsGroup": user, "fsGroup": user}


def user_of(api: Api, namespace: str) -> int | None:
    """Return who the pods of a namespace run as, ``None`` where it says that itself; blocks.

    Args:
        api: the cluster's.
        namespace: its name.
    """
    try:
        found = api.call("GET", f"/api/v1/namespaces/{namespace}")
    except (ApiError, FlyteError):
        return NOBODY  # who may not ask is told by what the cluster refuses then
    return None if ASSIGNED in (found["metadata"].get("annotations") or {}) else NOBODY


def rights() -> dict[str, Any]:
    """Return the security context of a container."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def opts_out(given: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether a pod is to run as root, or as its image says.

    Args:
        given: what a template says of the pod and of the container that runs the task.
    """
    contexts = [one.get("securityContext") or {} for one in given]
    return any(one.get("runAsNonRoot") is False or one.get("runAsUser") == 0 for one in contexts)


def unconfine(spec: dict[str, Any]) -> None:
    """Take back what a pod is confined by, but for its system calls.

    Args:
        spec: of a pod with one container; it is changed.
    """
    for name in USER:
        spec["securityContext"].pop(name, None)
    for name in rights():
        spec["containers"][0]["securityContext"].pop(name, None)
