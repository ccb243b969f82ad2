"""Arrays cross exact and writable, outside of what counts as inline, past who lacks NumPy too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flyte_jupyter as flyte
from flyte_jupyter.store.streams import SocketTransport
from flyte_jupyter.wire.segments import Segments, process_segments

TASKS = """
    import asyncio
    numeric = flyte.TaskEnvironment(
        name="numeric",
        image=flyte.Image.from_debian_base().with_pip_packages("numpy"),
        max_inline_io_bytes=10_000,
    )

    @numeric.task
    def twice(array):
        array *= 2  # it is writable
        return array

    @numeric.task
    def make(count: int):
        import numpy
        return numpy.arange(count, dtype=float)

    @numeric.task
    def total(array) -> float:
        return float(array.sum())

    @numeric.task
    def several():
        import numpy
        return {"view": numpy.arange(12).reshape(3, 4)[:, ::2], "scalar": numpy.float32(1.5)}

    @env.task
    async def passes_on(count: int) -> float:
        array = await make.aio(count)
        return await total.aio(array)

    @env.task
    async def gives_back(count: int):
        return await make.aio(count)

    @env.task
    async def touches(count: int):
        array = await make.aio(count)
        return array.sum()
"""


def test_large_arrays_are_exact_and_writable_on_both_sides(cell: Any) -> None:
    book = cell(TASKS)
    array = np.random.default_rng(1).random(8 << 20)
    assert array.nbytes == 64 << 20
    kept = array.copy()
    (back,) = flyte.run(book.twice, array).outputs()
    np.testing.assert_array_equal(back, kept * 2)
    np.testing.assert_array_equal(array, kept)
    back[0] = 7
    assert back[0] == 7


def test_an_array_passes_through_a_parent_without_its_package(cell: Any) -> None:
    book = cell(TASKS)
    count = 1 << 20
    assert flyte.run(book.passes_on, count).outputs() == (count * (count - 1) / 2,)
    (back,) = flyte.run(book.gives_back, count).outputs()
    np.testing.assert_array_equal(back, np.arange(count, dtype=float))


def test_touching_what_cannot_be_decoded_names_the_missing_package(cell: Any) -> None:
    book = cell(TASKS)
    with pytest.raises(flyte.errors.OpaqueValueError, match="numpy"):
        flyte.run(book.touches, 10).outputs()


def test_views_and_scalars_keep_shape_and_type(cell: Any) -> None:
    book = cell(TASKS)
    (back,) = flyte.run(book.several).outputs()
    np.testing.assert_array_equal(back["view"], [[0, 2], [4, 6], [8, 10]])
    assert type(back["scalar"]) is np.float32


def test_many_large_arrays_travel_side_by_side(cell: Any) -> None:
    book = cell(TASKS)
    arrays = [np.full(1 << 20, x, dtype=float) for x in range(4)]
    sums = list(flyte.map(book.total, arrays))
    assert sums == [float(x << 20) for x in range(4)]


SHARING = """
    numeric = flyte.TaskEnvironment(
        name="numeric",
        image=flyte.Image.from_debian_base().with_pip_packages("numpy"),
        reusable=flyte.ReusePolicy(replicas=1),
    )
    kept = {}

    @numeric.task
    def used() -> tuple[int, int, int]:
        import os, sys
        found = sys.modules.get("flyte_jupyter.wire.segments")
        segments = found.process_segments()
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return len(os.listdir("/proc/self/fd")), resident, len(segments)

    @numeric.task
    def twice(array):
        return array * 2

    @numeric.task
    def spoils(array):
        array[:] = 9
        return float(array[0])

    @numeric.task
    def first(array) -> float:
        return float(array[0])

    @numeric.task
    def keep(array) -> float:
        import builtins
        if not hasattr(builtins, "kept_here"):
            builtins.kept_here = array[:10]
        return float(builtins.kept_here.sum())

    @numeric.task
    def make(count: int, value: float):
        import numpy
        return numpy.full(count, value)

    @env.task
    def chain(count: int) -> float:
        array = make(count, 3.0)
        return spoils(array) + first(array)
