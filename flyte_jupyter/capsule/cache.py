"""Capsules kept as long as nothing that they captured has changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flyte_jupyter.capsule.build import finish, gather
from flyte_jupyter.capsule.classes import source_hash
from flyte_jupyter.capsule.collect import MISSING, Collector, cell_value
from flyte_jupyter.capsule.hashing import digest_of
from flyte_jupyter.capsule.values import counted
from flyte_jupyter.errors import CapsuleError

if TYPE_CHECKING:
    from flyte_jupyter.capsule.model import Capsule
    from flyte_jupyter.spec.task import Task

__all__ = ["CapsuleCache"]

# A session that makes tasks in a loop should not keep every one of them.
MOST = 512


class CapsuleCache:
    """Gives the capsule of a task, built again only if it would be another one.

    Names must still hold the same objects and functions the same code; values that can change in
    place are encoded again and compared; files of local modules are looked at.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], tuple[Task, Capsule, Collector]] = {}
        self._classes: dict[tuple[str, str, str], type] = {}

    def get(self, task: Task) -> Capsule:
        """Return the present capsule of a task.

        Args:
            task: a task with a function.

        Raises:
            CapsuleError: something that the code reads cannot be sent.
        """
        key = id(task.func), task.name  # what override() gives has the same code
        kept = self._kept.get(key)
        if kept is not None and kept[0].func is task.func and _is_current(kept[2]):
            return kept[1]
        collector, root = gather(task)
        if collector.errors:
            raise collector.errors[0]
        capsule = finish(collector, root, task=task)
        while len(self._kept) >= MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = task, capsule, collector
        for (module, qualname), cls in capsule.classes.items():
            digest = source_hash(cls)
            if digest is not None:
                self._classes[module, qualname, digest] = cls
        return capsule

    def class_hash(self, cls: type) -> str | None:
        """Return the hash of how a class of the notebook is written, for ``wire.values.encode``."""
        return source_hash(cls)

    def classes(self, module: str, qualname: str, digest: str | None = None) -> type | None:
        """Find a class of the notebook, for ``wire.values.decode``.

        Args:
            module: its module; only ``__main__`` is known here.
            qualname: its qualified name.
            digest: hash of how it was written where the value comes from.

        Returns:
            The present class if that agrees, else the one that was shipped, ``None`` if unknown.
        """
        if module != "__main__":
            return None
        found: Any = sys.modules.get(module)
        for part in qualname.split("."):
            found = getattr(found, part, None)
        present = found if isinstance(found, type) else None
        if digest is None or (present is not None and source_hash(present) == digest):
            return present
        return self._classes.get((module, qualname, digest), present)

    def units(self, task: Task) -> dict[str, Capsule]:
        """Return the capsules of a task and of all tasks that it may call, by full name.

        Args:
            task: the task that is run.

        Raises:
            CapsuleError: one of them cannot be shipped.
        """
        found: dict[str, Capsule] = {}
        waiting = {task.name: task}
        while waiting:
            name, one = waiting.popitem()
            if one.func is None:
                continue
            found[name] = capsule = self.get(one)
            for child, child_task in capsule.child_tasks.items():
                if child not in found:
                    waiting.setdefault(child, child_task)
        return found


def _is_current(collector: Collector) -> bool:
    for namespace, name, value in collector.identities:
        if namespace.get(name, MISSING) is not value:
            return False
    for function, code, defaults, kwdefaults in collector.functions:
        if (
            function.__code__ is not code
            or function.__defaults__ is not defaults
            or function.__kwdefaults__ is not kwdefaults
        ):
            return False
    for holder, items in collector.holders:
        if not _same_items(vars(holder), items):
            return False
    for cell, value in collector.cells:
        if cell_value(cell) is not value:
            return False
    return _values_are_current(collector) and _files_are_current(collector.imports.stamps)


def _same_items(now: Mapping[str, Any], then: Mapping[str, Any]) -> bool:
    if len(now) != len(then):
        return False
    return all(now.get(name, MISSING) is value for name, value in then.items())


def _values_are_current(collector: Collector) -> bool:
    for value, digest in collector.values:
        try:
            if digest_of(counted(value)) != digest:
                return False
        except (CapsuleError, TypeError):
            return False
    return True


def _files_are_current(stamps: dict[str, int]) -> bool:
    for path, stamp in stamps.items():
        try:
            if os.stat(path).st_mtime_ns != stamp:
                return False
        except OSError:
            return False
    return True
