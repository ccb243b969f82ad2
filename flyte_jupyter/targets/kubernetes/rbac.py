"""The least role that running tasks in a namespace takes, as a manifest to read and apply."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from flyte_jupyter.errors import SpecError
from flyte_jupyter.spec.naming import shown
from flyte_jupyter.targets.kubernetes.rights import IN_CLUSTER, IN_NAMESPACE, Right

__all__ = ["account", "group", "node_reader", "role", "user"]

NAME = "flyte-jupyter"
LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
API = "rbac.authorization.k8s.io"
Subject = Mapping[str, str]
HEAD = """\
# What it takes to run tasks with flyte_jupyter in the namespace {namespace}, and no more.
# The tasks themselves get no rights. Apply it with: kubectl apply -f -
"""
ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: {scope}Role
metadata:
  name: {name}{place}
rules:
"""
RULE = """\
# {purpose}
{without}- apiGroups: [{group}]
  resources: [{resource}]
  verbs: {verbs}
"""
BINDING = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: {scope}RoleBinding
metadata:
  name: {name}{place}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {scope}Role
  name: {name}
subjects:
"""


def account(name: str, namespace: str) -> Subject:
    """Return a service account as a subject.

    Args:
        name: its name, or ``namespace:name`` of one elsewhere.
        namespace: where it is if its name does not tell.

    Raises:
        SpecError: it can be none.
    """
    place, mark, own = name.rpartition(":")
    if not re.fullmatch(SUBDOMAIN, own) or (mark and not re.fullmatch(LABEL, place)):
        raise SpecError(
            f"--account {shown(name)} names no service account: write NAME, or NAMESPACE:NAME."
        )
    return {"kind": "ServiceAccount", "name": own, "namespace": place or namespace}


def user(name: str) -> Subject:
    """Return a user as a subject."""
    return {"kind": "User", "apiGroup": API, "name": name}


def group(name: str) -> Subject:
    """Return a group of users as a subject."""
    return {"kind": "Group", "apiGroup": API, "name": name}


def role(namespace: str, subjects: Sequence[Subject]) -> str:
    """Return the role, and its binding where it is for somebody.

    Args:
        namespace: where tasks are to run.
        subjects: those who are to run them.

    Raises:
        SpecError: the namespace can be none.
    """
    if not re.fullmatch(LABEL, namespace):
        raise SpecError(f"--namespace {shown(namespace)} is no name of Kubernetes.")
    objects = _objects("", NAME, f"\n  namespace: {namespace}", IN_NAMESPACE, subjects)
    return "---\n".join((HEAD.format(namespace=namespace), *objects))


def node_reader(subjects: Sequence[Subject]) -> str:
    """Return the role of the cluster that sees its nodes, and its binding, to follow the other."""
    return "---\n".join(("", *_objects("Cluster", f"{NAME}-nodes", "", IN_CLUSTER[:1], subjects)))


def _objects(
    scope: str, name: str, place: str, rights: Sequence[Right], subjects: Sequence[Subject]
) -> Iterator[str]:
    yield ROLE.format(scope=scope, name=name, place=place) + "".join(map(_rule, rights))
    if subjects:
        bound = BINDING.format(scope=scope, name=name, place=place)
        yield bound + "".join(f"- {json.dumps(subject)}\n" for subject in subjects)


def _rule(right: Right) -> str:
    return RULE.format(
        purpose=right.purpose,
        without=f"# without it: {right.without}\n" if right.without else "",
        group=json.dumps(right.group),
        resource=json.dumps(right.resource),
        verbs=json.dumps(right.verbs),
    )
