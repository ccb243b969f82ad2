"""A run as the user holds it: its phase, its outputs, its logs, and the way to end it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Generator
from typing import Any

from flyte_jupyter.engine.engine import Engine
from flyte_jupyter.engine.events import TERMINAL, Event, Phase
from flyte_jupyter.engine.run import Outcome, RunState
from flyte_jupyter.engine.summary import ActionView, fold
from flyte_jupyter.errors import EngineError
from flyte_jupyter.session.outcome import Opener
from flyte_jupyter.session.twin import twin
from flyte_jupyter.session.watching import Showing

__all__ = ["Outputs", "Run"]

ENDING = 3.0
TICK = 0.1


class Outputs(tuple[Any, ...]):
    """What a task returned as Flyte's tuple: nothing for ``None``, one value, or several."""

    __slots__ = ()

    @property
    def named_outputs(self) -> dict[str, Any]:
        """The values by Flyte's names: ``o0``, ``o1`` and so on."""
        return {f"o{index}": value for index, value in enumerate(self)}

    def __repr__(self) -> str:
        return f"Outputs({', '.join(map(repr, self))})"


class Run:
    """A run that was submitted.

    Args:
        engine: the engine that has it.
        state: the engine's record of it.
        opener: decodes what comes back.
    """

    def __init__(self, engine: Engine, state: RunState, opener: Opener) -> None:
        self._engine = engine
        self._state = state
        self._opener = opener

    @property
    def name(self) -> str:
        """Unique name of the run."""
        return self._state.name

    @property
    def task_name(self) -> str:
        """Full name of the task that was run."""
        return self._state.request.task

    @property
    def target(self) -> str:
        """Name of the target."""
        return self._state.request.target

    @property
    def phase(self) -> Phase:
        """Where the run stands: a terminal phase once everything of it has ended."""
        return self._outcome().phase if self.done else self._running_phase()

    def _running_phase(self) -> Phase:
        # one of another kernel has only its events here
        root = self._state.actions[:1] or self.actions[:1]
        phase = root[0].phase if root else Phase.QUEUED
        return Phase.RUNNING if phase in TERMINAL else phase

    @property
    def done(self) -> bool:
        """True once the run has ended, in whatever way."""
        return self._state.done.done()

    def _outcome(self) -> Outcome:
        return self._state.done.result()

    async def _wait_aio(self) -> Run:
        return await self._awaited(raises=False)

    async def _awaited(self, *, raises: bool) -> Run:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def tell() -> None:
            if not future.done():
                future.set_result(None)

        def ended() -> None:
            with contextlib.suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(tell)

        self._state.done.when_done(ended)
        try:
            # A kernel cancels an awaiting cell only when the awaited thing ends: so it ticks.
            with Showing(self, raises=raises) as showing:
                while not future.done():
                    await asyncio.wait({future}, timeout=TICK)
                    showing.tick()
        except asyncio.CancelledError:
            self._engine.cancel(self._state, "the cell that awaited it was interrupted")
            raise
        return self

    @twin(_wait_aio)
    def wait(self) -> Run:
        """Wait until the run has ended, and return it; an interrupt aborts it.

        Raises:
            KeyboardInterrupt: the cell was interrupted; nothing of the run is left then.
            EngineError: it was called where it would wait for itself.
        """
        self._wait()
        return self

    def _wait(self, *, raises: bool = False) -> None:
        if threading.current_thread().name == "flyte-engine":
            raise EngineError("The engine's own thread cannot wait for a run.")
        done = self._state.done
        with Showing(self, raises=raises) as showing:
            try:
                showing.wait(done.wait)
            except KeyboardInterrupt:
                self._engine.cancel(self._state, "it was interrupted")
                done.wait(ENDING)
                raise

    async def _result_aio(self) -> Any:
        await self._awaited(raises=True)
        return self._opener.open(self._outcome())

    @twin(_result_aio)
    def result(self) -> Any:
        """Wait, and return what the task returned.

        Raises:
            Exception: what the task raised, with the traceback of the place in the cell.
        """
        self._wait(raises=True)
        return self._opener.open(self._outcome())

    async def _outputs_aio(self) -> Outputs:
        return self._as_outputs(await self._result_aio())

    @twin(_outputs_aio)
    def outputs(self) -> Outputs:
        """Wait, and return the outputs as Flyte's tuple.

        Raises:
            Exception: what the task raised, with the traceback of the place in the cell.
        """
        return self._as_outputs(self.result())

    def _as_outputs(self, value: Any) -> Outputs:
        if value is None:
            return Outputs()
        if self._opener.returns_several and isinstance(value, tuple):
            return Outputs(value)
        return Outputs((value,))

    async def _abort_aio(self) -> Run:
        self._engine.cancel(self._state, "it was aborted")
        return await self._wait_aio()

    @twin(_abort_aio)
    def abort(self) -> Run:
        """End the run with everything of it that runs, and wait until it has ended."""
        self._engine.cancel(self._state, "it was aborted")
        return self.wait()

    @property
    def error(self) -> BaseException | None:
        """What the run failed with, ``None`` while it runs or if it succeeded."""
        return self._opener.error(self._outcome()) if self.done else None

    def events(self, start: int = 0) -> list[Event]:
        """Return the events so far, from a place in their sequence on."""
        return self._state.events(start)

    def subscribe(self, callback: Callable[[Event], None], start: int = 0) -> None:
        """Call back, on the engine's thread, with every event from a place on."""
        self._engine.subscribe(self._state, start, callback)

    def when_done(self, callback: Callable[[], object]) -> None:
        """Call back once the run has ended, on the thread that ends it, or now if it has ended."""
        self._state.done.when_done(callback)

    @property
    def actions(self) -> list[ActionView]:
        """Every call of a task in this run, the root first."""
        return fold(self.events())

    def logs(self, action: str | None = None) -> str:
        """Return what the run printed, of one action or of all, as it came."""
        return "".join(
            event.data["text"]
            for event in self.events()
            if event.kind == "log" and action in (None, event.action)
        )

    def __await__(self) -> Generator[Any, None, Run]:
        """Wait in asynchronous code: ``await run``."""
        return self._wait_aio().__await__()

    def __repr__(self) -> str:
        return f"Run({self.task_name}: {self.phase})"
