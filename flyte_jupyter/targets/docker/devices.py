"""Accelerators: which an engine can hand to containers, and how it is asked for them.

The name under which a device is handed out says how to ask for it: a path is a device node, what
has a ``=`` is a CDI name, ``gaudi:0`` is for Habana's runtime, and all else is NVIDIA's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.spec.accelerators import find_type
from flyte_jupyter.targets.docker.facts import EngineFacts, engine_facts
from flyte_jupyter.targets.nvidia import nvidia_devices
from flyte_jupyter.targets.protocol import Inventory

if TYPE_CHECKING:
    from flyte_jupyter.daemon.connect import Daemon

__all__ = [
    "HANDS_OUT_NOTHING",
    "device_config",
    "device_environ",
    "devices",
    "handed_out",
    "inventory",
]

# family of devices by the kind that CDI knows them by
CDI_KINDS = {
    "nvidia.com/gpu": "GPU",
    "amd.com/gpu": "AMD_GPU",
    "aws.amazon.com/neuron": "NEURON",
    "habana.ai/gaudi": "HABANA_GAUDI",
    "intel.com/gaudi": "HABANA_GAUDI",
}
AMD, HABANA = "0x1002", "0x1da3"
GAUDI = "gaudi:"
HANDS_OUT_NOTHING = (
    "the engine hands out no such device; NVIDIA's need its container toolkit: "
    "sudo nvidia-ctk runtime configure --runtime=docker, then restart the engine"
)


def devices(daemon: Daemon) -> Sequence[tuple[str, str]]:
    """Return (name, type) of each accelerator that an engine can hand to a container.

    Where the type is not known, it is the family; for NVIDIA's it is empty then.
    """
    facts = engine_facts(daemon)
    return handed_out(facts, nvidia_devices() if facts.local else ())


def inventory(daemon: Daemon) -> Inventory:
    """Return what the machine of an engine has.

    Raises:
        TargetError: the engine does not answer any more.
    """
    facts = engine_facts(daemon)
    counts: dict[str, int] = {}
    for _, kind in devices(daemon):
        counts[kind] = counts.get(kind, 0) + 1
    return Inventory(facts.processors * 1000, facts.memory, counts)


def handed_out(
    facts: EngineFacts, nvidia: Sequence[tuple[str, str]], root: Path = Path("/")
) -> tuple[tuple[str, str], ...]:
    """Return (name, type) of each accelerator that an engine can hand to a container.

    Args:
        facts: what the engine says.
        nvidia: (id, type) of NVIDIA's devices of this machine.
        root: where ``/dev`` and ``/sys`` of this machine are.
    """
    known = dict(_by_cdi(facts))
    if facts.local and nvidia and (facts.nvidia or facts.cdi):
        # asked for by id, as their types are known
        known = {name: kind for name, kind in known.items() if not name.startswith("nvidia.com/")}
        known = {**dict(nvidia), **known}
    if not known:
        known = {value: "" for kind, value in facts.generic if "gpu" in kind.lower()}
    if facts.local:
        families = set(known.values())
        if "AMD_GPU" not in families:
            known.update(_amd(root))
        if "NEURON" not in families:
            known.update((f"/dev/{node.name}", "NEURON") for node in _nodes(root, "neuron"))
        if "HABANA_GAUDI" not in families and "habana" in facts.runtimes:
            known.update(_gaudi(root))
    return tuple(known.items())


def _by_cdi(facts: EngineFacts) -> Iterator[tuple[str, str]]:
    """Yield each device that is known by a CDI name once: by its number, if it has one."""
    for kind, family in CDI_KINDS.items():
        names = [n.partition("=")[2] for n in facts.cdi_devices if n.startswith(f"{kind}=")]
        names = [name for name in names if name != "all"]
        numbers = [name for name in names if re.fullmatch(r"(gpu)?\d+(:\d+)?", name)]
        for name in numbers or names:
            yield f"{kind}={name}", "" if family == "GPU" else family


def _amd(root: Path) -> Iterator[tuple[str, str]]:
    if not (root / "dev/kfd").exists():
        return
    for node in _nodes(root / "dev/dri", "renderD", within=True):
        about = root / "sys/class/drm" / node.name / "device"
        if _text(about / "vendor") == AMD:
            yield f"/dev/dri/{node.name}", _amd_type(_text(about / "product_name"))


def _amd_type(product: str) -> str:
    for word in product.split():
        known = find_type(word, "AMD_GPU")
        if known is not None:
            return known.name
    return "AMD_GPU"


def _gaudi(root: Path) -> Iterator[tuple[str, str]]:
    found = sorted((root / "sys/class/accel").glob("accel*"))
    ours = [node for node in found if _text(node / "device/vendor") == HABANA]
    for number, _ in enumerate(ours):
        yield f"{GAUDI}{number}", "HABANA_GAUDI"


def _nodes(folder: Path, name: str, within: bool = False) -> list[Path]:
    place = folder if within else folder / "dev"
    found = (node for node in place.glob(f"{name}*") if node.name[len(name) :].isdigit())
    return sorted(found, key=lambda node: int(node.name[len(name) :]))


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def device_config(
    names: Sequence[str], facts: EngineFacts, root: Path = Path("/")
) -> dict[str, Any]:
    """Return the part of a container's host configuration that gives it devices.

    Args:
        names: of the devices, as `handed_out` names them.
        facts: what the engine says.
        root: where ``/dev`` of this machine is.
    """
    nodes = [name for name in names if name.startswith("/dev/")]
    by_cdi = [name for name in names if "=" in name]
    gaudi = [name for name in names if name.startswith(GAUDI)]
    nvidia = [name for name in names if name not in {*nodes, *by_cdi, *gaudi}]
    if nvidia and _by_name(nvidia, facts):
        by_cdi, nvidia = [*by_cdi, *(f"nvidia.com/gpu={name}" for name in nvidia)], []
    requests: list[dict[str, Any]] = []
    if by_cdi:
        requests.append({"Driver": "cdi", "DeviceIDs": by_cdi})
    if nvidia:
        requests.append({"Driver": "nvidia", "DeviceIDs": nvidia, "Capabilities": [["gpu"]]})
    config: dict[str, Any] = {}
    if requests:
        config["DeviceRequests"] = requests
    if any(name.startswith("/dev/dri/") for name in nodes):
        nodes.insert(0, "/dev/kfd")
    if nodes:
        config["Devices"] = [
            {"PathOnHost": node, "PathInContainer": node, "CgroupPermissions": "rwm"}
            for node in nodes
        ]
        groups = _groups(nodes, root)
        if groups and not facts.rootless:
            config["GroupAdd"] = groups
    if gaudi:
        config["Runtime"] = "habana"
    return config


def _by_name(ids: Sequence[str], facts: EngineFacts) -> bool:
    """Return whether NVIDIA's devices are asked for by CDI name.

    Such a device stays with its container when the engine's own settings are loaded again.
    """
    if facts.cdi_devices:
        return all(f"nvidia.com/gpu={name}" in facts.cdi_devices for name in ids)
    return facts.cdi and not facts.nvidia


def _groups(nodes: Sequence[str], root: Path) -> list[str]:
    """Return the groups that may use device nodes, root's apart."""
    groups = set()
    for node in nodes:
        try:
            groups.add((root / node.lstrip("/")).stat().st_gid)
        except OSError:
            continue
    return [str(group) for group in sorted(groups - {0})]


def device_environ(names: Sequence[str] | None, facts: EngineFacts) -> dict[str, str]:
    """Return the variables that give devices, or keep those that nobody asked for away.

    Args:
        names: of the devices; ``None`` or empty for none.
        facts: what the engine says.
    """
    gaudi = [name.removeprefix(GAUDI) for name in names or () if name.startswith(GAUDI)]
    if gaudi:
        return {"HABANA_VISIBLE_DEVICES": ",".join(gaudi)}
    if not names and facts.default_runtime == "nvidia":
        # many images ask that runtime for all devices
        return {"NVIDIA_VISIBLE_DEVICES": "void"}
    return {}
