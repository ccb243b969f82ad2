"""What an engine can do for a container, read from what it says of itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte_jupyter.daemon.connect import Daemon

__all__ = ["EngineFacts", "engine_facts", "read_facts"]

# Storage drivers that can hold a container to a size; overlay can on some file systems only.
DIVIDING = frozenset({"btrfs", "zfs", "devicemapper", "windowsfilter"})
OVERLAYS = frozenset({"overlay", "overlay2"})
HOOKS = ("nvidia-container-runtime-hook", "nvidia-container-runtime")


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine can do; the defaults are those of an engine that can do everything.

    Args:
        processors: of its machine.
        memory: of its machine, in bytes.
        limits_memory: whether it holds containers to an amount of memory.
        limits_swap: whether it keeps them from using swap beyond that.
        weighs_cpu: whether a request for processors weighs.
        limits_cpu: whether there can be a quota of processors.
        limits_pids: whether the number of processes can be bounded.
        limits_disk: whether it holds a container to a size on disk.
        storage: how images are stored, in words.
        local: whether its devices are those of this machine.
        rootless: whether it runs as a user.
        podman: whether it is Podman.
        runtimes: names of the runtimes that it can start containers with.
        default_runtime: the one that it takes where nothing is said.
        nvidia: whether it can hand out NVIDIA devices by itself.
        cdi: whether it takes devices by their CDI name.
        cdi_devices: those that it knows, such as ``nvidia.com/gpu=0``.
        generic: (kind, value) of the devices that its administrator has named.
    """

    processors: int = 0
    memory: int = 0
    limits_memory: bool = True
    limits_swap: bool = True
    weighs_cpu: bool = True
    limits_cpu: bool = True
    limits_pids: bool = True
    limits_disk: bool = False
    storage: str = "overlay2"
    local: bool = True
    rootless: bool = False
    podman: bool = False
    runtimes: frozenset[str] = frozenset({"runc"})
    default_runtime: str = "runc"
    nvidia: bool = False
    cdi: bool = False
    cdi_devices: tuple[str, ...] = ()
    generic: tuple[tuple[str, str], ...] = ()


def engine_facts(daemon: Daemon) -> EngineFacts:
    """Return what an engine can do.

    Raises:
        TargetError: it does not answer any more.
    """
    local = daemon.local
    return read_facts(
        daemon.info,
        local=local,
        rootless=daemon.rootless,
        podman=daemon.podman,
        mounts=_mounts() if local else "",
        hooks=local and any(shutil.which(hook) for hook in HOOKS),
    )


def read_facts(
    info: Mapping[str, Any],
    *,
    local: bool,
    rootless: bool = False,
    podman: bool = False,
    mounts: str = "",
    hooks: bool = False,
) -> EngineFacts:
    """Return what an engine can do.

    Args:
        info: its answer to ``GET /info``.
        local: whether its devices are those of this machine.
        rootless: whether it runs as a user.
        podman: whether it is Podman.
        mounts: the mounts of its machine, as ``/proc/self/mountinfo`` has them; may be empty.
        hooks: whether NVIDIA's container toolkit is installed beside it.
    """
    runtimes = frozenset(info.get("Runtimes") or ())
    storage, divides = _storage(info, mounts)
    discovered = tuple(
        str(device.get("ID") or device.get("Name") or "")
        for device in info.get("DiscoveredDevices") or ()
        if device.get("Source") == "cdi"
    )
    return EngineFacts(
        processors=int(info.get("NCPU") or 0),
        memory=int(info.get("MemTotal") or 0),
        limits_memory=bool(info.get("MemoryLimit", True)),
        limits_swap=bool(info.get("SwapLimit", True)),
        weighs_cpu=bool(info.get("CPUShares", info.get("CpuShares", True))),
        limits_cpu=bool(info.get("CpuCfsQuota", True)),
        limits_pids=bool(info.get("PidsLimit", True)),
        limits_disk=divides,
        storage=storage,
        local=local,
        rootless=rootless,
        podman=podman,
        runtimes=runtimes,
        default_runtime=str(info.get("DefaultRuntime") or ""),
        nvidia="nvidia" in runtimes or (hooks and not podman),
        cdi=podman or bool(info.get("CDISpecDirs")),
        cdi_devices=tuple(name for name in discovered if name),
        generic=tuple(_generic(info.get("GenericResources") or ())),
    )


def _storage(info: Mapping[str, Any], mounts: str) -> tuple[str, bool]:
    """Return how images are stored, in words, and whether that divides the disk."""
    driver = str(info.get("Driver") or "")
    if driver not in OVERLAYS:
        return driver, driver in DIVIDING
    status = {str(row[0]): str(row[1]) for row in info.get("DriverStatus") or () if len(row) == 2}
    system = status.get("Backing Filesystem", "")
    words = f"{driver} on {'ext4' if system == 'extfs' else system}" if system else driver
    root = str(info.get("DockerRootDir") or "")
    return words, system == "xfs" and _has_quotas(root, mounts)


def _has_quotas(path: str, mounts: str) -> bool:
    """Return whether the file system of a path counts the size of folders."""
    best, found = "", False
    for line in mounts.splitlines():
        here, _, there = line.partition(" - ")
        fields = here.split()
        point = fields[4] if len(fields) > 4 else ""
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if point and inside and len(point) >= len(best):
            options = there.split()[-1].split(",") if there else []
            best, found = point, not {"prjquota", "pquota"}.isdisjoint(options)
    return found


def _mounts() -> str:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _generic(rows: Any) -> Iterator[tuple[str, str]]:
    for row in rows:
        named, counted = row.get("NamedResourceSpec"), row.get("DiscreteResourceSpec")
        if named:
            yield str(named.get("Kind", "")), str(named.get("Value", ""))
        elif counted:
            for number in range(int(counted.get("Value") or 0)):
                yield str(counted.get("Kind", "")), str(number)
