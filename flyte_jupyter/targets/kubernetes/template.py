"""A user's pod template laid over a pod: the user's fields win where ours are only defaults.

What stays ours is what the task needs (its image, its program, its key) and what the task's own
settings say (resources, variables, account). Tolerations, volumes, containers and their like are
added, by name where they have one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from flyte_jupyter.spec.pod import PodTemplate
from flyte_jupyter.targets.kubernetes.security import opts_out, rights, unconfine

__all__ = ["DEFAULT_CONTAINER", "PRIMARY", "conflicts", "lay_over"]

PRIMARY = "primary"
#: Tells kubectl, and us, which container of a pod runs the task.
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
# what a template says of the container that runs the task, and is not taken
NOT_TAKEN = ("image", "command", "args")
# volumes that the task's own settings ask for, or that its start needs
NEEDED = ("room", "secrets")
# of a list, what tells one entry from another
KEYS = {
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "tolerations": ("key", "effect"),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
}

Part = dict[str, Any]


def lay_over(pod: Part, template: PodTemplate, defaults: Collection[str] = ()) -> None:
    """Lay a template over a pod.

    Args:
        pod: a manifest whose only container runs the task; it is changed.
        template: what the user says.
        defaults: names of the variables that a template may set otherwise.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    metadata["labels"] = {**template.labels, **metadata["labels"]}
    metadata["annotations"] = {
        **metadata["annotations"],
        **template.annotations,
        DEFAULT_CONTAINER: template.primary_container_name,
    }
    given = template.pod_spec
    (ours,) = spec["containers"]
    ours["name"] = template.primary_container_name
    named, beside = _containers(given.pop("containers", []), ours["name"])
    starting = given.pop("initContainers", [])
    if opts_out((given, *named)):
        unconfine(spec)
    else:
        for one in (*beside, *starting):
            one["securityContext"] = _merged(rights(), one.get("securityContext") or {})
    for one in named:
        _lay_over_container(ours, one, defaults)
    spec["containers"] = [ours, *beside]
    if starting:
        spec["initContainers"] = starting
    for key, value in given.items():
        if key == "restartPolicy" or (key == "serviceAccountName" and key in spec):
            continue
        if key == "affinity":
            spec[key] = _both(spec.get(key) or {}, value)
        else:
            spec[key] = _laid(key, spec.get(key), value)


def conflicts(template: PodTemplate) -> list[str]:
    """Return what a template says that is not taken, in the words of manifests.

    Args:
        template: what the user says.
    """
    given = template.pod_spec
    name = template.primary_container_name
    named, _ = _containers(given.get("containers", []), name)
    found = [
        f"{key} of its container {name!r}" for key in NOT_TAKEN if any(key in n for n in named)
    ]
    if given.get("restartPolicy", "Never") != "Never":
        found.append("its restartPolicy")
    return found


def _containers(given: Iterable[Mapping[str, Any]], name: str) -> tuple[list[Part], list[Part]]:
    """Return what is said of the container of a name, and the others."""
    named: list[Part] = []
    beside: list[Part] = []
    for one in given:
        (named if one.get("name", name) == name else beside).append(dict(one))
    return named, beside


def _lay_over_container(ours: Part, given: Mapping[str, Any], defaults: Collection[str]) -> None:
    for key, value in given.items():
        if key in ("name", *NOT_TAKEN):
            continue
        held: Any = ours.get(key)
        if key == "resources":
            ours[key] = {
                **{part: one for part, one in value.items() if part not in held},
                **{part: {**(value.get(part) or {}), **held[part]} for part in held},
            }
        elif key == "env":
            theirs = {one["name"]: one for one in value}
            fixed = {one["name"] for one in held if one["name"] not in defaults}
            ours[key] = [
                *(one for name, one in theirs.items() if name not in fixed),
                *(one for one in held if one["name"] in fixed or one["name"] not in theirs),
            ]
        else:
            ours[key] = _laid(key, held, value)


def _laid(key: str, held: Any, value: Any) -> Any:
    if key in KEYS and isinstance(value, list):
        return _by_name(KEYS[key], held or [], value)
    if isinstance(held, list) and isinstance(value, list):
        return [*held, *value]
    if isinstance(held, dict) and isinstance(value, dict):
        return _merged(held, value)
    return value


def _merged(held: Mapping[str, Any], given: Mapping[str, Any]) -> Part:
    """Return both, the given one's values where both have one; maps within are merged likewise."""
    both = dict(held)
    for key, value in given.items():
        one = both.get(key)
        mixed = isinstance(one, dict) and isinstance(value, dict)
        both[key] = _merged(one, value) if mixed else value  # type: ignore[arg-type]
    return both


def _by_name(keys: tuple[str, ...], held: list[Part], given: list[Part]) -> list[Part]:
    """Return both, the given one of two with the same name, except what a start needs."""

    def name_of(one: Part) -> tuple[Any, ...]:
        return tuple(one.get(key) for key in keys)

    needed = {name_of(one) for one in held if one.get("name") in NEEDED}
    taken = [one for one in given if name_of(one) not in needed]
    names = {name_of(one) for one in taken}
    return [*(one for one in held if name_of(one) not in names), *taken]


# on which nodes


def _both(held: Mapping[str, Any], given: Mapping[str, Any]) -> Part:
    """Return an affinity that asks for what both ask for."""
    one, other = _required(held), _required(given)
    both = _merged(held, given)
    if one and other:
        terms = [_term(a, b) for a in one for b in other]
        both["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = {
            "nodeSelectorTerms": terms
        }
    return both


def _required(affinity: Mapping[str, Any]) -> list[Part]:
    node = affinity.get("nodeAffinity") or {}
    required = node.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms: list[Part] = required.get("nodeSelectorTerms") or []
    return terms


def _term(one: Mapping[str, Any], other: Mapping[str, Any]) -> Part:
    # of the terms one is enough; within a term all of it counts
    keys = dict.fromkeys((*one, *other))
    return {key: [*(one.get(key) or []), *(other.get(key) or [])] for key in keys}
