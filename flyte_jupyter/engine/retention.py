"""How much disk the large values of runs may take: those of the oldest runs make room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Retention"]

#: Bytes of all large values together, and the part of the disk that they may take.
MOST = 10 << 30
PART = 10
# What was removed leaves room for a while, so that the folder is not gone through for each value.
LEFT = 0.8


@dataclass(frozen=True, slots=True)
class Held:
    """The large values of one run."""

    folder: Path
    size: int
    changed: float


class Retention:
    """The folder of large values, which several kernels may write to.

    Args:
        folder: holds a folder for each run.
        most: bytes that there may be, ``None`` for the default; a part of the disk where that is
            less.
    """

    def __init__(self, folder: Path, most: int | None = None) -> None:
        self._folder = folder
        self._most = MOST if most is None else most
        self._size: int | None = None

    def make_room(self, size: int) -> int | None:
        """Remove the values of the oldest runs as far as it takes.

        Args:
            size: bytes of a value that is to be written.

        Returns:
            How many runs have lost theirs; ``None`` where there can be no room.
        """
        limit = self.limit
        if size > limit:
            return None
        if self._size is not None and self._size + size <= limit:
            self._size += size
            return 0
        held = sorted(self._held(), key=lambda one: one.changed)
        self._size = sum(one.size for one in held) + size
        if self._size <= limit:
            return 0
        removed = 0
        for one in held:
            if self._size <= max(size, limit * LEFT):
                break
            shutil.rmtree(one.folder, ignore_errors=True)
            self._size -= one.size
            removed += 1
        return removed

    @property
    def limit(self) -> int:
        """Bytes that all large values together may take on this disk."""
        try:
            return min(self._most, shutil.disk_usage(self._folder).total // PART)
        except OSError:
            return self._most

    def _held(self) -> Iterator[Held]:
        try:
            runs = list(os.scandir(self._folder))
        except OSError:
            return
        for run in runs:
            size, changed = 0, 0.0
            try:
                for file in os.scandir(run.path):
                    status = file.stat()
                    size += status.st_size
                    changed = max(changed, status.st_mtime)
            except OSError:  # another kernel has removed it
                continue
            yield Held(Path(run.path), size, changed)
