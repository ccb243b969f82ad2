"""An environment with two tasks, in a catalog of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.catalog import Catalog
from flyte_jupyter.spec.listeners import on_environment, on_task
from flyte_jupyter.steering.levels import Level


def train() -> None: ...


def score() -> None: ...


@pytest.fixture
def catalog() -> Iterator[Catalog]:
    """A catalog with the environment ``ml``; ``score`` declares some fields of its own."""
    catalog = Catalog()
    ends = on_environment(catalog.declare_environment), on_task(catalog.declare_task)
    environment = flyte.TaskEnvironment(
        "ml",
        image=flyte.Image.from_debian_base().with_pip_packages("pandas"),
        resources=flyte.Resources(cpu=2, memory="4Gi"),
        env_vars={"A": "1", "B": "2"},
    )
    environment.task(train)
    environment.task(score, retries=2, resources=flyte.Resources(memory="8Gi"))
    yield catalog
    for end in ends:
        end()


@pytest.fixture
def ml() -> Level:
    return Level("ml")


@pytest.fixture
def of_train() -> Level:
    return Level("ml", "ml.train")


@pytest.fixture
def of_score() -> Level:
    return Level("ml", "ml.score")
