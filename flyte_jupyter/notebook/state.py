"""A run as its events tell it: a pure fold, the one input of every view.

Feeding the same events gives the same state, whoever feeds them and in how many pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from flyte_jupyter.engine.events import TERMINAL, Event, Phase
from flyte_jupyter.notebook.logtail import LogTail

__all__ = ["ActionState", "Failure", "RunState", "state_of"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed.

    Args:
        type: class name of the exception.
        sentence: its message.
        traceback: the traceback from the container, as plain text, maybe empty.
        remedy: what to do next, maybe empty.
        attempt: number of the attempt, from 1.
        final: whether no further attempt follows.
    """

    type: str
    sentence: str
    traceback: str = ""
    remedy: str = ""
    attempt: int = 1
    final: bool = True


@dataclass(slots=True)
class ActionState:
    """One action of a run.

    Args:
        name: name of the action, ``a0`` for the root.
        parent: name of the action that called it, ``None`` for the root.
        task: full name of its task.
        environment: name of its environment.
        resources: its resources in words.
        peak_memory: bytes that its last attempt used at most, once that is known.
        cpu_seconds: processor time of its last attempt.
    """

    name: str
    parent: str | None = None
    task: str = ""
    environment: str = ""
    resources: str = ""
    phase: Phase = Phase.QUEUED
    why: str = ""
    attempt: int = 0
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    result: str = ""
    peak_memory: int | None = None
    cpu_seconds: float | None = None
    failures: list[Failure] = field(default_factory=list)
    log: LogTail = field(default_factory=LogTail)

    @property
    def label(self) -> str:
        """Return the short name of the task: ``train`` of ``ml.train``."""
        return self.task.rpartition(".")[2] or self.name

    @property
    def done(self) -> bool:
        """Return whether the action has ended."""
        return self.phase in TERMINAL

    def seconds(self, now: float | None = None) -> float | None:
        """Return how long the action has been at work, ``None`` if it has not begun."""
        begin = self.started if self.started is not None else self.created
        end = self.ended if self.ended is not None else now
        return None if begin is None or end is None else max(0.0, end - begin)


@dataclass(slots=True)
class RunState:
    """A run: its actions in the order of their creation, its notes, what is being prepared.

    Args:
        log_lines: how many lines of log each action keeps; ``None`` keeps all.
    """

    name: str = ""
    task: str = ""
    target: str = ""
    phase: Phase = Phase.QUEUED
    began: float | None = None
    ended: float | None = None
    seconds: float | None = None
    next_seq: int = 0
    actions: dict[str, ActionState] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    preparing: dict[str, str] = field(default_factory=dict)
    log_lines: int | None = 200

    @property
    def done(self) -> bool:
        """Return whether the run has ended."""
        return self.phase in TERMINAL

    @property
    def label(self) -> str:
        """Return the short name of the root task."""
        return self.task.rpartition(".")[2] or self.name or "run"

    def feed(self, events: Iterable[Event]) -> bool:
        """Fold more events in; return whether there were any."""
        before = self.next_seq
        for event in events:
            if event.seq < self.next_seq:
                continue
            self.next_seq = event.seq + 1
            if (fold := _FOLDS.get(event.kind)) is not None:
                fold(self, event)
        return self.next_seq != before

    def walk(self) -> Iterator[tuple[ActionState, tuple[bool, ...]]]:
        """Yield every action depth first, with ``is it the last of its siblings`` per level."""
        by_parent: dict[str | None, list[ActionState]] = {}
        for action in self.actions.values():
            by_parent.setdefault(self._parent(action), []).append(action)
        trail: list[tuple[ActionState, tuple[bool, ...]]] = []
        trail.extend((action, ()) for action in reversed(by_parent.get(None, [])))
        while trail:
            action, lasts = trail.pop()
            yield action, lasts
            below = by_parent.get(action.name, [])
            trail.extend((child, (*lasts, child is below[-1])) for child in reversed(below))

    def failure(self) -> tuple[ActionState, Failure] | None:
        """Return the failure that a reader needs: the root's last one, where it first arose.

        A failure travels up from a child to its callers; the deepest failed action that has the
        same message tells where.
        """
        if self.phase is Phase.SUCCEEDED or not self.done:
            return None
        failed = [action for action, _ in self.walk() if action.failures and action.done]
        failed = [action for action in failed if action.phase is not Phase.SUCCEEDED]
        if not failed:
            return None
        top = failed[0].failures[-1]
        same = [a for a in failed if a.failures[-1].sentence == top.sentence]
        deepest = same[-1] if top.sentence else failed[0]
        return deepest, deepest.failures[-1]

    def action(self, name: str) -> ActionState:
        """Return the action of that name, made if no event has told of it yet."""
        if name not in self.actions:
            self.actions[name] = ActionState(name, log=LogTail(self.log_lines))
        return self.actions[name]

    def _parent(self, action: ActionState) -> str | None:
        return action.parent if action.parent in self.actions else None


