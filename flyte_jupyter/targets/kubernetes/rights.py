"""What one has to be allowed in a cluster, as one table: what each right is for, what lacks it.

The printed role, the look before a session and the doctor read this table and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.errors import TargetError
from flyte_jupyter.spec.naming import listing

__all__ = [
    "IN_CLUSTER",
    "IN_NAMESPACE",
    "Right",
    "ask_for",
    "demand",
    "has_group",
    "in_namespace",
    "lacking",
]

REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
FORWARD = "pods/portforward"
# Those that every cluster has.
GROUPS = ("", "batch")
ONE_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on a resource.

    Args:
        group: of the API, ``""`` for the core.
        resource: in the plural, with its part: ``pods/log``.
        verbs: of Kubernetes.
        purpose: what they are for, in a few words.
        without: what does not work without them, in a sentence; ``""`` where nothing does.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    purpose: str
    without: str = ""

    def __str__(self) -> str:
        return f"{listing(self.verbs, 'and')} {self.resource}"


IN_NAMESPACE = (
    Right("", "pods", ("create", "list", "watch", "delete"), "a pod for each task"),
    Right(
        "batch",
        "jobs",
        ("create", "get", "delete"),
        "the hub of a session, which all else belongs to",
    ),
    Right("", "secrets", ("create", "patch", "delete"), "the key of a session"),
    Right("", FORWARD, ("create", "get"), "the way from the kernel to the hub"),
    Right(
        "",
        "pods/resize",
        ("patch",),
        "processors of a task that waits for others, lent to these",
        "A task that waits for what it has called keeps its processors meanwhile.",
    ),
    Right(
        "",
        "pods/log",
        ("get",),
        "what an image has is told in the log of a pod",
        "An image of your own cannot be looked into, so no task can run in one.",
    ),
    Right(
        "",
        "events",
        ("list", "watch"),
        "the reasons why a pod does not run",
        "Less is told of why a pod waits: no trouble with its sandbox or its volumes.",
    ),
    Right(
        "",
        "configmaps",
        ("create", "get", "list", "patch", "delete"),
        "the records of deployments",
        "Nothing can be deployed to the namespace, nor what is deployed there be used.",
    ),
    Right(
        "",
        "podtemplates",
        ("get", "list"),
        "templates of pods that tasks name",
        "A pod template of the cluster cannot be named, only given itself.",
    ),
    Right(
        "",
        "namespaces",
        ("get",),
        "what the namespace asks of its pods",
        "It is not seen where a namespace gives its pods a user itself, as those of OpenShift do.",
    ),
    Right(
        "kueue.x-k8s.io",
        "localqueues",
        ("list",),
        "the names of the queues",
        "A queue's name is not checked: a task in a queue that is not there waits for ever.",
    ),
    Right(
        "kueue.x-k8s.io",
        "workloads",
        ("list", "watch"),
        "why a queue lets a pod wait",
        "It is not told why a queue lets a pod wait, only that it does.",
    ),
)
IN_CLUSTER = (
    Right(
        "",
        "nodes",
        ("list",),
        "which accelerators there are, and how they are labelled",
        "Accelerators are found by the labels that clouds and operators give, not by those that "
        "the nodes really carry.",
    ),
    Right(
        "",
        "pods",
        ("list",),
        "what is free on the nodes: needs the pods of all namespaces",
        "It is told what the nodes have, not what of it is free.",
    ),
)


INSIDE = (
    "The hub is reached as pods reach each other, or not at all where a policy of the network "
    "forbids that."
)


def in_namespace(inside: bool) -> tuple[Right, ...]:
    """Return what is needed in a namespace.

    Args:
        inside: whether the kernel is a pod itself, which reaches the hub as pods do.
    """
    if not inside:
        return IN_NAMESPACE
    return tuple(
        replace(right, without=INSIDE) if right.resource == FORWARD else right
        for right in IN_NAMESPACE
    )


def ask_for(namespace: str) -> str:
    """Return what one is told to do whose rights do not suffice."""
    return (
        "Have whoever may give them apply what this prints, with your --user or --account: "
        f"flyte-jupyter rbac --namespace {namespace}"
    )


def has_group(api: Api, group: str) -> bool:
    """Say whether the cluster has a group of the API; one that does not tell may have it; blocks.

    Args:
        api: the cluster's.
        group: its name.

    Raises:
        TargetError: the cluster does not answer.
    """
    try:
        api.call("GET", f"/apis/{group}")
    except ApiError as error:
        return error.status != 404
    return True


def lacking(api: Api, namespace: str, rights: Sequence[Right]) -> dict[Right, tuple[str, ...]]:
    """Return each right that one does not have whole, with the verbs that are missing; blocks.

    It is one call, but where the cluster does not list what one may do: there it is asked for each
    verb that its list leaves out.

    Args:
        api: the cluster's.
        namespace: where; ``""`` for the whole cluster.
        rights: those that are asked for.

    Raises:
        TargetError: the cluster does not answer.
        ApiError: it does not know who one is.
    """
    listed, whole = _rules(api, namespace) if namespace else ([], False)
    found: dict[Right, tuple[str, ...]] = {}
    for right in rights:
        verbs = [verb for verb in right.verbs if not any(_grants(r, right, verb) for r in listed)]
        if not whole:
            verbs = [verb for verb in verbs if not _granted(api, namespace, right, verb)]
        if verbs and (right.group in GROUPS or has_group(api, right.group)):
            found[right] = tuple(verbs)
    return found


def _rules(api: Api, namespace: str) -> tuple[Sequence[Mapping[str, Any]], bool]:
    """Return the rules that the cluster lists, and whether these are all."""
    try:
        status = _reviewed(api, REVIEW, "SelfSubjectRulesReview", {"namespace": namespace})
    except ApiError as error:
        if error.stranger:
            raise
        return [], False
    return status.get("resourceRules") or [], not status.get("incomplete")


def _grants(rule: Mapping[str, Any], right: Right, verb: str) -> bool:
    """Say whether a rule grants a verb on all objects of a resource."""
    if rule.get("resourceNames"):
        return False
    _, mark, part = right.resource.partition("/")
    resources = ("*", right.resource, f"*/{part}" if mark else right.resource)
    return (
        any(one in ("*", verb) for one in rule.get("verbs") or ())
        and any(one in ("*", right.group) for one in rule.get("apiGroups") or ())
        and any(one in resources for one in rule.get("resources") or ())
    )


def _granted(api: Api, namespace: str, right: Right, verb: str) -> bool:
    resource, _, part = right.resource.partition("/")
    attributes = {
        "namespace": namespace,
        "group": right.group,
        "resource": resource,
        "subresource": part,
        "verb": verb,
    }
    spec = {"resourceAttributes": attributes}
    try:
        return bool(_reviewed(api, ONE_REVIEW, "SelfSubjectAccessReview", spec).get("allowed"))
    except ApiError as error:
        if error.stranger:
            raise
        return True  # it does not tell: what it refuses is told then


def _reviewed(api: Api, path: str, kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    status: Mapping[str, Any] = api.call("POST", path, body)["status"]
    return status


def demand(missing: Mapping[Right, Sequence[str]], namespace: str) -> list[str]:
    """Return what does not work for want of rights, a sentence each.

    Args:
        missing: what :func:`lacking` has found.
        namespace: where.

    Raises:
        TargetError: nothing works; each right that is missing for that is named.
    """
    needed = [
        f"{listing(verbs, 'and')} {right.resource}: {right.purpose}"
        for right, verbs in missing.items()
        if not right.without
    ]
    if needed:
        raise TargetError(
            f"You lack rights to run tasks in {namespace}.",
            evidence=needed,
            remedy=ask_for(namespace),
        )
    return [
        f"{right.without} You may not {listing(verbs)} {right.resource}."
        for right, verbs in missing.items()
    ]
