"""What the control group of a container counts: memory, processor time, processes it ended."""

from __future__ import annotations

from typing import Optional, Tuple

__all__ = ["cpu_seconds", "oom_kills", "peak_memory"]

ROOT = "/sys/fs/cgroup"
# The newer hierarchy first. On it the peak is known since Linux 5.19.
PEAK = ("memory.peak", "memory/memory.max_usage_in_bytes")
KILLS = (("memory.events", "oom_kill"), ("memory/memory.oom_control", "oom_kill"))
CPU_V2 = ("cpu.stat", "usage_usec")
CPU_V1 = ("cpuacct/cpuacct.usage", "cpu,cpuacct/cpuacct.usage")


def _read(name: str) -> Optional[str]:
    try:
        with open(f"{ROOT}/{name}", encoding="ascii") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None


def _number(text: Optional[str]) -> Optional[int]:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _field(where: Tuple[str, str]) -> Optional[int]:
    name, key = where
    for line in (_read(name) or "").splitlines():
        first, _, rest = line.partition(" ")
        if first == key:
            return _number(rest)
    return None


def peak_memory() -> Optional[int]:
    """Return the most bytes that were in use at once, ``None`` where it is not counted."""
    for name in PEAK:
        number = _number(_read(name))
        if number is not None:
            return number
    return None


def oom_kills() -> int:
    """Return how many processes were ended for lack of memory."""
    for where in KILLS:
        number = _field(where)
        if number is not None:
            return number
    return 0


def cpu_seconds() -> Optional[float]:
    """Return the processor time that was used, ``None`` where it is not counted."""
    micro = _field(CPU_V2)
    if micro is not None:
        return micro / 1e6
    for name in CPU_V1:
        nano = _number(_read(name))
        if nano is not None:
            return nano / 1e9
    return None
