"""How a pod has ended, by what the cluster tells of it; the first row that fits wins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flyte_jupyter.diagnose import ContainerEnd, ExitRecord

__all__ = ["FROM_OUTSIDE", "OOM", "end_of", "terminated"]

# Words of the kubelet's, where a pod has used more than it may: that is the task's own doing.
OWN_DISK = re.compile(
    r"ephemeral (?:local )?storage (?:usage exceeds|limit)|Usage of EmptyDir volume", re.IGNORECASE
)
# Why a pod was ended that others needed to be ended.
DISRUPTIONS = {
    "DeletionByPodGC": "node",
    "DeletionByTaintManager": "node",
    "EvictionByEvictionAPI": "drained",
    "PreemptionByScheduler": "preempted",
    "TerminationByKubelet": "evicted",
}
REASONS = {
    "DeadlineExceeded": "deadline",
    "Evicted": "evicted",
    "NodeLost": "node",
    "NodeShutdown": "node",
    "Preempting": "preempted",
    "Shutdown": "node",
    "Terminated": "node",
    "UnexpectedAdmissionError": "node",
}
TARGETED = ("DisruptionTarget", "TerminationTarget")
FROM_OUTSIDE = (137, 143)
SIGNALS = 128
OOM = "OOMKilled"
# What the system does not try again: the task would end so once more.
OWN = ("memory", "disk", "deadline")


def terminated(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how a container of a pod has ended, nothing where none has."""
    for one in status.get("containerStatuses") or ():
        found: Mapping[str, Any] = (one.get("state") or {}).get("terminated") or {}
        if found:
            return found
    return {}


def end_of(name: str, status: Mapping[str, Any], words: str, *, removed: bool) -> ExitRecord:
    """Return how a pod has ended that told nothing itself.

    Args:
        name: of the pod.
        status: what the cluster tells of it.
        words: the last that it wrote.
        removed: whether somebody else has removed it.
    """
    end = terminated(status)
    code: Any = end.get("exitCode")
    words = "\n".join(filter(None, (words, str(end.get("message") or ""))))
    cause = _cause(status, removed=removed)
    said = _said(status) if cause else ""
    container = ContainerEnd(name, code, cause == "memory", said)
    if cause:
        return ExitRecord(
            signal=9 if cause == "memory" else None,
            cause=cause,
            words=words,
            container=container,
            lost=cause not in OWN,
        )
    # its first process would have told how the body ended: its stream had ended before
    return ExitRecord(code=code, cause="stream", words=words, container=container, lost=True)


def _cause(status: Mapping[str, Any], *, removed: bool) -> str:
    """Return why a pod was ended, ``""`` where it has ended by itself."""
    end = terminated(status)
    if end.get("reason") == OOM:
        return "memory"
    if OWN_DISK.search(str(status.get("message") or "")):
        return "disk"
    reason = str(status.get("reason") or "")
    if reason == "DeadlineExceeded":
        return "deadline"
    for one in _targeted(status):
        if one.get("reason") in DISRUPTIONS:
            return DISRUPTIONS[str(one["reason"])]
    if reason in REASONS:
        return REASONS[reason]
    if removed or end.get("exitCode") is None:
        return "removed"
    return "killed" if end["exitCode"] > SIGNALS else ""


def _targeted(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        one
        for one in status.get("conditions") or ()
        if one.get("type") in TARGETED and one.get("status") == "True"
    ]


def _said(status: Mapping[str, Any]) -> str:
    """Return what the cluster says of the reason."""
    told = [(status.get("reason"), status.get("message"))]
    told += [(one.get("reason"), one.get("message")) for one in _targeted(status)]
    return "; ".join(": ".join(map(str, filter(None, pair))) for pair in told if any(pair))
