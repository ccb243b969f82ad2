"""Calls of one task under one caller: shown one by one while few, folded into one row when many.

A fold moves what its calls have called below itself, once. After that each event costs the same,
however many calls there are: counts go up and down, nothing is walked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

from flyte_jupyter.engine.events import TERMINAL, Phase

if TYPE_CHECKING:
    from flyte_jupyter.notebook.state import ActionState

__all__ = ["HANDFUL", "Caller", "Group", "children"]

HANDFUL = 8
"""So many calls of one task are shown one by one."""
LISTED = 5
"""So many failures of a folded group are listed."""
WRITERS = 12
"""So many calls of a folded group show what they wrote last."""
N = TypeVar("N", int, float)


class Caller(Protocol):
    """Who has called: the run itself, an action, or a folded group of actions."""

    groups: dict[str, Group]


class Group:
    """The calls of one task under one caller.

    Args:
        task: full name of the task.
    """

    __slots__ = (
        "_failed",
        "_writers",
        "began",
        "counts",
        "cpu_seconds",
        "ended",
        "failures",
        "folded",
        "groups",
        "members",
        "peak_memory",
        "retried",
        "started",
        "task",
    )

    def __init__(self, task: str) -> None:
        self.task = task
        self.members: list[ActionState] = []
        # a plain dictionary: a Counter takes three times as long for each step
        self.counts = dict.fromkeys(Phase, 0)
        self.groups: dict[str, Group] = {}
        self.folded = False
        self.began: float | None = None
        self.started: float | None = None
        self.ended: float | None = None
        self.peak_memory: int | None = None
        self.cpu_seconds: float | None = None
        self.retried = 0
        self.failures = 0
        self._failed: deque[ActionState] = deque(maxlen=LISTED)
        self._writers: dict[str, ActionState] = {}

    @property
    def label(self) -> str:
        """Return the short name of the task."""
        return self.task.rpartition(".")[2]

    @property
    def total(self) -> int:
        """Return how many calls there are."""
        return len(self.members)

    @property
    def ready(self) -> int:
        """Return how many of them have ended."""
        return sum(self.counts[phase] for phase in TERMINAL)

    @property
    def done(self) -> bool:
        """Return whether all have ended."""
        return self.ready == self.total

    @property
    def phase(self) -> Phase:
        """Return the phase that stands for all: what still goes on, else the worst end."""
        for phase in (*_GOING_ON, *_ENDS):
            if self.counts[phase]:
                return phase
        return Phase.QUEUED

    @property
    def failed(self) -> list[ActionState]:
        """Return the last calls that have failed, at most a few."""
        return list(self._failed)

    @property
    def writers(self) -> list[ActionState]:
        """Return the calls that wrote last, the newest last, at most a few."""
        return list(self._writers.values())

    def seconds(self, now: float | None = None) -> float | None:
        """Return how long all of them together have taken, ``None`` if none has begun."""
        begin = self.started if self.started is not None else self.began
        end = self.ended if self.done and self.ended is not None else now
        return None if begin is None or end is None else max(0.0, end - begin)

    def add(self, action: ActionState) -> None:
        """Take a further call in, and fold when they become too many to be shown one by one."""
        action.group = self
        self.members.append(action)
        self.counts[action.phase] += 1
        if self.began is None or (action.created is not None and action.created < self.began):
            self.began = action.created
        if self.folded:
            self._gather(action)
        elif len(self.members) > HANDFUL:
            self._fold()

    def move(self, action: ActionState, before: Phase, at: float) -> None:
        """Count a call that has gone from one phase to another.

        Args:
            action: the call, in its new phase.
            before: the phase that it was in.
            at: seconds since the epoch.
        """
        phase = action.phase
        self.counts[before] -= 1
        self.counts[phase] += 1
        if before in TERMINAL:
            return
        if phase is Phase.RUNNING:
            if self.started is None:
                self.started = at
            self.retried += action.attempt == 2
        elif phase in TERMINAL:
            self.ended = at if self.ended is None else max(self.ended, at)
            if phase is not Phase.SUCCEEDED:
                self.failures += 1
                self._failed.append(action)

    def used(self, action: ActionState, before: float | None) -> None:
        """Take in what a call has used.

        Args:
            action: the call.
            before: the processor time of it that was told before.
        """
        peak, spent = action.peak_memory, action.cpu_seconds
        if peak and (self.peak_memory is None or peak > self.peak_memory):
            self.peak_memory = peak
        if spent is not None:
            self.cpu_seconds = (self.cpu_seconds or 0.0) - (before or 0.0) + spent

    def wrote(self, action: ActionState) -> None:
        """Remember which calls wrote last."""
        writers = self._writers
        writers.pop(action.name, None)
        writers[action.name] = action
        if len(writers) > WRITERS:
            del writers[next(iter(writers))]

    def _fold(self) -> None:
        self.folded = True
        for member in self.members:
            self._gather(member)

    def _gather(self, member: ActionState) -> None:
        """Have what a member calls, and has called, stand below the whole group."""
        _take_over(member.groups, self.groups)
        member.groups = self.groups

    def _absorb(self, other: Group) -> None:
        """Take the calls of another group of the same task in."""
        for member in other.members:
            member.group = self
        self.members += other.members
        for phase, number in other.counts.items():
            self.counts[phase] += number
        self.began = _least(self.began, other.began)
        self.started = _least(self.started, other.started)
        self.ended = _most(self.ended, other.ended)
        self.peak_memory = _most(self.peak_memory, other.peak_memory)
        self.cpu_seconds = _sum(self.cpu_seconds, other.cpu_seconds)
        self.retried += other.retried
        self.failures += other.failures
        self._failed.extend(other._failed)
        for writer in other.writers:
            self.wrote(writer)
        if self.folded:
            for member in other.members:
                self._gather(member)
        elif other.folded or len(self.members) > HANDFUL:
            self._fold()


def children(caller: Caller) -> Iterator[ActionState | Group]:
    """Yield what a caller has called, in the order of the first calls."""
    found: list[tuple[int, ActionState | Group]] = []
    for group in caller.groups.values():
        if group.folded:
            found.append((group.members[0].order, group))
        else:
            found += ((member.order, member) for member in group.members)
    found.sort(key=lambda pair: pair[0])
    return (item for _, item in found)


def _take_over(source: dict[str, Group], into: dict[str, Group]) -> None:
    """Move groups below another caller, joined with those of the same tasks there."""
    if source is into:
        return
    for task, group in source.items():
        there = into.get(task)
        if there is None:
            into[task] = group
        elif there is not group:
            there._absorb(group)


def _least(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else min(one, other)


def _most(one: N | None, other: N | None) -> N | None:
    return other if one is None else one if other is None else max(one, other)


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


_GOING_ON = (Phase.RUNNING, Phase.PREPARING, Phase.WAITING, Phase.QUEUED)
_ENDS = (Phase.FAILED, Phase.TIMED_OUT, Phase.ABORTED, Phase.SUCCEEDED)
