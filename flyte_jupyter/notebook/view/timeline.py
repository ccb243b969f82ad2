"""When an action waited and when it ran, as bars on the time of its run.

What waits is an outline, what runs is filled: the two are told apart without colour, and the label
says them in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flyte_jupyter.engine.events import Phase
from flyte_jupyter.notebook.groups import Group
from flyte_jupyter.notebook.state import ActionState, RunState
from flyte_jupyter.notebook.view.looks import COLOURS
from flyte_jupyter.spec.amounts import readable_seconds

__all__ = ["Extent", "Span", "bars", "extent_of", "spans_of"]

NARROWEST = 0.4
"""Hundredths of the width below which a bar would not be seen."""
KINDS = {
    Phase.QUEUED: "waiting",
    Phase.WAITING: "waiting",
    Phase.PREPARING: "preparing",
    Phase.RUNNING: "running",
}
VERBS = {"waiting": "waited", "preparing": "prepared", "running": "ran"}
LINE = "var(--jp-ui-font-color2, #6f6f6f)"
PAPER = "var(--jp-layout-color0, #ffffff)"
STYLES = {
    "waiting": f"top:4px;height:4px;border:1px dashed {LINE};box-sizing:border-box",
    "preparing": f"top:2px;height:8px;border:1px solid {LINE};box-sizing:border-box",
    "running": "top:1px;height:10px;background:{colour}",
}


@dataclass(frozen=True, slots=True)
class Extent:
    """The time of a run.

    Args:
        begin: seconds since the epoch.
        end: likewise: its end, or now.
    """

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """Return how long it is."""
        return self.end - self.begin

    def at(self, time: float) -> float:
        """Return a place in it, from 0 to 100."""
        share = 100 * (time - self.begin) / self.seconds if self.seconds > 0 else 0.0
        return min(100.0, max(0.0, share))


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the time of an action.

    Args:
        kind: ``waiting``, ``preparing`` or ``running``.
        begin: seconds since the epoch.
        end: likewise.
        phase: whose colour it has.
    """

    kind: str
    begin: float
    end: float
    phase: Phase

    @property
    def seconds(self) -> float:
        """Return how long it is."""
        return max(0.0, self.end - self.begin)


def extent_of(state: RunState, now: float | None) -> Extent | None:
    """Return the time of a run, ``None`` while nothing is known of it."""
    end = state.ended if state.ended is not None else now
    if state.began is None or end is None or end <= state.began:
        return None
    return Extent(state.began, end)


def spans_of(item: ActionState | Group, end: float) -> list[Span]:
    """Return when an action waited and ran; of a group, from its first call to its last.

    Args:
        item: the action or the group.
        end: seconds since the epoch, of what still goes on.
    """
    if isinstance(item, ActionState):
        return list(_of_action(item, end))
    last = item.ended if item.done and item.ended is not None else end
    began = last if item.began is None else item.began
    started = last if item.started is None else item.started
    phase = item.phase if item.counts[Phase.SUCCEEDED] * 2 < item.total else Phase.SUCCEEDED
    found = [
        Span("waiting", began, started, Phase.WAITING),
        Span("running", started, last, phase if item.done else Phase.RUNNING),
    ]
    return [span for span in found if span.seconds > 0]


def _of_action(action: ActionState, end: float) -> Iterator[Span]:
    if action.created is None:
        return
    begin, phase = action.created, Phase.QUEUED
    for time, following in (*action.moments, (end, None)):
        kind = KINDS.get(phase)
        if kind is None:
            return
        again = KINDS.get(following) if following is not None else None
        if kind == again and kind != "running":
            continue  # it waits for another reason
        colour = action.phase if following is None or again is None else Phase.FAILED
        if time > begin:
            yield Span(kind, begin, time, colour if kind == "running" else phase)
        if following is None:
            return
        begin, phase = time, following


def bars(item: ActionState | Group, extent: Extent) -> str:
    """Return the bars of an action or a group as HTML."""
    spans = spans_of(item, extent.end)
    drawn = []
    for span in spans:
        left = extent.at(span.begin)
        width = extent.at(span.end) - left
        if width < NARROWEST and span.kind != "running":
            continue
        width = max(width, NARROWEST)
        look = STYLES[span.kind].format(colour=COLOURS[span.phase])
        if span.kind == "running" and span is not spans[-1]:
            look += f";border-right:2px solid {PAPER};box-sizing:border-box"  # the next attempt
        place = f"left:{min(left, 100 - width):.1f}%;width:{width:.1f}%"
        drawn.append(f'<span style="position:absolute;{place};{look}"></span>')
    return (
        f'<div role="img" aria-label="{_words(spans)}" title="{_words(spans)}" '
        f'style="position:relative;height:12px;min-width:130px">{"".join(drawn)}</div>'
    )


def _words(spans: list[Span]) -> str:
    totals: dict[str, float] = {}
    for span in spans:
        totals[span.kind] = totals.get(span.kind, 0.0) + span.seconds
    said = [f"{VERBS[kind]} {readable_seconds(seconds)}" for kind, seconds in totals.items()]
    return ", ".join(said) or "nothing yet"
