"""Inputs of a task from text, typed by its signature: ``--rows 1000 --day 2024-05-01``.

Scalars are written as they are, everything with parts (lists, dicts, dataclasses, models) as JSON
or as a literal of Python. A parameter without annotation takes such text, else the text itself.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

from flyte_jupyter.errors import InputError, InputTypeError
from flyte_jupyter.launching.said import length_of_time
from flyte_jupyter.launching.usage import MagicUsageError
from flyte_jupyter.spec.naming import did_you_mean

__all__ = [
    "annotations_of",
    "from_json",
    "from_text",
    "has_fields",
    "is_read",
    "kind_in_words",
    "parsed",
    "unknown_input",
]

YES = ("true", "yes", "on", "1")
NO = ("false", "no", "off", "0")
LISTED = (list, tuple, set, frozenset)


class _UnfitError(Exception):
    """A text or JSON value that an annotation does not take; the message says what it takes."""


def annotations_of(function: Callable[..., Any], *, extras: bool = False) -> dict[str, Any]:
    """Return parameter → annotation; an annotation that cannot be resolved counts as none.

    Args:
        function: the function.
        extras: whether to keep what ``Annotated`` adds to a type.
    """
    try:
        hints = typing.get_type_hints(function, include_extras=extras)
    except Exception:  # a name that only a type checker knows, say
        hints = {
            name: annotation
            for name, annotation in getattr(function, "__annotations__", {}).items()
            if not isinstance(annotation, str)
        }
    return {name: hints.get(name, Any) for name in inspect.signature(function).parameters}


def from_text(name: str, text: str, annotation: Any) -> Any:
    """Return the value that a text means for a parameter.

    Args:
        name: the parameter, for the message.
        text: what was written.
        annotation: its type; ``Any`` for none.

    Raises:
        InputTypeError: the text is no such value.
    """
    try:
        return _text(text, annotation)
    except _UnfitError as unfit:
        raise InputTypeError(f"--{name.replace('_', '-')} takes {unfit}, not {text!r}") from None


def from_json(name: str, value: Any, annotation: Any) -> Any:
    """Return the value of an annotated type from what JSON gave.

    Raises:
        InputTypeError: it does not fit.
    """
    try:
        return _json(value, annotation)
    except _UnfitError as unfit:
        raise InputTypeError(f"{name} takes {unfit}, not {json.dumps(value)}") from None


def is_read(annotation: Any) -> bool:
    """Return whether a text can mean a value of a type, so that it can be written at all."""
    if annotation in (Any, None, type(None), object) or annotation in _SCALARS:
        return True
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return is_read(inner[0])
    if origin is typing.Literal:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(map(is_read, inner))
    kind = origin or annotation
    if not isinstance(kind, type):
        return True  # a type variable, say: whatever is written
    if kind in _CONTAINERS:
        return all(map(is_read, (one for one in inner if one is not ...)))
    return (
        issubclass(kind, enum.Enum)
        or typing.is_typeddict(annotation)
        or dataclasses.is_dataclass(kind)
        or has_fields(kind)
        or hasattr(kind, "model_validate")
    )


def kind_in_words(annotation: Any) -> str:
    """Return what a parameter takes, for help: ``int``, ``true or false``, ``JSON list``."""
    if annotation is Any or annotation is inspect.Parameter.empty:
        return "anything"
    return str(getattr(annotation, "__name__", None) or annotation).replace("typing.", "")


def _text(text: str, annotation: Any) -> Any:
    if annotation is Any:
        try:
            return parsed(text)
        except ValueError:
            return text
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _text(text, typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return _first(text, typing.get_args(annotation), _text)
    if origin is typing.Literal:
        return _literal(text, typing.get_args(annotation))
    if annotation in (None, type(None)):
        if text.lower() in ("none", "null", ""):
            return None
        raise _UnfitError("none")
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _member(text, annotation)
    if (read := _SCALARS.get(annotation)) is not None:
        try:
            return read[1](text)
        except (ValueError, ArithmeticError, MagicUsageError):
            raise _UnfitError(read[0]) from None
    try:
        value = parsed(text)
    except ValueError as error:
        raise _UnfitError(f"{kind_in_words(annotation)} as JSON ({error})") from None
    return _json(value, annotation)


def parsed(text: str) -> Any:
    """Return what JSON or a literal of Python says.

    Raises:
        ValueError: the text is neither.
    """
    try:
        return json.loads(text)
    except ValueError:
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            pass
        raise  # of the two, JSON says better where it went wrong


def _json(value: Any, annotation: Any) -> Any:
    if annotation is Any:
        return value
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _json(value, inner[0])
    if origin in (typing.Union, types.UnionType):
        return _first(value, inner, _json)
    if origin is typing.Literal:
        if value in inner:
            return value
        raise _UnfitError(f"one of {', '.join(map(repr, inner))}")
    if annotation in (None, type(None)):
        if value is None:
            return None
        raise _UnfitError("null")
    kind = origin or annotation
    if not isinstance(kind, type):
        return value
    if (read := _CONTAINERS.get(kind)) is not None:
        return read(value, inner)
    if typing.is_typeddict(annotation) or dataclasses.is_dataclass(kind) or has_fields(kind):
        return _record(value, kind)
    if hasattr(kind, "model_validate"):
        return _model(value, kind)
    if isinstance(value, str) and (kind in _SCALARS or issubclass(kind, enum.Enum)):
        return value if kind is str else _text(value, kind)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    if issubclass(kind, enum.Enum):
        return _member(value, kind)
    raise _UnfitError(kind_in_words(annotation))


def _first(value: Any, members: tuple[Any, ...], read: Callable[[Any, Any], Any]) -> Any:
    """Return the value by the first member of a union that takes it; text comes last."""
    wanted = []
    for member in sorted(members, key=lambda each: (each is str, each is Any)):
        try:
            return read(value, member)
        except _UnfitError as unfit:
            wanted.append(str(unfit))
    raise _UnfitError(" or ".join(wanted))


def _literal(text: str, members: tuple[Any, ...]) -> Any:
    for member in members:
        if text == str(member):
            return member
    names = [str(member) for member in members]
    raise _UnfitError(f"one of {', '.join(names)}")


def _member(value: Any, kind: type[enum.Enum]) -> enum.Enum:
    for member in kind:
        if value in (member.name, member.value, str(member.value)):
            return member
    names = [member.name for member in kind]
    hint = did_you_mean(str(value), names).removeprefix("; ").removesuffix("?")
    raise _UnfitError(f"one of {', '.join(names)}" + (f" ({hint}?)" if hint else ""))


def _bool(text: str) -> bool:
    if text.lower() in YES:
        return True
    if text.lower() in NO:
        return False
    raise ValueError(text)


_SCALARS: dict[Any, tuple[str, Callable[[str], Any]]] = {
    str: ("text", str),
    bool: ("true or false", _bool),
    int: ("a whole number", int),
    float: ("a number", float),
    complex: ("a complex number", complex),
    Decimal: ("a decimal number", Decimal),
    Fraction: ("a fraction", Fraction),
    datetime: ("a date and time such as 2024-05-01T12:30", datetime.fromisoformat),
    date: ("a date such as 2024-05-01", date.fromisoformat),
    time: ("a time such as 12:30", time.fromisoformat),
    timedelta: ("a length of time such as 90s or 1h30m", lambda text: length_of_time("", text)),
    UUID: ("a UUID", UUID),
    Path: ("a path", Path),
    bytes: ("text", str.encode),
}


def _list(value: Any, inner: tuple[Any, ...]) -> list[Any]:
    if not isinstance(value, LISTED):
        raise _UnfitError("a JSON list")
    return [_json(item, inner[0] if inner else Any) for item in value]


def _tuple(value: Any, inner: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, LISTED):
        raise _UnfitError("a JSON list")
    if len(inner) == 2 and inner[1] is ...:
        return tuple(_list(value, inner[:1]))
    if inner and len(inner) != len(value):
        raise _UnfitError(f"a JSON list of {len(inner)}")
    kinds = inner or (Any,) * len(value)
    return tuple(_json(item, kind) for item, kind in zip(value, kinds, strict=True))


def _dict(value: Any, inner: tuple[Any, ...]) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise _UnfitError("a JSON object")
    key, item = inner or (Any, Any)
    keyed = (
        (_text(name, key) if isinstance(name, str) and key not in (Any, str) else name, each)
        for name, each in value.items()
    )
    return {name: _json(each, item) for name, each in keyed}


_CONTAINERS: dict[Any, Callable[[Any, tuple[Any, ...]], Any]] = {
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: lambda value, inner: set(_list(value, inner)),
    frozenset: lambda value, inner: frozenset(_list(value, inner)),
    typing.get_origin(typing.Sequence[int]): _list,
    typing.get_origin(typing.Iterable[int]): _list,
    typing.get_origin(typing.Mapping[str, int]): _dict,
}


def has_fields(kind: type) -> bool:
    """Return whether a class is a named tuple."""
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def _record(value: Any, kind: Any) -> Any:
    """Return a dataclass, named tuple or typed dict from a JSON object."""
    if not isinstance(value, Mapping):
        raise _UnfitError(f"a JSON object with the fields of {kind.__name__}")
    hints = typing.get_type_hints(kind)
    if unknown := [name for name in value if name not in hints]:
        raise _UnfitError(
            f"the fields of {kind.__name__}; it has no {unknown[0]!r}"
            + did_you_mean(unknown[0], hints).removesuffix("?")
            + ","
        )
    fields = {name: _json(item, hints[name]) for name, item in value.items()}
    try:
        return kind(**fields)
    except TypeError as error:
        raise _UnfitError(f"a {kind.__name__} ({error})") from None


def _model(value: Any, kind: Any) -> Any:
    """Return a pydantic model from a JSON object."""
    try:
        return kind.model_validate(value)
    except ValueError as error:
        raise _UnfitError(f"a {kind.__name__} ({error})") from None


def unknown_input(
    name: str, task: str, parameters: Mapping[str, Any], options: list[str]
) -> InputError:
    """Return the error for ``--name`` that is neither an input of the task nor an option."""
    known = ["--" + parameter.replace("_", "-") for parameter in parameters]
    takes = f"its inputs are {', '.join(known)}" if known else "it takes no inputs"
    return InputError(
        f"{task} has no input --{name}{did_you_mean('--' + name, [*known, *options])}",
        remedy=f"{takes[0].upper()}{takes[1:]}.",
    )
