"""Who a pod runs as and what it may do: what the strictest of Kubernetes' profiles lets run.

The root file system of a container stays writable, which that profile allows and many images need;
a template says ``readOnlyRootFilesystem`` where it is not wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["NOBODY", "confined", "opts_out", "rights", "unconfine"]

# nobody that an image knows, which is all that clusters with rules for pods let run
NOBODY = 65532
USER = ("runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup")


def confined() -> dict[str, Any]:
    """Return the security context of a pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": NOBODY,
        "runAsGroup": NOBODY,
        "fsGroup": NOBODY,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


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
