"""The plan of ``depends_on`` beside what else sorts graphs, in the same run.

    python benchmarks/plan.py > benchmarks/plan.md

networkx is installed by flyte_jupyter itself, outside of the clone; without a package index its
rows are left out and said so. The peers are handed plain names and lists; ours reads them from the
environments.
"""

from __future__ import annotations

import asyncio
import graphlib
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from timing import alternately, machine, quiet, ratio, shown, table, times

import flyte_jupyter as flyte
from flyte_jupyter.images import VirtualEnvironments
from flyte_jupyter.spec.graph import waves
from flyte_jupyter.store.folders import cache_folder

NODES, EDGES, ROUNDS = 10_000, 30_000, 15

Needs = dict[str, list[str]]


def declared(name: str, needs: list[list[int]]) -> list[flyte.TaskEnvironment]:
    """Return environments of these names and numbers."""
    made: list[flyte.TaskEnvironment] = []
    for number, below in enumerate(needs):
        depends_on = [made[other] for other in below]
        made.append(flyte.TaskEnvironment(f"{name}-{number}", depends_on=depends_on))
    return made


class Graph:
    """Environments that depend on each other, and the same as names.

    Args:
        name: what the names of its environments begin with.
        needs: number to the numbers of what it depends on, all of them smaller.
    """

    def __init__(self, name: str, needs: list[list[int]]) -> None:
        self.environments = declared(name, needs)
        self.needs: Needs = {
            each.name: [other.name for other in each.depends_on] for each in self.environments
        }
        # the last one, down along first dependencies: what is found there comes to depend on it
        top = self.environments[-1]
        bottom = top
        while bottom.depends_on:
            bottom = bottom.depends_on[0]
        older = flyte.TaskEnvironment(top.name)
        again = flyte.TaskEnvironment(bottom.name, depends_on=[older])
        self.in_force = {top.name: top, bottom.name: again}
        self.needs_in_circle = {**self.needs, bottom.name: [top.name]}


def random_graph(nodes: int, edges: int) -> list[list[int]]:
    chance = random.Random(1)
    found: set[tuple[int, int]] = set()
    while len(found) < edges:
        one, other = chance.randrange(nodes), chance.randrange(nodes)
        if one != other:
            found.add((max(one, other), min(one, other)))
    needs: list[list[int]] = [[] for _ in range(nodes)]
    for above, below in sorted(found):
        needs[above].append(below)
    return needs


def chain(nodes: int) -> list[list[int]]:
    return [[number - 1] if number else [] for number in range(nodes)]


# What is measured


def ours(graph: Graph) -> list[list[Any]]:
    return waves(graph.environments)


def our_circle(graph: Graph) -> str:
    try:
        waves(graph.environments, graph.in_force)
    except flyte.errors.CycleError as error:
        return str(error)
    raise AssertionError("no circle")


def graphlib_waves(graph: Graph) -> list[list[str]]:
    sorter = graphlib.TopologicalSorter(graph.needs)
    sorter.prepare()
    plan = []
    while sorter.is_active():
        ready = sorter.get_ready()
        plan.append(list(ready))
        sorter.done(*ready)
    return plan


def graphlib_circle(graph: Graph) -> list[str]:
    try:
        graphlib.TopologicalSorter(graph.needs_in_circle).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    raise AssertionError("no circle")


def built(networkx: Any, needs: Needs) -> Any:
    graph = networkx.DiGraph()
    graph.add_nodes_from(needs)
    graph.add_edges_from((other, name) for name, below in needs.items() for other in below)
    return graph


def networkx_here() -> Any:
    """Return networkx from an environment of its own, None if it cannot be had."""
    image = flyte.Image.from_debian_base().with_pip_packages("networkx")
    try:
        python = asyncio.run(VirtualEnvironments(cache_folder()).prepare(image)).python
    except flyte.errors.ImageBuildError as error:
        print(f"networkx cannot be installed: {error}", file=sys.stderr)
        return None
    where = "import networkx, os; print(os.path.dirname(os.path.dirname(networkx.__file__)))"
    folder = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True)
    sys.path.append(folder.stdout.strip())
    import networkx

    return networkx


