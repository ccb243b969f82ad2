"""What ``flyte.remote`` gives inside a task: references that were made outside, and no others."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from flyte_jupyter.errors import EngineError
from flyte_jupyter.spec.reference import ReferenceTask

__all__ = ["Task", "note_reference", "reference_task", "reference_tasks"]

_known: Dict[Tuple[str, Optional[str]], Dict[str, ReferenceTask]] = {}


def note_reference(reference: ReferenceTask) -> None:
    """Remember a reference that came with the code, for the files that look it up again."""
    known = _known.setdefault((reference.name, reference.version), {})
    known[reference.address] = reference


def reference_task(
    name: str,
    *,
    version: Optional[str] = None,
    project: Optional[str] = None,
    target: Optional[str] = None,
) -> ReferenceTask:
    """Return a reference that came with the code: a file that travels along makes its own again.

    Raises:
        EngineError: there is none; deployed tasks are looked up where runs begin.
    """
    for known in _known.get((name, version), {}).values():
        if project in (None, known.project) and target in (None, known.target):
            return known
    raise EngineError(
        f"The deployed task {name!r} cannot be looked up inside a task.",
        remedy="Make the reference outside the task, in a cell or at the top of a file, and call "
        "it in the body.",
    )


def reference_tasks(*names: str, **options: Any) -> Tuple[ReferenceTask, ...]:
    """Return several; see :func:`reference_task`."""
    return tuple(reference_task(name, **options) for name in names)


class _Get:
    def __call__(
        self,
        name: str,
        project: Optional[str] = None,
        domain: Optional[str] = None,
        version: Optional[str] = None,
        auto_version: Optional[str] = None,
        *,
        target: Optional[str] = None,
    ) -> ReferenceTask:
        del domain, auto_version
        return reference_task(name, version=version, project=project, target=target)

    async def aio(self, *args: Any, **kwargs: Any) -> ReferenceTask:
        """Return the same in asynchronous code."""
        return self(*args, **kwargs)


class Task:
    """Deployed tasks, as far as they came with the code."""

    get = _Get()
