"""Arrows of deployment, from environment to environment; and what all arrows are made of."""

from __future__ import annotations

from collections.abc import Iterable

from flyte_jupyter.drawing.layout import Layout
from flyte_jupyter.drawing.paint import Paint, number, tooltip
from flyte_jupyter.drawing.view import EdgeView, GraphView

__all__ = ["HEAD", "Point", "begun", "curve", "edges", "open_head", "sample_call", "sample_edge"]

HEAD = 7
SPREAD = 9
"""Distance between the heads of two arrows at one card."""

Point = tuple[float, float]


def edges(view: GraphView, layout: Layout, paint: Paint) -> Iterable[str]:
    """Return the arrows of deployment; each tells on hover why it is there."""
    drawn = [edge for edge in view.edges if (edge.source, edge.target) in layout.routes]
    ends = _arrivals(drawn, layout)
    opacity = ' opacity="0.5"' if view.calls else ""
    seen: set[str] = set()
    sentences = view.sentences
    for edge in drawn:
        tip = ends[edge.source, edge.target]
        pieces = _pieces(edge, layout, tip)
        # what arrows from one card have in common is drawn once: colours may be transparent
        new = "".join(piece for piece in pieces if piece not in seen)
        seen.update(pieces)
        yield (
            f"<g{opacity}>{tooltip(sentences[edge.source, edge.target])}"
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
        pieces.append(begun(at) + curve(at, (lane.x, lane.y), across))
        pieces.append(begun((lane.x, lane.y)) + f"L{number(out[0])} {number(out[1])}")
        at = out
    end = (tip[0] - HEAD, tip[1]) if across else (tip[0], tip[1] - HEAD)
    pieces.append(begun(at) + curve(at, end, across))
    return pieces


def begun(point: Point) -> str:
    """Return the beginning of a path."""
    return f"M{number(point[0])} {number(point[1])}"


def curve(start: Point, end: Point, across: bool) -> str:
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


def open_head(tip: Point, back: bool) -> str:
    """Return the head of a call's arrow, which points to the left if it comes back."""
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
        f'stroke-dasharray="5 4"/><path d="{open_head((x + 34, y), False)}" fill="none" '
        f'stroke="{paint.ink}" stroke-width="1.8" stroke-linecap="round"/>'
    )
