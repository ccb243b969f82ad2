"""What this machine has: processors, memory and accelerators that its processes may use."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from flyte_jupyter.targets.nvidia import nvidia_devices
from flyte_jupyter.targets.protocol import Inventory

__all__ = ["accelerators", "inventory"]


def _memory() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def _millicores() -> int:
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:
        count = os.cpu_count() or 1
    millis = count * 1000
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return millis
    return millis if quota == "max" else min(millis, int(quota) * 1000 // int(period))


def accelerators() -> tuple[tuple[str, str], ...]:
    """Return (id, type) of each NVIDIA device of this machine; nothing where there is none."""
    return nvidia_devices()


@functools.cache
def inventory() -> Inventory:
    """Return what this machine has."""
    counts: dict[str, int] = {}
    for _, kind in accelerators():
        counts[kind] = counts.get(kind, 0) + 1
    return Inventory(_millicores(), _memory(), counts)
