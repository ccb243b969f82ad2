"""Arrows of calls, from task to task: dashed, with open heads and tags, over the deployment."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flyte_jupyter.drawing.arrows import Point, begun, curve, open_head
from flyte_jupyter.drawing.cards import SMALL, Card
from flyte_jupyter.drawing.layout import Box, Layout
from flyte_jupyter.drawing.measure import width
from flyte_jupyter.drawing.paint import Paint, icon, label, number, tooltip
from flyte_jupyter.drawing.states import call_look
from flyte_jupyter.drawing.text import called
from flyte_jupyter.drawing.view import CallView, GraphView

__all__ = ["CALL_GAP", "calls"]

CALL_GAP = 176
"""Space between two waves, for the arrows and their tags."""
TAG = 17
BESIDE = 5
CLEAR = 12


@dataclass(frozen=True, slots=True)
class _Flight:
    """An arrow of a call: its path, its tip, where its tag would stand, and between which sides."""

    path: str
    tip: Point
    spot: Point
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class _Port:
    """A task on its card: the band it is in, and the height of its line."""

    rank: int
    box: Box
    y: float


def calls(
    view: GraphView, layout: Layout, cards: Mapping[str, Card], paint: Paint
) -> Iterable[str]:
    """Return the arrows of calls, dashed and with open heads, and then their tags."""
    ports = _ports(view, layout, cards)
    columns = [
        sorted((layout.boxes[name] for name in wave), key=lambda box: box.y) for wave in view.waves
    ]
    tags: list[str] = []
    taken: list[Box] = []
    loops: dict[int, int] = {}
    passed: dict[tuple[int, float], int] = {}
    for call in view.calls:
        caller, callee = ports.get(call.caller), ports.get(call.callee)
        if caller is None or callee is None:
            continue
        if caller.rank == callee.rank:
            loops[caller.rank] = turn = loops.get(caller.rank, 0) + 1
            flight = _loop(caller, callee, turn)
        else:
            flight = _flight(caller, callee, columns, passed)
        back = callee.rank <= caller.rank
        state = call_look(call.state)
        told, stroke = _told(call), paint.stroke(state.colour)
        yield (
            f'<g>{tooltip(told)}<path d="{flight.path}" fill="none" {stroke} '
            'stroke-width="1.8" stroke-dasharray="5 4"/>'
            f'<path d="{open_head(flight.tip, back)}" fill="none" {stroke} '
            'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/>'
            f'<path d="{flight.path}" fill="none" stroke="{paint.edge}" stroke-opacity="0" '
            'stroke-width="11"/></g>'
        )
        said = f"called ×{call.count}"
        if call.detail:  # not all of them fared alike: the worst are named
            said += f", {call.detail.partition(',')[0]}"
        wide = width(said, SMALL) + 26
        middle = max(flight.left + wide / 2, min(flight.spot[0], flight.right - wide / 2))
        box = _free(Box(middle - wide / 2, flight.spot[1] - TAG / 2, wide, TAG), taken)
        taken.append(box)
        tags.append(
            f"<g>{tooltip(told)}"
            f'<rect x="{number(box.x)}" y="{number(box.y)}" width="{number(wide)}" '
            f'height="{TAG}" rx="4" fill="{paint.card}" {stroke}/>'
            + icon(box.x + 4, box.y + 3, state, state.colour, 11, stroke)
            + label(box.x + 19, box.y + 12.2, said, paint.ink, size=SMALL)
            + "</g>"
        )
    yield from tags


def _told(call: CallView) -> str:
    ends = f"{call.caller} calls {call.callee}"
    return f"{ends}: {called(call.count)}, {call.detail or call_look(call.state).word}"


def _ports(view: GraphView, layout: Layout, cards: Mapping[str, Card]) -> dict[str, _Port]:
    ports = {}
    for rank, wave in enumerate(view.waves):
        for name in wave:
            box = layout.boxes[name]
            for row in cards[name].rows:
                if row.task is not None:
                    ports[row.task.name] = _Port(rank, box, box.y + row.y - 4)
    return ports


def _loop(caller: _Port, callee: _Port, turn: int) -> _Flight:
    """Return an arrow within a wave: out of the right side and back into it."""
    aside = 4 if callee.y >= caller.y else -4
    start, end = (caller.box.right, caller.y + aside), (callee.box.right, callee.y)
    if caller.y == callee.y:
        start, end = (start[0], caller.y - 5), (end[0], caller.y + 5)
    out = start[0] + 54 + 10 * turn
    points = (out, start[1], out, end[1], end[0] + 2, end[1])
    path = f"M{number(start[0])} {number(start[1])}C" + " ".join(map(number, points))
    spot = (start[0] + (out - start[0]) * 0.75, (start[1] + end[1]) / 2)
    return _Flight(path, (end[0] + 1, end[1]), spot, start[0] + CLEAR, start[0] + CALL_GAP - CLEAR)


def _flight(
    caller: _Port, callee: _Port, columns: list[list[Box]], passed: dict[tuple[int, float], int]
) -> _Flight:
    """Return an arrow to another wave, between the cards of those that it passes."""
    forward = callee.rank > caller.rank
    at = (caller.box.right if forward else caller.box.x, caller.y)
    tip = (callee.box.x if forward else callee.box.right, callee.y)
    parts = [begun(at)]
    step = 1 if forward else -1
    for rank in range(caller.rank + step, callee.rank, step):
        column = columns[rank]
        if not column:
            continue
        left, right = min(box.x for box in column), max(box.right for box in column)
        share = ((left + right) / 2 - at[0]) / ((tip[0] - at[0]) or 1)
        y = _between(column, at[1] + (tip[1] - at[1]) * share)
        # one after the other takes the same way a little beside it
        turn = passed[rank, y] = passed.get((rank, y), -1) + 1
        y += (turn + 1) // 2 * (BESIDE if turn % 2 else -BESIDE)
        enter, leave = (left, right) if forward else (right, left)
        parts.append(curve(at, (enter, y), True))
        parts.append(f"L{number(leave)} {number(y)}")
        at = (leave, y)
    parts.append(curve(at, (tip[0] - 2 * step, tip[1]), True))
    # near the task that is called: arrows out of one task begin at one place
    spot = (at[0] + (tip[0] - at[0]) * 0.64, at[1] + (tip[1] - at[1]) * 0.74)
    sides = sorted((at[0], tip[0]))
    tip = (tip[0] - step, tip[1])
    return _Flight("".join(parts), tip, spot, sides[0] + CLEAR, sides[1] - CLEAR)


def _between(column: list[Box], wanted: float) -> float:
    """Return the height nearest to the wanted one at which no card stands."""
    free = [column[0].y - 8, column[-1].bottom + 8]
    free += [(one.bottom + other.y) / 2 for one, other in itertools.pairwise(column)]
    inside = any(box.y - 4 < wanted < box.bottom + 4 for box in column)
    return min(free, key=lambda y: (abs(y - wanted), y)) if inside else wanted


def _free(box: Box, taken: list[Box]) -> Box:
    """Return a box moved up or down, as little as it takes to cover no other."""
    for step in range(2 * len(taken) + 1):
        off = (step + 1) // 2 * (TAG + 2) * (1 if step % 2 else -1)
        moved = Box(box.x, box.y + off, box.width, box.height)
        if not any(_meet(moved, other) for other in taken):
            return moved
    return box


def _meet(one: Box, other: Box) -> bool:
    beside = one.x < other.right + 3 and other.x < one.right + 3
    return beside and one.y < other.bottom + 2 and other.y < one.bottom + 2
