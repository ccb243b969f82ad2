"""A run as its events tell it: a pure fold, the one input of every view.

Feeding the same events gives the same state, whoever feeds them and in how many pieces. An event
costs the same in a run of two thousand actions as in one of two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from flyte_jupyter.engine.events import TERMINAL, Event, Phase
from flyte_jupyter.notebook.groups import Group
from flyte_jupyter.notebook.logtail import LogTail

__all__ = ["ActionState", "Failure", "RunState", "state_of"]

Data = dict[str, Any]
MOMENTS = 64
"""So many changes of phase of one action are kept; it tries again without bound."""


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
        evidence: what was seen of its end, maybe empty.
    """

    type: str
    sentence: str
    traceback: str = ""
    remedy: str = ""
    attempt: int = 1
    final: bool = True
    evidence: str = ""


@dataclass(slots=True, eq=False)
class ActionState:
    """One action of a run.

    Args:
        name: name of the action, ``a0`` for the root.
        order: its place among the actions of the run, from 0.
        parent: name of the action that called it, ``None`` for the root.
        task: full name of its task.
        environment: name of its environment.
        target: name of the target that it runs on.
        resources: its resources in words.
        asked_memory: bytes that it may use, ``None`` if nothing is said.
        asked_cpu: thousandths of a processor that it asked for, likewise.
        moments: seconds since the epoch of its changes of phase, and the phases; of a call that
            shares its row with others, only those from before that.
        peak_memory: bytes that its last attempt used at most, once that is known.
        cpu_seconds: processor time of its last attempt.
        group: the calls of the same task by the same caller, of which it is one.
        groups: what it has called, by task; of a folded group, what all of its calls have called.
        log: the last that it has written, ``None`` while that is nothing.
    """

    name: str
    order: int = 0
    parent: str | None = None
    task: str = ""
    environment: str = ""
    target: str = ""
    resources: str = ""
    asked_memory: int | None = None
    asked_cpu: int | None = None
    phase: Phase = Phase.QUEUED
    why: str = ""
    attempt: int = 0
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    moments: list[tuple[float, Phase]] = field(default_factory=list)
    peak_memory: int | None = None
    cpu_seconds: float | None = None
    failures: list[Failure] = field(default_factory=list)
    log: LogTail | None = None
    group: Group | None = None
    groups: dict[str, Group] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Return the short name of the task: ``train`` of ``ml.train``."""
        return self.task.rpartition(".")[2] or self.name

    @property
    def done(self) -> bool:
        """Return whether the action has ended."""
        return self.phase in TERMINAL

    @property
    def lines(self) -> list[str]:
        """Return the last lines that it has written."""
        return [] if self.log is None else self.log.lines

    def seconds(self, now: float | None = None) -> float | None:
        """Return how long the action has been at work, ``None`` if it has not begun."""
        begin = self.started if self.started is not None else self.created
        end = self.ended if self.ended is not None else now
        return None if begin is None or end is None else max(0.0, end - begin)


@dataclass(slots=True)
class RunState:
    """A run: its actions in the order of their creation, its notes, what is being prepared.

    Args:
        groups: the calls that no action has made, by task: the root, or those of a map.
        preparing: the last word on each environment that is made startable now.
        wrote: the action that wrote last.
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
    ready: int = 0
    actions: dict[str, ActionState] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    preparing: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    wrote: ActionState | None = None
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
        for _, seq, at, kind, action, data in events:
            if seq < self.next_seq:
                continue
            self.next_seq = seq + 1
            fold = _FOLDS.get(kind)
            if fold is not None:
                fold(self, at, action, data)
        return self.next_seq != before

    def walk(self) -> Iterator[ActionState]:
        """Yield every action depth first; costs as much as there are actions."""
        by_parent: dict[str | None, list[ActionState]] = {}
        for action in self.actions.values():
            by_parent.setdefault(self._parent(action), []).append(action)
        trail = by_parent.get(None, [])[::-1]
        while trail:
            action = trail.pop()
            yield action
            trail.extend(reversed(by_parent.get(action.name, [])))

    def failure(self) -> tuple[ActionState, Failure] | None:
        """Return the failure that a reader needs: the root's last one, where it first arose.

        A failure travels up from a child to its callers; the deepest failed action that has the
        same message tells where.
        """
        if self.phase is Phase.SUCCEEDED or not self.done:
            return None
        failed = [action for action in self.walk() if action.failures and action.done]
        failed = [action for action in failed if action.phase is not Phase.SUCCEEDED]
        if not failed and self.failures:
            # it never came to an action
            return ActionState("", task=self.task, phase=self.phase), self.failures[-1]
        if not failed:
            return None
        top = failed[0].failures[-1]
        same = [a for a in failed if a.failures[-1].sentence == top.sentence]
        deepest = same[-1] if top.sentence else failed[0]
        return deepest, deepest.failures[-1]

    def action(self, name: str) -> ActionState:
        """Return the action of that name, made if no event has told of it yet."""
        action = self.actions.get(name)
        if action is None:
            action = self.actions[name] = ActionState(name, len(self.actions))
        return action

    def _parent(self, action: ActionState) -> str | None:
        return action.parent if action.parent in self.actions else None


