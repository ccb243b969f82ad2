"""A signature as a tree of fields: how each is filled in, what it takes, what holds without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flyte_jupyter.launching.fields import Kind, walk
from flyte_jupyter.launching.form import LaunchForm

Forms = Callable[..., LaunchForm]

CLASSES = """
class Colour(enum.Enum):
    RED = "r"
    BLUE = 2

@dataclass
class Inner:
    at: datetime.date
    n: int = 1

@dataclass
class Config:
    '''How it is done.

    Args:
        rate: how fast it learns.
    '''
    rate: Annotated[float, "1/s"]
    inner: Inner
    names: list[str] = field(default_factory=list)

class Model(pydantic.BaseModel):
    size: int = pydantic.Field(ge=1, description="how many")

class Point(NamedTuple):
    x: int
    y: float = 0.0

class Options(TypedDict):
    deep: bool

class Tree(pydantic.BaseModel):
    left: Optional["Tree"] = None

UserId = NewType("UserId", int)
"""


@pytest.mark.parametrize(
    ("annotation", "kind", "type_"),
    [
        ("int", Kind.WHOLE, "int"),
        ("float", Kind.NUMBER, "float"),
        ("bool", Kind.SWITCH, "bool"),
        ("str", Kind.TEXT, "str"),
        ("datetime.date", Kind.DATE, "datetime.date"),
        ("datetime.datetime", Kind.MOMENT, "datetime.datetime"),
        ("datetime.time", Kind.TIME, "datetime.time"),
        ("datetime.timedelta", Kind.SPAN, "datetime.timedelta"),
        ("pathlib.Path", Kind.PATH, "pathlib.Path"),
        ("Colour", Kind.CHOICE, "Colour"),
        ("Literal['a', 3]", Kind.CHOICE, "Literal['a', 3]"),
        ("list[int]", Kind.LITERAL, "list[int]"),
        ("dict[str, float]", Kind.LITERAL, "dict[str, float]"),
        ("tuple[int, str]", Kind.LITERAL, "tuple[int, str]"),
        ("set[int]", Kind.LITERAL, "set[int]"),
        ("list[Inner]", Kind.LITERAL, "list[Inner]"),
        ("int | str", Kind.LITERAL, "int | str"),
        ("Any", Kind.LITERAL, "anything"),
        ("Optional[int]", Kind.WHOLE, "int | None"),
        ("UserId", Kind.WHOLE, "int"),
        ("Config", Kind.RECORD, "Config"),
        ("Model", Kind.RECORD, "Model"),
        ("Point", Kind.RECORD, "Point"),
        ("Options", Kind.RECORD, "Options"),
        ("Optional[Config]", Kind.RECORD, "Config | None"),
        ("np.ndarray", Kind.VARIABLE, "numpy.ndarray"),
        ("list[np.ndarray]", Kind.VARIABLE, "list[numpy.ndarray]"),
        ("np.ndarray | None", Kind.VARIABLE, "numpy.ndarray | None"),
        ("Annotated[int, Ge(1), Le(9)]", Kind.WHOLE, "int (at least 1, at most 9)"),
    ],
)
def test_a_type_says_how_its_field_is_filled_in(
    form_of: Forms, annotation: str, kind: Kind, type_: str
) -> None:
    (field,) = form_of(f"x: {annotation}", CLASSES).fields
    assert (field.kind, field.type) == (kind, type_)
    assert field.required


def test_records_have_the_fields_of_their_classes(form_of: Forms) -> None:
    form = form_of("config: Config, model: Model, point: Point, options: Options", CLASSES)
    assert [(each.key, each.kind) for each in walk(form.fields)] == [
        ("config", Kind.RECORD),
        ("config.rate", Kind.NUMBER),
        ("config.inner", Kind.RECORD),
        ("config.inner.at", Kind.DATE),
        ("config.inner.n", Kind.WHOLE),
        ("config.names", Kind.LITERAL),
        ("model", Kind.RECORD),
        ("model.size", Kind.WHOLE),
        ("point", Kind.RECORD),
        ("point.x", Kind.WHOLE),
        ("point.y", Kind.NUMBER),
        ("options", Kind.RECORD),
        ("options.deep", Kind.SWITCH),
    ]


def test_a_record_within_itself_ends(form_of: Forms) -> None:
    form = form_of("tree: Tree", CLASSES)
    assert [each.kind for each in walk(form.fields)][-1] is Kind.LITERAL


def test_units_hints_and_bounds_are_told(form_of: Forms) -> None:
    form = form_of(
        "config: Config, model: Model, wait: Annotated[float, 'seconds', Gt(0)] = 1.0", CLASSES
    )
    by_key = {each.key: each for each in walk(form.fields)}
    assert by_key["config.rate"].unit == "1/s"
    assert by_key["config.rate"].hint == "how fast it learns."
    assert by_key["model.size"].hint == "how many"
    assert dict(by_key["model.size"].bounds) == {"ge": 1}
    assert by_key["wait"].unit == "seconds"
    assert dict(by_key["wait"].bounds) == {"gt": 0}


def test_a_docstring_says_what_an_input_is_for(cell: Any) -> None:
    book = cell('''
        @env.task
        def train(rows: int, rate: float = 0.1) -> int:
            """Train.

            Args:
                rows: how many rows
                    are read.
                rate (float): how fast.

            Returns:
                rate: not this one.
            """
            return rows
    ''')
    hints = [each.hint for each in LaunchForm(book.train, vars(book)).fields]
    assert hints == ["how many rows are read.", "how fast."]


def test_what_other_inputs_leave_is_gathered(form_of: Forms) -> None:
    form = form_of("x: int, *rest: int, key: str = 'a', **more: float")
    assert [(each.name, each.variadic, each.type, each.required) for each in form.fields] == [
        ("x", "", "int", True),
        ("rest", "*", "tuple[int, ...]", False),
        ("key", "", "str", False),
        ("more", "**", "dict[str, float]", False),
    ]


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        ("x: int = 3", "3"),
        ("x: float = 1e-3", "0.001"),
        ("x: bool = True", "true"),
        ("x: str = 'a b'", "a b"),
        ("x: Colour = Colour.BLUE", "BLUE"),
        ("x: Literal['a', 3] = 3", "3"),
        ("x: datetime.date = datetime.date(2024, 5, 1)", "2024-05-01"),
        ("x: datetime.datetime = datetime.datetime(2024, 5, 1, 12)", "2024-05-01T12:00:00"),
        ("x: datetime.timedelta = datetime.timedelta(minutes=90)", "1h30m"),
        ("x: datetime.timedelta = datetime.timedelta(seconds=0.5)", ""),
        ("x: pathlib.Path = pathlib.Path('a')", "a"),
        ("x: list[int] = [1, 2]", "[1, 2]"),
        ("x: dict[str, int] = {'a': 1}", "{'a': 1}"),
        ("x: tuple[int, ...] = (1, 2)", "(1, 2)"),
        ("x: Any = None", ""),
        ("x: Optional[int] = None", ""),
        ("x: np.ndarray = np.zeros(3)", ""),
    ],
)
def test_a_default_stands_in_its_field(form_of: Forms, parameter: str, text: str) -> None:
    form = form_of(parameter, CLASSES)
    (field,) = form.fields
    assert form.text(field) == text
    assert form.problems() == []


def test_a_default_of_none_allows_none(form_of: Forms) -> None:
    (field,) = form_of("x: int = None").fields
    assert field.optional


def test_an_annotation_that_is_unknown_here_takes_anything(form_of: Forms) -> None:
    (field,) = form_of("x: Nowhere").fields
    assert (field.kind, field.type) == (Kind.LITERAL, "anything")
