"""What a container of Docker makes of each field; the one source of what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flyte_jupyter.spec import Device, Resources, Settings
from flyte_jupyter.spec.accelerators import family_of
from flyte_jupyter.targets.docker.devices import HANDS_OUT_NOTHING, handed_out
from flyte_jupyter.targets.docker.facts import EngineFacts
from flyte_jupyter.targets.docker.limits import LEAST_MEMORY
from flyte_jupyter.targets.fields import EVERYWHERE, HONOURED, honoured, ignored
from flyte_jupyter.targets.nvidia import nvidia_devices
from flyte_jupyter.targets.protocol import Capability, Honour

__all__ = ["capabilities"]

FIELDS: Mapping[str, Callable[[Any], Capability]] = {
    **EVERYWHERE,
    "image": honoured,
    "interruptible": ignored("nothing takes the engine's machine away, so it changes nothing"),
    "network": honoured,
    "pod_template": ignored("Docker has containers, but no pods"),
    "queue": ignored("an engine has one queue; the name is only recorded"),
    "secrets": honoured,
    "service_account": ignored("Docker has no service accounts"),
}


def capabilities(settings: Settings, info: EngineFacts | None) -> dict[str, Capability]:
    """Return what becomes of every field that is set, parts of resources by name.

    Args:
        settings: what is in force.
        info: what the engine can do; ``None`` where it was not met yet, which is taken for one
            that can do what engines usually can.
    """
    table = {name: FIELDS[name](value) for name, value in settings.given() if name in FIELDS}
    if settings.resources is not None:
        table.update(_of_resources(settings.resources, info))
    return table


def _of_resources(
    resources: Resources, info: EngineFacts | None
) -> Iterator[tuple[str, Capability]]:
    facts = info or EngineFacts()
    if resources.cpu_request is not None:
        yield "cpu", _cpu(facts.weighs_cpu, "weigh processors; they are counted at the start")
    if resources.cpu_limit is not None:
        yield "cpu limit", _cpu(facts.limits_cpu, "limit processors; they are only counted")
    if resources.memory_limit is not None:
        yield "memory", _memory(resources.memory_limit, facts)
    if resources.disk_bytes is not None:
        yield "disk", _disk(info)
    if resources.shm_bytes is not None:
        yield "shm", HONOURED
    if resources.device is not None:
        yield "gpu", _device(resources.device, info)


def _cpu(can: bool, lack: str) -> Capability:
    if can:
        return HONOURED
    return Capability(Honour.APPROXIMATED, f"this engine cannot {lack}")


def _memory(limit: int, facts: EngineFacts) -> Capability:
    if not facts.limits_memory:
        note = "this engine cannot limit memory; it is only counted when tasks are admitted"
        return Capability(Honour.APPROXIMATED, note)
    if not facts.limits_swap:
        note = "this engine cannot limit swap, which a task may use beyond its memory"
        return Capability(Honour.APPROXIMATED, note)
    if limit < LEAST_MEMORY:
        return Capability(Honour.APPROXIMATED, "6Mi is the least that a container can have")
    return HONOURED


def _disk(info: EngineFacts | None) -> Capability:
    if info is None:
        note = "a few engines can limit it; whether this one can is known once it was met"
        return Capability(Honour.APPROXIMATED, note)
    if info.limits_disk:
        return HONOURED
    where = f" ({info.storage})" if info.storage else ""
    note = f"the storage of this engine{where} cannot be divided; overlay2 on xfs with pquota can"
    return Capability(Honour.IGNORED, note)


def _device(device: Device, info: EngineFacts | None) -> Capability:
    if device.device_class == "TPU":
        return Capability(Honour.IGNORED, "no engine gives a TPU to a container without privileges")
    if info is None:
        return HONOURED
    kinds = {kind for _, kind in handed_out(info, nvidia_devices() if info.local else ())}
    families = {family_of(kind) for kind in kinds}
    if device.device_class not in families:
        return Capability(Honour.IGNORED, HANDS_OUT_NOTHING)
    if device.partition and f"{device.device}/{device.partition}" not in kinds:
        note = "the partition does not exist there; whole devices are handed out"
        return Capability(Honour.APPROXIMATED, note)
    if device.device and kinds <= {"", device.device_class}:
        note = "the engine does not say which type its devices have; any is handed out"
        return Capability(Honour.APPROXIMATED, note)
    return HONOURED
