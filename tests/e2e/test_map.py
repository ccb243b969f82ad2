"""``flyte.map``: calls side by side, results in the order of the inputs."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte

TASKS = """
    import asyncio, os, time

    @env.task
    def add(a: int, b: int = 0) -> int:
        return a + b

    @env.task
    def odd(x: int) -> int:
        if x % 2 == 0:
            raise ValueError(f"{x} is even")
        return x

    @env.task
    def reads(path: str) -> str:
        return open(path).read()

    @env.task
    def slow(x: int):
        print(os.getpid(), flush=True)
        time.sleep(300)

    @env.task
    def quick_or_slow(x: int) -> int:
        if x:
            print(os.getpid(), flush=True)
            time.sleep(300)
        return x

    @env.task(resources=flyte.Resources(cpu=0))
    def crowd(folder: str) -> int:
        here = os.path.join(folder, str(os.getpid()))
        open(here, "w").close()
        time.sleep(0.05)
        count = len(os.listdir(folder))
        os.remove(here)
        return count

    @env.task
    def sync_parent(n: int) -> list:
        return list(flyte.map(add, range(n), range(n)))

    @env.task
    async def async_parent(n: int) -> list:
        return [x async for x in flyte.map.aio(add, range(n), range(n))]

    @env.task
    def failing_parent() -> list:
        return [type(x).__name__ for x in flyte.map(odd, [1, 2, 3])]

    @env.task
    async def raising_parent() -> list:
        return [x async for x in flyte.map.aio(odd, [1, 2, 3], return_exceptions=False)]
"""


def test_results_come_in_the_order_of_several_inputs(cell: Any) -> None:
    book = cell(TASKS)
    assert list(flyte.map(book.add, range(6))) == list(range(6))
    assert list(flyte.map(book.add, range(6), [10, 20, 30])) == [10, 21, 32]


def test_results_keep_their_order_when_the_first_call_ends_last(cell: Any, tmp_path: Path) -> None:
    book = cell(TASKS)
    pipe, plain = tmp_path / "pipe", tmp_path / "plain"
    os.mkfifo(pipe)
    plain.write_text("second")
    results = flyte.map(book.reads, [str(pipe), str(plain)])
    pipe.write_text("first")
    assert list(results) == ["first", "second"]


def test_a_partial_fixes_inputs(cell: Any) -> None:
    book = cell(TASKS)
    assert list(flyte.map(functools.partial(book.add, b=5), [1, 2])) == [6, 7]
    assert list(flyte.map(functools.partial(book.add, 5), [1, 2])) == [6, 7]


def test_exceptions_take_the_place_of_results_or_are_raised(cell: Any) -> None:
    book = cell(TASKS)
    results = list(flyte.map(book.odd, [1, 2, 3]))
    assert results[0] == 1
    assert isinstance(results[1], ValueError)
    assert str(results[1]) == "2 is even"
    assert results[2] == 3
    strict = flyte.map(book.odd, [1, 2, 3], return_exceptions=False)
    assert next(strict) == 1
    with pytest.raises(ValueError, match="2 is even"):
        next(strict)
    assert list(strict) == []


def test_no_more_calls_at_once_than_asked_for(cell: Any, tmp_path: Path) -> None:
    book = cell(TASKS)
    folder = tmp_path / "running"
    folder.mkdir()
    counts = list(flyte.map(book.crowd, [str(folder)] * 6, concurrency=2))
    assert len(counts) == 6
    assert max(counts) <= 2


def test_a_map_that_is_closed_early_ends_the_rest(
    cell: Any, until: Callable[..., None], process_runs: Any, journal: Any, state: Path
) -> None:
    book = cell(TASKS)
    results: Any = flyte.map(book.quick_or_slow, [0, 1, 2], concurrency=2)
    assert next(results) == 0
    until(lambda: _printed(state))
    pids = [int(pid) for pid in _printed(state)]
    results.close()
    until(lambda: not any(process_runs(pid) for pid in pids), 3)
    ((phase,),) = journal("SELECT phase FROM runs")
    assert phase == "aborted"


def _printed(state: Path) -> list[str]:
    texts = [path.read_text() for path in state.rglob("*.log")]
    return [line for text in texts if text.endswith("\n") for line in text.split()]


def test_maps_inside_tasks(cell: Any) -> None:
    book = cell(TASKS)
    assert flyte.run(book.sync_parent, 5).outputs()[0] == [0, 2, 4, 6, 8]
    assert flyte.run(book.async_parent, 5).outputs()[0] == [0, 2, 4, 6, 8]
    assert flyte.run(book.failing_parent).outputs()[0] == ["int", "ValueError", "int"]
    with pytest.raises(ValueError, match="2 is even"):
        flyte.run(book.raising_parent).outputs()


def test_a_map_in_asynchronous_code(cell: Any) -> None:
    book = cell(TASKS)

    async def program() -> list[Any]:
        return [x async for x in flyte.map.aio(book.add, range(4), range(4))]

    assert asyncio.run(program()) == [0, 2, 4, 6]


def test_a_map_of_nothing_gives_nothing(cell: Any) -> None:
    book = cell(TASKS)
    assert list(flyte.map(book.add, [])) == []
    assert flyte.run(book.sync_parent, 0).outputs()[0] == []


def test_a_map_without_iterables_or_with_wrong_inputs_is_refused(cell: Any) -> None:
    book = cell(TASKS)
    with pytest.raises(flyte.errors.InputError, match="at least one iterable"):
        list(flyte.map(book.add))
    with pytest.raises(flyte.errors.InputError, match="takes a task first"):
        list(flyte.map(len, [1]))
    with pytest.raises(flyte.errors.InputTypeError, match="'a'"):
        list(flyte.map(book.add, ["x"]))
