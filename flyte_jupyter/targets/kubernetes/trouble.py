"""Why a pod does not run: what it waits for, and what will never be."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from flyte_jupyter.diagnose.pods import POD_ENDS
from flyte_jupyter.errors import FlyteError, ImageBuildError, OOMError, TargetError, WorkerLostError
from flyte_jupyter.targets.kubernetes.ends import FROM_OUTSIDE, OOM, end_of
from flyte_jupyter.targets.kubernetes.happenings import GROWTH, Happening
from flyte_jupyter.targets.kubernetes.scheduling import unschedulable

__all__ = ["DENIED", "GRACE", "OPENED", "trouble", "unpulled", "waits_for"]

# Seconds from the first try on: a registry that does not have an image may be about to get it.
GRACE = 20.0
# A registry that is busy or away says so for a while, and then has it.
PASSING_GRACE = 180.0
PASSING = re.compile(
    r"429|toomanyrequests|too many requests|timeout|timed out|deadline exceeded|connection reset|"
    r"\b50[0-4]\b|temporary failure|EOF",
    re.IGNORECASE,
)
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
# What a container lacks may be on its way; what to change, by the cluster's words.
CONFIG_GRACE = 30.0
CONFIG_ROWS = (
    (
        r"runAsNonRoot|non-numeric user|run as root",
        "Have pod_template= say which user it runs as (securityContext.runAsUser), or set USER to "
        "a number in the image.",
    ),
    (
        r'secret "([^"]+)" not found',
        "Make the secret {1} in this namespace (kubectl create secret), or take it out of "
        "pod_template=.",
    ),
    (
        r'configmap "([^"]+)" not found',
        "Make the config map {1} in this namespace (kubectl create configmap), or take it out of "
        "pod_template=.",
    ),
    (
        r"couldn't find key (\S+) in",
        "Add the key {1}, or change pod_template= to one that is there.",
    ),
)
# What the node tries again and again by itself, until it is told as an error.
NODE_GRACE = 120.0
NODE_TROUBLES = {
    "FailedAttachVolume": "A volume of {pod} cannot be attached to its node.",
    "FailedCreatePodSandBox": "The node that {pod} was given to cannot begin it.",
    "FailedMapVolume": "A volume of {pod} cannot be attached to its node.",
    "FailedMount": "A volume of {pod} cannot be mounted.",
}
NO_HUB = re.compile(r"The hub of the session at \S+ cannot be reached")


def trouble(
    pod: str, status: Mapping[str, Any], since: float | None, happening: Happening | None = None
) -> FlyteError | None:
    """Return why a pod will never run, ``None`` where it may.

    Args:
        pod: its name.
        status: what the cluster tells of it.
        since: when it was given to a node, as ``time.monotonic`` tells it; ``None`` before that.
        happening: the last event that says what it waits for.
    """
    waited = 0.0 if since is None else time.monotonic() - since
    for one in _containers(status):
        image = str(one.get("image") or "")
        state = one.get("state") or {}
        waiting = state.get("waiting") or {}
        reason, words = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        if reason in NEVER:
            return _no_image(image, NEVER[reason], words)
        if reason in LATER and waited > (PASSING_GRACE if PASSING.search(words) else GRACE):
            return _no_image(image, "The cluster cannot pull it.", words)
        if reason in CONFIG and (waited > CONFIG_GRACE or _row(words) is CONFIG_ROWS[0]):
            return _misconfigured(pod, reason, words)
        ended = state.get("terminated") or {}
        prepared = one in (status.get("initContainerStatuses") or ()) and not ended.get("exitCode")
        # why something else has ended it is told a moment later
        told = ended.get("exitCode") not in FROM_OUTSIDE or ended.get("reason") == OOM
        if ended and told and not prepared:
            return _ended(pod, image, ended)
    if status.get("phase") == "Failed":
        return _failed(pod, status)
    if happening is None or happening.reason not in NODE_TROUBLES:
        return None
    if time.monotonic() - happening.since > NODE_GRACE:
        return TargetError(
            NODE_TROUBLES[happening.reason].format(pod=pod),
            evidence=[f"{happening.reason}: {happening.message}"],
            remedy=f"Check that what it names is there: kubectl describe pod {pod}.",
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


def _row(words: str) -> tuple[str, str] | None:
    return next((row for row in CONFIG_ROWS if re.search(row[0], words)), None)


def _misconfigured(pod: str, reason: str, words: str) -> TargetError:
    row = _row(words)
    remedy = "Change what the message names: a secret, an account or a user."
    if row is not None:
        match = re.search(row[0], words)
        remedy = row[1].replace("{1}", match[1] if match and match.groups() else "")
    return TargetError(
        f"The container of {pod} cannot be made as it is asked for.",
        evidence=[f"{reason}: {words}"],
        remedy=remedy,
    )


def _failed(pod: str, status: Mapping[str, Any]) -> FlyteError:
    """Return why a pod was ended before it began."""
    end = end_of(pod, status, "", removed=False)
    said = [] if end.container is None or not end.container.error else [end.container.error]
    if end.lost:
        row = POD_ENDS[end.cause or ""]
        sentence = row.sentence.format(task=pod).replace("The pod of ", "The pod ", 1)
        return WorkerLostError(sentence, evidence=said, remedy=row.remedy)
    return TargetError(f"{pod} was ended before it began.", evidence=said)


def _ended(pod: str, image: str, ended: Mapping[str, Any]) -> FlyteError:
    reason, words = str(ended.get("reason") or ""), str(ended.get("message") or "").strip()
    if reason in ("StartError", "ContainerCannotRun"):
        return ImageBuildError(
            f"The image {image!r} has no program python3, which a task needs.",
            evidence=[words],
            remedy="Take an image with Python 3.9 or later, such as python:3.12-slim.",
        )
    if reason == OOM:
        return OOMError(
            "",
            f"{pod} used more memory than its limit before its task began, and was ended.",
            remedy='Give it more: .override(resources=flyte.Resources(memory="1Gi")).',
        )
    if NO_HUB.search(words):
        return TargetError(
            f"{pod} does not reach the hub of its session, which runs beside it in the namespace.",
            evidence=words.splitlines()[-1:],
            remedy="A network policy may forbid it: let pods with the label flyte-jupyter/session "
            "reach each other.",
        )
    return TargetError(
        f"{pod} ended with status {ended.get('exitCode')} at its start.",
        evidence=words.splitlines()[-5:] or [reason],
        remedy="Its image may lack what Python needs.",
    )


def waits_for(status: Mapping[str, Any], happening: Happening | None = None) -> str:
    """Return what a pod waits for, in a few words; ``""`` where nothing is known.

    Args:
        status: what the cluster tells of it.
        happening: the last event that says what it waits for.
    """
    for one in _containers(status):
        waiting = (one.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        if reason in LATER:
            return f"waits for the image {one.get('image')}: {waiting.get('message') or reason}"
        if reason in CONFIG:
            return f"waits for what its container is made of: {waiting.get('message') or reason}"
        if reason and reason not in ("ContainerCreating", "PodInitializing"):
            return f"waits: {reason}"
    for one in status.get("conditions") or ():
        if one.get("reason") == "SchedulingGated":
            return "waits for its queue"
    said = unschedulable(status)
    if said:
        grows = f"; {happening.words}" if happening and happening.reason in GROWTH else ""
        return f"waits for a node: {said}{grows}"
    return "" if happening is None else happening.words
