"""The graph as SVG: cards in waves, arrows in the direction of deployment.

It is made here, of plain shapes, so that it is the same everywhere, whatever is installed. There
are no ids, styles, scripts or fonts in it that anything else on a page could meet.
"""

from __future__ import annotations

from collections.abc import Iterable

from flyte_jupyter.drawing import arrows
from flyte_jupyter.drawing.calls import CALL_GAP, calls
from flyte_jupyter.drawing.cards import NAME, PAD, TEXT, Card, cards_of, count_of_tasks
from flyte_jupyter.drawing.layout import Box, Layout, laid_out
from flyte_jupyter.drawing.measure import width
from flyte_jupyter.drawing.paint import (
    PAPER,
    Paint,
    badge,
    badge_width,
    icon,
    label,
    number,
    tooltip,
    written,
)
from flyte_jupyter.drawing.states import call_look, counted, look
from flyte_jupyter.drawing.text import EMPTY
from flyte_jupyter.drawing.view import GraphView, NodeView

__all__ = ["svg"]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
GAP, CLOSE_GAP = 56, 44
"""Space between two waves, of cards and of single lines."""
LEGEND = 26


def svg(view: GraphView, paint: Paint = PAPER, style: str = "") -> str:
    """Return the graph as a picture.

    Args:
        view: the graph.
        paint: the colours; those of a picture with its own paper if not given.
        style: style of the outermost element.
    """
    if not view.nodes:
        wide = width(EMPTY, NAME) + 2 * PAD
        body = label(PAD, 24, EMPTY, paint.ink, size=NAME)
        return _picture(view, wide, 38, body, paint, style)
    cards = cards_of(view)
    layout = laid_out(
        view.waves,
        [(edge.source, edge.target) for edge in view.edges],
        {name: (card.width, card.height) for name, card in cards.items()},
        gap=_gap(view, cards.values()),
        across=True if view.calls else None,
    )
    parts = [*_bands(layout, paint), *arrows.edges(view, layout, paint)]
    parts += [_card(cards[node.name], layout.boxes[node.name], paint, view) for node in view.nodes]
    parts += calls(view, layout, cards, paint)
    # arrows that stay within the last wave stand beside it
    beside = CALL_GAP - 2 * PAD if _loops_in_the_last(view) else 0
    legend, legend_wide = _legend(view, layout, paint)
    wide = max(layout.width + beside, legend_wide + 2 * PAD)
    return _picture(view, wide, layout.height + LEGEND, "".join(parts) + legend, paint, style)


def _gap(view: GraphView, cards: Iterable[Card]) -> float:
    if view.calls:
        return CALL_GAP
    return CLOSE_GAP if any(card.compact for card in cards) else GAP


def _picture(view: GraphView, wide: float, high: float, body: str, paint: Paint, style: str) -> str:
    size = f'width="{number(wide)}" height="{number(high)}"'
    more = f' style="{style}"' if style else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {number(wide)} '
        f'{number(high)}" role="img" aria-label="{written(_summary(view))}" '
        f'font-family="{written(FONT)}"{more}>'
        f"{tooltip(view.title)}"
        f'<rect {size} rx="8" fill="{paint.paper}"/>{body}</svg>'
    )


def _summary(view: GraphView) -> str:
    """Return in one sentence what there is to see."""
    count, waves = sum(len(node.members) or 1 for node in view.nodes), len(view.waves)
    words = f"{view.title}: {count} environment{'s' * (count != 1)}"
    return f"{words} in {waves} wave{'s' * (waves != 1)}"


def _loops_in_the_last(view: GraphView) -> bool:
    last = set(view.waves[-1]) if view.waves else set()
    ends = [(c.caller.partition(".")[0], c.callee.partition(".")[0]) for c in view.calls]
    return any(caller in last and callee in last for caller, callee in ends)


def _bands(layout: Layout, paint: Paint) -> Iterable[str]:
    for index, band in enumerate(layout.bands, 1):
        yield (
            f'<rect x="{number(band.x)}" y="{number(band.y)}" width="{number(band.width)}" '
            f'height="{number(band.height)}" rx="8" fill="{paint.band}" fill-opacity="0.5"/>'
            + label(band.x + 10, band.y + 18, f"wave {index}", paint.ink, size=11, soft=True)
        )


# Cards


def _card(card: Card, box: Box, paint: Paint, view: GraphView) -> str:
    parts = [tooltip(_told(card.node))]
    if card.node.members:
        parts += [_frame(box, paint, shift) for shift in (6, 3)]
    parts.append(_frame(box, paint))
    parts += _group(card, box, paint) if card.node.members else _own(card, box, paint, view)
    return f"<g>{''.join(parts)}</g>"


