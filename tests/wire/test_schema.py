# ruff: noqa: UP006, UP007, UP017, UP035, UP045 (older spellings are cases)
from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import subprocess
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Dict,
    Generic,
    List,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    Tuple,
    TypedDict,
    TypeVar,
    Union,
)

import numpy as np
import numpy.typing as npt
import pydantic
import pytest

from flyte_jupyter.wire.schema import check, check_value, describe, interface_of, schema_of
from flyte_jupyter.wire.values import decode, encode

T = TypeVar("T")
B = TypeVar("B", bound=int)
UserId = NewType("UserId", int)


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Base:
    a: int = 0


@dataclasses.dataclass
class Child(Base):
    b: int = 0


class Model(pydantic.BaseModel):
    a: int = 0


class Point(NamedTuple):
    x: int


class Movie(TypedDict):
    name: str
    year: NotRequired[int]


class Readable(Protocol):
    def read(self) -> str: ...


class Box(Generic[T]):
    pass


FITS = [
    (int, 1),
    (int, 1 << 80),
    (int, Level.LOW),
    (float, 1.5),
    (float, 1),
    (float, float("nan")),
    (float, np.float64(1)),
    (complex, 1j),
    (complex, 2.0),
    (bool, True),
    (str, "a"),
    (str, "\ud800"),
    (str, np.str_("a")),
    (bytes, b"a"),
    (None, None),
    (list, [1, "a"]),
    (list[int], []),
    (List[int], [1] * 50),
    (Dict[int, str], {1: "a"}),
    (Tuple[int, ...], (1, 2, 3)),
    (datetime.tzinfo, datetime.timezone.utc),
    (list[float], [1, 2.5]),
    (list[int | None], [1, None]),
    (dict, {1: 2}),
    (dict[str, int], {"a": 1}),
    (dict[int, str], {1: "a"}),
    (dict[str, list[int]], {"a": [1]}),
    (dict, collections.OrderedDict(a=1)),
    (Mapping[str, int], {"a": 1}),
    (tuple, (1,)),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2, 3)),
    (tuple[()], ()),
    (tuple, Point(1)),
    (set[int], {1, 2}),
    (frozenset[str], frozenset("a")),
    (Sequence[int], (1, 2)),
    (Sequence[int], [1]),
    (Sequence[str], "abc"),
    (Iterable[int], {1}),
    (collections.deque, collections.deque()),
    (Union[int, str], "a"),
    (int | str, 1),
    (Optional[int], None),
    (Literal["a", 1], 1),
    (Annotated[int, "note"], 1),
    (UserId, 5),
    (T, object),
    (B, 1),
    (Any, object),
    (object, 1),
    (Callable[[int], int], len),
    (Readable, 1),
    (type, int),
    (Color, Color.RED),
    (enum.Enum, Color.RED),
    (Base, Base()),
    (Base, Child()),
    (Model, Model()),
    (pydantic.BaseModel, Model()),
    (Point, Point(1)),
    (Movie, {"name": "a"}),
    (Movie, {"name": "a", "year": 1}),
    (datetime.date, datetime.date(2024, 1, 1)),
    (datetime.date, datetime.datetime(2024, 1, 1)),
    (datetime.tzinfo, datetime.UTC),
    (decimal.Decimal, decimal.Decimal(1)),
    (pathlib.Path, pathlib.Path("a")),
    (pathlib.PurePath, pathlib.Path("a")),
    (Exception, ValueError("x")),
    (LookupError, KeyError("x")),
    (types.ModuleType, json),
    (types.FunctionType, describe),
    (np.ndarray, np.zeros(3)),
    (npt.NDArray[np.float64], np.zeros(3)),
    (npt.NDArray[np.floating], np.zeros(3, "f4")),
    (npt.NDArray[Any], np.zeros(3)),
    (np.ndarray[tuple[int], np.dtype[np.int8]], np.zeros(3, "i1")),
    (np.float32, np.float32(1)),
    (np.integer, np.uint8(1)),
    (np.random.Generator, np.random.default_rng(1)),
    ("no such name", 1),
]

NOTE = "Input 'x' of f() must be "

