"""What the nodes of a cluster have and how they are labelled, as far as one may ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.spec.accelerators import RESOURCES
from flyte_jupyter.spec.quantity import parse_bytes, parse_cpu
from flyte_jupyter.targets.kubernetes.labels import PRODUCT, type_by_labels
from flyte_jupyter.targets.protocol import Inventory

__all__ = ["Nodes", "read_inventory", "read_nodes"]

NODES, PODS = "/api/v1/nodes", "/api/v1/pods"
MIG = "nvidia.com/mig-"
# Lists are had in parts of so many.
PART = "500"
TYPE = "type "
RUNNING = "status.phase!=Succeeded,status.phase!=Failed"


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of a cluster, taken together.

    Args:
        products: products of NVIDIA's that labels name.
        resources: (resource, how many all nodes together have) beside processors and memory.
        accelerators: count by type, by the catalogue's words.
        largest: the most that one node has of ``cpu`` (millicores) and ``memory`` (bytes).
    """

    products: tuple[str, ...] = ()
    resources: Mapping[str, int] = field(default_factory=dict)
    accelerators: Mapping[str, int] = field(default_factory=dict)
    largest: Mapping[str, int] = field(default_factory=dict)

    def cut(self, partition: str | None) -> str | None:
        """Return the resource that offers such a part of a device, if there is one of its own."""
        name = f"{MIG}{partition}"
        return name if self.resources.get(name) else None


def read_nodes(api: Api) -> Nodes | None:
    """Return what the nodes have, ``None`` where one may not ask; blocks.

    Args:
        api: the cluster's.
    """
    products: dict[str, None] = {}
    resources: Counter[str] = Counter()
    accelerators: Counter[str] = Counter()
    largest: dict[str, int] = {}
    try:
        for node in _listed(api, NODES):
            products[_labels(node).get(PRODUCT, "")] = None
            has = _allocatable(node)
            resources.update(_extended(has))
            accelerators.update(_by_type(node, has))
            for name, parse in (("cpu", parse_cpu), ("memory", parse_bytes)):
                largest[name] = max(largest.get(name, 0), parse(has.get(name, "0")))
    except (ApiError, FlyteError):
        return None
    return Nodes(tuple(filter(None, products)), resources, accelerators, largest)


def read_inventory(api: Api) -> Inventory | None:
    """Return what there is and what is free of it, ``None`` where one may not ask; blocks.

    What is free is not told where one may not see the pods of all namespaces. A node that takes no
    pods has nothing free.

    Args:
        api: the cluster's.
    """
    try:
        nodes = list(_listed(api, NODES))
    except (ApiError, FlyteError):
        return None
    has = {node["metadata"]["name"]: _counted(node, _allocatable(node)) for node in nodes}
    try:
        taken = _taken(api, {node["metadata"]["name"]: node for node in nodes})
    except (ApiError, FlyteError):
        return _together(has.values())
    open_ones = (node["metadata"]["name"] for node in nodes if _takes_pods(node))
    return _together(has.values(), _together(_less(has[name], taken[name]) for name in open_ones))


def _listed(api: Api, path: str, **query: str) -> Iterator[dict[str, Any]]:
    query["limit"] = PART
    while True:
        found = api.call("GET", path, None, **query)
        yield from found["items"]
        if not found["metadata"].get("continue"):
            return
        query["continue"] = found["metadata"]["continue"]


def _labels(node: Mapping[str, Any]) -> Mapping[str, str]:
    return node["metadata"].get("labels") or {}


def _allocatable(node: Mapping[str, Any]) -> Mapping[str, str]:
    return (node.get("status") or {}).get("allocatable") or {}


def _takes_pods(node: Mapping[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not (node.get("spec") or {}).get("unschedulable")


def _extended(resources: Mapping[str, str]) -> dict[str, int]:
    return {
        name: int(text)
        for name, text in resources.items()
        if "/" in name and text.isdigit() and int(text)
    }


def _counted(node: Mapping[str, Any], resources: Mapping[str, str]) -> Counter[str]:
    """Return millicores, bytes, and accelerators of a node by type."""
    found = Counter(
        cpu=parse_cpu(resources.get("cpu", "0")), memory=parse_bytes(resources.get("memory", "0"))
    )
    for kind, count in _by_type(node, resources).items():
        found[TYPE + kind] += count
    return found


def _by_type(node: Mapping[str, Any], resources: Mapping[str, str]) -> Counter[str]:
    """Return accelerators of a node by type."""
    found: Counter[str] = Counter()
    for name, count in _extended(resources).items():
        kind = _kind(name, _labels(node))
        if kind is not None:
            found[kind] += count
    return found


def _kind(resource: str, labels: Mapping[str, str]) -> str | None:
    """Return the catalogue's word for a resource of a node, ``None`` if it is no accelerator."""
    if resource.startswith(MIG):
        return f"{type_by_labels(labels)}/{resource.removeprefix(MIG)}"
    for family, name in RESOURCES.items():
        if resource == name:
            return type_by_labels(labels) or ("" if family == "GPU" else family)
    return None


def _taken(api: Api, nodes: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Counter[str]]:
    """Return what the pods of each node ask for."""
    taken: dict[str, Counter[str]] = {name: Counter() for name in nodes}
    for pod in _listed(api, PODS, fieldSelector=RUNNING):
        name = pod["spec"].get("nodeName")
        if name in taken:
            taken[name].update(_asked(nodes[name], pod["spec"]))
    return taken


def _asked(node: Mapping[str, Any], spec: Mapping[str, Any]) -> Counter[str]:
    """Return what a pod asks for: all containers at once, or one that runs before them."""

    def of(part: Mapping[str, Any]) -> Counter[str]:
        return _counted(node, (part.get("resources") or {}).get("requests") or {})

    whole, before = Counter[str](), Counter[str]()
    for one in spec.get("initContainers") or ():
        if one.get("restartPolicy") == "Always":
            whole.update(of(one))
        else:
            before |= of(one)
    for one in spec.get("containers") or ():
        whole.update(of(one))
    whole |= before
    whole |= of(spec)  # of the pod as a whole
    whole.update(_counted(node, spec.get("overhead") or {}))
    return whole


def _less(has: Counter[str], taken: Counter[str]) -> Counter[str]:
    return Counter({name: max(0, count - taken[name]) for name, count in has.items()})


def _together(found: Iterable[Counter[str]], free: Inventory | None = None) -> Inventory:
    whole = Counter[str]()
    for one in found:
        whole.update(one)
    kinds = {name[len(TYPE) :]: n for name, n in whole.items() if name.startswith(TYPE)}
    return Inventory(whole["cpu"], whole["memory"], kinds, free)
