"""What ``import flyte`` and ``import flyte_jupyter`` give inside a task.

The declarations are the same as in the notebook; what starts runs is not here, since a task calls
other tasks by calling them.
"""

from __future__ import annotations

from typing import Any

from flyte_jupyter import errors
from flyte_jupyter.spec import *  # noqa: F403
from flyte_jupyter.worker import remote
from flyte_jupyter.worker.context import TaskContext, current_context
from flyte_jupyter.worker.mapping import map  # noqa: A004
from flyte_jupyter.worker.remote import reference_task, reference_tasks

__all__ = [
    *__import__("flyte_jupyter.spec", fromlist=["__all__"]).__all__,
    "ctx",
    "errors",
    "init",
    "map",
    "reference_task",
    "reference_tasks",
    "remote",
    "run",
]


def ctx() -> TaskContext:
    """Return what is known of the running call: run, action, attempt (``flyte.ctx``)."""
    return current_context.get()


def init(*_: Any, **__: Any) -> None:
    """Do nothing: a module that starts Flyte when it is imported may be shipped with a task."""


def run(task: Any, *_: Any, **__: Any) -> Any:
    """Refuse: a task calls another task by calling it.

    Raises:
        EngineError: always.
    """
    name = getattr(task, "short_name", "task")
    raise errors.EngineError(
        "flyte.run starts a run from outside and cannot be used inside a task.",
        remedy=f"Call the task itself: {name}(...), or await {name}(...) in an async body.",
    )
