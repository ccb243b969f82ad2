"""What was written in a field, as the value that the call gets, or as the sentence that refuses it.

The sentences are those of the call itself: a text that means no value of the field's type is held
against that type as the text that it is.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum, StrEnum
from typing import Any

from flyte_jupyter.errors import FlyteError, InputError, InputTypeError
from flyte_jupyter.launching.fields import NOTHING, Field, Kind
from flyte_jupyter.launching.picking import fitting
from flyte_jupyter.launching.reading import from_text, has_fields, parsed
from flyte_jupyter.launching.written import Unwritable, Writer
from flyte_jupyter.session import session
from flyte_jupyter.spec.binding import bind
from flyte_jupyter.spec.naming import did_you_mean
from flyte_jupyter.wire.inputs import check_inputs
from flyte_jupyter.wire.values import encode

__all__ = ["LEFT", "Entry", "Filled", "Problem", "Reader", "State", "text_of"]

VARIABLE = re.compile(r"\{\s*([A-Za-z_]\w*)\s*\}")
PYDANTIC = "errors"


class State(StrEnum):
    """What was done with a field."""

    LEFT = "left"
    """Nothing: its default holds."""
    GIVEN = "given"
    NONE = "none"
    """``None`` was chosen."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a field was filled with."""

    text: str = ""
    state: State = State.LEFT


