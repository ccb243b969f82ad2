"""Events folded into what a reader wants to know of each action."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flyte_jupyter.engine.events import TERMINAL, Event, Phase
from flyte_jupyter.spec.amounts import readable_bytes, readable_seconds

__all__ = ["ActionView", "fold"]


@dataclass(slots=True, repr=False)
class ActionView:
    """One call of a task, as far as its events tell.

    Args:
        name: name within the run, ``a0`` is the root.
        parent: name of the action that called it.
        task: full name of the task.
        environment: name of the environment.
        resources: what it asked for, in words.
        depth: 0 for the root.
        phase: where it stands.
        why: the sentence that came with the phase.
        attempts: how often it was tried.
        created: seconds since the epoch, as all times.
        started: when the last attempt began to run.
        ended: when it came to its end.
        peak_memory: bytes, of the last attempt.
        cpu_seconds: of the last attempt.
        error: the sentence that it failed with.
        result: type and size of its output, in words.
    """

    name: str
    parent: str | None
    task: str
    environment: str
    resources: str
    depth: int
    created: float
    phase: Phase = Phase.QUEUED
    why: str = ""
    attempts: int = 0
    started: float | None = None
    ended: float | None = None
    peak_memory: int | None = None
    cpu_seconds: float | None = None
    error: str = ""
    result: str = ""

    @property
    def seconds(self) -> float | None:
        """How long it ran, or waited if it never ran; ``None`` before its end."""
        if self.ended is None:
            return None
        return self.ended - (self.started or self.created)

    def __repr__(self) -> str:
        parts = [f"{self.name} {self.task}: {self.phase}"]
        if self.attempts > 1:
            parts.append(f"{self.attempts} attempts")
        if self.seconds is not None:
            parts.append(readable_seconds(self.seconds))
        if self.peak_memory:
            parts.append(f"peak memory {readable_bytes(self.peak_memory)}")
        if self.cpu_seconds is not None:
            parts.append(f"cpu time {readable_seconds(self.cpu_seconds)}")
        return f"ActionView({', '.join(parts)})"


def fold(events: Iterable[Event]) -> list[ActionView]:
    """Return the actions of a run, in the order in which they were made."""
    views: dict[str, ActionView] = {}
    for event in events:
        if event.action is None:
            continue
        if event.kind == "action":
            data = event.data
            views[event.action] = ActionView(
                name=event.action,
                parent=data["parent"],
                task=data["task"],
                environment=data["environment"],
                resources=data["resources"],
                depth=data["depth"],
                created=event.time,
            )
            continue
        view = views.get(event.action)
        if view is not None:
            _apply(view, event)
    return list(views.values())


def _apply(view: ActionView, event: Event) -> None:
    data = event.data
    if event.kind == "phase":
        view.phase = Phase(data["phase"])
        view.why = data["why"]
        view.attempts = max(view.attempts, data["attempt"])
        if view.phase is Phase.RUNNING:
            view.started = event.time
        elif view.phase in TERMINAL:
            view.ended = event.time
    elif event.kind == "stats":
        view.peak_memory = data["peak_memory"]
        view.cpu_seconds = data["cpu_seconds"]
    elif event.kind == "error":
        view.error = data["sentence"]
    elif event.kind == "result":
        view.result = f"{data['type']}, {data['size']} bytes"