def _frame(box: Box, paint: Paint, shift: float = 0) -> str:
    return (
        f'<rect x="{number(box.x + shift)}" y="{number(box.y + shift)}" '
        f'width="{number(box.width)}" height="{number(box.height)}" rx="7" '
        f'fill="{paint.card}" stroke="{paint.line}"/>'
    )


def _own(card: Card, box: Box, paint: Paint, view: GraphView) -> Iterable[str]:
    """Return what stands on the card of one environment."""
    shown = look(card.node.state)
    if shown.colour:
        yield (
            f'<rect x="{number(box.x + 1.5)}" y="{number(box.y + 7)}" width="3.5" '
            f'height="{number(box.height - 14)}" rx="1.75" fill="{shown.colour}"/>'
        )
    left, right = box.x + PAD + 2, box.right - PAD + 2
    yield label(left, box.y + 20, card.title, paint.ink, size=NAME, bold=True)
    if card.compact:
        yield badge(right, box.y + 6, shown, paint)
        return
    roots = {call.callee for call in view.calls if not call.caller}
    for row in card.rows:
        y, indent = box.y + row.y, 0.0
        if row.task is not None:
            yield _dot(left, y, row.task.state, paint)
            indent = 17
        begins = row.task is not None and row.task.name in roots
        soft = row.task is None or bool(view.calls and not row.task.state)
        yield label(left + indent, y, row.text, paint.ink, size=TEXT, soft=soft, bold=begins)
    foot = box.bottom - 11
    yield label(left, foot, card.foot, paint.ink, size=TEXT, soft=True)
    yield badge(right, box.bottom - 24, shown, paint)


def _dot(x: float, y: float, state: str, paint: Paint) -> str:
    """Return the mark before a task: how it fared, or that nothing is known of it."""
    if not state:
        return f'<circle cx="{number(x + 5)}" cy="{number(y - 4)}" r="2" fill="{paint.edge}"/>'
    shown = call_look(state)
    return (
        f'<circle cx="{number(x + 5.5)}" cy="{number(y - 4)}" r="6.5" fill="{shown.colour}"/>'
        + icon(x + 1, y - 8.5, shown, "#ffffff", 9)
    )


def _group(card: Card, box: Box, paint: Paint) -> Iterable[str]:
    """Return what stands on the card of several environments: names, and their states counted."""
    left, right = box.x + PAD + 2, box.right - PAD + 2
    yield label(left, box.y + 20, card.title, paint.ink, size=NAME, bold=True)
    yield label(right - 2, box.y + 20, card.foot, paint.ink, size=TEXT, soft=True, anchor="end")
    for row in card.rows:
        yield label(left, box.y + row.y, row.text, paint.ink, size=TEXT, soft=True)
    x, y = left - 2, box.y + 54.0
    for state, count in counted([member.state for member in card.node.members]):
        words = (str(count), look(state).word)
        wide = badge_width(" ".join(words))
        if x > left and x + wide > right:
            x, y = left - 2, y + 23
        if y + 20 > box.bottom:
            break  # the tooltip has them all
        yield badge(x + wide, y, look(state), paint, words)
        x += wide + 5


def _told(node: NodeView) -> str:
    """Return the tooltip of a card."""
    if node.members:
        names = [
            f"{look(one.state).symbol} {one.name}: {look(one.state).word}" for one in node.members
        ]
        return "\n".join([node.label, *names])
    resources = ", ".join(f"{name} {amount}" for name, amount in node.resources)
    tasks = ", ".join(task.label for task in node.tasks)
    shown = look(node.state)
    lines = (
        f"{node.name}: {shown.word}",
        *node.detail,
        node.image,
        resources,
        f"{count_of_tasks(node)}: {tasks}" if tasks else "no tasks",
        f"declared in {node.origin}" if node.origin else "",
    )
    return "\n".join(line for line in lines if line)


# Legend


def _legend(view: GraphView, layout: Layout, paint: Paint) -> tuple[str, float]:
    """Return which arrow means what, and how wide that is."""
    y = layout.height + LEGEND / 2 - 6
    x = 22.0
    parts = []
    entries: list[tuple[str, str]] = []
    if view.edges:
        sample = arrows.sample_edge(0, 0, paint, quiet=bool(view.calls))
        entries.append((sample, "is deployed before"))
    if any(call.caller for call in view.calls):
        entries.append((arrows.sample_call(0, 0, paint), f"calls, in the run of {view.run}"))
    for sample, words in entries:
        parts.append(f'<g transform="translate({number(x)} {number(y)})">{sample}</g>')
        parts.append(label(x + 42, y + 4, words, paint.ink, size=11, soft=True))
        x += 42 + width(words, 11) + 22
    groups = any(node.members for node in view.nodes)
    if groups:
        words = "environments with the same dependencies stand together"
        parts.append(label(x, y + 4, words, paint.ink, size=11, soft=True))
        x += width(words, 11)
    return "".join(parts), x
