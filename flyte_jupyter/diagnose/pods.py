"""How pods of a cluster end that neither their task nor this program has ended: a table.

Which of them are the cluster's doing, so that the system tries again, is for the target to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["POD_ENDS", "PodEnd"]


@dataclass(frozen=True, slots=True)
class PodEnd:
    """How a pod has ended.

    Args:
        code: of the error.
        sentence: with ``{task}`` for the full name of the task.
        remedy: what to do next.
        user: whether the task itself is the reason.
    """

    code: str
    sentence: str
    remedy: str
    user: bool = False


AGAIN = "Run it again; what returned before is kept."
POD_ENDS: Mapping[str, PodEnd] = {
    "asleep": PodEnd(
        "SessionEnded",
        "This kernel was away from the cluster for longer than the session there waits for it, and "
        "{task} was ended with the session.",
        f"{AGAIN} A kernel is away while its machine sleeps or has no network.",
    ),
    "disk": PodEnd(
        "DiskFull",
        "The pod of {task} was ended because the task wrote more than its disk has.",
        "Write less, or ask for more with .override(resources=flyte.Resources(disk=...)).",
        user=True,
    ),
    "drained": PodEnd(
        "PodEvicted",
        "The pod of {task} was evicted while the task ran, as happens where a node is drained.",
        AGAIN,
    ),
    "evicted": PodEnd(
        "PodEvicted",
        "The node of {task} ended its pod, as it ran short of something or was shut down.",
        "Say how much the task needs (memory=, disk=), so that it is not the first to go.",
    ),
    "hub": PodEnd(
        "HubLost",
        "The hub of the session in the cluster was lost while {task} ran, and its pod ended with "
        "it.",
        "Run it again: the session has a new hub; what returned before is kept.",
    ),
    "killed": PodEnd(
        "PodKilled",
        "The container of {task} was ended from outside, and not for its memory.",
        f"{AGAIN} A node that goes down does that, and whoever ends processes on it.",
    ),
    "node": PodEnd(
        "NodeLost",
        "The node of {task} was lost while the task ran.",
        f"{AGAIN} kubectl get nodes shows what there is.",
    ),
    "preempted": PodEnd(
        "PodPreempted",
        "The pod of {task} had to make room for one of higher priority.",
        f"{AGAIN} pod_template= can give it a priority (priorityClassName).",
    ),
    "removed": PodEnd(
        "PodRemoved",
        "The pod of {task} was removed from outside while the task ran.",
        f"{AGAIN} kubectl delete does that, and a queue that takes its share back.",
    ),
}