def compared(graph: Graph, networkx: Any) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the seconds of a plan and those of naming a circle, each by who did it."""
    plans: dict[str, Callable[[], Any]] = {
        "ours": lambda: ours(graph),
        "graphlib": lambda: graphlib_waves(graph),
    }
    circles: dict[str, Callable[[], Any]] = {
        "ours": lambda: our_circle(graph),
        "graphlib": lambda: graphlib_circle(graph),
    }
    sizes = {len(ours(graph)), len(graphlib_waves(graph))}
    if networkx is not None:
        ready = built(networkx, graph.needs)

        def generations() -> list[list[str]]:
            return list(networkx.topological_generations(built(networkx, graph.needs)))

        plans["networkx"] = generations
        plans["networkx, its graph built before"] = lambda: list(
            networkx.topological_generations(ready)
        )
        circles["networkx"] = lambda: networkx.find_cycle(built(networkx, graph.needs_in_circle))
        sizes.add(len(generations()))
    assert len(sizes) == 1, "all have as many waves"
    rows = [
        alternately({who: lambda work=work: times(work, 1) for who, work in works.items()}, ROUNDS)
        for works in (plans, circles)
    ]
    return rows[0], rows[1]


def rows_of(
    what: str, found: dict[str, list[float]], target: str, peer_target: str
) -> list[tuple[str, ...]]:
    """Return the rows of one thing: ours beside each peer."""
    own = found.pop("ours")
    rows = []
    for who, row in found.items():
        wanted = peer_target if who == "networkx" else ""
        rows.append((what, shown(own), target, f"{who} {shown(row)}", ratio(own, row), wanted))
    first, *others = rows
    return [first, *(("", "", "", *row[3:]) for row in others)]


def declarations() -> list[tuple[str, ...]]:
    """What 10,000 declarations cost, which are made before there can be a plan."""
    rows: list[tuple[str, ...]] = []
    for what, needs in (
        ("without dependencies", [[] for _ in range(NODES)]),
        ("with 30,000 dependencies", random_graph(NODES, EDGES)),
        ("in a chain", chain(NODES)),
    ):
        name = what.split()[-1]
        quiet()
        first = times(lambda name=name, needs=needs: declared(name, needs), 1)
        quiet()
        again = times(lambda name=name, needs=needs: declared(name, needs), 3)
        rows.append((f"10,000 declarations {what}", shown(first), "", "", "", ""))
        rows.append(("the same names declared again", shown(again), "", "", "", ""))
    return rows


def main() -> None:
    """Measure everything and print the table."""
    networkx = networkx_here()
    peer = f"networkx {networkx.__version__}" if networkx else "networkx could not be installed"
    rows: list[tuple[str, ...]] = []
    for name, what, needs, targets in (
        ("random", "10,000 environments, 30,000 edges", random_graph(NODES, EDGES), True),
        ("chain", "a chain of 10,000 environments", chain(NODES), False),
    ):
        plans, circles = compared(Graph(name, needs), networkx)
        p9 = "P9 " if targets else ""
        ends = ("≤ 60" if targets else "", "≤ 1" if targets else "")
        rows += rows_of(f"{p9}plan of {what}", plans, *ends)
        rows += rows_of(f"{p9}naming a circle in it", circles, *ends)
    rows += declarations()
    print("# The plan of `depends_on`\n")
    print(f"Medians / minima in ms on {machine()}, {peer}.")
    print("Made by `python benchmarks/plan.py`. What is compared took turns.\n")
    head = ("what", "ours", "target", "beside it in the same run", "ratio", "target")
    print(table(rows, head))


if __name__ == "__main__":
    main()
