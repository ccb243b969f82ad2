"""Blocking work off the loop, in threads of its own: builds are longer than a pool is wide."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["in_thread"]

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: Any, stop: list[Any] | None = None) -> T:
    """Call a function in a thread and return what it returns.

    Args:
        function: what to call.
        args: what to call it with.
        stop: filled by the function with what ends it early when its ``close`` is called; that is
            done if the caller gives up.
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
        for one in stop or ():
            with contextlib.suppress(Exception):
                one.close()
        raise
