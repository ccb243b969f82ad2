"""Tasks and environments as the code of another task sees them: names to call, without code."""

from __future__ import annotations

import inspect
from typing import Any, Mapping

from flyte_jupyter.spec.environment import TaskEnvironment
from flyte_jupyter.spec.reference import Deployed, OverriddenReference, ReferenceTask
from flyte_jupyter.spec.settings import from_plain
from flyte_jupyter.spec.task import OverriddenTask, Task

__all__ = ["environment_stub", "task_stub"]


def task_stub(entry: Mapping[str, Any]) -> Task:
    """Return a task without a function, made from its signature.

    Args:
        entry: of the capsule's payload.
    """
    parameters = [
        inspect.Parameter(
            name,
            inspect._ParameterKind(kind),
            default=... if has_default else inspect.Parameter.empty,
        )
        for name, kind, has_default in entry["parameters"]
    ]
    if entry.get("place"):
        referred: Any = OverriddenReference if entry["overrides"] else ReferenceTask
        reference: Task = referred(
            env_name=entry["env"],
            func_name=entry["func"],
            signature=inspect.Signature(parameters),
            is_async=entry["is_async"],
            place=Deployed(*entry["place"]),
            interface=entry["interface"],
            overrides=from_plain(entry["overrides"]),
            doc=entry["doc"],
        )
        return reference
    made: Any = OverriddenTask if entry["overrides"] else Task
    stub: Task = made(
        None,
        env_name=entry["env"],
        func_name=entry["func"],
        signature=inspect.Signature(parameters),
        is_async=entry["is_async"],
        settings=from_plain(entry["settings"]),
        overrides=from_plain(entry["overrides"]),
        doc=entry["doc"],
    )
    stub.interface = entry["interface"]  # type: ignore[attr-defined]
    return stub


def environment_stub(entry: Mapping[str, Any]) -> TaskEnvironment:
    """Return an environment of that name, without what is declared for it.

    Args:
        entry: of the capsule's payload.
    """
    return TaskEnvironment(name=entry["name"])
