"""From a task to its capsule, and to the capsules of all tasks that it may call."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flyte_jupyter.capsule.collect import Collector
from flyte_jupyter.capsule.hashing import feed
from flyte_jupyter.capsule.model import Capsule, Place, PythonNeed, Report
from flyte_jupyter.capsule.sources import short_label
from flyte_jupyter.capsule.spec_values import interface_of_task
from flyte_jupyter.capsule.types_named import ship_named_types
from flyte_jupyter.capsule.values import buffer_node
from flyte_jupyter.errors import CapsuleError

if TYPE_CHECKING:
    from flyte_jupyter.spec.task import Task

__all__ = ["FORMAT", "build_capsule", "collect_units", "finish", "gather"]

FORMAT = 1


def build_capsule(task: Task) -> Capsule:
    """Make the code of a task shippable.

    Args:
        task: a task with a function.

    Returns:
        The capsule, with what is worth knowing in its report.

    Raises:
        CapsuleError: something that the code reads cannot be sent, or the task has no code here.
    """
    collector, root = gather(task)
    if collector.errors:
        raise collector.errors[0]
    return finish(collector, root, task=task)


def gather(task: Task) -> tuple[Collector, int]:
    """Walk from a task to all that it needs; errors are left in the collector.

    Raises:
        CapsuleError: the task has no code here.
    """
    function: Any = task.func
    if function is None:
        raise CapsuleError(
            f"{task.name!r} is a reference to a task whose code is elsewhere.",
            remedy="Run it by reference; it has no code to ship from here.",
        )
    inner = _innermost(function)
    collector = Collector(getattr(inner, "__globals__", {}))
    code = getattr(inner, "__code__", None)
    label = short_label(code.co_filename) if code is not None else ""
    place = Place(task.func_name, "", label, code.co_firstlineno if code is not None else 0)
    root = 0
    try:
        root = collector.ship_root(task, function, place)
        ship_named_types(collector, inner, place)
    except CapsuleError as error:
        collector.errors.append(error)
    collector.settle()
    return collector, root


def _innermost(function: Any) -> Any:
    while getattr(function, "__wrapped__", None) is not None:
        function = function.__wrapped__
    return function


def finish(
    collector: Collector,
    root: int,
    *,
    task: Any = None,
    name: str = "",
    is_async: bool = False,
    cell: dict[str, Any] | None = None,
    counted: Any = None,
) -> Capsule:
    """Put together what a collector has gathered.

    Args:
        collector: it.
        root: the entry of the function.
        task: the task, if there is one.
        name: name where there is no task.
        is_async: where there is no task: whether a call gives a coroutine.
        cell: the body of a cell, where that is what runs.
        counted: what of the cell is hashed.
    """
    imports = collector.imports
    contents = {
        path: buffer_node(collector, data) for path, data in sorted(imports.contents.items())
    }
    need = _python_need(collector)
    payload: dict[str, Any] = {
        "format": FORMAT,
        "name": task.name if task is not None else name,
        "is_async": bool(task.is_async) if task is not None else is_async,
        "interface": interface_of_task(task) if task is not None else None,
        "python": list(need.exact) if need.exact else None,
        "why_python": need.why,
        "sources": collector.sources,
        "spaces": collector.space_names,
        "entries": collector.entries,
        "order": collector.order,
        "binds": [list(one) for one in collector.binds],
        "classes": collector.class_names,
        "files": contents,
        "root": root,
        "cell": cell,
    }
    digest = _hash(collector, root, payload, counted)
    return Capsule(
        name=payload["name"],
        hash=digest,
        key=_key(digest, collector),
        payload=payload,
        buffers=tuple(collector.buffers),
        children=tuple(collector.child_tasks),
        modules=imports.top_names,
        python=need,
        report=Report(
            tuple(collector.symbols),
            tuple(imports.found.values()),
            tuple(imports.files),
            tuple(collector.warnings),
            tuple(collector.errors),
        ),
        task=task,
        child_tasks=dict(collector.child_tasks),
        classes=dict(collector.classes),
        size=_size(payload, collector),
    )


def _python_need(collector: Collector) -> PythonNeed:
    if collector.exact:
        version = (sys.version_info[0], sys.version_info[1])
        return PythonNeed(None, version, collector.exact[0])
    if collector.needs:
        version, why = max(collector.needs, key=lambda one: one[0])
        return PythonNeed(version, None, why)
    return PythonNeed()


def _hash(collector: Collector, root: int, payload: Mapping[str, Any], cell: Any) -> str:
    """Hash what the code does: symbols, values, files; no cell numbers, no lines."""
    digest = hashlib.sha256()
    counted = [FORMAT, collector.canon, payload["binds"], root, payload["is_async"]]
    for one in (counted, sorted(collector.imports.digests), cell):
        feed(digest, one)
    return digest.hexdigest()


def _key(digest: str, collector: Collector) -> str:
    """Name this very payload: the same code at other lines is another one to a traceback."""
    stamp = hashlib.sha256(digest.encode())
    for source in collector.sources:
        stamp.update(source["file"].encode() + b"\0" + source["text"].encode() + b"\0")
    return stamp.hexdigest()


def _size(payload: Mapping[str, Any], collector: Collector) -> int:
    text = len(json.dumps(payload))
    return text + sum(memoryview(one).nbytes for one in collector.buffers)


def collect_units(task: Task) -> dict[str, Capsule]:
    """Make the capsules of a task and of all tasks that it may call, by full name.

    Args:
        task: the task that is run.

    Raises:
        CapsuleError: one of them cannot be shipped.
    """
    from flyte_jupyter.capsule.cache import CapsuleCache

    return CapsuleCache().units(task)
