"""What a pod makes of each field; the one source of what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flyte_jupyter.images.stack import base_of, is_built
from flyte_jupyter.spec import Image, Settings
from flyte_jupyter.spec.naming import listing
from flyte_jupyter.spec.pod import PodTemplate
from flyte_jupyter.targets.fields import EVERYWHERE, HONOURED, honoured, ignored
from flyte_jupyter.targets.kubernetes.placement import labels_of
from flyte_jupyter.targets.kubernetes.template import conflicts
from flyte_jupyter.targets.protocol import Capability, Honour

__all__ = ["capabilities"]


def _template(template: PodTemplate | str) -> Capability:
    left = [] if isinstance(template, str) else conflicts(template)
    if not left:
        return HONOURED
    note = f"{listing(left, 'and')} {'is' if len(left) == 1 else 'are'} not taken: the task's "
    return Capability(Honour.APPROXIMATED, note + "environment says what runs, and how often")


def _image(image: Image) -> Capability:
    base = base_of(image)
    if not isinstance(base, str) or "@" in base or is_built(image):
        return HONOURED
    if base.rpartition("/")[2].partition(":")[2] not in ("", "latest"):
        return HONOURED
    note = f"{base} names no version: a node that has one keeps it; name a tag or a digest"
    return Capability(Honour.APPROXIMATED, note)


FIELDS: Mapping[str, Callable[[Any], Capability]] = {
    **EVERYWHERE,
    "image": _image,
    "interruptible": ignored("nodes that can be taken away are named in pod_template"),
    "network": lambda wanted: (
        HONOURED
        if wanted
        else Capability(Honour.IGNORED, "what a pod may reach is for the cluster's policies to say")
    ),
    "pod_template": _template,
    "queue": honoured,
    "secrets": honoured,
    "service_account": honoured,
}
PARTS = ("cpu_request", "cpu_limit", "memory_limit", "disk_bytes", "shm_bytes", "device")
NAMES = ("cpu", "cpu limit", "memory", "disk", "shm", "gpu")


def capabilities(settings: Settings, queues: bool | None = None) -> dict[str, Capability]:
    """Return what becomes of every field that is set, parts of resources by name.

    Args:
        settings: what is in force.
        queues: whether the cluster has Kueue, ``None`` where that is not known.
    """
    table = {name: FIELDS[name](value) for name, value in settings.given() if name in FIELDS}
    if settings.queue is not None and queues is False:
        note = f"this cluster has no Kueue; {settings.queue!r} is only a label of its pods"
        table["queue"] = Capability(Honour.IGNORED, note)
    if settings.resources is not None:
        for part, name in zip(PARTS, NAMES, strict=True):
            if getattr(settings.resources, part) is not None:
                table[name] = HONOURED
        device = settings.resources.device
        if device is not None and device.device and not labels_of(device, None):
            note = f"no label of nodes is known for {device.device}; any of its family is given"
            table["gpu"] = Capability(Honour.APPROXIMATED, note)
    return table
