"""Views of graphs to draw."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import pytest

from flyte_jupyter.drawing import CallView, EdgeView, GraphView, NodeView, TaskView

Needs = Mapping[str, Sequence[str]]
Made = Callable[..., GraphView]


def waves_of(names: Sequence[str], needs: Needs) -> tuple[tuple[str, ...], ...]:
    waves: dict[str, int] = {}
    for name in names:  # what is needed stands before
        waves[name] = 1 + max((waves[other] for other in needs.get(name, ())), default=-1)
    count = max(waves.values(), default=-1) + 1
    return tuple(tuple(name for name in names if waves[name] == wave) for wave in range(count))


def view_of(
    names: Sequence[str],
    needs: Needs,
    states: Mapping[str, str] = {},
    tasks: Mapping[str, Sequence[str]] = {},
    calls: Sequence[CallView] = (),
) -> GraphView:
    nodes = tuple(
        NodeView(
            name,
            image="python:3.12-slim",
            resources=(("cpu", "1"), ("memory", "2Gi")),
            tasks=tuple(TaskView(f"{name}.{task}") for task in tasks.get(name, ())),
            state=states.get(name, ""),
            origin="cell 7, line 3",
        )
        for name in names
    )
    edges = tuple(
        EdgeView(name, other, "depends_on in cell 7, line 3")
        for name in names
        for other in needs.get(name, ())
    )
    return GraphView(
        nodes, waves_of(names, needs), edges, tuple(calls), run="pipeline", tasks=bool(tasks)
    )


@pytest.fixture
def make() -> Made:
    """A function that makes a view of names and what each of them depends on."""
    return view_of


@pytest.fixture
def seed() -> GraphView:
    """The three environments of Flyte's documentation."""
    return view_of(
        ["base-utils", "ml-training", "api"],
        {"ml-training": ["base-utils"], "api": ["ml-training"]},
        {"base-utils": "deployed", "ml-training": "changed"},
    )


@pytest.fixture
def called() -> GraphView:
    """A run laid over three environments, with calls in all directions."""
    return view_of(
        ["base", "ml", "api"],
        {"ml": ["base"], "api": ["ml", "base"]},
        tasks={"base": ["load", "pipeline"], "ml": ["train"], "api": ["serve"]},
        calls=(
            CallView("", "base.pipeline", 1, "failed"),
            CallView("base.pipeline", "base.load", 1, "succeeded"),
            CallView("base.pipeline", "ml.train", 3, "failed", "1 failed, 2 succeeded"),
            CallView("base.pipeline", "api.serve", 1, "running"),
            CallView("api.serve", "base.load", 2, "succeeded"),
            CallView("ml.train", "ml.train", 1, "succeeded"),
        ),
    )


def layered(count: int, waves: int, seed: int) -> GraphView:
    """Environments in waves, each depending on a few of those before it."""
    chance = random.Random(seed)
    names = [f"env-{number:03d}" for number in range(count)]
    per = count // waves
    needs: dict[str, list[str]] = {}
    for place, name in enumerate(names):
        if first := place // per * per:
            needs[name] = sorted(
                {names[chance.randrange(first)] for _ in range(chance.randint(1, 3))}
            )
    return view_of(names, needs)


@pytest.fixture
def random_graph() -> Callable[[int, int, int], GraphView]:
    """A function that makes a graph of so many environments, in about so many waves."""
    return layered
