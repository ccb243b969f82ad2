"""What asynchronous tasks need of their loop; nothing here imports asyncio before one runs."""

from __future__ import annotations

import sys
from typing import Any, Callable, Optional

from flyte_jupyter.wire.frames import Frame

__all__ = ["LoopQueue", "end_leftovers", "in_loop", "settle"]


class LoopQueue:
    """Takes frames for a loop, in the place of the queue of the thread."""

    def __init__(self, loop: Any, deliver: Callable[[Optional[Frame]], None]) -> None:
        self._loop = loop
        self._deliver = deliver

    def put(self, frame: Optional[Frame]) -> None:
        """Deliver a frame on the loop's thread."""
        self._loop.call_soon_threadsafe(self._deliver, frame)


def in_loop() -> bool:
    """Return whether a loop runs on this thread."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def settle(future: Any, frame: Frame) -> None:
    """Give a future its result, unless it was cancelled."""
    if not future.done():
        future.set_result(frame)


async def end_leftovers() -> None:
    """End what the body started and did not wait for, as ``asyncio.run`` does."""
    import asyncio

    me = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not me]
    for task in left:
        task.cancel()
    if left:
        await asyncio.gather(*left, return_exceptions=True)
