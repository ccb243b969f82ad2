"""What the nodes of a cluster have and how they are labelled, as far as one may ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.spec.accelerators import RESOURCES
from flyte_jupyter.spec.quantity import parse_bytes, parse_cpu
from flyte_jupyter.targets.nvidia import type_of
from flyte_jupyter.targets.protocol import Inventory

__all__ = ["PRODUCT", "Nodes", "read_nodes"]

PRODUCT = "nvidia.com/gpu.product"
MIG = "nvidia.com/mig-"


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of a cluster, taken together.

    Args:
        products: products of NVIDIA's that labels name.
        resources: (resource, how many all nodes together have) beside processors and memory.
        inventory: what there is, by the catalogue's words.
        largest: the most that one node has of ``cpu`` (millicores) and ``memory`` (bytes).
    """

    products: tuple[str, ...] = ()
    resources: Mapping[str, int] = field(default_factory=dict)
    inventory: Inventory = field(default_factory=lambda: Inventory(0, 0))
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
    try:
        found = api.call("GET", "/api/v1/nodes")
    except (ApiError, FlyteError):
        return None
    cpu = memory = 0
    products: list[str] = []
    resources: dict[str, int] = {}
    accelerators: dict[str, int] = {}
    largest: dict[str, int] = {}
    for node in found["items"]:
        has = (node.get("status") or {}).get("allocatable") or {}
        labels = node["metadata"].get("labels") or {}
        sizes = parse_cpu(has.get("cpu", "0")), parse_bytes(has.get("memory", "0"))
        cpu, memory = cpu + sizes[0], memory + sizes[1]
        largest = {
            name: max(largest.get(name, 0), size)
            for name, size in zip(("cpu", "memory"), sizes, strict=True)
        }
        product = labels.get(PRODUCT)
        if product:
            products.append(product)
        for name, text in has.items():
            if "/" not in name or not text.isdigit() or not int(text):
                continue
            resources[name] = resources.get(name, 0) + int(text)
            kind = _kind(name, product)
            if kind is not None:
                accelerators[kind] = accelerators.get(kind, 0) + int(text)
    inventory = Inventory(cpu, memory, accelerators)
    return Nodes(tuple(dict.fromkeys(products)), resources, inventory, largest)


def _kind(resource: str, product: str | None) -> str | None:
    """Return the catalogue's word for a resource of a node, ``None`` if it is no accelerator."""
    whole = type_of(product) if product else ""
    if resource.startswith(MIG):
        return f"{whole}/{resource.removeprefix(MIG)}"
    for family, name in RESOURCES.items():
        if resource == name:
            return whole if family == "GPU" else family
    return None
