"""Blocking work off the loop, in threads of its own: builds are longer than a pool is wide."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Ends", "from_thread", "in_thread"]

T = TypeVar("T")


class Ends:
    """What ends work in a thread early: each thing has a ``close`` for other threads to call."""

    def __init__(self) -> None:
        self._things: list[Any] = []
        self._ended = False
        self._lock = threading.Lock()

    def append(self, thing: Any) -> None:
        """Add something; it is closed at once if the work was given up before."""
        with self._lock:
            self._things.append(thing)
            ended = self._ended
        if ended:
            self.close()

    def close(self) -> None:
        """Give the work up."""
        with self._lock:
            self._ended = True
            things, self._things = self._things, []
        for one in things:
            with contextlib.suppress(Exception):
                one.close()


async def in_thread(function: Callable[..., T], *args: Any, stop: Ends | None = None) -> T:
    """Call a function in a thread and return what it returns.

    Args:
        function: what to call.
        args: what to call it with.
        stop: filled by the function with what ends it early, if the caller gives up.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)

    def call() -> None:
        result, failed = None, None
        try:
            result = function(*args)
        except BaseException as error:
            failed = error
        # a loop that has ended waits for nothing any more
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=call, name="flyte_jupyter-images", daemon=True).start()
    try:
        return await done
    except asyncio.CancelledError:
        if stop is not None:
            stop.close()
        raise


def from_thread(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that other threads may call; the running loop calls the given one.

    Args:
        say: takes lines of progress.
    """
    import asyncio

    loop = asyncio.get_running_loop()

    def told(line: str) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(say, line)

    return told
