import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple, Optional, TypedDict, Union
from uuid import UUID

import pydantic
import pytest

from flyte_jupyter.errors import InputTypeError
from flyte_jupyter.launching.reading import annotations_of, from_text


class Colour(enum.Enum):
    RED = "r"
    BLUE = 2


@dataclass
class Inner:
    at: date
    n: int = 1


@dataclass
class Config:
    rate: float
    inner: Inner
    names: list[str] = field(default_factory=list)


class Point(NamedTuple):
    x: int
    y: float


class Options(TypedDict):
    deep: bool


class Model(pydantic.BaseModel):
    size: int


UID = "12345678-1234-5678-1234-567812345678"


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, "12", "12"),
        (int, "-12", -12),
        (float, "1e-3", 0.001),
        (bool, "yes", True),
        (bool, "False", False),
        (Any, "[1, 2]", [1, 2]),
        (Any, "plain text", "plain text"),
        (Decimal, "1.10", Decimal("1.10")),
        (date, "2024-05-01", date(2024, 5, 1)),
        (datetime, "2024-05-01T12:30+00:00", datetime(2024, 5, 1, 12, 30, tzinfo=UTC)),
        (time, "12:30", time(12, 30)),
        (timedelta, "1h30m", timedelta(minutes=90)),
        (UUID, UID, UUID(UID)),
        (Path, "a/b", Path("a/b")),
        (Colour, "RED", Colour.RED),
        (Colour, "2", Colour.BLUE),
        (Literal["a", 3], "3", 3),
        (int | None, "none", None),
        (Optional[int], "3", 3),  # noqa: UP045 - the older spelling
        (int | str, "3", 3),
        (int | str, "three", "three"),
        (Union[int, list[int]], "[1]", [1]),  # noqa: UP007 - the older spelling
        (list[int], "[1, 2]", [1, 2]),
        (list, '["a"]', ["a"]),
        (list[str], "['a', 'b']", ["a", "b"]),
        (list[int], "(1, 2)", [1, 2]),
        (tuple[int, ...], "(1, 2)", (1, 2)),
        (set[int], "{1, 2}", {1, 2}),
        (dict[int, str], "{1: 'a'}", {1: "a"}),
        (Any, "(1, None)", (1, None)),
        (Sequence[float], "[1, 2.5]", [1.0, 2.5]),
        (tuple[int, str], '[1, "a"]', (1, "a")),
        (tuple[int, ...], "[1, 2, 3]", (1, 2, 3)),
        (set[int], "[1, 1]", {1}),
        (dict[str, float], '{"a": 1}', {"a": 1.0}),
        (dict[int, date], '{"1": "2024-05-01"}', {1: date(2024, 5, 1)}),
        (Mapping[str, int], '{"a": 1}', {"a": 1}),
        (
            Config,
            '{"rate": 1, "inner": {"at": "2024-05-01"}, "names": ["a"]}',
            Config(1.0, Inner(date(2024, 5, 1)), ["a"]),
        ),
        (Point, '{"x": 1, "y": 2}', Point(1, 2.0)),
        (Options, '{"deep": true}', {"deep": True}),
        (Model, '{"size": 3}', Model(size=3)),
        (list[Inner], '[{"at": "2024-05-01", "n": 2}]', [Inner(date(2024, 5, 1), 2)]),
    ],
)
def test_a_text_becomes_what_the_signature_says(annotation: Any, text: str, value: Any) -> None:
    got = from_text("value", text, annotation)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "sentence"),
    [
        (int, "2.5", "--value takes a whole number, not '2.5'"),
        (float, "much", "--value takes a number, not 'much'"),
        (bool, "maybe", "--value takes true or false, not 'maybe'"),
        (date, "May", "--value takes a date such as 2024-05-01, not 'May'"),
        (Colour, "REDD", "--value takes one of RED, BLUE (did you mean 'RED'?), not 'REDD'"),
        (Literal["a", "b"], "c", "--value takes one of a, b, not 'c'"),
        (int | None, "x", "--value takes a whole number or none, not 'x'"),
        (list[int], "{}", "--value takes a JSON list, not '{}'"),
        (list[int], "[1.5]", "--value takes int, not '[1.5]'"),
        (list[int], "[true]", "--value takes int, not '[true]'"),
        (tuple[int, int], "[1]", "--value takes a JSON list of 2, not '[1]'"),
        (dict[str, int], "[]", "--value takes a JSON object, not '[]'"),
        (
            Inner,
            '{"n": 1}',
            "--value takes a Inner (Inner.__init__() missing 1 required positional argument: "
            "'at'), not '{\"n\": 1}'",
        ),
    ],
)
def test_a_text_that_does_not_fit_is_said(annotation: Any, text: str, sentence: str) -> None:
    with pytest.raises(InputTypeError) as caught:
        from_text("value", text, annotation)
    assert caught.value.sentence == sentence


def test_an_unknown_field_gets_a_suggestion() -> None:
    with pytest.raises(InputTypeError, match="it has no 'nn'; did you mean 'n'"):
        from_text("value", '{"at": "2024-05-01", "nn": 1}', Inner)


def test_broken_json_says_where() -> None:
    with pytest.raises(InputTypeError, match=r"as JSON \(Expecting"):
        from_text("value", "[1,", list[int])


def test_an_annotation_that_cannot_be_resolved_counts_as_none() -> None:
    def function(a: "Nowhere", b: int, c) -> None: ...  # noqa: F821

    assert annotations_of(function) == {"a": Any, "b": int, "c": Any}
