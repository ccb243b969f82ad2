"""Where a task finds out about its own run: ``flyte.ctx()``."""

from __future__ import annotations

import contextvars
from dataclasses import dataclass
from typing import Any, Dict

__all__ = ["TaskContext", "current_context"]


@dataclass(frozen=True)
class TaskContext:
    """The call that is being run, as ``flyte.ctx()`` gives it.

    Args:
        run: name of the run.
        action: name of the action within it.
        task: full name of the task.
        environment: name of the environment.
        attempt_number: 0 for the first try, as in Flyte.
        pickle: whether values may travel as pickle.
    """

    run: str = ""
    action: str = ""
    task: str = ""
    environment: str = ""
    attempt_number: int = 0
    pickle: bool = True

    @classmethod
    def of(cls, header: Dict[str, Any]) -> TaskContext:
        """Return the context that the header of a call tells."""
        return cls(
            header["run"],
            header["action"],
            header["task"],
            header["environment"],
            header["attempt"] - 1,
            header.get("pickle", True),
        )


_OUTSIDE = TaskContext()

current_context: contextvars.ContextVar[TaskContext] = contextvars.ContextVar(
    "flyte_context", default=_OUTSIDE
)
