"""The engine: one for each kernel, on a thread and an event loop of its own.

It takes messages and gives events. It never decodes a value and never sees an object of the user;
moving it out of the kernel would be a change of transport.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib
import json
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flyte_jupyter.engine.actions import Conductor
from flyte_jupyter.engine.bell import Bell
from flyte_jupyter.engine.events import Event, Phase
from flyte_jupyter.engine.journal import Journal
from flyte_jupyter.engine.request import RunRequest
from flyte_jupyter.engine.run import Outcome, RunState
from flyte_jupyter.errors import EngineError, TargetError
from flyte_jupyter.spec import Settings
from flyte_jupyter.spec.naming import did_you_mean
from flyte_jupyter.targets.protocol import Inventory, Prepared, Target, Teller
from flyte_jupyter.wire.exchange import Packed
from flyte_jupyter.wire.segments import process_segments

if TYPE_CHECKING:
    from flyte_jupyter.engine.adoption import Adopted

__all__ = ["Engine"]

LEASE_PERIOD = 5.0
KEEPING = 5.0
# seconds for what was begun to end with the engine
LAST_STEPS = 2.0


class Engine:
    """Runs what it is given, on the targets that it is given.

    Args:
        targets: makes each target by name when it is first needed, on the engine's thread.
        state: folder of the journal, the logs and the large values.
    """

    def __init__(self, targets: Mapping[str, Callable[[], Target]], state: Path) -> None:
        self._make_target = targets
        self._state = state
        self._conductors: dict[str, Conductor] = {}
        self._runs: dict[str, RunState] = {}
        self._said: set[str] = set()
        self._unsaid: list[str] = []
        self._messages: deque[Callable[[], None]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._bell = Bell()
        self._process = os.getpid()
        self._open = True
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="flyte-engine", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure
        _at_exit(self)

    def _main(self) -> None:
        try:
            self._loop = asyncio.SelectorEventLoop()
            self.journal = Journal(self._state, self._loop, self._say)
        except BaseException as error:
            self._failure = error
            self._open = False
            self._started.set()
            return
        asyncio.set_event_loop(self._loop)
        self._loop.add_reader(self._bell.fd, self._read_messages)
        self._loop.call_soon(self._started.set)
        self._loop.call_later(LEASE_PERIOD, self._renew)
        try:
            self._loop.run_forever()
        finally:
            self._open = False
            # what came while the loop was being stopped
            self._loop.run_until_complete(_end_others())
            self.journal.close()
            self._loop.close()
            self._bell.close()

    def _post(self, message: Callable[[], None]) -> None:
        """Have something done on the engine's thread, in the order in which it is posted."""
        self._messages.append(message)
        self._bell.ring()

    def _read_messages(self) -> None:
        self._bell.silence()
        messages = self._messages
        while messages:
            try:
                messages.popleft()()
            except Exception as error:
                # as the loop does with what it calls
                context = {"message": "A message to the engine failed.", "exception": error}
                self._loop.call_exception_handler(context)

    def _renew(self) -> None:
        self.journal.renew_lease()
        segments = process_segments()
        if segments is not None:
            segments.tidy()
            for conductor in self._conductors.values():
                conductor.tidy()
        self._loop.call_later(LEASE_PERIOD, self._renew)

    @property
    def alive(self) -> bool:
        """True until :meth:`close`."""
        # a fork has the object, but not the thread
        return self._open and os.getpid() == self._process

    def has_met(self, targets: Iterable[str]) -> bool:
        """Return whether one of these targets was used."""
        return not self._conductors.keys().isdisjoint(targets)

    def free(self, target: str) -> Inventory | None:
        """Return what of a target nobody holds now, ``None`` where that is not counted here."""
        conductor = self._conductors.get(target)
        return conductor.free if conductor is not None else None

    # messages

    def submit(
        self, request: RunRequest, subscriber: Callable[[Event], None] | None = None
    ) -> RunState:
        """Start a run and return its state, which the engine's thread fills.

        Args:
            request: the run.
            subscriber: called on the engine's thread with every event.

        Raises:
            EngineError: the engine is closed, or a run of that name exists in it.
        """
        if not self.alive:
            raise EngineError("The engine of this kernel is closed.")
        if request.name in self._runs:
            raise EngineError(f"A run named {request.name!r} exists already.")
        run = RunState(request)
        if subscriber is not None:
            run.subscribers.append(subscriber)
        self._runs[request.name] = run
        self._post(partial(self._begin, run))
        return run

    def start_ahead(self, target: str, settings: Settings, environment: str) -> None:
        """Have a worker wait for the first call in an environment; returns at once.

        Nothing is built for it, and a failure is left to the call that meets it.
        """

        async def start() -> None:
            with contextlib.suppress(Exception):
                await self.conductor(target).start_ahead(settings, environment)

        def begin() -> None:
            self._spawn(start())

        if self.alive:
            self._post(begin)

    def prepare(
        self, target: str, settings: Settings, progress: Callable[[str], None]
    ) -> Future[tuple[bool, Prepared]]:
        """Make an environment startable; returns at once, with what will come of it.

        Args:
            target: name of the target.
            settings: those of the environment.
            progress: called on the engine's thread with one line for each step.

        Returns:
            Whether there was something to build or to fetch, and what was prepared.

        Raises:
            EngineError: the engine is closed.
        """
        if not self.alive:
            raise EngineError("The engine of this kernel is closed.")

        async def prepare() -> tuple[bool, Prepared]:
            place = self.conductor(target).target
            ready = await asyncio.to_thread(place.ready_made, settings)
            return not ready, await place.prepare(settings, progress)

        return asyncio.run_coroutine_threadsafe(prepare(), self._loop)

    def add_call(self, run: RunState, inputs: Packed, done: Callable[[Outcome], None]) -> None:
        """Add a call to a run that has none of its own; ``done`` is called on this thread."""

        def kept(outcome: Outcome) -> None:
            self.journal.when_kept(lambda: done(outcome))

        def add() -> None:
            if not run.done.done():
                self.conductor(run.request.target).add(run, inputs, kept)

        self._post(add)

    def end_calls(self, run: RunState, outcome: Outcome) -> None:
        """End a run whose calls were added one by one and have ended."""
        self._post(partial(self._end, run, outcome))

    def cancel(self, run: RunState, why: str) -> None:
        """Abort a run with everything of it that runs; returns at once."""
        if self.alive:
            self._post(partial(self._cancel, run, why))

    def subscribe(self, run: RunState, start: int, callback: Callable[[Event], None]) -> None:
        """Call back on the engine's thread with the events of a run from ``start`` on."""
        self._post(partial(run.listen, callback, start))

    def state_of(self, run: str) -> RunState | None:
        """Return a run of this engine that has not ended."""
        return self._runs.get(run)

    def adopt(self, target: str, runs: Mapping[str, RunState], attempts: Sequence[Adopted]) -> None:
        """Go on with runs of a dead kernel; returns at once.

        Args:
            target: name of the target that they were on.
            runs: by their names; told how it goes on.
            attempts: those that the journal says run.
        """

        async def go_on() -> None:
            from flyte_jupyter.engine.adoption import lost, take_over

            ends = {
                name: lost(EngineError("The engine of this kernel is closed.")) for name in runs
            }
            try:
                place = self.conductor(target).target
                ends = await take_over(place, runs, attempts, self.journal)
            except Exception as error:
                ends = {name: lost(error) for name in runs}
            finally:
                for name, outcome in ends.items():
                    self._end(runs[name], outcome)

        def begin() -> None:
            for name in runs:
                self.journal.put("runs", (name,), owner=self.journal.owner)
            self._spawn(go_on())

        self._runs.update(runs)
        self._post(begin)

    def follow(self, run: RunState, look: Callable[[], Outcome | None], pause: float) -> None:
        """Look at a run of another engine again and again; returns at once.

        Args:
            run: its state here.
            look: takes over what is new, and returns how it has ended, ``None`` before that.
            pause: seconds between two looks.
        """

        async def go_on() -> None:
            from flyte_jupyter.engine.adoption import lost

            outcome = lost(EngineError("The engine of this kernel is closed."))
            try:
                while (found := look()) is None:
                    await asyncio.sleep(pause)
                outcome = found
            except Exception as error:
                outcome = lost(error)
            finally:
                run.end(outcome)

        self._post(lambda: self._spawn(go_on()))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def keep(self) -> None:
        """Return once all that is known so far is written down."""
        written = threading.Event()

        def write() -> None:
            self.journal.when_kept(written.set)

        self._post(write)
        written.wait(KEEPING)

    # on the engine's thread

    def conductor(self, target: str) -> Conductor:
        """Return the conductor of a target.

        Raises:
            TargetError: there is no such target.
        """
        conductor = self._conductors.get(target)
        if conductor is None:
            make = self._make_target.get(target)
            if make is None:
                hint = did_you_mean(target, self._make_target) or "."
                raise TargetError(
                    f"There is no target {target!r}{hint}",
                    remedy=f"Targets: {', '.join(self._make_target)}.",
                )
            place = make()
            if isinstance(place, Teller):
                place.tell = self._say
            conductor = Conductor(place, self.journal, self._said, self)
            self._conductors[target] = conductor
        return conductor

    def _say(self, text: str) -> None:
        """Say a fact once in this session: in the runs that it meets, or else in the next."""
        if text in self._said:
            return
        self._said.add(text)
        for run in self._runs.values():
            run.emit("note", None, text=text)
        if not self._runs:
            self._unsaid.append(text)

    def moves(self) -> bool:
        """Return whether anything goes on on one of the targets."""
        return any(conductor.moves for conductor in self._conductors.values())

    def _begin(self, run: RunState) -> None:
        request = run.request
        self.journal.put(
            "runs",
            (run.name,),
            owner=self.journal.owner,
            project=request.options.project,
            task=request.task,
            target=request.target,
            phase=Phase.RUNNING,
            created=run.created,
            options=_options(request),
        )
        run.phase = Phase.RUNNING
        run.emit("run", None, name=run.name, task=request.task, target=request.target)
        while self._unsaid:
            run.emit("note", None, text=self._unsaid.pop(0))
        try:
            conductor = self.conductor(request.target)
        except Exception as error:
            self._loop.create_task(self._end_without_target(run, error))
            return
        if request.inputs is not None:
            conductor.add(run, request.inputs, lambda outcome: self._end(run, outcome))

    async def _end_without_target(self, run: RunState, error: Exception) -> None:
        from flyte_jupyter.engine.failures import failure_of

        failure = failure_of(error)
        run.emit("error", None, type=failure.type, sentence=failure.sentence, final=True)
        self._end(run, Outcome(Phase.FAILED, failure=failure))

    def _end(self, run: RunState, outcome: Outcome) -> None:
        run.phase = outcome.phase
        self.journal.put("runs", (run.name,), phase=outcome.phase, ended=time.time())

        def told() -> None:
            self._runs.pop(run.name, None)
            run.end(outcome)

        self.journal.when_kept(told)

    def _cancel(self, run: RunState, why: str) -> None:
        conductor = self._conductors.get(run.request.target)
        if conductor is not None and not run.done.done():
            conductor.cancel(run, why)

    def close(self) -> None:
        """Abort what runs, end every worker and close the journal."""
        if not self.alive:
            return
        future = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        with contextlib.suppress(TimeoutError):  # the supervisors end with this process anyway
            future.result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _close(self) -> None:
        # side by side: an engine that is slow to end its containers keeps no other target waiting
        closings = [conductor.close() for conductor in self._conductors.values()]
        results = await asyncio.gather(*closings, return_exceptions=True)
        await _end_others()
        for result in results:
            if isinstance(result, BaseException):
                raise result


async def _end_others() -> None:
    """End what goes on on this loop beside the caller: workers on their way, images in the making.

    A loop that is stopped under them would leave them as they are.
    """
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=LAST_STEPS)


def _options(request: RunRequest) -> str:
    labels = request.options.labels
    return json.dumps({"labels": dict(labels)}) if labels else '{"labels": {}}'


def _at_exit(engine: Engine) -> None:
    """Have an engine closed when the interpreter ends, while threads can still be asked for help.

    What `atexit` runs comes after executors have stopped, and their threads end what is elsewhere.
    """
    # who registers last is called first
    importlib.import_module("concurrent.futures.thread")
    known = weakref.ref(engine)

    def close() -> None:
        engine = known()
        if engine is not None:
            engine.close()

    before_threads = getattr(threading, "_register_atexit", atexit.register)
    before_threads(close)