"""


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def shared() -> Segments:
    found = process_segments()
    if found is None:
        pytest.skip("no files in memory here")
    return found


def test_two_hundred_large_calls_leave_memory_and_descriptors_as_they_were(cell: Any) -> None:
    book = cell(SHARING)
    segments = shared()
    array = np.ones(1 << 20)
    for _ in range(20):
        flyte.run(book.twice, array).result()
    here = open_descriptors(), resident(), len(segments)
    there = flyte.run(book.used).result()
    for _ in range(200):
        assert flyte.run(book.twice, array).result()[-1] == 2
    now = open_descriptors(), resident(), len(segments)
    then = flyte.run(book.used).result()
    # a few wait on their segments for the journal to write them, others in memory, 1 GiB at most
    limits = (40, 1200 << 20, 40)
    assert [a <= b + more for a, b, more in zip(now, here, limits, strict=True)] == [True] * 3
    limits = (40, 400 << 20, 40)
    assert [a <= b + more for a, b, more in zip(then, there, limits, strict=True)] == [True] * 3


def test_what_a_task_does_to_an_array_nobody_else_sees(cell: Any) -> None:
    book = cell(SHARING)
    array = np.ones(1 << 20)
    for _ in range(3):
        assert flyte.run(book.spoils, array).result() == 9
        assert flyte.run(book.first, array).result() == 1
    assert array.min() == array.max() == 1
    assert flyte.run(book.chain, 1 << 20).result() == 9 + 3


def test_an_array_that_came_back_is_the_users_own(cell: Any) -> None:
    book = cell(SHARING)
    back = flyte.run(book.make, 1 << 20, 1.0).result()
    assert flyte.run(book.first, back).result() == 1
    back[:] = 5
    assert flyte.run(book.first, back).result() == 5
    other = flyte.run(book.make, 1 << 20, 2.0).result()
    assert (back.max(), other.max()) == (5, 2)


def test_what_is_kept_of_an_array_stays_as_it_was(cell: Any) -> None:
    book = cell(SHARING)
    mine = flyte.run(book.make, 1 << 20, 1.0).result()[5:15]
    assert flyte.run(book.keep, np.full(1 << 20, 3.0)).result() == 30
    for value in range(5):
        flyte.run(book.twice, np.full(1 << 20, float(value))).result()
        flyte.run(book.make, 1 << 20, float(value)).result()
    assert mine.sum() == 10
    assert flyte.run(book.keep, np.zeros(1 << 20)).result() == 30


def test_a_result_outlives_its_worker_and_the_engine(cell: Any) -> None:
    book = cell(SHARING)
    back = flyte.run(book.make, 1 << 20, 4.0).result()
    run = flyte.run(book.make, 1 << 20, 6.0)
    run.wait()
    flyte.shut_down()
    back[0] = 5
    assert back.sum() == 5 + 4 * ((1 << 20) - 1)
    assert run.result().max() == 6


def test_what_is_passed_on_or_given_back_is_not_copied(cell: Any) -> None:
    book = cell(SHARING)
    segments = shared()
    made = segments.total
    back = flyte.run(book.make, 1 << 21, 1.0).result()
    assert flyte.run(book.first, back).result() == 1
    assert flyte.run(book.chain, 1 << 21).result() == 12
    assert segments.total == made


def test_arrays_travel_where_no_descriptors_can(cell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SocketTransport.__init__

    def plain(self: Any, *args: Any, descriptors: bool) -> None:
        made(self, *args)

    monkeypatch.setattr(SocketTransport, "__init__", plain)
    book = cell(SHARING)
    array = np.arange(1 << 20, dtype=float)
    back = flyte.run(book.twice, array).result()
    np.testing.assert_array_equal(back, array * 2)
    back[0] = 1
    assert flyte.run(book.chain, 1 << 20).result() == 12
