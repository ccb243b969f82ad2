"""Arrows: of deployment from environment to environment, and of calls from task to task."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flyte_jupyter.drawing.cards import SMALL, Card
from flyte_jupyter.drawing.layout import Box, Layout
from flyte_jupyter.drawing.measure import width
from flyte_jupyter.drawing.paint import Paint, icon, label, number, tooltip
from flyte_jupyter.drawing.states import call_look
from flyte_jupyter.drawing.text import called
from flyte_jupyter.drawing.view import CallView, EdgeView, GraphView

__all__ = ["calls", "edges", "sample_call", "sample_edge"]

HEAD = 7
SPREAD = 9
"""Distance between the heads of two arrows at one card."""
TAG = 17
BESIDE = 5

Point = tuple[float, float]


def edges(view: GraphView, layout: Layout, paint: Paint) -> Iterable[str]:
    """Return the arrows of deployment; each tells on hover why it is there."""
    drawn = [edge for edge in view.edges if (edge.source, edge.target) in layout.routes]
    ends = _arrivals(drawn, layout)
    opacity = ' opacity="0.5"' if view.calls else ""
    seen: set[str] = set()
    for edge in drawn:
        tip = ends[edge.source, edge.target]
        pieces = _pieces(edge, layout, tip)
        # what arrows from one card have in common is drawn once: colours may be transparent
        new = "".join(piece for piece in pieces if piece not in seen)
        seen.update(pieces)
        yield (
            f"<g{opacity}>{tooltip(view.sentence(edge))}"
            f'<path d="{new}" fill="none" stroke="{paint.edge}" stroke-width="1.5"/>'
            f'<path d="{_head(tip, layout.across)}" fill="{paint.edge}"/>'
            # something broad enough to be pointed at
            f'<path d="{"".join(pieces)}" fill="none" stroke="{paint.edge}" stroke-opacity="0" '
            'stroke-width="11"/></g>'
        )


def _arrivals(drawn: Iterable[EdgeView], layout: Layout) -> dict[tuple[str, str], Point]:
    """Return where each arrow meets its card: side by side, in the order in which they come."""
    coming: dict[str, list[tuple[float, str]]] = {}
    for edge in drawn:
        route = layout.routes[edge.source, edge.target]
        last = route[-1] if route else layout.boxes[edge.target]
        middle = last.y + last.height / 2 if layout.across else last.x + last.width / 2
        coming.setdefault(edge.source, []).append((middle, edge.target))
    places: dict[tuple[str, str], Point] = {}
    for source, found in coming.items():
        box = layout.boxes[source]
        room = (box.height if layout.across else box.width) - 18
        step = min(SPREAD, room / max(1, len(found) - 1)) if len(found) > 1 else 0
        for index, (_, target) in enumerate(sorted(found)):
            off = (index - (len(found) - 1) / 2) * step
            places[source, target] = (
                (box.x, box.y + box.height / 2 + off)
                if layout.across
                else (box.x + box.width / 2 + off, box.y)
            )
    return places


def _pieces(edge: EdgeView, layout: Layout, tip: Point) -> list[str]:
    """Return an arrow as curves between waves and lines through them, each a path of its own."""
    box = layout.boxes[edge.target]
    across = layout.across
    at = (box.right, box.y + box.height / 2) if across else (box.x + box.width / 2, box.bottom)
    pieces = []
    for lane in layout.routes[edge.source, edge.target]:
        out = (lane.right, lane.y) if across else (lane.x, lane.bottom)
        pieces.append(_at(at) + _curve(at, (lane.x, lane.y), across))
        pieces.append(_at((lane.x, lane.y)) + f"L{number(out[0])} {number(out[1])}")
        at = out
    end = (tip[0] - HEAD, tip[1]) if across else (tip[0], tip[1] - HEAD)
    pieces.append(_at(at) + _curve(at, end, across))
    return pieces


def _at(point: Point) -> str:
    return f"M{number(point[0])} {number(point[1])}"


def _curve(start: Point, end: Point, across: bool) -> str:
    """Return a curve that leaves and arrives in the direction of deployment."""
    (ax, ay), (bx, by) = start, end
    if across:
        middle = (ax + bx) / 2
        points = (middle, ay, middle, by, bx, by)
    else:
        middle = (ay + by) / 2
        points = (ax, middle, bx, middle, bx, by)
    return "C" + " ".join(map(number, points))


def _head(tip: Point, across: bool) -> str:
    x, y = tip
    if across:
        points = ((x - 1, y), (x - 1 - HEAD, y - 4), (x - 1 - HEAD, y + 4))
    else:
        points = ((x, y - 1), (x - 4, y - 1 - HEAD), (x + 4, y - 1 - HEAD))
    return "M" + "L".join(f"{number(a)} {number(b)}" for a, b in points) + "z"


# Calls


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
    tags: list[tuple[Box, str]] = []
    taken: list[Box] = []
    loops: dict[int, int] = {}
    passed: dict[tuple[int, float], int] = {}
    for call in view.calls:
        caller, callee = ports.get(call.caller), ports.get(call.callee)
        if caller is None or callee is None:
            continue
        if caller.rank == callee.rank:
            loops[caller.rank] = turn = loops.get(caller.rank, 0) + 1
            path, tip, spot = _loop(caller, callee, turn)
            back = True
        else:
            path, tip, spot = _flight(caller, callee, columns, passed)
            back = callee.rank < caller.rank
        state = call_look(call.state)
        told = _told(call)
        yield (
            f'<g>{tooltip(told)}<path d="{path}" fill="none" stroke="{state.colour}" '
            'stroke-width="1.8" stroke-dasharray="5 4"/>'
            f'<path d="{_open_head(tip, back)}" fill="none" stroke="{state.colour}" '
            'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/>'
            f'<path d="{path}" fill="none" stroke="{state.colour}" stroke-opacity="0" '
            'stroke-width="11"/></g>'
        )
        said = f"called ×{call.count}"
        wide = width(said, SMALL) + 26
        box = _free(Box(spot[0] - wide / 2, spot[1] - TAG / 2, wide, TAG), taken)
        taken.append(box)
        tags.append(
            (
                box,
                f"<g>{tooltip(told)}"
                f'<rect x="{number(box.x)}" y="{number(box.y)}" width="{number(wide)}" '
                f'height="{TAG}" rx="4" fill="{paint.card}" stroke="{state.colour}"/>'
                + icon(box.x + 4, box.y + 3, state, state.colour, 11)
                + label(box.x + 19, box.y + 12.2, said, paint.ink, size=SMALL)
                + "</g>",
            )
        )
    yield from (tag for _, tag in tags)


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


def _loop(caller: _Port, callee: _Port, turn: int) -> tuple[str, Point, Point]:
    """Return an arrow within a wave: out of the right side and back into it."""
    aside = 4 if callee.y >= caller.y else -4
    start, end = (caller.box.right, caller.y + aside), (callee.box.right, callee.y)
    if caller.y == callee.y:
        start, end = (start[0], caller.y - 5), (end[0], caller.y + 5)
    out = start[0] + 54 + 10 * turn
    points = (out, start[1], out, end[1], end[0] + 2, end[1])
    path = f"M{number(start[0])} {number(start[1])}C" + " ".join(map(number, points))
    return path, (end[0] + 1, end[1]), (start[0] + (out - start[0]) * 0.75, (start[1] + end[1]) / 2)


def _flight(
    caller: _Port, callee: _Port, columns: list[list[Box]], passed: dict[tuple[int, float], int]
) -> tuple[str, Point, Point]:
    """Return an arrow to another wave, between the cards of those that it passes."""
    forward = callee.rank > caller.rank
    at = (caller.box.right if forward else caller.box.x, caller.y)
    tip = (callee.box.x if forward else callee.box.right, callee.y)
    parts = [_at(at)]
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
        parts.append(_curve(at, (enter, y), True))
        parts.append(f"L{number(leave)} {number(y)}")
        at = (leave, y)
    parts.append(_curve(at, (tip[0] - 2 * step, tip[1]), True))
    # near the task that is called: arrows out of one task begin at one place
    spot = (at[0] + (tip[0] - at[0]) * 0.64, at[1] + (tip[1] - at[1]) * 0.74)
    return "".join(parts), (tip[0] - step, tip[1]), spot


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


def _open_head(tip: Point, back: bool) -> str:
    x, y = tip
    away = HEAD if back else -HEAD
    points = ((x + away, y - 4.5), (x, y), (x + away, y + 4.5))
    return "M" + "L".join(f"{number(a)} {number(b)}" for a, b in points)


# Samples for the legend


def sample_edge(x: float, y: float, paint: Paint, *, quiet: bool) -> str:
    """Return a short arrow of deployment, 34 pixels long."""
    opacity = ' opacity="0.5"' if quiet else ""
    return (
        f'<g{opacity}><path d="M{number(x)} {number(y)}h26" stroke="{paint.edge}" '
        f'stroke-width="1.5"/><path d="{_head((x + 34, y), True)}" fill="{paint.edge}"/></g>'
    )


def sample_call(x: float, y: float, paint: Paint) -> str:
    """Return a short arrow of a call, 34 pixels long."""
    return (
        f'<path d="M{number(x)} {number(y)}h32" stroke="{paint.ink}" stroke-width="1.8" '
        f'stroke-dasharray="5 4"/><path d="{_open_head((x + 34, y), False)}" fill="none" '
        f'stroke="{paint.ink}" stroke-width="1.8" stroke-linecap="round"/>'
    )
