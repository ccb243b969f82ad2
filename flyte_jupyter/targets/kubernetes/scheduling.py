"""Why no node takes a pod: the scheduler's words made plain, and what the nodes offer instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.spec.quantity import format_bytes, format_cpu, parse_bytes, parse_cpu
from flyte_jupyter.targets.kubernetes.nodes import Nodes
from flyte_jupyter.targets.protocol import StartRequest

__all__ = ["Asked", "asked_for", "no_node", "unschedulable"]

NOT_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def unschedulable(status: Mapping[str, Any]) -> str:
    """Return the scheduler's words, where it has found no node for a pod."""
    for one in status.get("conditions") or ():
        unplaced = one.get("type") == "PodScheduled" and one.get("status") == "False"
        if unplaced and one.get("reason") != "SchedulingGated":
            return str(one.get("message") or one.get("reason") or "")
    return ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a pod asks of a node.

    Args:
        amounts: by resource, of all its containers together.
        device: the type of accelerator, ``""`` for any or none.
    """

    amounts: Mapping[str, str]
    device: str = ""


def asked_for(pod: Mapping[str, Any], request: StartRequest | None = None) -> Asked:
    """Return what a pod asks of a node.

    Args:
        pod: its manifest.
        request: what that was made of.
    """
    found: dict[str, str] = {}
    for container in pod["spec"]["containers"]:
        resources = container.get("resources") or {}
        amounts = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for name, amount in amounts.items():
            found[name] = f"{found[name]} + {amount}" if name in found else str(amount)
    device = None if request is None or request.resources is None else request.resources.device
    return Asked(found, "" if device is None else device.device or "")


def no_node(said: str, asked: Asked, nodes: Nodes | None) -> str:
    """Return why no node takes a pod, in plain words.

    Args:
        said: the scheduler's words.
        asked: what the pod asks for.
        nodes: what the cluster has, ``None`` where one may not ask.
    """
    # what follows is about pods that could make room, and is worded anew in every version
    head = re.split(r"\s*(?:preemption:|no new claims)", said)[0].rstrip(". ,")
    match = re.match(r"0/(\d+) nodes are available:?\s*(.*)", head, re.DOTALL)
    if match is None:
        return f"waits for a node: {said}"
    number, reasons = int(match[1]), match[2]
    about = [
        row(found, asked.amounts, asked.device)
        for pattern, row in ROWS
        if (found := pattern(reasons))
    ]
    short = list(INSUFFICIENT.findall(reasons))
    if not about:
        return f"waits for a node: {head}"
    words = f"waits for a node: {', '.join(about)}"
    if not number:
        return f"{words}: the cluster has no nodes"
    offers = _offers(short, asked.device, nodes)
    return f"{words}{f'; {offers}' if offers else ''} ({reasons})"


def _offers(short: list[str], device: str, nodes: Nodes | None) -> str:
    """Return what the nodes have of what is short."""
    if nodes is None:
        return ""
    said = []
    if "cpu" in short and nodes.largest.get("cpu"):
        said.append(f"the largest node has {format_cpu(nodes.largest['cpu'])} cpu")
    if "memory" in short and nodes.largest.get("memory"):
        said.append(f"the largest node has {format_bytes(nodes.largest['memory'])} of memory")
    if device or any("/" in name for name in short):
        kinds = nodes.accelerators.items()
        have = ", ".join(f"{count} × {kind or 'GPU of no known type'}" for kind, count in kinds)
        said.append(f"the nodes have {have}" if have else "no node has an accelerator")
    return "; ".join(said)


Find = Callable[[str], "re.Match[str] | None"]
Row = Callable[["re.Match[str]", Mapping[str, str], str], str]
TAINT = re.compile(r"untolerated taint(?:\(s\))? \{([^}]*)\}")
INSUFFICIENT = re.compile(r"Insufficient ([\w./-]*\w)")


def _too_little(match: re.Match[str], asked: Mapping[str, str], device: str) -> str:
    names = dict.fromkeys(INSUFFICIENT.findall(match.string))
    return "none has " + " and ".join(_amount(name, asked, device) for name in names) + " free"


def _amount(name: str, asked: Mapping[str, str], device: str) -> str:
    amount = asked.get(name, "")
    if not amount or "+" in amount:
        return f"so much {name}"
    if name == "cpu":
        return f"{format_cpu(parse_cpu(amount))} cpu"
    if name in ("memory", "ephemeral-storage"):
        return f"{format_bytes(parse_bytes(amount))} of {name}"
    return f"{amount} {name}{f' of type {device}' if device and '/' in name else ''}"


def _taint(match: re.Match[str], *_: object) -> str:
    taints = [found.strip(" :") for found in TAINT.findall(match.string)]
    if taints and all(taint.startswith(NOT_READY) for taint in taints):
        return "the nodes are not ready"
    return f"what is kept for others may not be taken (taint {', '.join(taints) or 'unknown'})"


def _elsewhere(_: re.Match[str], asked: Mapping[str, str], device: str) -> str:
    if not device:
        return "no other is one that pod_template asks for"
    many = [amount for name, amount in asked.items() if "/" in name] or ["1"]
    return f"no node offers {many[0]} × {device}"


ROWS: tuple[tuple[Find, Row], ...] = (
    (re.compile(r"didn't match Pod's node affinity/selector").search, _elsewhere),
    (INSUFFICIENT.search, _too_little),
    (re.compile(r"untolerated taint").search, _taint),
    (re.compile(r"Too many pods").search, lambda *_: "the nodes have as many pods as they may"),
    (re.compile(r"were unschedulable").search, lambda *_: "nodes are closed to new pods"),
    (
        re.compile(r"[Pp]ersistentvolumeclaim|PersistentVolumeClaims|volume node affinity").search,
        lambda *_: "a volume that it asks for is not there, or is elsewhere",
    ),
)
