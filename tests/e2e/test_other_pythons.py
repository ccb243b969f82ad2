"""A kernel on one Python, tasks on others: the code travels as source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import flyte_jupyter as flyte


@pytest.fixture(params=("local", "docker"))
def has(request: pytest.FixtureRequest) -> Callable[[str], object]:
    """A function that skips where a target, each in turn, has no Python such as ``"3.9"``."""
    if request.param == "local":
        needs_python: Callable[[str], str] = request.getfixturevalue("needs_python")
        return needs_python
    request.getfixturevalue("docker_engine")
    needs_image: Callable[[str], str] = request.getfixturevalue("needs_image")
    flyte.init(target="docker")
    return lambda version: needs_image(f"python:{version}-slim")


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_a_task_runs_under_another_python_with_classes_and_helpers(
    cell: Any, has: Callable[[str], object], version: str
) -> None:
    has(version)
    book = cell(f"""
        import asyncio
        import sys
        from dataclasses import dataclass

        other = flyte.TaskEnvironment(name="other", image="python:{version}-slim")

        @dataclass
        class Point:
            x: int
            y: float | None = None

        def moved(point: Point) -> Point:
            return Point(point.x + 1, 0.5)

        @other.task
        def where(point: Point, names: list[str] | None = None) -> tuple[list, Point]:
            print("in", sys.version_info[:2])
            return list(sys.version_info[:2]), moved(point)

        @env.task
        async def both(point: Point) -> list:
            here = list(sys.version_info[:2])
            there, point = await where.aio(point)
            return [here, there, point.x]
    """)
    run = flyte.run(book.where, book.Point(1), ["a"])
    major, minor = (int(part) for part in version.split("."))
    assert run.outputs() == ([major, minor], book.Point(2, 0.5))
    assert f"({major}, {minor})" in run.logs()
    import sys

    both = flyte.run(book.both, book.Point(1)).result()
    assert both == [list(sys.version_info[:2]), [major, minor], 2]


def test_packages_are_installed_for_the_other_python(
    cell: Any, has: Callable[[str], object]
) -> None:
    has("3.9")
    book = cell("""
        image = flyte.Image.from_debian_base(python_version=(3, 9)).with_pip_packages("numpy<2")
        other = flyte.TaskEnvironment(name="other", image=image)

        @other.task
        def doubled(n: int):
            import numpy as np
            return np.arange(n) * 2, np.__version__
    """)
    values, version = flyte.run(book.doubled, 4).result()
    assert values.tolist() == [0, 2, 4, 6]
    assert version.startswith("1.")


def test_syntax_that_is_too_new_is_refused_before_anything_runs(
    cell: Any, has: Callable[[str], object]
) -> None:
    has("3.9")
    book = cell("""
        other = flyte.TaskEnvironment(name="other", image="python:3.9-slim")

        @other.task
        def newer(x: int) -> int:
            match x:
                case 1:
                    return 10
            return 20
    """)
    with pytest.raises(flyte.errors.CapsuleError) as caught:
        flyte.run(book.newer, 1)
    assert "a match statement in newer()" in str(caught.value)
    assert "needs Python 3.10 or newer, not 3.9." in str(caught.value)
    assert not flyte.explain(book.newer).ok