LEFT = Entry()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a field cannot be taken as it is.

    Args:
        key: which field.
        sentence: what is wrong.
        remedy: what to do, or the empty string.
    """

    key: str
    sentence: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}".rstrip()


@dataclass(frozen=True, slots=True)
class Filled:
    """The value of a field that was filled in, and the source that makes it."""

    value: Any
    code: str


@dataclass
class Reader:
    """Reads the fields of one task.

    Args:
        task: name of the task, for sentences.
        entries: what was filled in, by the key of the field.
        notebook: the variables that may be picked.
        writer: writes values as source.
        picked: the variable's value that was found to fit, by the key of the field.
        problems: what is wrong, gathered while fields are read.
    """

    task: str
    entries: Mapping[str, Entry]
    notebook: Mapping[str, Any]
    writer: Writer
    picked: dict[str, tuple[Any]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def read(self, field: Field) -> Filled | None:
        """Return what a field was filled with; None where its default holds or it is wrong."""
        entry = self.entries.get(field.key, LEFT)
        if entry.state is State.NONE:
            return self._checked(field, None, "None")
        if entry.state is State.GIVEN and (name := self._variable(field, entry.text)):
            return self._picked(field, name)
        if field.kind is Kind.RECORD:
            return self._record(field)
        if entry.state is State.LEFT:
            return None
        if not entry.text.strip() and field.kind is not Kind.TEXT:
            return None
        if field.kind is Kind.VARIABLE and field.schema != {"any": True}:
            return self._picked(field, entry.text.strip())
        return self._text(field, entry.text)

    def _variable(self, field: Field, text: str) -> str:
        """Return the variable that ``{name}`` means; in a field of text it has to be there."""
        match = VARIABLE.fullmatch(text.strip())
        if match is None:
            return ""
        is_text = field.kind is Kind.TEXT and not isinstance(self.notebook.get(match[1]), str)
        return "" if is_text else match[1]

    def _picked(self, field: Field, name: str) -> Filled | None:
        if name not in self.notebook:
            hint = did_you_mean(name, fitting(field, self.notebook))
            self._refuse(field, f"name {name!r} is not defined in the notebook{hint or '.'}")
            return None
        value, last = self.notebook[name], self.picked.get(field.key)
        if last is not None and last[0] is value:  # a large one is not looked through for each key
            return Filled(value, name)
        filled = self._checked(field, value, name)
        if filled is not None:
            self.picked[field.key] = (value,)
        return filled

    def _text(self, field: Field, text: str) -> Filled | None:
        said: InputError | None = None
        try:
            value = from_text(field.name, text, field.annotation)
        except InputTypeError as error:
            value, said = _as_written(field, text), error
        # read as the call reads it; where that would take the text as it is, the reader has to say
        filled = self._checked(field, value, None)
        if filled is not None and said is not None:
            self._refuse(field, said.sentence + ".")
            return None
        return filled

    def _checked(self, field: Field, value: Any, code: str | None) -> Filled | None:
        parameter = {"schema": field.schema, "kind": "KEYWORD_ONLY"}
        try:
            tree = encode({field.key: value}, pickle=session.config().pickle).tree
            check_inputs(self.task, {"inputs": {field.key: parameter}}, tree)
        except FlyteError as error:
            self._refuse(field, error.sentence, error.remedy)
            return None
        return Filled(value, self.written(field.key, value) if code is None else code)

    def written(self, key: str, value: Any) -> str:
        """Return the source of a value; where there is none, a note above says so."""
        try:
            return self.writer.write(value)
        except Unwritable as error:
            self.writer.imports[f"# {key} holds a {error}, which has to be a variable"] = None
            return "..."

    def _record(self, field: Field) -> Filled | None:
        known = len(self.problems)
        given = {one.name: filled for one in field.fields if (filled := self.read(one))}
        if len(self.problems) > known:
            return None
        if not given and not (field.required and not field.optional):
            return None
        base = {}
        if field.default is not NOTHING and field.default is not None:
            base = {one.name: one.default for one in field.fields if one.default is not NOTHING}
        values = {**base, **{name: filled.value for name, filled in given.items()}}
        built = self._built(field, values)
        if built is NOTHING:
            return None
        if base:
            return self._checked(field, built, None)
        inner = ", ".join(f"{name}={filled.code}" for name, filled in given.items())
        return self._checked(field, built, f"{self.writer.name(field.of)}({inner})")

    def _built(self, field: Field, values: dict[str, Any]) -> Any:
        try:
            if is_dataclass(field.of) or has_fields(field.of):
                bind(field.of.__name__, inspect.signature(field.of), (), values)
            return field.of(**values)
        except InputError as error:
            missing = [one for one in field.fields if one.required and one.name not in values]
            self._refuse(missing[0] if missing else field, error.sentence, error.remedy)
        except Exception as error:  # of the class's own checks
            for key, sentence in _said_by(field, error):
                self.problems.append(Problem(key, sentence))
        return NOTHING

    def _refuse(self, field: Field, sentence: str, remedy: str = "") -> None:
        self.problems.append(Problem(field.key, sentence, remedy))


def _as_written(field: Field, text: str) -> Any:
    """Return what a text says by itself, where it means nothing for its field."""
    try:
        value = text if field.kind is Kind.TEXT else parsed(text)
    except ValueError:
        return text
    gathers = _GATHER.get(str(field.schema.get("type")))
    return gathers(value) if gathers is not None and isinstance(value, list) else value


_GATHER: dict[str, Any] = {"tuple": tuple, "frozenset": frozenset}


def _said_by(field: Field, error: Exception) -> list[tuple[str, str]]:
    """Return which field a class refuses and why; a model says it of each."""
    name = field.of.__name__
    told = getattr(error, PYDANTIC, None)
    if not callable(told):
        return [(field.key, f"{name}: {error}")]
    known = {one.name for one in field.fields}
    found = []
    for one in told():
        place = str(one["loc"][0]) if one["loc"] else ""
        key = f"{field.key}.{place}" if place in known else field.key
        where = ".".join(map(str, (name, *one["loc"])))
        found.append((key, f"{where}: {one['msg']}."))
    return found


def text_of(field: Field, value: Any) -> str:
    """Return the text that means a value in a field; empty where there is none.

    Args:
        field: the field.
        value: one that it takes.
    """
    if value is NOTHING or value is None:
        return ""
    text = _text(field, value)
    try:
        same = from_text(field.name, text, field.annotation)
        return text if type(same) is type(value) and bool(same == value) else ""
    except Exception:  # arrays compare to arrays, and a user's class may raise
        return ""


def _text(field: Field, value: Any) -> str:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        minutes, seconds = divmod(int(value.total_seconds()), 60)
        hours, minutes = divmod(minutes, 60)
        parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
        return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
    if field.kind is Kind.LITERAL:
        return repr(value)
    return str(value)
