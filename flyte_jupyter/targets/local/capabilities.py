"""What a process of this machine makes of each field; the one source of what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flyte_jupyter.spec import Device, Settings
from flyte_jupyter.targets.fields import EVERYWHERE, HONOURED, ignored
from flyte_jupyter.targets.local import machine
from flyte_jupyter.targets.protocol import Capability, Honour

__all__ = ["capabilities"]


def _network(allowed: Any) -> Capability:
    if allowed is not False:
        return HONOURED
    return Capability(Honour.IGNORED, "a process on this machine keeps its network")


def _secrets(secrets: Any) -> Capability:
    mounted = [secret.key for secret in secrets if secret.path is not None]
    if not mounted:
        return HONOURED
    note = f"{', '.join(mounted)} is not laid in a file on this machine; take as_env_var="
    return Capability(Honour.IGNORED, note)


FIELDS: Mapping[str, Callable[[Any], Capability]] = {
    **EVERYWHERE,
    "interruptible": ignored("nothing takes this machine away, so it changes nothing"),
    "network": _network,
    "pod_template": ignored("there are no pods on this machine"),
    "queue": ignored("this machine has one queue; the name is only recorded"),
    "secrets": _secrets,
    "service_account": ignored("there are no service accounts on this machine"),
}


def capabilities(settings: Settings) -> dict[str, Capability]:
    """Return what becomes of every field that is set, parts of resources and image by name."""
    table = {name: FIELDS[name](value) for name, value in settings.given() if name in FIELDS}
    table.update(_of_resources(settings))
    table.update(_of_image(settings))
    return table


def _of_resources(settings: Settings) -> Iterator[tuple[str, Capability]]:
    resources = settings.resources
    if resources is None:
        return
    if resources.cpu_request is not None:
        yield "cpu", HONOURED
    if resources.cpu_limit is not None:
        note = "counted when tasks are admitted, not enforced while one runs"
        yield "cpu limit", Capability(Honour.APPROXIMATED, note)
    if resources.memory_limit is not None:
        yield "memory", HONOURED
    if resources.disk_bytes is not None:
        yield "disk", Capability(Honour.IGNORED, "the disk of this machine is not divided")
    if resources.shm_bytes is not None:
        yield "shm", Capability(Honour.IGNORED, "shared memory of this machine is not divided")
    if resources.device is not None:
        yield "gpu", _device(resources.device)


def _device(device: Device) -> Capability:
    kinds = {kind for _, kind in machine.accelerators()}
    if device.partition and f"{device.device}/{device.partition}" not in kinds:
        note = "the partition is not made; whole devices are handed out"
        return Capability(Honour.APPROXIMATED, note)
    return HONOURED


def _of_image(settings: Settings) -> Iterator[tuple[str, Capability]]:
    image = settings.image
    if image is None:
        return
    from flyte_jupyter.images.recipe import layers_not_built

    for layer, reason in layers_not_built(image):
        yield f"image, {layer}", Capability(Honour.IGNORED, reason)
    yield "image", HONOURED
