"""A run and its actions while they live in the engine."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from flyte_jupyter.engine.events import TERMINAL, Event, Phase
from flyte_jupyter.engine.request import RunRequest, Unit
from flyte_jupyter.spec import Settings
from flyte_jupyter.wire.exchange import Packed

__all__ = ["Action", "Failure", "Outcome", "RunState"]

IDENTITY_WHOLE = 1 << 20
NOTHING = Packed(b"null")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt or an action failed.

    Args:
        type: class name of the exception.
        sentence: what it says.
        traceback: text, frames of user code only.
        remedy: what to do next.
        packed: the exception itself, encoded.
        phase: how the action ends if this is the last attempt.
        final: True when another attempt cannot help.
        lost: True when what the attempt ran on was taken from it: the system tries again.
        evidence: what was seen of its end, in words, maybe empty.
    """

    type: str
    sentence: str
    packed: Packed
    traceback: str = ""
    remedy: str = ""
    phase: Phase = Phase.FAILED
    final: bool = False
    lost: bool = False
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run or an action ended: with an output or with a failure."""

    phase: Phase
    output: Packed | None = None
    failure: Failure | None = None


class Ending:
    """The outcome of a run, for whoever waits for it: a future that costs no more than a lock."""

    __slots__ = ("_callbacks", "_outcome")

    def __init__(self) -> None:
        self._outcome: Outcome | None = None
        self._callbacks: list[Callable[[], object]] = []

    def done(self) -> bool:
        """Return whether the run has ended."""
        return self._outcome is not None

    def wait(self, seconds: float = -1) -> bool:
        """Wait until the run has ended, at most so long; return whether it has."""
        if self._outcome is None:
            ended = threading.Lock()
            ended.acquire()
            self.when_done(ended.release)
            ended.acquire(timeout=seconds)
        return self._outcome is not None

    def result(self) -> Outcome:
        """Return how the run has ended, once it has."""
        self.wait()
        assert self._outcome is not None
        return self._outcome

    def set_result(self, outcome: Outcome) -> None:
        """Tell how the run has ended; only the first time counts."""
        if self._outcome is None:
            self._outcome = outcome
            self._tell()

    def when_done(self, callback: Callable[[], object]) -> None:
        """Call back on the thread that ends the run, or on this one if it has ended."""
        self._callbacks.append(callback)
        if self._outcome is not None:
            self._tell()

    def _tell(self) -> None:
        while True:
            try:
                callback = self._callbacks.pop()
            except IndexError:  # another thread has taken it
                return
            callback()


class RunState:
    """A run: its request, its actions, its events.

    Args:
        request: what was asked for.
    """

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self.name = request.name
        self.created = time.time()
        self._events: list[Event] = []
        self.actions: list[Action] = []
        self.done = Ending()
        self.subscribers: list[Callable[[Event], None]] = []
        self._failures: list[str] = []
        self.cancelled = False
        self.phase = Phase.QUEUED
        self.occurrences: dict[str, int] = {}
        self.overridden: dict[tuple[int, str], Settings] = {}

    def emit(self, kind: str, action: str | None = None, **data: Any) -> None:
        """Add an event and tell those who listen."""
        self.past(time.time(), kind, action, **data)

    def past(self, at: float, kind: str, action: str | None = None, **data: Any) -> None:
        """Add an event of another time, likewise.

        Args:
            at: seconds since the epoch.
            kind: of the event.
            action: of the run.
            **data: of the event.
        """
        event = Event(self.name, len(self._events), at, kind, action, data)
        self._events.append(event)
        if self.subscribers:
            for subscriber in tuple(self.subscribers):
                self._tell(subscriber, event)
            self._say_failures()

    def listen(self, subscriber: Callable[[Event], None], start: int) -> None:
        """Tell somebody the events from a place in their sequence on, and those to come."""
        if all(self._tell(subscriber, event) for event in self.events(start)):
            self.subscribers.append(subscriber)
        self._say_failures()

    def _tell(self, subscriber: Callable[[Event], None], event: Event) -> bool:
        """Tell one who listens; who fails at that listens no longer, and the run goes on."""
        try:
            subscriber(event)
        except Exception as error:  # whatever it is, it is the listener's own
            if subscriber in self.subscribers:
                self.subscribers.remove(subscriber)
            said = f"What listens to {self.name} failed and is told no more"
            logging.getLogger("flyte_jupyter").error(said, exc_info=error)
            self._failures.append(f"{said}: {type(error).__name__}: {error}")
            return False
        return True

    def _say_failures(self) -> None:
        """Say who listens no longer, once all others have heard the event that it failed at."""
        while self._failures:
            self.emit("note", None, text=self._failures.pop(0))

    def events(self, start: int = 0) -> list[Event]:
        """Return the events so far, from a place in their sequence on."""
        return self._events[start:]

    def new_action(
        self, parent: Action | None, unit: Unit, settings: Settings, inputs: Packed
    ) -> Action:
        """Make an action of this run."""
        action = Action(self, f"a{len(self.actions)}", parent, unit, settings, inputs)
        self.actions.append(action)
        return action

    def end(self, outcome: Outcome) -> None:
        """Tell that the run has ended, and how."""
        self.phase = outcome.phase
        self.emit("end", None, phase=outcome.phase.value, seconds=time.time() - self.created)
        self.done.set_result(outcome)
        self.let_go()

    def let_go(self) -> None:
        """Forget what a run that has ended needs no more, so that memory is given back at once."""
        self.actions.clear()  # each refers to the run
        if self.request.inputs is not None and self.request.inputs.buffers:
            self.request = replace(self.request, inputs=None)


@dataclass(eq=False, slots=True)
class Action:
    """One call of a task."""

    run: RunState
    name: str
    parent: Action | None
    unit: Unit
    settings: Settings
    inputs: Packed
    phase: Phase = Phase.QUEUED
    attempt: int = 0
    lost: int = 0
    created: float = field(default_factory=time.time)
    children: set[Action] = field(default_factory=set)
    task: asyncio.Task[None] | None = None
    express: Any = None
    claim: Any = None
    outcome: Outcome | None = None
    on_done: Callable[[Outcome], None] | None = None
    aborting: bool = False
    depth: int = 0
    identity: str = ""

    def __post_init__(self) -> None:
        self.depth = 0 if self.parent is None else self.parent.depth + 1
        self.identity = self._identity()

    def _identity(self) -> str:
        """Parent, task and the occurrence among equal calls: the same when the run is repeated."""
        caller = self.parent.identity if self.parent else self.run.request.task
        start = f"{caller}\0{self.unit.name}\0".encode() + _sample(self.inputs.tree)
        digest = hashlib.blake2b(start, digest_size=16)
        for part in self.inputs.buffers:
            digest.update(_sample(part))
        call = digest.hexdigest()
        occurrence = self.run.occurrences.get(call, 0)
        self.run.occurrences[call] = occurrence + 1
        return f"{call}.{occurrence}"

    def enter(self, phase: Phase, why: str = "") -> None:
        """Go to a phase and say so."""
        self.phase = phase
        self.run.emit("phase", self.name, attempt=self.attempt, phase=phase.value, why=why)

    def tell(self, failure: Failure, *, final: bool) -> None:
        """Say that an attempt failed; ``final`` if no other follows."""
        self.run.emit(
            "error",
            self.name,
            attempt=self.attempt,
            type=failure.type,
            sentence=failure.sentence,
            traceback=failure.traceback,
            remedy=failure.remedy,
            evidence=failure.evidence,
            final=final,
        )

    def let_go(self) -> None:
        """Forget the values: nobody asks here for those of an action that has ended.

        It is referred to from many sides, and would hold their memory for as long.
        """
        self.inputs = NOTHING
        if self.outcome is not None:
            self.outcome = Outcome(self.outcome.phase, failure=self.outcome.failure)
        self.express = None
        self.on_done = None

    @property
    def ended(self) -> bool:
        """True when nothing more will happen to it."""
        return self.phase in TERMINAL


def _sample(part: Any) -> bytes:
    """Return bytes that stand for a part; a large buffer is not read as a whole for this."""
    if type(part) is bytes and len(part) <= IDENTITY_WHOLE:
        return len(part).to_bytes(8, "little") + part
    if not isinstance(part, (bytes, bytearray, memoryview)):
        return f"ref {part.id} {part.size}".encode()
    view = memoryview(part).cast("B") if len(part) else memoryview(b"")
    if view.nbytes <= IDENTITY_WHOLE:
        return view.nbytes.to_bytes(8, "little") + bytes(view)
    step = view.nbytes // 16
    ends = b"".join(bytes(view[at : at + 4096]) for at in range(0, view.nbytes, step))
    return view.nbytes.to_bytes(8, "little") + ends
