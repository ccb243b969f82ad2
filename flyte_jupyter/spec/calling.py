"""Where the call of a task goes: to the plain function, or to the run that surrounds it.

A kernel has no dispatcher, so there a task is its function. Inside a container the worker sets one
before it runs user code. It is one per process and no context variable: a thread that user code
starts belongs to the same run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Awaitable, Mapping, Protocol, Sequence

if TYPE_CHECKING:
    from flyte_jupyter.spec.task import Task

__all__ = ["Dispatcher", "current_dispatcher", "set_dispatcher"]


class Dispatcher(Protocol):
    """What carries the calls of tasks away."""

    def call(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Answer ``task(...)``: the value of a sync task, an awaitable for an async one."""

    def aio(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        """Answer ``task.aio(...)``: an awaitable in either case."""


# `Task.__call__` reads this directly: a call outside a run must cost next to nothing.
dispatcher: Dispatcher | None = None


def current_dispatcher() -> Dispatcher | None:
    """Return the dispatcher of this process, or None outside a run."""
    return dispatcher


def set_dispatcher(new: Dispatcher | None) -> Dispatcher | None:
    """Send every call of a task in this process to ``new``.

    Args:
        new: the dispatcher, or None to call plain functions again.

    Returns:
        The one before.
    """
    global dispatcher
    before, dispatcher = dispatcher, new
    return before