MISFITS = [
    (int, True, "int, but it is bool: True"),
    (int, 2.5, "int, but it is float: 2.5"),
    (int, "abc", "int, but it is str: 'abc'"),
    (int, None, "int, but it is None"),
    (int, np.int64(1), "int, but it is numpy.int64: 1"),
    (float, "1", "float, but it is str: '1'"),
    (float, True, "float, but it is bool: True"),
    (float, np.float32(1), "float, but it is numpy.float32: 1.0"),
    (str, 1, "str, but it is int: 1"),
    (bool, 1, "bool, but it is int: 1"),
    (bytes, "a", "bytes, but it is str: 'a'"),
    (None, 1, "None, but it is int: 1"),
    (list[int], (1,), "list[int], but it is tuple: (1)"),
    (list[int], [1, "a"], "list[int], but its item [1] is str instead of int: 'a'"),
    (
        list[int],
        [*range(50), True],
        "list[int], but its item [50] is bool instead of int: True",
    ),
    (dict[str, int], {"a": "b"}, "dict[str, int], but its item ['a'] is str instead of int: 'b'"),
    (
        dict[str, int],
        {1: 1},
        "dict[str, int], but its item [1] (its key) is int instead of str: 1",
    ),
    (
        dict[str, list[int]],
        {"a": [None]},
        "dict[str, list[int]], but its item ['a'][0] is None instead of int",
    ),
    (tuple[int, str], (1,), "tuple[int, str], but it is a tuple of 1"),
    (
        tuple[int, str],
        (1, 2),
        "tuple[int, str], but its item [1] is int instead of str: 2",
    ),
    (tuple[int, ...], (1, "a"), "tuple[int, ...], but its item [1] is str instead of int: 'a'"),
    (set[int], [1], "set[int], but it is list: [1]"),
    (Optional[int], "a", "int | None, but it is str: 'a'"),
    (
        Union[str, list[int]],
        [1, "a"],
        "str | list[int], but its item [1] is str instead of int: 'a'",
    ),
    (Literal["a", "b"], "c", "Literal['a', 'b'], but it is str: 'c'"),
    (Literal[1], True, "Literal[1], but it is bool: True"),
    (Color, "RED", "tests.wire.test_schema.Color, but it is str: 'RED'"),
    (
        Child,
        Base(),
        "tests.wire.test_schema.Child, but it is tests.wire.test_schema.Base: "
        "tests.wire.test_schema.Base(a=0)",
    ),
    (Model, {"a": 1}, "tests.wire.test_schema.Model, but it is dict: {'a': 1}"),
    (Movie, {"year": 1}, "Movie, but it is a dict without 'name'"),
    (Movie, {"name": 1}, "Movie, but its item ['name'] is int instead of str: 1"),
    (
        Movie,
        {"name": "a", "x": 1},
        "Movie, but it is a dict with 'x', which it has no field for",
    ),
    (Movie, {1: 1}, "Movie, but it is dict"),
    (datetime.datetime, datetime.date(2024, 1, 1), None),
    (pathlib.Path, "a", "pathlib.Path, but it is str: 'a'"),
    (np.ndarray, [1], "numpy.ndarray, but it is list: [1]"),
    (npt.NDArray[np.float32], np.zeros(2), "numpy.ndarray[float32], but it is an array of float64"),
    (npt.NDArray[np.integer], np.zeros(2), "numpy.ndarray[integer], but it is an array of float64"),
    (int, Base, "int, but it is type: Base"),
]


def shown(value):
    """Name a test by what it is given, the same in every process."""
    return repr(value).partition(" at 0x")[0]


@pytest.mark.parametrize(("annotation", "value"), FITS, ids=shown)
def test_a_value_fits_its_annotation(annotation, value):
    schema = schema_of(annotation)
    assert json.loads(json.dumps(schema)) == schema
    tree = json.loads(json.dumps(encode(value).tree))
    assert check(schema, tree) is None


@pytest.mark.parametrize(("annotation", "value", "words"), MISFITS, ids=shown)
def test_a_value_that_does_not_fit_is_named_with_both_types(annotation, value, words):
    mismatch = check_value(schema_of(annotation), value)
    assert mismatch is not None
    sentence = mismatch.sentence("Input 'x' of f()")
    if words is not None:
        assert sentence == NOTE + words


def test_a_scalar_of_numpy_gets_the_way_out():
    mismatch = check_value(schema_of(int), np.int64(1))
    assert mismatch.remedy == "Turn it into a plain int with int(…)."
    assert check_value(schema_of(int), "a").remedy == ""


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "int"),
        (Optional[str], "str | None"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        (tuple[()], "tuple[()]"),
        (Any, "any"),
        (Sequence[int], "Sequence[int]"),
        (Optional[Any], "any"),
        (npt.NDArray[np.float64], "numpy.ndarray[float64]"),
    ],
    ids=shown,
)
def test_a_schema_reads_like_the_annotation(annotation, words):
    assert describe(schema_of(annotation)) == words


def test_an_interface_tells_inputs_defaults_and_output():
    def func(a, b: int, c: Missing, d: str = None, *rest: int, e: List[int] = (), **more) -> float:  # noqa: F821, RUF013
        ...

    interface = interface_of(func)
    assert interface["output"] == {"type": "float"}
    assert {name: describe(given["schema"]) for name, given in interface["inputs"].items()} == {
        "a": "any",
        "b": "int",
        "c": "any",
        "d": "str | None",
        "rest": "int",
        "e": "list[int]",
        "more": "any",
    }
    assert [name for name, given in interface["inputs"].items() if given["has_default"]] == [
        "d",
        "e",
    ]
    assert interface["inputs"]["rest"]["kind"] == "VAR_POSITIONAL"


def test_no_annotation_is_no_promise():
    def func(): ...

    assert interface_of(func) == {"inputs": {}, "output": {"any": True}}


def test_an_annotation_that_names_itself_ends():
    tree = Dict[str, "tree"]
    assert schema_of(tree)["type"] == "dict"


def test_a_subclass_is_told_without_importing_it():
    tree = encode(Child()).tree
    tree = {**tree, "c": ["absent_package", "Child"]}
    assert check(schema_of(Base), tree) is None
    assert check(schema_of(int), tree).actual == "absent_package.Child"


def test_a_handle_is_checked_like_what_it_stands_for():
    tree = {**encode(Child()).tree, "c": ["absent_package", "Child"]}
    from flyte_jupyter.wire.values import Encoded

    handle = decode(Encoded(tree))
    assert check_value(schema_of(Base), handle) is None
    assert check_value(schema_of(str), handle) is not None


def test_a_million_items_are_not_checked_one_by_one():
    import timeit

    schema, tree = schema_of(list[int]), encode(list(range(1_000_000))).tree
    walk = min(timeit.repeat(lambda: [item + 0 for item in tree], number=1, repeat=3))
    assert min(timeit.repeat(lambda: check(schema, tree), number=1, repeat=3)) < 3 * walk


def test_checks_need_the_standard_library_only():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import flyte_jupyter.wire.schema, flyte_jupyter.wire.values, sys\n"
            "print([name for name in ('numpy', 'pandas', 'pydantic', 'asyncio') "
            "if name in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
