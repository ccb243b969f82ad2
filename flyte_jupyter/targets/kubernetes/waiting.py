"""Waiting for what the cluster may tell or not."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["either"]

# What a pod waits for is looked at again after so many seconds, though nothing was told.
LOOK = 5.0


async def either(done: asyncio.Future[Any], changed: asyncio.Event) -> None:
    """Wait until something is done or has changed, or for a moment."""
    waiting: asyncio.Future[Any] = asyncio.ensure_future(changed.wait())
    await asyncio.wait([done, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=LOOK)
    waiting.cancel()
    changed.clear()
