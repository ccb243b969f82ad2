"""On which nodes a pod may run that asks for accelerators: their resource, taints and labels.

Every cloud and operator has its own label for the type of a node's accelerators. A pod names them
all, one or the other, so the same manifest fits every cluster, and those too that are not there
yet.
"""

from __future__ import annotations

from typing import Any

from flyte_jupyter.spec.accelerators import RESOURCES
from flyte_jupyter.spec.devices import Device
from flyte_jupyter.targets.kubernetes.labels import PRODUCT, table_of_labels
from flyte_jupyter.targets.kubernetes.nodes import Nodes
from flyte_jupyter.targets.nvidia import type_of

__all__ = ["affinity", "labels_of", "resource_of", "tolerations"]

GKE_PARTITION = "cloud.google.com/gke-gpu-partition-size"
GKE_TOPOLOGY = "cloud.google.com/gke-tpu-topology"
# A part of what a type asks for serves whoever asks for the type.
SERVED_BY = {"A100": ("A100", "A100 80G")}

Expression = dict[str, Any]


def resource_of(device: Device, nodes: Nodes | None) -> str:
    """Return the resource that a pod asks for.

    Args:
        device: what is asked for.
        nodes: what there is, ``None`` where one may not ask.
    """
    cut = None if nodes is None else nodes.cut(device.partition)
    return cut or RESOURCES[device.device_class]


def tolerations(device: Device) -> list[dict[str, str]]:
    """Return the taints that keep others off the nodes with such a device."""
    return [{"key": RESOURCES[device.device_class], "operator": "Exists", "effect": "NoSchedule"}]


def affinity(device: Device, nodes: Nodes | None) -> dict[str, Any] | None:
    """Return the affinity to nodes with a device of its type, ``None`` for any of its family.

    Args:
        device: what is asked for.
        nodes: what there is, ``None`` where one may not ask.
    """
    if device.device is None:
        return None
    terms = [
        {"matchExpressions": [_in(label, values), *_part(label, device.partition)]}
        for label, values in labels_of(device, nodes).items()
    ]
    if not terms:
        return None
    required = {"nodeSelectorTerms": terms}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def labels_of(device: Device, nodes: Nodes | None) -> dict[str, list[str]]:
    """Return the labels that tell nodes with a device of its type, with their values.

    Args:
        device: names a type.
        nodes: what there is, whose own spellings are taken too; ``None`` where one may not ask.
    """
    assert device.device is not None
    types = SERVED_BY.get(device.device, (device.device,))
    found: dict[str, list[str]] = {}
    for label, table in table_of_labels().items():
        values = [value for kind in types for value in table.get(kind, ())]
        if label == PRODUCT:
            values += [one for one in nodes.products if type_of(one) in types] if nodes else []
            if device.partition and not (nodes and nodes.cut(device.partition)):
                # one kind of parts on a node: its plugin puts that behind the product
                whole = (value.partition("-MIG-")[0] for value in values)
                values = [f"{value}-MIG-{device.partition}" for value in whole]
        if values:
            found[label] = list(dict.fromkeys(values))
    return found


def _part(label: str, partition: str | None) -> list[Expression]:
    if partition is None or label == PRODUCT:
        return []
    if label.endswith("gke-accelerator"):
        return [_in(GKE_PARTITION, [partition])]
    if label.endswith("gke-tpu-accelerator"):
        return [_in(GKE_TOPOLOGY, [partition])]
    return []


def _in(label: str, values: list[str]) -> Expression:
    return {"key": label, "operator": "In", "values": values}
