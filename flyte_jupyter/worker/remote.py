"""What ``flyte.remote`` gives inside a task: the sentence that says where it belongs."""

from __future__ import annotations

from typing import Any

from flyte_jupyter.errors import EngineError

__all__ = ["Task", "reference_task", "reference_tasks"]


def reference_task(name: str, *_: Any, **__: Any) -> Any:
    """Refuse: a deployed task is looked up where runs begin.

    Raises:
        EngineError: always.
    """
    raise EngineError(
        f"The deployed task {name!r} cannot be looked up inside a task.",
        remedy="Make the reference outside the task, in a cell or at the top of its file, and call "
        "it in the body.",
    )


reference_tasks = reference_task


class _Get:
    def __call__(self, name: str, *_: Any, **__: Any) -> Any:
        return reference_task(name)

    async def aio(self, name: str, *_: Any, **__: Any) -> Any:
        """Refuse likewise."""
        return reference_task(name)


class Task:
    """Deployed tasks, which cannot be looked up here."""

    get = _Get()
