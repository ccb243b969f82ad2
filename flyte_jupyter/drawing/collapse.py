"""Many environments, few nodes: those that stand in the same place of the graph become one.

Two environments stand in the same place if they are of one wave, depend on the same ones, and the
same ones depend on them. Nothing is lost by drawing them once: every edge of the node is an edge of
each of them.
"""

from __future__ import annotations

from dataclasses import replace

from flyte_jupyter.drawing.view import EdgeView, GraphView, NodeView

__all__ = ["MANY", "collapsed"]

MANY = 40
"""Up to so many environments are drawn one by one."""
FEWEST = 3
"""So many in one place are worth a node of their own."""


def collapsed(view: GraphView) -> GraphView:
    """Return the view with environments of one place as one node, if there are many.

    A view that shows tasks or calls stays as it is: there, each environment has its own content.
    """
    if len(view.nodes) <= MANY or view.tasks or view.calls:
        return view
    before: dict[str, set[str]] = {node.name: set() for node in view.nodes}
    after: dict[str, set[str]] = {node.name: set() for node in view.nodes}
    for edge in view.edges:
        before[edge.source].add(edge.target)
        after[edge.target].add(edge.source)
    by_name = view.by_name
    nodes: list[NodeView] = []
    waves: list[tuple[str, ...]] = []
    stands_in: dict[str, str] = {}
    for number, wave in enumerate(view.waves, 1):
        places: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
        for name in wave:
            key = frozenset(before[name]), frozenset(after[name])
            places.setdefault(key, []).append(name)
        drawn = []
        for names in places.values():
            if len(names) < FEWEST:
                members = [by_name[name] for name in names]
            else:
                # the wave makes the name unique: a wave has each of its environments once
                name = f"wave {number}: {', '.join(names)}"
                members = [_together(name, [by_name[one] for one in names])]
                stands_in.update(dict.fromkeys(names, name))
            nodes += members
            drawn += [node.name for node in members]
        waves.append(tuple(drawn))
    return replace(
        view, nodes=tuple(nodes), waves=tuple(waves), edges=_edges(view.edges, stands_in)
    )


def _together(name: str, members: list[NodeView]) -> NodeView:
    return NodeView(name=name, members=tuple(members))


def _edges(edges: tuple[EdgeView, ...], stands_in: dict[str, str]) -> tuple[EdgeView, ...]:
    """Return the edges between what is drawn, each once, with the reason that they share."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for edge in edges:
        ends = stands_in.get(edge.source, edge.source), stands_in.get(edge.target, edge.target)
        reasons.setdefault(ends, []).append(edge.reason)
    found = []
    for (source, target), said in reasons.items():
        different = list(dict.fromkeys(said))
        reason = different[0] if len(different) == 1 else f"{len(said)} dependencies"
        found.append(EdgeView(source, target, reason))
    return tuple(found)
