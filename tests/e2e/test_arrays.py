"""Arrays cross exact and writable, outside of what counts as inline, past who lacks NumPy too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flyte_jupyter as flyte

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
