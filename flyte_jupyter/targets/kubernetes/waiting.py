"""Waiting for something in a cluster, and saying meanwhile what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

__all__ = ["about", "until"]

# What something waits for is looked at again after so many seconds, though nothing was told.
LOOK = 5.0


async def until(
    done: asyncio.Future[Any],
    changed: asyncio.Event,
    problem: Callable[[], Exception | None],
    why: Callable[[], str],
    say: Callable[[str], None],
) -> None:
    """Wait until something is done.

    Args:
        done: it is.
        changed: set when there may be something new to say of it.
        problem: returns why it will never be.
        why: returns what it waits for, ``""`` where nothing is known.
        say: called with that, each time that it changes.

    Raises:
        Exception: what ``problem`` returns.
    """
    said = ""
    while not done.done():
        found = problem()
        if found is not None:
            raise found
        now = why()
        if now != said:
            said = now
            say(now)
        waiting: asyncio.Future[Any] = asyncio.ensure_future(changed.wait())
        await asyncio.wait([done, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=LOOK)
        waiting.cancel()
        changed.clear()


def about(what: str, say: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that says of something what it waits for, where that is known.

    Args:
        what: the beginning of the sentence.
        say: takes the sentence.
    """

    def tell(why: str) -> None:
        if why:
            say(f"{what} {why}")

    return tell