def state_of(events: Iterable[Event]) -> RunState:
    """Return the state of a run from its events."""
    state = RunState()
    state.feed(events)
    return state


# One function per kind of event


def _run(state: RunState, event: Event) -> None:
    state.name = event.data.get("name", event.run)
    state.task = event.data.get("task", "")
    state.target = event.data.get("target", "")
    state.began = event.time


def _action(state: RunState, event: Event) -> None:
    action = state.action(event.action or "")
    action.parent = event.data.get("parent")
    action.task = event.data.get("task", "")
    action.environment = event.data.get("environment", "")
    action.resources = event.data.get("resources", "") or ""
    action.created = event.time


def _phase(state: RunState, event: Event) -> None:
    phase = Phase(event.data["phase"])
    why = event.data.get("why", "") or ""
    if event.action is None:
        state.phase = phase
        return
    action = state.action(event.action)
    action.phase, action.why = phase, why
    action.attempt = event.data.get("attempt") or action.attempt
    if phase is Phase.RUNNING and action.started is None:
        action.started = event.time
    if phase in TERMINAL:
        action.ended = event.time
    if action.parent is None and not state.done and phase not in TERMINAL:
        state.phase = phase
    if phase is Phase.RUNNING:
        state.preparing.pop(action.environment, None)


def _prepare(state: RunState, event: Event) -> None:
    text = str(event.data.get("text", "")).strip()
    if text:
        state.preparing[event.data.get("environment", "")] = text.splitlines()[-1]


def _log(state: RunState, event: Event) -> None:
    log = state.action(event.action or "a0").log
    log.feed(event.data.get("text", ""), event.data.get("stream", "stdout"))


def _result(state: RunState, event: Event) -> None:
    if event.action is not None:
        state.action(event.action).result = event.data.get("type", "") or ""


def _stats(state: RunState, event: Event) -> None:
    if event.action is not None:
        action = state.action(event.action)
        action.peak_memory = event.data.get("peak_memory")
        action.cpu_seconds = event.data.get("cpu_seconds")


def _error(state: RunState, event: Event) -> None:
    data = event.data
    failure = Failure(
        data.get("type", "") or "",
        data.get("sentence", "") or "",
        data.get("traceback", "") or "",
        data.get("remedy", "") or "",
        data.get("attempt") or 1,
        bool(data.get("final", True)),
    )
    state.action(event.action or "a0").failures.append(failure)


def _note(state: RunState, event: Event) -> None:
    text = str(event.data.get("text", "")).strip()
    if text and text not in state.notes:
        state.notes.append(text)


def _end(state: RunState, event: Event) -> None:
    state.phase = Phase(event.data["phase"])
    state.ended = event.time
    state.seconds = event.data.get("seconds")
    state.preparing.clear()


_FOLDS = {
    "run": _run,
    "action": _action,
    "phase": _phase,
    "prepare": _prepare,
    "log": _log,
    "result": _result,
    "stats": _stats,
    "error": _error,
    "note": _note,
    "end": _end,
}
