"""One builder at a time, over all processes of this machine."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

__all__ = ["exclusive"]

FIRST_WAIT = 0.01
LONGEST_WAIT = 0.2


@asynccontextmanager
async def exclusive(path: str, waiting: Callable[[], None]) -> AsyncIterator[None]:
    """Hold a lock file; the lock goes with its process, however that ends.

    Args:
        path: file that stands for what is built; it stays, since removing it would race.
        waiting: called once if somebody else holds the lock.

    Raises:
        OSError: the file cannot be made.
    """
    import asyncio
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # asked again and again: a thread blocked in flock could not be cancelled
        pause = FIRST_WAIT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if pause == FIRST_WAIT:
                    waiting()
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, LONGEST_WAIT)
        yield
    finally:
        os.close(descriptor)
