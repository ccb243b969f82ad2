"""What a task takes, as a tree of fields: one for each input, with those of records inside."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Any

from flyte_jupyter.launching.interfaces import annotations_for
from flyte_jupyter.launching.reading import has_fields, is_read
from flyte_jupyter.spec.reference import ReferenceTask
from flyte_jupyter.spec.task import Task
from flyte_jupyter.wire.schema import ANY, bounds_of, describe, schema_of

__all__ = ["NOTHING", "Field", "Kind", "fields_of", "schema_with_none", "walk"]

NOTHING: Any = inspect.Parameter.empty
"""No default: the input has to be given."""

# a record inside a record inside a record ... is written as text from here on
DEEP = 4


class Kind(StrEnum):
    """How a field is filled in."""

    TEXT = "text"
    WHOLE = "whole"
    NUMBER = "number"
    SWITCH = "switch"
    CHOICE = "choice"
    DATE = "date"
    MOMENT = "moment"
    TIME = "time"
    SPAN = "span"
    PATH = "path"
    LITERAL = "literal"
    """As JSON or as a literal of Python: lists, dicts, tuples, sets, unions, anything."""
    RECORD = "record"
    """Field by field: a dataclass, a model of pydantic, a named tuple, a typed dict."""
    VARIABLE = "variable"
    """A value of the notebook, by the name of its variable: data frames, arrays, objects."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form.

    Args:
        path: where it is: the name of the input, then the names of fields within it.
        annotation: its type, with what ``Annotated`` says beside it.
        kind: how it is filled in.
        type: its type in words.
        schema: its type, to hold a value against.
        default: its value where nothing is said; `NOTHING` if it has to be given.
        optional: whether ``None`` may be given.
        choices: words of what can be chosen, in order.
        bounds: what a number is held to: ``ge``, ``gt``, ``le``, ``lt``.
        unit: what ``Annotated`` calls its unit, or the empty string.
        hint: what it is for, in one sentence, or the empty string.
        fields: those of a record.
        of: the class of a record.
        variadic: ``*`` or ``**`` where it gathers what other inputs leave, else empty.
    """

    path: tuple[str, ...]
    annotation: Any
    kind: Kind
    type: str
    schema: Mapping[str, Any]
    default: Any = NOTHING
    optional: bool = False
    choices: tuple[str, ...] = ()
    bounds: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    unit: str = ""
    hint: str = ""
    fields: tuple[Field, ...] = ()
    of: Any = None
    variadic: str = ""

    @property
    def name(self) -> str:
        """Its name within what it belongs to."""
        return self.path[-1]

    @property
    def key(self) -> str:
        """Its path as one word: ``config.rate``."""
        return ".".join(self.path)

    @property
    def required(self) -> bool:
        """Whether it has to be given."""
        return self.default is NOTHING


def fields_of(task: Task, given: Mapping[str, Any] = types.MappingProxyType({})) -> list[Field]:
    """Return the fields of a task, in the order of its signature.

    Args:
        task: the task, declared here or deployed.
        given: values that stand in the place of defaults, by parameter.
    """
    annotations = annotations_for(task, extras=True)
    interface = (task.interface or {}) if isinstance(task, ReferenceTask) else {}
    hints = hints_of(task.doc)
    found = []
    for name, parameter in task.signature.parameters.items():
        annotation = annotations.get(name, Any)
        default = given.get(name, parameter.default)
        variadic = ""
        if parameter.kind is parameter.VAR_POSITIONAL:
            annotation, variadic = _generic(tuple, annotation, ...), "*"
            default = given.get(name, ())
        elif parameter.kind is parameter.VAR_KEYWORD:
            annotation, variadic = _generic(dict, str, annotation), "**"
            default = given.get(name, {})
        schema = interface.get("inputs", {}).get(name, {}).get("schema") if not variadic else None
        field = _field((name,), annotation, default, hints.get(name, ""), 0, schema)
        # as in a call, a default of None allows None
        nullable = parameter.default is None
        found.append(
            dataclasses.replace(
                field,
                variadic=variadic,
                optional=field.optional or nullable,
                schema=schema_with_none(field.schema) if nullable else field.schema,
            )
        )
    return found


def schema_with_none(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema that takes ``None``, too."""
    members = schema.get("union", [schema])
    if "any" in schema or {"type": "None"} in members:
        return schema
    return {"union": [*members, {"type": "None"}]}


def walk(fields: typing.Iterable[Field]) -> Iterator[Field]:
    """Yield fields with all that are inside, each before its own."""
    for field in fields:
        yield field
        yield from walk(field.fields)


def hints_of(doc: str | None) -> dict[str, str]:
    """Return what a docstring's ``Args:`` says of each parameter: its first sentence."""
    _, _, rest = inspect.cleandoc(doc or "").partition("Args:\n")
    hints: dict[str, str] = {}
    last = ""
    for line in rest.split("\n"):
        if not line.strip():
            break
        if match := re.match(r" {1,6}\*{0,2}(\w+)(?: \([^)]*\))?: (.*)", line):
            last = match[1]
            hints[last] = match[2].strip()
        elif last and line.startswith(" "):
            hints[last] += " " + line.strip()
    return hints


