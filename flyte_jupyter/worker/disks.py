"""Which of the places that a task writes to are full, looked at when writing has failed."""

from __future__ import annotations

import errno
import os
from typing import List

__all__ = ["DISK_FULL", "full_disks"]

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
PLACES = ("/dev/shm", "/tmp", ".")
# What failed to be written is often taken back before anybody looks.
NEARLY = 0.02


def full_disks() -> List[str]:
    """Return which of the usual places have next to no room."""
    full = []
    for place in PLACES:
        try:
            about = os.statvfs(place)
        except OSError:
            continue
        if about.f_blocks and about.f_bavail < NEARLY * about.f_blocks:
            full.append(os.path.realpath(place))
    return full
