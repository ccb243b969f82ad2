"""Results come back as what they were."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pytest

import flyte_jupyter as flyte

VALUES: tuple[Any, ...] = (
    0,
    -(1 << 200),
    1.5,
    float("inf"),
    True,
    "naïve ☃ \ud800",
    b"\x00\xff",
    [1, [2, [3]]],
    {"a": {"b": None}},
    {1: "one", (2, 3): {4}},
    (1, "two", (3,)),
    {1, 2, 3},
    frozenset({1}),
    complex(1, 2),
    decimal.Decimal("1.10"),
    datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC),
    datetime.timedelta(days=1, microseconds=1),
    range(3),
    "x" * 300_000,
)


def test_values_come_back_equal_and_of_their_type(cell: Any) -> None:
    book = cell("""
        @env.task
        def same(values):
            return values
    """)
    back = flyte.run(book.same, VALUES).outputs()[0]
    assert back == VALUES
    assert [type(value) for value in back] == [type(value) for value in VALUES]


def test_nothing_returned_is_no_output(cell: Any) -> None:
    book = cell("""
        @env.task
        def nothing() -> None:
            pass
    """)
    run = flyte.run(book.nothing)
    assert run.outputs() == ()
    assert run.result() is None


def test_a_tuple_annotation_gives_several_outputs(cell: Any) -> None:
    book = cell("""
        @env.task
        def pair() -> tuple[int, str]:
            return 1, "a"

        @env.task
        def one():
            return 1, "a"
    """)
    outputs = flyte.run(book.pair).outputs()
    assert outputs == (1, "a")
    assert outputs.named_outputs == {"o0": 1, "o1": "a"}
    assert flyte.run(book.one).outputs() == ((1, "a"),)


def test_an_object_of_a_class_of_a_cell_is_of_the_notebooks_class(cell: Any) -> None:
    book = cell("""
        import dataclasses, enum

        class Colour(enum.Enum):
            RED = 1

        @dataclasses.dataclass
        class Point:
            x: int
            colour: Colour

        @env.task
        def moved(point: Point) -> Point:
            assert type(point) is Point and point.colour is Colour.RED
            return Point(point.x + 1, point.colour)
    """)
    moved = flyte.run(book.moved, book.Point(1, book.Colour.RED)).outputs()[0]
    assert moved == book.Point(2, book.Colour.RED)
    assert type(moved) is book.Point
    assert moved.colour is book.Colour.RED


def test_an_exception_can_be_a_result(cell: Any) -> None:
    book = cell("""
        @env.task
        def give():
            return ValueError("no", 1)
    """)
    back = flyte.run(book.give).outputs()[0]
    assert type(back) is ValueError
    assert back.args == ("no", 1)


def test_what_the_caller_changes_after_submission_does_not_reach_the_task(cell: Any) -> None:
    book = cell("""
        @env.task
        def total(numbers: list[int], raw: bytearray) -> int:
            return sum(numbers) + raw[0]
    """)
    numbers, raw = [1, 2], bytearray(b"\x01" * 200_000)
    run = flyte.run(book.total, numbers, raw)
    numbers.append(100)
    raw[0] = 50
    assert run.outputs() == (4,)


def test_a_value_that_nothing_can_encode_is_refused_by_name(cell: Any) -> None:
    book = cell("""
        import threading

        @env.task
        def lock():
            return threading.Lock()
    """)
    with pytest.raises(TypeError, match="lock"):
        flyte.run(book.lock).outputs()


def test_pickle_can_be_refused(cell: Any) -> None:
    flyte.init(pickle=False)
    book = cell("""
        class Odd:
            def __reduce__(self):
                return (Odd, ())

        @env.task
        def odd():
            return Odd()
    """)
    with pytest.raises(flyte.errors.SerializationError, match="pickle"):
        flyte.run(book.odd).outputs()


def test_the_result_is_decoded_once(cell: Any) -> None:
    book = cell("""
        @env.task
        def numbers():
            return [1]
    """)
    run = flyte.run(book.numbers)
    assert run.outputs()[0] is run.outputs()[0]
    assert run.result() is run.outputs()[0]