def state_of(events: Iterable[Event]) -> RunState:
    """Return the state of a run from its events."""
    state = RunState()
    state.feed(events)
    return state


# One function per kind of event: of the state, the time, the name of the action, and the data


def _run(state: RunState, at: float, _: str | None, data: Data) -> None:
    state.name = data.get("name", "")
    state.task = data.get("task", "")
    state.target = data.get("target", "")
    state.began = at


def _action(state: RunState, at: float, name: str | None, data: Data) -> None:
    action = state.action(name or "")
    action.parent = parent = data.get("parent")
    action.task = task = data.get("task", "")
    action.environment = data.get("environment", "")
    action.target = data.get("target") or state.target
    action.resources = data.get("resources") or ""
    action.asked_memory = data.get("memory")
    action.asked_cpu = data.get("cpu")
    action.created = at
    if action.group is None:
        groups = (state if parent is None else state.actions.get(parent, state)).groups
        group = groups.get(task)
        if group is None:
            group = groups[task] = Group(task)
        group.add(action)


def _phase(state: RunState, at: float, name: str | None, data: Data) -> None:
    phase = _PHASES[data["phase"]]
    if name is None:
        state.phase = phase
        return
    action = state.actions.get(name) or state.action(name)
    before, action.phase, action.why = action.phase, phase, data.get("why") or ""
    action.attempt = data.get("attempt") or action.attempt
    over = phase in TERMINAL
    if phase is Phase.RUNNING:
        if action.started is None:
            action.started = at
        if state.preparing:
            state.preparing.pop(action.environment, None)
    elif over:
        action.ended = at
        state.ready += before not in TERMINAL
    group = action.group
    if group is not None:
        group.move(action, before, at)
    if (group is None or not group.folded) and len(action.moments) < MOMENTS:
        action.moments.append((at, phase))
    if action.parent is None and not over and state.phase not in TERMINAL:
        # of many that nobody has called, one that runs tells more than one that waits
        running = group is not None and group.counts[Phase.RUNNING]
        state.phase = Phase.RUNNING if running else phase


def _prepare(state: RunState, _: float, __: str | None, data: Data) -> None:
    text = str(data.get("text", "")).strip()
    if text:
        state.preparing[data.get("environment", "")] = text.splitlines()[-1]


def _log(state: RunState, _: float, name: str | None, data: Data) -> None:
    action = state.wrote = state.action(name or "a0")
    if action.log is None:
        action.log = LogTail(state.log_lines)
    action.log.feed(data.get("text", ""), data.get("stream", "stdout"))
    if action.group is not None:
        action.group.wrote(action)


def _stats(state: RunState, _: float, name: str | None, data: Data) -> None:
    if name is not None:
        action = state.actions.get(name) or state.action(name)
        before = action.cpu_seconds
        action.peak_memory = data.get("peak_memory")
        action.cpu_seconds = data.get("cpu_seconds")
        if action.group is not None:
            action.group.used(action, before)


def _error(state: RunState, _: float, name: str | None, data: Data) -> None:
    failure = Failure(
        data.get("type") or "",
        data.get("sentence") or "",
        data.get("traceback") or "",
        data.get("remedy") or "",
        data.get("attempt") or 1,
        bool(data.get("final", True)),
        data.get("evidence") or "",
    )
    of = state if name is None else state.action(name)
    of.failures.append(failure)


def _note(state: RunState, _: float, __: str | None, data: Data) -> None:
    text = str(data.get("text", "")).strip()
    if text and text not in state.notes:
        state.notes.append(text)


def _end(state: RunState, at: float, _: str | None, data: Data) -> None:
    state.phase = _PHASES[data["phase"]]
    state.ended = at
    state.seconds = data.get("seconds")
    state.preparing.clear()


_PHASES = {phase.value: phase for phase in Phase}
_FOLDS = {
    "run": _run,
    "action": _action,
    "phase": _phase,
    "prepare": _prepare,
    "log": _log,
    "stats": _stats,
    "error": _error,
    "note": _note,
    "end": _end,
}
