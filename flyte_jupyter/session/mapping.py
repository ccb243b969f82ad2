"""``flyte.map`` outside a run: opens one, with a call for each element."""

from __future__ import annotations

import contextlib
import functools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import islice
from typing import Any

from flyte_jupyter.engine.events import Event, Phase
from flyte_jupyter.engine.run import Outcome, RunState
from flyte_jupyter.session import session
from flyte_jupyter.session.submit import (
    RunContext,
    encode_inputs,
    start_of,
)
from flyte_jupyter.session.watching import Showing
from flyte_jupyter.worker.mapping import calls_of

__all__ = ["map_aio", "map_blocking"]

UNBOUNDED = 10_000
# seconds between two looks of an awaiting cell
TICK = 0.1


class _Calls:
    """The calls of one map, in order, at most so many on their way."""

    def __init__(self, task: Any, iterables: tuple[Any, ...], window: int, context: RunContext):
        self._calls = calls_of(task, iterables)
        plain: Any = task.func if isinstance(task, functools.partial) else task
        start = start_of(plain, context)
        request = start.request(None)
        self._interface = start.interface
        self._limit = start.unit.settings.max_inline_io_bytes
        self._opener = start.opener()
        self._engine = session.engine()
        self._run: RunState = self._engine.submit(request, context.subscriber)
        self._waiting: deque[Future[Outcome]] = deque()
        self._failed: Outcome | None = None
        self.more(window)

    def more(self, count: int) -> None:
        """Start so many further calls."""
        for task, args, kwargs in islice(self._calls, count):
            inputs = encode_inputs(task, self._interface, task.bind(args, kwargs), self._limit)
            future: Future[Outcome] = Future()
            self._engine.add_call(self._run, inputs, future.set_result)
            self._waiting.append(future)

    @property
    def next(self) -> Future[Outcome] | None:
        """The oldest call that was not taken yet."""
        return self._waiting.popleft() if self._waiting else None

    def open(self, outcome: Outcome, return_exceptions: bool) -> Any:
        """Return the result of a call, or its exception if that was asked for."""
        if outcome.failure is None:
            assert outcome.output is not None
            return self._opener.value(outcome.output)
        self._failed = self._failed or outcome
        error = self._opener.exception(outcome.failure)
        if return_exceptions:
            return error
        raise error.with_traceback(None)

    @property
    def name(self) -> str:
        """Unique name of the run."""
        return self._run.name

    @property
    def done(self) -> bool:
        """Return whether the run has ended."""
        return self._run.done.done()

    def events(self, start: int = 0) -> list[Event]:
        """Return the events of the run, from a place in their sequence on."""
        return self._run.events(start)

    def when_done(self, callback: Callable[[], object]) -> None:
        """Call back once the run has ended."""
        self._run.done.when_done(callback)

    def abort(self) -> None:
        """End the run with everything of it that runs."""
        self._engine.cancel(self._run, "it was aborted")

    def end(self) -> None:
        """End the run; what still runs of it is aborted."""
        if self._waiting:
            self._engine.cancel(self._run, "its results are not wanted any more")
        outcome = self._failed or Outcome(Phase.SUCCEEDED)
        if self._waiting and self._failed is None:
            outcome = Outcome(Phase.ABORTED)
        self._engine.end_calls(self._run, outcome)


def map_blocking(
    task: Any,
    iterables: tuple[Any, ...],
    concurrency: int,
    return_exceptions: bool,
    context: RunContext,
) -> Iterator[Any]:
    """Yield the results of a map in the order of its inputs."""
    calls = _Calls(task, iterables, concurrency or UNBOUNDED, context)
    return _drain(calls, return_exceptions)


def _drain(calls: _Calls, return_exceptions: bool) -> Iterator[Any]:
    with Showing(calls, raises=False) as showing:
        try:
            while (future := calls.next) is not None:
                if not future.done():
                    showing.wait(partial(_ended, future))
                showing.tick()
                outcome = future.result()
                calls.more(1)
                yield calls.open(outcome, return_exceptions)
        finally:
            calls.end()


def _ended(future: Future[Outcome], seconds: float) -> bool:
    """Wait for a call, at most so many seconds; return whether it has ended."""
    with contextlib.suppress(TimeoutError):
        future.result(None if seconds < 0 else seconds)
    return future.done()


async def map_aio(
    task: Any,
    iterables: tuple[Any, ...],
    concurrency: int,
    return_exceptions: bool,
    context: RunContext,
) -> AsyncIterator[Any]:
    """Yield the results of a map in asynchronous code."""
    import asyncio

    calls = _Calls(task, iterables, concurrency or UNBOUNDED, context)
    with Showing(calls, raises=False) as showing:
        try:
            while (future := calls.next) is not None:
                answer = asyncio.wrap_future(future)
                while showing.wanted and not answer.done():
                    await asyncio.wait({answer}, timeout=TICK)
                    showing.tick()
                outcome = await answer
                calls.more(1)
                yield calls.open(outcome, return_exceptions)
        finally:
            calls.end()