def _field(
    path: tuple[str, ...],
    annotation: Any,
    default: Any,
    hint: str = "",
    depth: int = 0,
    schema: Mapping[str, Any] | None = None,
) -> Field:
    schema = schema_of(annotation) if schema is None else schema
    unit, said, bounds = _notes(annotation)
    plain, optional = _plain(annotation)
    inner_unit, inner_said, inner_bounds = _notes(plain)
    plain, _ = _plain(plain)
    kind, choices = _kind(plain, depth)
    inner = tuple(_inner(path, plain, default, depth)) if kind is Kind.RECORD else ()
    if kind is Kind.RECORD and not inner and not dataclasses.is_dataclass(plain):
        kind = Kind.LITERAL
    return Field(
        path=path,
        annotation=annotation,
        kind=kind,
        type=describe(dict(schema)) if schema != ANY else _words(annotation),
        schema=schema,
        default=default,
        optional=optional,
        choices=choices,
        bounds={**bounds, **inner_bounds},
        unit=unit or inner_unit,
        hint=hint or said or inner_said,
        fields=inner,
        of=plain if kind is Kind.RECORD else None,
    )


def _words(annotation: Any) -> str:
    if annotation in (Any, NOTHING, object):
        return "anything"
    return str(getattr(annotation, "__name__", annotation)).replace("typing.", "")


def _notes(annotation: Any) -> tuple[str, str, dict[str, Any]]:
    """Return unit, hint and bounds that ``Annotated`` gives."""
    unit = hint = ""
    for note in getattr(annotation, "__metadata__", ()):
        if isinstance(note, str):
            # few words are a unit, more are a sentence
            unit, hint = (unit or note, hint) if len(note.split()) < 3 else (unit, hint or note)
        # pydantic's Field, and typing_extensions' Doc
        for name in ("description", "documentation"):
            if isinstance(text := getattr(note, name, None), str):
                hint = hint or text
    return unit, hint, bounds_of(annotation)


def _plain(annotation: Any) -> tuple[Any, bool]:
    """Return a type without ``Annotated`` and without ``None``, and whether it takes ``None``."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [one for one in typing.get_args(annotation) if one not in (None, type(None))]
        optional = len(members) < len(typing.get_args(annotation))
        if len(members) == 1:
            return members[0], optional
        return annotation, optional
    if annotation is None:
        return type(None), True
    supertype = getattr(annotation, "__supertype__", None) or getattr(annotation, "__value__", None)
    if supertype is not None and not isinstance(annotation, type):
        return _plain(supertype)
    return annotation, annotation is Any


_KINDS: tuple[tuple[type, Kind], ...] = (
    (bool, Kind.SWITCH),
    (int, Kind.WHOLE),
    (float, Kind.NUMBER),
    (str, Kind.TEXT),
    (datetime, Kind.MOMENT),
    (date, Kind.DATE),
    (time, Kind.TIME),
    (timedelta, Kind.SPAN),
    (Path, Kind.PATH),
    (PurePath, Kind.PATH),
)


def _kind(plain: Any, depth: int) -> tuple[Kind, tuple[str, ...]]:
    """Return how a type is filled in, and the words that can be chosen."""
    for type_, kind in _KINDS:
        if plain is type_:
            return kind, ()
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        return Kind.CHOICE, tuple(member.name for member in plain)
    if typing.get_origin(plain) is typing.Literal:
        return Kind.CHOICE, tuple(map(str, typing.get_args(plain)))
    if _is_record(plain):
        return (Kind.RECORD if depth < DEEP else Kind.LITERAL), ()
    return (Kind.LITERAL if is_read(plain) else Kind.VARIABLE), ()


def _is_record(plain: Any) -> bool:
    return isinstance(plain, type) and (
        dataclasses.is_dataclass(plain)
        or typing.is_typeddict(plain)
        or has_fields(plain)
        or hasattr(plain, "model_fields")
    )


def _inner(path: tuple[str, ...], of: Any, default: Any, depth: int) -> Iterator[Field]:
    """Yield the fields of a record; a default of the record gives theirs."""
    try:
        hints = typing.get_type_hints(of, include_extras=True)
    except Exception:  # a name that is unknown here
        hints = {}
    if hasattr(of, "model_fields"):  # what a Field says stands beside the type
        hints |= {
            name: _generic(typing.Annotated, info.annotation, info)
            for name, info in of.model_fields.items()
        }
    for name, own, hint in _members(of):
        value = own
        if default is not NOTHING and default is not None:
            try:
                value = default[name] if isinstance(default, Mapping) else getattr(default, name)
            except (KeyError, AttributeError):
                value = own
        yield _field((*path, name), hints.get(name, Any), value, hint, depth + 1)


def _members(of: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield name, default and description of the fields of a class."""
    hints = hints_of(of.__doc__)
    if hasattr(of, "model_fields"):
        for name, info in of.model_fields.items():
            default = NOTHING if info.is_required() else info.get_default(call_default_factory=True)
            yield name, default, info.description or hints.get(name, "")
    elif dataclasses.is_dataclass(of):
        for one in dataclasses.fields(of):
            if one.init:
                yield one.name, _default_of(one), hints.get(one.name, "")
    elif typing.is_typeddict(of):
        for name in of.__annotations__:
            yield name, NOTHING, hints.get(name, "")
    else:
        for name in of._fields:
            yield name, of._field_defaults.get(name, NOTHING), hints.get(name, "")


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return NOTHING


def _generic(kind: Any, *of: Any) -> Any:
    return kind[of]
