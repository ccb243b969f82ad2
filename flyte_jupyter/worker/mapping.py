"""``flyte.map`` inside a task: calls side by side, results in order."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any, AsyncIterator, Callable, Deque, Iterator, Optional, Tuple

from flyte_jupyter import errors
from flyte_jupyter.spec import calling

__all__ = ["calls_of", "map"]

UNBOUNDED = 10_000


class _Map:
    """Call a task for each element of one or several iterables, side by side.

    Args:
        task: the task, or a ``functools.partial`` of one that fixes some of its inputs.
        iterables: one for each input; they end with the shortest.
        group_name: label of the group of calls, for displays.
        concurrency: at most so many calls at once, 0 for as many as the target admits.
        return_exceptions: give an exception in the place of a result; otherwise raise the first.

    Returns:
        An iterator over the results in the order of the inputs, as in Flyte (``flyte.map``).

    Raises:
        InputError: the iterables do not fit the task's signature.
    """

    def __call__(
        self,
        task: Any,
        *iterables: Any,
        group_name: Optional[str] = None,
        concurrency: int = 0,
        return_exceptions: bool = True,
    ) -> Iterator[Any]:
        del group_name
        dispatcher: Any = calling.current_dispatcher()
        calls = calls_of(task, iterables)
        return _results(dispatcher, calls, concurrency or UNBOUNDED, return_exceptions)

    async def aio(
        self,
        task: Any,
        *iterables: Any,
        group_name: Optional[str] = None,
        concurrency: int = 0,
        return_exceptions: bool = True,
    ) -> AsyncIterator[Any]:
        """Do the same in an asynchronous body: ``async for result in flyte.map.aio(...)``."""
        del group_name
        import asyncio

        waiting: Deque[Any] = deque()
        calls = calls_of(task, iterables)
        try:
            for one, args, kwargs in islice(calls, concurrency or UNBOUNDED):
                waiting.append(asyncio.ensure_future(one.aio(*args, **kwargs)))
            while waiting:
                first = waiting.popleft()
                try:
                    result = await first
                except Exception as error:
                    if not return_exceptions:
                        raise
                    result = error
                for one, args, kwargs in islice(calls, 1):
                    waiting.append(asyncio.ensure_future(one.aio(*args, **kwargs)))
                yield result
        finally:
            for future in waiting:
                future.cancel()


map = _Map()  # noqa: A001, the name is Flyte's


def calls_of(task: Any, iterables: Tuple[Any, ...]) -> Iterator[Tuple[Any, Any, Any]]:
    """Yield task, arguments and keywords of each call of a map.

    Raises:
        InputError: there is no iterable, or no task.
    """
    import functools

    if not iterables:
        raise errors.InputError(
            "map() needs at least one iterable after the task.",
            remedy="Write: flyte.map(task, [1, 2, 3])",
        )
    fixed: Tuple[Any, ...] = ()
    keywords: Any = {}
    if isinstance(task, functools.partial):
        fixed, keywords, task = task.args, task.keywords, task.func
    if not hasattr(task, "bind"):
        raise errors.InputError(f"map() takes a task first, not {type(task).__name__}.")
    return ((task, (*fixed, *row), keywords) for row in zip(*iterables))


def _results(
    dispatcher: Any, calls: Iterator[Tuple[Any, Any, Any]], window: int, return_exceptions: bool
) -> Iterator[Any]:
    waiting: Deque[Callable[[], Any]] = deque()
    for call in islice(calls, window):
        waiting.append(dispatcher.submit(*call))
    while waiting:
        try:
            result = waiting.popleft()()
        except Exception as error:
            if not return_exceptions:
                raise
            result = error
        for call in islice(calls, 1):
            waiting.append(dispatcher.submit(*call))
        yield result
