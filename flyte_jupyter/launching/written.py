"""Values as Python source: what has to be typed in this notebook to have an equal one."""

from __future__ import annotations

import dataclasses
import enum
import sys
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID

__all__ = ["Unwritable", "Writer"]

PLAIN = (bool, int, str, bytes, type(None))
DATES = (datetime, date, time)
BY_TEXT = (Decimal, Fraction, UUID, PurePath, complex)


class Unwritable(Exception):
    """A value that no source of one line makes: a data frame, an object of a class."""


class Writer:
    """Writes values, and notes what has to be imported for them.

    Args:
        notebook: the names that the source may use.
    """

    def __init__(self, notebook: Mapping[str, Any]) -> None:
        self._notebook = notebook
        self.imports: dict[str, None] = {}
        """Lines that have to stand above, in order."""

    def write(self, value: Any) -> str:
        """Return the source of a value.

        Raises:
            Unwritable: there is none.
        """
        kind = type(value)
        if kind in PLAIN:
            return repr(value)
        if kind is float:
            text = repr(value)
            return text if text[-1].isdigit() else f"float({text!r})"
        if isinstance(value, enum.Enum):
            return f"{self.name(kind)}.{value.name}"
        if kind in (list, tuple, set, frozenset, dict):
            return self._container(value)
        if kind in DATES:
            return f"{self.name(kind)}.fromisoformat({value.isoformat()!r})"
        if kind is timedelta:
            return f"{self.name(kind)}({repr(value).partition('(')[2]}"
        if isinstance(value, BY_TEXT):
            return f"{self.name(_public(kind))}({str(value)!r})"
        return self._object(value)

    def name(self, thing: Any) -> str:
        """Return how a class or a module's member is called here, imported if it has to be."""
        name, module = str(thing.__qualname__), str(thing.__module__)
        if module == "builtins" or self._notebook.get(name) is thing:
            return name
        for bound, value in list(self._notebook.items()):
            if value is thing and not bound.startswith("_"):
                return bound
        if self._notebook.get(module) is sys.modules.get(module, self):
            return f"{module}.{name}"
        if module == "__main__":
            return name
        if name in self._notebook:  # another thing has its name
            self.imports[f"import {module}"] = None
            return f"{module}.{name}"
        self.imports[f"from {module} import {name.partition('.')[0]}"] = None
        return name

    def call(self, function: str, args: Mapping[str, Any]) -> str:
        """Return the source of a call by keywords, whose values are written."""
        inner = ", ".join(f"{name}={self.write(value)}" for name, value in args.items())
        return f"{function}({inner})"

    def _container(self, value: Any) -> str:
        if isinstance(value, dict):
            return (
                "{" + ", ".join(f"{self.write(k)}: {self.write(v)}" for k, v in value.items()) + "}"
            )
        inner = ", ".join(map(self.write, value))
        if isinstance(value, frozenset):
            return f"frozenset([{inner}])"
        if isinstance(value, tuple):
            return f"({inner},)" if len(value) == 1 else f"({inner})"
        if isinstance(value, set):
            return "{" + inner + "}" if value else "set()"
        return f"[{inner}]"

    def _object(self, value: Any) -> str:
        kind = type(value)
        if dataclasses.is_dataclass(kind):
            fields = [one for one in dataclasses.fields(kind) if one.init]
            return self.call(
                self.name(kind),
                {
                    one.name: getattr(value, one.name)
                    for one in fields
                    if not _is_default(one, getattr(value, one.name))
                },
            )
        if hasattr(kind, "model_fields"):
            given = {name: getattr(value, name) for name in kind.model_fields}
            said = {name: given[name] for name in given if name in value.model_fields_set}
            return self.call(self.name(kind), said)
        if isinstance(value, tuple) and hasattr(value, "_asdict"):
            return self.call(self.name(kind), value._asdict())
        for name, bound in list(self._notebook.items()):
            if bound is value and not name.startswith("_"):
                return name
        raise Unwritable(kind.__qualname__)


def _public(kind: type) -> type:
    """Return the class that a user writes: a path is made by ``Path``, whatever the system."""
    from pathlib import Path

    return Path if issubclass(kind, Path) else kind


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return type(default) is type(value) and bool(default == value)
