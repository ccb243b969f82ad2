"""What one call used of a process that serves many: processor time, and memory at its peak."""

from __future__ import annotations

import resource
from typing import Dict, Optional

from flyte_jupyter.worker.processes import peak_bytes

__all__ = ["Meter"]

SELF, CHILDREN = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
# The kernel forgets the peak of a process that writes this to this file (Linux 4.0).
RESET_FILE, RESET = "/proc/self/clear_refs", b"5"
# Below this the peak of the call before is as good as the memory at the start of this one.
GROWTH = 1 << 20


class Meter:
    """Measures calls of this process, one after the other.

    The peak is that of this process, or of the largest of its children that ended meanwhile. Where
    the kernel keeps one peak for the whole life of a process, only a call that raised it has one.
    """

    def __init__(self) -> None:
        children = resource.getrusage(CHILDREN)
        self._peak = 0
        self._children = peak_bytes(children)
        self._children_seconds = _seconds(children)
        self._seconds = 0.0
        self._resets = True

    def start(self) -> None:
        """Begin a call."""
        own = resource.getrusage(SELF)
        if peak_bytes(own) > self._peak + GROWTH and self._forget_peak():
            own = resource.getrusage(SELF)
        self._peak = peak_bytes(own)
        self._seconds = _seconds(own)

    def _forget_peak(self) -> bool:
        if self._resets:
            try:
                with open(RESET_FILE, "wb", buffering=0) as file:
                    file.write(RESET)
            except OSError:
                self._resets = False
        return self._resets

    def used(self) -> Dict[str, Optional[float]]:
        """Return ``cpu_seconds`` and ``peak_memory`` (bytes, null if unknown) since the start."""
        own, children = resource.getrusage(SELF), resource.getrusage(CHILDREN)
        peak, largest = peak_bytes(own), peak_bytes(children)
        of_children = _seconds(children)
        seconds = _seconds(own) - self._seconds + of_children - self._children_seconds
        most = peak if self._resets or peak > self._peak else 0
        if largest > self._children:
            most = max(most, largest)
        self._children, self._children_seconds = largest, of_children
        return {"cpu_seconds": round(seconds, 6), "peak_memory": most or None}


def _seconds(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime
