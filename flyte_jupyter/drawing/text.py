"""The graph as plain text, wave by wave: what a terminal, an export or a code host shows."""

from __future__ import annotations

from collections.abc import Sequence

from flyte_jupyter.drawing.cards import count_of_tasks
from flyte_jupyter.drawing.states import call_look, counted, look
from flyte_jupyter.drawing.view import CallView, GraphView, NodeView

__all__ = ["EMPTY", "called", "text"]

EMPTY = "No environment is declared yet. Begin a cell with %%flyte_env NAME."
NAMED = 6
"""So many environments of one node are named."""


def text(view: GraphView, *, reasons: bool = False) -> str:
    """Return the graph as lines of text.

    Args:
        view: the graph.
        reasons: whether to say, below, how and where every dependency was declared.
    """
    if not view.nodes:
        return EMPTY
    nodes = view.by_name
    needs: dict[str, list[str]] = {}
    for edge in view.edges:
        target = nodes[edge.target].label if edge.target in nodes else edge.target
        needs.setdefault(edge.source, []).append(target)
    stated = any(one.state for node in view.nodes for one in (node, *node.members))
    rows: list[tuple[str, ...]] = []
    below: list[list[str]] = []
    for number, wave in enumerate(view.waves, 1):
        for place, name in enumerate(wave):
            head = "" if place else f"wave {number}"
            wanted = needs.get(name, [])
            after = f"← {', '.join(wanted)}" if wanted else ""
            rows.append((head, *_cells(nodes[name], stated), after))
            below.append(_tasks(nodes[name]) if view.tasks else [])
    width = max(len(row[0]) for row in rows) + 4
    lines = []
    for line, own in zip(_aligned(rows), below, strict=True):
        lines += [line, *(f"{'':<{width}}{task}" for task in own)]
    if view.calls:
        lines += ["", f"calls of the run of {view.run}:", *_calls(view.calls)]
    if reasons and view.edges:
        lines += ["", *view.sentences.values()]
    return "\n".join(lines)


def called(count: int) -> str:
    """Return ``called once``, or ``called 3 times``."""
    return "called once" if count == 1 else f"called {count} times"


def _cells(node: NodeView, stated: bool) -> tuple[str, ...]:
    resources = ", ".join(f"{name} {amount}" for name, amount in node.resources)
    if not node.members:
        state = f"{look(node.state).symbol} {look(node.state).word}" if stated else ""
        return state, node.name, node.image, resources, count_of_tasks(node)
    names = [member.name for member in node.members]
    some = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
    states = counted([member.state for member in node.members])
    state = ", ".join(f"{look(one).symbol} {count} {look(one).word}" for one, count in states)
    return state if stated else "", node.label, some, "", count_of_tasks(node)


def _tasks(node: NodeView) -> list[str]:
    return [
        f"{call_look(task.state).symbol if task.state else '·'} {task.label}" for task in node.tasks
    ]


def _calls(calls: tuple[CallView, ...]) -> list[str]:
    rows = [
        (
            _short(call.caller) or "the run",
            "⇢",
            _short(call.callee),
            called(call.count) if call.caller else "started here",
            f"{call_look(call.state).symbol} {call.detail or call_look(call.state).word}",
        )
        for call in calls
    ]
    return [f"  {line}" for line in _aligned(rows)]


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows as lines, every column as wide as its widest cell; empty ones take no room."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:<{size}}" for cell, size in zip(row, widths, strict=True) if size
        ).rstrip()
        for row in rows
    ]


def _short(task: str) -> str:
    return task.partition(".")[2] or task
