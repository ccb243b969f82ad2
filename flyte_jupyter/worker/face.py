"""What ``import flyte`` and ``import flyte_jupyter`` give inside a task.

The declarations are the same as in the notebook; what starts runs is not here, since a task calls
other tasks by calling them.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from typing import Any, Optional, Sequence

from flyte_jupyter import errors
from flyte_jupyter.spec import *  # noqa: F403
from flyte_jupyter.worker.context import TaskContext, current_context
from flyte_jupyter.worker.mapping import map  # noqa: A004

__all__ = [
    *__import__("flyte_jupyter.spec", fromlist=["__all__"]).__all__,
    "ctx",
    "errors",
    "init",
    "install_alias",
    "map",
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


class _Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``flyte`` and what is below it under the name of this package."""

    def find_spec(self, name: str, path: Optional[Sequence[str]] = None, target: Any = None) -> Any:
        """Return a spec for ``flyte`` and its modules."""
        del path, target
        if name == "flyte" or name.startswith("flyte."):
            return importlib.util.spec_from_loader(name, self)
        return None

    def create_module(self, spec: Any) -> Any:
        """Return the module of the same place in this package."""
        return importlib.import_module("flyte_jupyter" + spec.name[len("flyte") :])

    def exec_module(self, module: Any) -> None:
        """Do nothing: the module has run under its own name."""


def install_alias() -> None:
    """Make ``import flyte`` give this package, ahead of an official one in the image."""
    if not any(isinstance(finder, _Alias) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Alias())
