"""What a deployed task takes, as annotations: for inputs that are written as text."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

from flyte_jupyter.launching.reading import annotations_of
from flyte_jupyter.spec.reference import ReferenceTask
from flyte_jupyter.spec.task import Task

__all__ = ["annotations_for"]

Schema = Mapping[str, Any]


def annotations_for(task: Task, *, extras: bool = False) -> dict[str, Any]:
    """Return parameter → annotation of any task; what is not known here is ``Any``.

    Args:
        task: the task.
        extras: whether to keep what ``Annotated`` adds to a type.
    """
    if isinstance(task, ReferenceTask):
        inputs = (task.interface or {}).get("inputs", {})
        return {name: _annotation(one["schema"]) for name, one in inputs.items()}
    return annotations_of(task.func, extras=extras) if task.func is not None else {}


def _annotation(schema: Schema) -> Any:
    if "union" in schema:
        return typing.Union[tuple(_annotation(one) for one in schema["union"])]  # noqa: UP007
    if "literal" in schema:
        plain = tuple(schema["literal"])
        written = all(isinstance(one, (str, int)) for one in plain)
        literal: Any = typing.Literal
        return literal[plain] if written else Any
    name = str(schema.get("type", ""))
    if name in _CONTAINERS:
        return _CONTAINERS[name](schema)
    return _SCALARS.get(name, Any)


def _tuple(schema: Schema) -> Any:
    kind: Any = tuple
    if "each" in schema:
        return kind[tuple(_annotation(one) for one in schema["each"])]
    return kind[_inner(schema, "items"), ...]


def _inner(schema: Schema, part: str) -> Any:
    return _annotation(schema.get(part, {}))


_SCALARS: dict[str, Any] = {
    "None": None,
    **{kind.__name__: kind for kind in (bool, bytes, complex, float, int, str)},
    **{
        f"{kind.__module__}.{kind.__name__}": kind
        for kind in (Decimal, Fraction, UUID, date, datetime, time, timedelta)
    },
    "pathlib.Path": Path,
}
_CONTAINERS: dict[str, Callable[[Schema], Any]] = {
    "list": lambda schema: list[_inner(schema, "items")],  # type: ignore[misc]
    "set": lambda schema: set[_inner(schema, "items")],  # type: ignore[misc]
    "frozenset": lambda schema: frozenset[_inner(schema, "items")],  # type: ignore[misc]
    "dict": lambda schema: dict[_inner(schema, "keys"), _inner(schema, "values")],  # type: ignore[misc]
    "tuple": _tuple,
}
