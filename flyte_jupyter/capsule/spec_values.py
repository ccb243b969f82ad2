"""Tasks and environments that code names: stubs, without their code and packages."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from flyte_jupyter.capsule.model import Place, Symbol
from flyte_jupyter.capsule.types_named import ship_named_types
from flyte_jupyter.spec.environment import TaskEnvironment
from flyte_jupyter.spec.reference import ReferenceTask
from flyte_jupyter.spec.settings import to_plain
from flyte_jupyter.spec.task import Task
from flyte_jupyter.wire.schema import interface_of

if TYPE_CHECKING:
    from flyte_jupyter.capsule.collect import Collector

__all__ = ["interface_of_task", "is_spec", "ship_spec"]


def is_spec(value: object) -> bool:
    """Say whether an object is a task or an environment."""
    return isinstance(value, (Task, TaskEnvironment))


def ship_spec(collector: Collector, value: Any, place: Place) -> int:
    """Add a stub for a task, or the name of an environment."""
    if isinstance(value, Task):
        return _ship_task(collector, value, place)
    return _ship_environment(collector, value, place)


def _ship_task(collector: Collector, task: Task, place: Place) -> int:
    fields = {
        "env": task.env_name,
        "func": task.func_name,
        "is_async": task.is_async,
        "parameters": [
            [one.name, int(one.kind), one.default is not inspect.Parameter.empty]
            for one in task.signature.parameters.values()
        ],
        "interface": interface_of_task(task),
        "settings": to_plain(task.settings),
        "overrides": to_plain(task.overrides),
        "doc": task.doc,
    }
    if isinstance(task, ReferenceTask):
        # what was found there is no part of it: the code stays the same after another deployment
        fields["place"] = [task.project, task.target, task.version]
    index = collector.simple("task", **fields)
    collector.child(task)
    if task.func is not None:
        ship_named_types(collector, task.func, place)
    note = "deployed" if isinstance(task, ReferenceTask) else ""
    note = "overridden" if task.overrides else note
    collector.symbols.append(Symbol(place.name, "task", task.name, 0, note))
    return index


_interfaces: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def interface_of_task(task: Task) -> Any:
    """Return what a task takes and gives, as schemas; ``None`` where nothing is known."""
    if task.func is None:
        return getattr(task, "interface", None)
    if task.func not in _interfaces:
        _interfaces[task.func] = interface_of(task.func)
    return _interfaces[task.func]


def _ship_environment(collector: Collector, environment: Any, place: Place) -> int:
    index = collector.simple("environment", name=environment.name)
    collector.symbols.append(Symbol(place.name, "environment", environment.name, 0))
    return index
