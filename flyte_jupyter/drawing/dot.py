"""The graph in the language of Graphviz, made by its Python package; the same for equal graphs."""

from __future__ import annotations

import re
from typing import Any

from flyte_jupyter.drawing.cards import count_of_tasks
from flyte_jupyter.drawing.states import call_look, counted, look
from flyte_jupyter.drawing.text import called
from flyte_jupyter.drawing.view import CallView, GraphView, NodeView

__all__ = ["digraph"]

PLAIN_NAME = re.compile(r"[A-Za-z0-9_.@-]+")
FONT = "Helvetica,Arial,sans-serif"
INK, MUTED, CALL = "#1f2328", "#6a727b", "#0070b4"


def digraph(view: GraphView) -> Any:
    """Return the graph as a `graphviz.Digraph`; an arrow runs in the direction of deployment.

    Waves are clusters. With calls laid over it, the arrows of these are dashed and open, and those
    of the dependencies recede.
    """
    import graphviz

    dot = graphviz.Digraph(
        "flyte",
        graph_attr={
            "rankdir": "LR",
            "newrank": "true",
            "bgcolor": "white",
            "fontname": FONT,
            "nodesep": "0.25",
            "ranksep": "0.7",
            "tooltip": _quoted(view.title),
        },
        node_attr={
            "shape": "box",
            "style": "rounded,filled",
            "fillcolor": "white",
            "color": MUTED,
            "fontname": FONT,
            "fontcolor": INK,
            "fontsize": "11",
            "margin": "0.15,0.08",
        },
        edge_attr={"color": MUTED, "fontname": FONT, "fontsize": "10", "arrowsize": "0.7"},
    )
    names = {node.name: _name(node.name, place) for place, node in enumerate(view.nodes)}
    nodes, sentences = view.by_name, view.sentences
    for number, wave in enumerate(view.waves, 1):
        with dot.subgraph(name=f"cluster_wave_{number}") as cluster:
            cluster.attr(
                label=f"wave {number}", labeljust="l", style="rounded,filled", rank="same",
                color="#e3e7eb", fillcolor="#f6f8fa", fontcolor=MUTED, fontsize="11",
            )  # fmt: skip
            for name in wave:
                _add(cluster, nodes[name], names[name], view.tasks)
    for edge in view.edges:
        if edge.source in names and edge.target in names:
            tooltip = _quoted(sentences[edge.source, edge.target])
            quiet = {"color": "#b8bfc6"} if view.calls else {}
            ends = names[edge.target], names[edge.source]
            dot.edge(*ends, tooltip=tooltip, **quiet)
    for call in view.calls:
        _call(dot, call, names)
    return dot


def _add(dot: Any, node: NodeView, name: str, tasks: bool) -> None:
    shown = look(node.state)
    tooltip = _quoted("\n".join(_told(node)))
    outline = {"color": shown.colour, "penwidth": "2"} if shown.colour else {}
    dot.node(name, label=_quoted("\n".join(_lines(node, tasks))), tooltip=tooltip, **outline)


def _lines(node: NodeView, tasks: bool) -> list[str]:
    if node.members:
        states = counted([member.state for member in node.members])
        told = [f"{look(one).symbol} {count} {look(one).word}" for one, count in states]
        return [node.label, ", ".join(told)]
    resources = " · ".join(f"{name} {amount}" for name, amount in node.resources)
    state = look(node.state)
    lines = [node.name, node.image, resources]
    if tasks:
        lines += [
            f"{call_look(task.state).symbol if task.state else '·'} {task.label}"
            for task in node.tasks
        ]
    lines.append(f"{count_of_tasks(node)} · {state.symbol} {state.word}")
    return [line for line in lines if line]


def _told(node: NodeView) -> list[str]:
    if node.members:
        return [f"{look(member.state).symbol} {member.name}" for member in node.members]
    declared = f"declared in {node.origin}" if node.origin else ""
    return [line for line in (node.name, declared, *node.detail) if line]


def _call(dot: Any, call: CallView, names: dict[str, str]) -> None:
    """Add the arrow of a call; it does not move the environments."""
    source, target = (names.get(task.partition(".")[0]) for task in (call.caller, call.callee))
    if source is None or target is None:
        return
    state = call_look(call.state)
    ends = f"{call.caller.partition('.')[2]} ⇢ {call.callee.partition('.')[2]}"
    said = f"{state.symbol} {call.callee.partition('.')[2]} called ×{call.count}"
    told = f"{ends}: {called(call.count)}, {call.detail or state.word}"
    dot.edge(
        source, target, label=_quoted(said), style="dashed",
        arrowhead="vee", constraint="false", color=state.colour or CALL,
        fontcolor=state.colour or CALL, tooltip=_quoted(told), labeltooltip=_quoted(told),
    )  # fmt: skip


def _name(name: str, place: int) -> str:
    """Return the name of a node in the source: its own, if it means nothing else there."""
    return name if PLAIN_NAME.fullmatch(name) else f"node {place}"


def _quoted(text: str) -> Any:
    """Return a text that Graphviz takes literally, with its line breaks."""
    import graphviz

    return graphviz.nohtml(graphviz.escape(text).replace("\n", r"\n"))
