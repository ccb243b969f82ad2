"""Who wants to know of declarations: the catalog of a session subscribes here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from flyte_jupyter.spec.environment import TaskEnvironment
    from flyte_jupyter.spec.task import Task

__all__ = ["announce_environment", "announce_task", "on_environment", "on_task"]

_environments: list[Callable[[Any], None]] = []
_tasks: list[Callable[[Any], None]] = []


def on_environment(callback: Callable[[TaskEnvironment], None]) -> Callable[[], None]:
    """Call ``callback`` with every `TaskEnvironment` made from now on.

    Returns:
        A function that ends the subscription; calling it again does nothing.
    """
    return _subscribe(_environments, callback)


def on_task(callback: Callable[[Task], None]) -> Callable[[], None]:
    """Call ``callback`` with every `Task` declared from now on (overridden copies are none).

    Returns:
        A function that ends the subscription; calling it again does nothing.
    """
    return _subscribe(_tasks, callback)


def announce_environment(environment: TaskEnvironment) -> None:
    """Tell the subscribers of a new environment, in the order in which they came."""
    for callback in tuple(_environments):
        callback(environment)


def announce_task(task: Task) -> None:
    """Tell the subscribers of a new task, in the order in which they came."""
    for callback in tuple(_tasks):
        callback(task)


def _subscribe(
    to: list[Callable[[Any], None]], callback: Callable[[Any], None]
) -> Callable[[], None]:
    to.append(callback)

    def unsubscribe() -> None:
        if callback in to:
            to.remove(callback)

    return unsubscribe
