"""What there is to say when the cluster refuses to make something: a table, the first row wins."""

from __future__ import annotations

import re

from flyte_jupyter.cluster.api import ApiError
from flyte_jupyter.cluster.connect import NotLetInError
from flyte_jupyter.errors import FlyteError, TargetError
from flyte_jupyter.targets.kubernetes.remedies import remedy_for

__all__ = ["refused"]

Row = tuple[int | None, str, str, str]

# status of HTTP, a pattern of the cluster's text, what is wrong (``{what}``, ``{1}``), what to do
ROWS: tuple[Row, ...] = (
    (
        403,
        r"namespace (\S+) because it is being terminated",
        "The namespace {1} is being deleted, and nothing can be made there any more.",
        "Name another one: flyte.init(target='kubernetes', namespace=...), or make it again.",
    ),
    (
        404,
        r'namespaces "([^"]+)" not found',
        "The cluster has no namespace {1}.",
        "Name one that exists: flyte.init(target='kubernetes', namespace=...).",
    ),
    (
        403,
        r"violates PodSecurity",
        "The cluster refuses {what}: it is not as safe as this namespace asks for.",
        "Change what the message names in pod_template=, which this program does not set itself.",
    ),
    (
        403,
        r"failed quota: (\S+): must specify ([\w./,-]+)",
        "The quota {1} of this namespace wants every pod to say its {2}.",
        "Say it: flyte.TaskEnvironment(..., resources=flyte.Resources(cpu=..., memory=...)).",
    ),
    (
        403,
        r"(maximum|minimum) ([\w./-]+) (?:usage )?per (?:Container|Pod) is ([\w.]+), but",
        "The {1} of {2} in this namespace is {3}, and {what} asks for something else.",
        "Change resources=: flyte.Resources(cpu=..., memory=..., disk=...).",
    ),
    (
        403,
        r'service account \S+: serviceaccount "([^"]+)" not found',
        "The namespace has no service account {1}.",
        "Change service_account=, or make the account: kubectl create serviceaccount {1}.",
    ),
    (
        403,
        r'RuntimeClass "([^"]+)" not found',
        "The cluster has no runtime class {1}.",
        "Change runtimeClassName in pod_template=: kubectl get runtimeclasses shows them.",
    ),
    (
        403,
        r"no PriorityClass with name (\S+) was found",
        "The cluster has no priority class {1}.",
        "Change priorityClassName in pod_template=: kubectl get priorityclasses shows them.",
    ),
    (
        403,
        r"(?:User|is forbidden).*cannot create",
        "You may not make {what}.",
        "Ask for the rights to it: flyte-jupyter rbac prints what it takes.",
    ),
    (
        422,
        r"(spec\.[\w\[\].]+|metadata\.[\w\[\].]+): ",
        "The cluster refuses {what}: its {1} is not valid.",
        "Change what sets it: pod_template=, resources=, env_vars= or a name.",
    ),
    (
        None,
        r"failed calling webhook|admission webhook",
        "The cluster refuses {what}: something installed in it that checks pods does not let it "
        "pass.",
        "Show whoever runs the cluster what it says.",
    ),
)


def refused(what: str, error: ApiError) -> FlyteError:
    """Return what there is to say when the cluster refuses to make something.

    Args:
        what: in words.
        error: what the cluster said.
    """
    if error.stranger:
        return NotLetInError(error.sentence)
    known = remedy_for(error.sentence)
    for status, pattern, sentence, remedy in ROWS:
        match = re.search(pattern, error.sentence)
        if status in (None, error.status) and match is not None:
            words = dict(enumerate(match.groups(), 1))
            return TargetError(
                _filled(sentence, what, words),
                evidence=[f"{error.reason}: {error.sentence}"],
                remedy=known or _filled(remedy, what, words),
            )
    return TargetError(
        f"The cluster refuses {what}.",
        evidence=[f"{error.reason or error.status}: {error.sentence}"],
        remedy=known or "Change what the message names.",
    )


def _filled(text: str, what: str, words: dict[int, str]) -> str:
    text = text.replace("{what}", what)
    for number, word in words.items():
        text = text.replace(f"{{{number}}}", word)
    return text
