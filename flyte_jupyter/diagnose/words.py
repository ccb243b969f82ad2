"""Phrases that several causes share: how a system says them, and what to write against them."""

from __future__ import annotations

import re

from flyte_jupyter.spec.quantity import format_bytes

__all__ = ["DISK", "more_memory", "more_shm"]

DISK = re.compile(r"No space left on device|Disk quota exceeded|ENOSPC|\[Errno (?:28|122)\]")
LEAST_SHM = 1 << 30


def more_memory(limit: int) -> str:
    """Return what gives a task twice the memory."""
    ask = format_bytes(max(2 * limit, 1 << 20))
    return f'.override(resources=flyte.Resources(memory="{ask}"))'


def more_shm(size: int) -> str:
    """Return what gives a task more shared memory; a container has 64 MiB if nobody asks."""
    ask = format_bytes(max(2 * size, LEAST_SHM))
    return f'.override(resources=flyte.Resources(shm="{ask}"))'
