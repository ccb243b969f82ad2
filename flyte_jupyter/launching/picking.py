"""Variables of the notebook that fit a field, found by their type and never copied."""

from __future__ import annotations

import os
import types
from collections.abc import Iterator, Mapping
from typing import Any

from flyte_jupyter.launching.fields import Field
from flyte_jupyter.spec import Task, TaskEnvironment
from flyte_jupyter.wire.values.naming import name_of_type

__all__ = ["fitting", "in_short", "paths"]

# what a notebook has beside its values
NO_VALUES = (
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.GenericAlias,
    type,
    Task,
    TaskEnvironment,
)
NO_MODULES = ("typing", "__future__")
SHELL = ("In", "Out", "exit", "quit", "get_ipython", "open")
MANY = 200
MOST_PATHS = 50


def fitting(field: Field, notebook: Mapping[str, Any]) -> list[str]:
    """Return the names of variables whose type a field takes, in the order of the notebook.

    Args:
        field: the field; one that takes anything is offered every value.
        notebook: the variables.
    """
    wanted = set(_names(field.schema))
    found = [
        name
        for name, value in list(notebook.items())
        if not name.startswith("_")
        and name not in SHELL
        and not isinstance(value, NO_VALUES)
        and type(value).__module__ not in NO_MODULES
        and (not wanted or wanted & set(_of(type(value))))
    ]
    return found[-MANY:]


def paths(text: str) -> list[str]:
    """Return the paths of this machine that begin so; of folders with a slash behind them.

    Args:
        text: the beginning of a path, from the kernel's folder on.
    """
    folder, slash, begun = text.rpartition("/")
    try:
        with os.scandir(folder or slash or ".") as found:
            names = [one.name + "/" * one.is_dir() for one in found]
    except OSError:  # of no such folder
        return []
    hidden = begun.startswith(".")
    fitting = (one for one in names if one.startswith(begun) and (hidden or one[0] != "."))
    return [f"{folder}{slash}{name}" for name in sorted(fitting)[:MOST_PATHS]]


def in_short(value: Any) -> str:
    """Return type and size of a value: ``DataFrame 100 x 3``, ``list of 12``."""
    name = type(value).__name__
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and all(isinstance(one, int) for one in shape):
        return f"{name} {' x '.join(map(str, shape))}".rstrip()
    if isinstance(value, (list, tuple, set, frozenset, dict, bytes)):
        return f"{name} of {len(value)}"
    return name


def _names(schema: Mapping[str, Any]) -> Iterator[str]:
    if "type" in schema and schema["type"] != "None":
        yield str(schema["type"])
    for one in schema.get("union", ()):
        yield from _names(one)


def _of(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        if base is not object:
            yield name_of_type(base.__module__, base.__qualname__)
