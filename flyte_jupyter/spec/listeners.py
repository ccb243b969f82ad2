"""Who wants to know of declarations, and who knows which of them is in force: the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

if TYPE_CHECKING:
    from flyte_jupyter.spec.environment import TaskEnvironment
    from flyte_jupyter.spec.task import Task

__all__ = [
    "announce_environment",
    "announce_task",
    "in_force",
    "look_up_by",
    "on_environment",
    "on_task",
    "open_panels_by",
    "panel_of",
]

_environments: list[Callable[[Any], None]] = []
_tasks: list[Callable[[Any], None]] = []
_look_up: Callable[[str], Any] | None = None
_open_panel: Callable[[Any], Any] | None = None


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


def look_up_by(look_up: Callable[[str], Optional[TaskEnvironment]]) -> None:
    """Ask ``look_up`` for the declaration in force of a name, from now on."""
    global _look_up
    _look_up = look_up


def in_force(environment: TaskEnvironment) -> TaskEnvironment:
    """Return the later declaration that has taken the place of an environment, or itself.

    Only the module that declared it can do so again: in a notebook, any of its cells.
    """
    if _look_up is None:
        return environment
    later: TaskEnvironment | None = _look_up(environment.name)
    if later is None or later.origin.module != environment.origin.module:
        return environment
    return later


def open_panels_by(open_panel: Callable[[TaskEnvironment], Any]) -> None:
    """Have ``open_panel`` give the panels of environments, from now on."""
    global _open_panel
    _open_panel = open_panel


def panel_of(environment: TaskEnvironment) -> Any:
    """Return the panel of an environment, ``None`` where nothing has panels: inside a task."""
    return None if _open_panel is None else _open_panel(environment)


def _subscribe(
    to: list[Callable[[Any], None]], callback: Callable[[Any], None]
) -> Callable[[], None]:
    to.append(callback)

    def unsubscribe() -> None:
        if callback in to:
            to.remove(callback)

    return unsubscribe
