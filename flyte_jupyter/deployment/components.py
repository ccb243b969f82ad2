"""Circles of a graph, each as one: what calls each other, in the order callees first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

__all__ = ["components"]


def components(edges: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield the strongly connected components of a graph, each after all that it leads to.

    Linear in nodes and edges, and without recursion (Tarjan's algorithm).

    Args:
        edges: for each node where it leads to; all of these are nodes.
    """
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: list[str] = []
    held: set[str] = set()
    for start in edges:
        if start in order:
            continue
        path = [(start, iter(edges[start]))]
        while path:
            node, rest = path[-1]
            if node not in order:
                order[node] = lowest[node] = len(order)
                open_.append(node)
                held.add(node)
            onward = _next(node, rest, order, lowest, held)
            if onward is not None:
                path.append((onward, iter(edges[onward])))
                continue
            path.pop()
            if path:
                before = path[-1][0]
                lowest[before] = min(lowest[before], lowest[node])
            if lowest[node] == order[node]:
                yield _taken(open_, held, node)


def _next(
    node: str,
    rest: Iterator[str],
    order: Mapping[str, int],
    lowest: dict[str, int],
    held: set[str],
) -> str | None:
    """Return the next node that was not met yet, noting the circles that the others close."""
    for other in rest:
        if other not in order:
            return other
        if other in held:
            lowest[node] = min(lowest[node], order[other])
    return None


def _taken(open_: list[str], held: set[str], first: str) -> list[str]:
    circle: list[str] = []
    while not circle or circle[-1] != first:
        circle.append(open_.pop())
    held.difference_update(circle)
    return circle
