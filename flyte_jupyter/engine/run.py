"""A run and its actions while they live in the engine."""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
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
    """

    type: str
    sentence: str
    packed: Packed
    traceback: str = ""
    remedy: str = ""
    phase: Phase = Phase.FAILED
    final: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run or an action ended: with an output or with a failure."""

    phase: Phase
    output: Packed | None = None
    failure: Failure | None = None


class RunState:
    """A run: its request, its actions, its events.

    Args:
        request: what was asked for.
    """

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self.name = request.name
        self.created = time.time()
        self.events: list[Event] = []
        self.actions: list[Action] = []
        self.done: concurrent.futures.Future[Outcome] = concurrent.futures.Future()
        self.subscribers: list[Callable[[Event], None]] = []
        self.cancelled = False
        self.phase = Phase.QUEUED
        self.occurrences: dict[str, int] = {}
        self.overridden: dict[tuple[int, str], Settings] = {}

    def emit(self, kind: str, action: str | None = None, **data: Any) -> None:
        """Add an event and tell those who listen."""
        event = Event(self.name, len(self.events), time.time(), kind, action, data)
        self.events.append(event)
        for subscriber in self.subscribers:
            subscriber(event)

    def new_action(
        self, parent: Action | None, unit: Unit, settings: Settings, inputs: Packed
    ) -> Action:
        """Make an action of this run."""
        action = Action(self, f"a{len(self.actions)}", parent, unit, settings, inputs)
        self.actions.append(action)
        return action

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
        digest = hashlib.blake2b(digest_size=16)
        digest.update((self.parent.identity if self.parent else self.run.request.task).encode())
        digest.update(b"\0" + self.unit.name.encode() + b"\0")
        for part in (self.inputs.tree, *self.inputs.buffers):
            digest.update(_sample(part))
        call = digest.hexdigest()
        occurrence = self.run.occurrences.get(call, 0)
        self.run.occurrences[call] = occurrence + 1
        return f"{call}.{occurrence}"

    def enter(self, phase: Phase, why: str = "") -> None:
        """Go to a phase and say so."""
        self.phase = phase
        self.run.emit("phase", self.name, attempt=self.attempt, phase=str(phase), why=why)

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
    if not isinstance(part, (bytes, bytearray, memoryview)):
        return f"ref {part.id} {part.size}".encode()
    view = memoryview(part).cast("B") if len(part) else memoryview(b"")
    if view.nbytes <= IDENTITY_WHOLE:
        return view.nbytes.to_bytes(8, "little") + bytes(view)
    step = view.nbytes // 16
    ends = b"".join(bytes(view[at : at + 4096]) for at in range(0, view.nbytes, step))
    return view.nbytes.to_bytes(8, "little") + ends
