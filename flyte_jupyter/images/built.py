"""What was made startable and takes room: one row of what ``%flyte_images`` lists."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BuiltImage", "folder_size"]


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """Something that was built or installed once and is kept.

    Args:
        name: names it, for people and to have it removed.
        kind: ``"image"`` in a container engine, ``"packages"`` that are mounted into containers,
            ``"environment"`` of this machine.
        description: what is in it, in a few words.
        size: bytes that it takes by itself, ``None`` where that is not known.
        created: seconds since the epoch, ``None`` where that is not known.
        used: when it was last made ready for a task, seconds since the epoch.
        in_use: whether something that runs, or an environment of this session, needs it.
    """

    name: str
    kind: str
    description: str
    size: int | None = None
    created: float | None = None
    used: float | None = None
    in_use: bool = False


def folder_size(folder: Path) -> int:
    """Return the bytes that removing a folder would free; what has other names is not counted."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(place, name))
            except OSError:  # it was removed meanwhile
                continue
            # packages are hard links into the cache of uv, which keeps them
            if status.st_nlink == 1:
                total += status.st_blocks * 512
    return total
