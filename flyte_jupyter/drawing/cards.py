"""What stands on the card of an environment, and how large the card is.

The size depends on the declaration alone, never on a state: while a deployment runs, nothing moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flyte_jupyter.drawing.measure import fitted, width
from flyte_jupyter.drawing.view import GraphView, NodeView, TaskView

__all__ = ["NAME", "PAD", "SMALL", "TEXT", "Card", "Row", "cards_of", "count_of_tasks"]

NAME, TEXT, SMALL = 13.0, 11.5, 10.5
"""Sizes of the fonts, in pixels: names, what is told of them, badges."""
PAD = 12
NARROW, BROAD = 188, 268
COMPACT_FROM = 24
"""From so many nodes on, a card is a single line."""
SHOWN_TASKS = 12
HEAD, LINE, FOOT = 30, 17, 28
TASK, CALLED_TASK = 19, 25
"""Heights of the line of a task; arrows of calls need more room between them."""
COMPACT = 30
BADGE_ROOM = 102
"""Width kept free for the badge of any state."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a card.

    Args:
        y: of its baseline, from the top of the card.
        text: what it says, as much as there is room for.
        task: the task that it names, if it does.
    """

    y: float
    text: str
    task: TaskView | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """The card of a node.

    Args:
        node: the node.
        width: in pixels.
        height: in pixels.
        title: its name, as much as there is room for.
        rows: the lines between title and foot.
        foot: the line beside the badge; empty for a card of one line.
        compact: whether it is a card of one line.
    """

    node: NodeView
    width: float
    height: float
    title: str
    rows: tuple[Row, ...] = ()
    foot: str = ""
    compact: bool = False


def cards_of(view: GraphView) -> dict[str, Card]:
    """Return name → card of every node; all are of one width."""
    compact = len(view.nodes) >= COMPACT_FROM and not view.tasks
    called = {name for call in view.calls for name in (call.caller, call.callee)}
    shown = {node.name: _shown(node, called) if view.tasks else () for node in view.nodes}
    needs = [_need(node, shown[node.name], compact) for node in view.nodes]
    wide = min(BROAD, max([NARROW, *needs]))
    step = CALLED_TASK if view.calls else TASK
    return {node.name: _card(node, shown[node.name], wide, compact, step) for node in view.nodes}


def count_of_tasks(node: NodeView) -> str:
    """Return ``2 tasks``, or ``no tasks``."""
    count = len(node.tasks) + sum(len(member.tasks) for member in node.members)
    return f"{count or 'no'} {'task' if count == 1 else 'tasks'}"


def _shown(node: NodeView, called: Iterable[str]) -> tuple[TaskView, ...]:
    """Return the tasks that the card names: all that were called, and the first of the others."""
    if len(node.tasks) <= SHOWN_TASKS:
        return node.tasks
    must = {task.name for task in node.tasks if task.name in called}
    room = max(0, SHOWN_TASKS - 1 - len(must))
    others = [task.name for task in node.tasks if task.name not in must][:room]
    return tuple(task for task in node.tasks if task.name in must or task.name in others)


def _need(node: NodeView, shown: tuple[TaskView, ...], compact: bool) -> float:
    """Return how wide a card would have to be to show all of its node."""
    if compact and not node.members:
        return width(node.name, NAME, bold=True) + BADGE_ROOM + 3 * PAD
    if node.members:
        return width(node.label + count_of_tasks(node), NAME, bold=True) + 3 * PAD
    texts = [*_lines(node), *(task.label + "  " for task in shown)]
    needs = [width(text, TEXT) for text in texts]
    return max([width(node.label, NAME, bold=True), *needs]) + 2 * PAD + 4


def _card(
    node: NodeView, shown: tuple[TaskView, ...], wide: float, compact: bool, step: float
) -> Card:
    room = wide - 2 * PAD - 4
    if node.members:
        return _group(node, wide, room)
    if compact:
        title = fitted(node.name, wide - BADGE_ROOM - 3 * PAD, NAME, bold=True)
        return Card(node, wide, COMPACT, title, compact=True)
    y = float(HEAD)
    rows = []
    for text in _lines(node):
        y += LINE
        rows.append(Row(y - 5, fitted(text, room, TEXT)))
    for task in shown:
        y += step
        rows.append(Row(y - step / 2 + 5, fitted(task.label, room - 16, TEXT), task))
    if shown and (hidden := len(node.tasks) - len(shown)):
        y += step
        rows.append(Row(y - step / 2 + 5, f"… and {hidden} more"))
    title = fitted(node.name, room, NAME, bold=True)
    return Card(node, wide, y + FOOT + 4, title, tuple(rows), count_of_tasks(node))


def _lines(node: NodeView) -> list[str]:
    amounts = [f"{name} {amount}" for name, amount in node.resources]
    return [text for text in (node.image, " · ".join(amounts)) if text]


def _group(node: NodeView, wide: float, room: float) -> Card:
    """Return the card of several environments: how many, the first names, room for two badges."""
    names = ", ".join(member.name for member in node.members)
    first = fitted(names, room, TEXT)
    rows = [Row(HEAD + LINE - 5, first)]
    high = HEAD + LINE + 2 * FOOT
    return Card(node, wide, high, node.label, tuple(rows), count_of_tasks(node))
