"""Why a pod does not run: what it waits for, and what will never be."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from flyte_jupyter.cluster.connect import NotLetInError
from flyte_jupyter.errors import FlyteError, ImageBuildError, TargetError
from flyte_jupyter.targets.kubernetes.remedies import remedy_for

__all__ = ["DENIED", "GRACE", "OPENED", "refused", "trouble", "unpulled", "waits_for"]

# What a registry that is busy says once, it takes back within so many seconds.
GRACE = 20.0
NEVER = {
    "InvalidImageName": "Its name is no image reference.",
    "ErrImageNeverPull": "The node does not have it and may not pull it.",
}
LATER = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable")
# how a registry says that it knows nobody who asks so
DENIED = re.compile(r"\b40[13]\b|unauthori[sz]ed|denied|forbidden|no basic auth", re.IGNORECASE)
OPENED = (
    "If its registry is private, make a secret that opens it (kubectl create secret "
    "docker-registry NAME ...), and name it: Image.clone(registry_secret='NAME'), or "
    "flyte.init(target='kubernetes', registry_secret='NAME')."
)
CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


def trouble(pod: str, status: Mapping[str, Any], since: float) -> FlyteError | None:
    """Return why a pod will never run, ``None`` where it may.

    Args:
        pod: its name.
        status: what the cluster tells of it.
        since: when it was made, as ``time.monotonic`` tells it.
    """
    for one in _containers(status):
        image = str(one.get("image") or "")
        state = one.get("state") or {}
        waiting = state.get("waiting") or {}
        reason, words = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        if reason in NEVER:
            return _no_image(image, NEVER[reason], words)
        if reason in LATER and time.monotonic() - since > GRACE:
            return _no_image(image, "The cluster cannot pull it.", words)
        if reason in CONFIG:
            return TargetError(
                f"The container of {pod} cannot be made as it is asked for.",
                evidence=[f"{reason}: {words}"],
                remedy="Change what the message names: a secret, an account or a user.",
            )
        ended = state.get("terminated") or {}
        prepares = one in (status.get("initContainerStatuses") or ())
        if ended and not (prepares and ended.get("exitCode") == 0):
            return _ended(pod, image, ended)
    if status.get("phase") == "Failed":
        return TargetError(
            f"{pod} was ended before it began.",
            evidence=[f"{status.get('reason') or 'Failed'}: {status.get('message') or ''}"],
        )
    return None


def unpulled(status: Mapping[str, Any]) -> tuple[str, str]:
    """Return the image that a pod's node does not get, and what it says; empty where it may."""
    for one in _containers(status):
        waiting = (one.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in (*LATER, "ErrImageNeverPull"):
            return str(one.get("image") or ""), str(waiting.get("message") or "")
    return "", ""


def _containers(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        yield from status.get(kind) or ()


def _no_image(image: str, why: str, words: str) -> ImageBuildError:
    remedy = "Check its name. An image of this machine only is not there: push it to a registry "
    remedy += "that the cluster reaches, or load it (kind load docker-image, minikube image load)."
    return ImageBuildError(
        f"The cluster has no image {image!r}. {why}",
        evidence=[words] if words else (),
        remedy=f"Check its name. {OPENED}" if DENIED.search(words) else remedy,
    )


def _ended(pod: str, image: str, ended: Mapping[str, Any]) -> FlyteError:
    reason, words = str(ended.get("reason") or ""), str(ended.get("message") or "").strip()
    if reason in ("StartError", "ContainerCannotRun"):
        return ImageBuildError(
            f"The image {image!r} has no program python3, which a task needs.",
            evidence=[words],
            remedy="Take an image with Python 3.9 or later, such as python:3.12-slim.",
        )
    return TargetError(
        f"{pod} ended with status {ended.get('exitCode')} at its start.",
        evidence=words.splitlines()[-5:] or [reason],
        remedy="Its image may lack what Python needs.",
    )


def waits_for(status: Mapping[str, Any]) -> str:
    """Return what a pod waits for, in a few words; ``""`` where nothing is known."""
    for one in _containers(status):
        waiting = (one.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        if reason in LATER:
            return f"waits for the image {one.get('image')}: {waiting.get('message') or reason}"
        if reason and reason not in ("ContainerCreating", "PodInitializing"):
            return f"waits: {reason}"
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            if one.get("reason") == "SchedulingGated":
                return "waits for its queue"
            return f"waits for a node: {one.get('message') or one.get('reason')}"
    return ""


def refused(what: str, status: int, reason: str, sentence: str) -> FlyteError:
    """Return what there is to say when the cluster refuses to make something.

    Args:
        what: in words.
        status: of HTTP.
        reason: one word of the cluster's.
        sentence: what it says.
    """
    if status == 401 or (status == 403 and "system:anonymous" in sentence):
        return NotLetInError(sentence)
    if "exceeded quota" in sentence:
        remedy = "Ask for less, or wait until something else has ended."
    elif status == 403:
        remedy = "Ask for the rights to it: flyte-jupyter rbac prints what it takes."
    elif status == 404:
        remedy = "Name a namespace that exists: flyte.init(target='kubernetes', namespace=...)."
    else:
        remedy = "Change what the message names."
    return TargetError(
        f"The cluster refuses {what}.",
        evidence=[f"{reason}: {sentence}"],
        remedy=remedy_for(sentence) or remedy,
    )
