"""How long it takes to draw the graph of many environments, in every form that a notebook gets.

python benchmarks/graph.py > benchmarks/graph.md
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from timing import machine, quiet, shown, table, times

import flyte_jupyter as flyte
from flyte_jupyter.drawing import Graph
from flyte_jupyter.drawing.graph import html
from flyte_jupyter.session.graph import view_of

COUNT, WAVES, ROUNDS = 200, 8, 11

Environments = list[flyte.TaskEnvironment]


def layered(name: str, count: int) -> Environments:
    """Return environments in waves, each of which depends on up to three of those before."""
    chance = random.Random(1)
    made: Environments = []
    per = count // WAVES
    for number in range(count):
        first = number // per * per
        below = {chance.randrange(first) for _ in range(3)} if first else set()
        depends_on = [made[other] for other in sorted(below)]
        made.append(with_task(f"{name}-{number}", depends_on))
    return made


def fan(name: str, count: int) -> Environments:
    """Return environments between one that all depend on and one that depends on all."""
    base = with_task(f"{name}-base", [])
    middle = [with_task(f"{name}-{number}", [base]) for number in range(count - 2)]
    return [base, *middle, with_task(f"{name}-report", middle)]


def with_task(name: str, depends_on: Environments) -> flyte.TaskEnvironment:
    environment = flyte.TaskEnvironment(name, depends_on=depends_on)
    environment.task(work)
    return environment


def work(rows: int = 1) -> int:
    return rows


def whole(environments: Environments, expand: bool) -> Callable[[], object]:
    """Return what a cell with ``flyte.graph(...)`` does: view, states, every form."""
    return lambda: flyte.graph(*environments, expand=expand)._repr_mimebundle_()


def main() -> None:
    """Measure everything and print the table."""
    rows: list[tuple[str, ...]] = []

    def measured(
        what: str, done: Callable[[], object], target: str = "", count: int = ROUNDS
    ) -> None:
        done()
        quiet()
        rows.append((what, shown(times(done, count)), target))

    with tempfile.TemporaryDirectory() as folder:
        flyte.init(target="local", state=Path(folder), project=folder)
        for what, environments in (
            ("in layers", layered("layer", COUNT)),
            ("between two", fan("fan", COUNT)),
        ):
            measured(f"{COUNT} environments {what}", whole(environments, False), "≤ 2000")
            measured("each of them drawn", whole(environments, True), "≤ 2000")
        many = layered("many", 1000)
        measured("1,000 environments in layers, each of them drawn", whole(many, True), count=3)
        environments = layered("live", COUNT)
        view = view_of(environments)
        measured(
            "one update of 200 in layers while they are deployed", lambda: html(Graph(view).shown)
        )
        three = layered("few", WAVES)[:3]
        measured("3 environments", whole(three, False))
        flyte.deploy(*environments)
        measured("200 in layers, all deployed", whole(environments, False), "≤ 2000", 5)
        flyte.shut_down()
    print("# The graph, drawn\n")
    print(f"Medians / minima in ms on {machine()}.")
    print("Made by `python benchmarks/graph.py`. Every form is made: text, DOT, SVG and HTML.\n")
    print(table(rows, ("what", "ours", "target")))


if __name__ == "__main__":
    main()
