"""The rows of a view as a table in HTML: the tree, its timeline, and what was used of what."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from flyte_jupyter.notebook.groups import Group
from flyte_jupyter.notebook.state import ActionState
from flyte_jupyter.notebook.view.looks import (
    MUTED,
    WORDS,
    branch,
    count,
    counts,
    label,
    mark,
    percent,
)
from flyte_jupyter.notebook.view.rows import Row
from flyte_jupyter.notebook.view.text import reason
from flyte_jupyter.notebook.view.timeline import Extent, bars
from flyte_jupyter.spec.amounts import readable_bytes, readable_seconds
from flyte_jupyter.spec.quantity import format_bytes, format_cpu

__all__ = ["table"]

CELL = "text-align:left;vertical-align:top;padding:1px 12px 1px 0"
WIDE = f"{CELL};white-space:nowrap"
TABLE = "border-collapse:collapse;margin:4px 0;color:inherit;font-size:inherit"
LONG_ENOUGH = 1.0
"""Seconds from which on an action tells on how many processors it ran."""
Column = tuple[str, Callable[[ActionState | Group], str], str]
LEGEND = "an outline waits, a frame prepares, a filled bar runs"


def table(
    rows: list[Row], target: str, extent: Extent | None, now: float | None, times: bool
) -> str:
    """Return rows as a table, without the columns that say nothing.

    Args:
        rows: the rows.
        target: of the run; an action of another one says so.
        extent: the time of the run, for the timeline.
        now: seconds since the epoch, to tell how long unfinished actions have taken.
        times: whether to show how long things took, and what they used.
    """
    columns: list[tuple[str, Callable[[ActionState | Group], str], str]] = [("phase", _phase, CELL)]
    if times and extent is not None:
        title = f"timeline (0 to {readable_seconds(extent.seconds)})"
        columns.append((title, lambda item: bars(item, extent), WIDE))
    columns += [
        ("environment", lambda item: _environment(item, target), WIDE),
        ("resources", _resources, CELL),
    ]
    if times:
        columns += [
            ("time", lambda item: _time(item, now), WIDE),
            ("peak memory", _memory, WIDE),
            ("cpu", _cpu, WIDE),
        ]
    cells = [
        [
            "" if isinstance(row.item, str) or row.listed else text(row.item)
            for _, text, _ in columns
        ]
        for row in rows
    ]
    kept = [at for at in range(len(columns)) if any(row[at] for row in cells)]
    heads = ["action", *(columns[at][0] for at in kept)]
    head = "".join(
        f'<th scope="col" style="{WIDE}"{_title(name)}>{escape(name)}</th>' for name in heads
    )
    body = "".join(
        f"<tr>{_first(row, len(kept))}{_others(row, columns, texts, kept)}</tr>"
        for row, texts in zip(rows, cells, strict=True)
    )
    return f'<table style="{TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _title(name: str) -> str:
    return f' title="{LEGEND}"' if name.startswith("timeline") else ""


def _first(row: Row, others: int) -> str:
    """Return the cell that names a row; a sentence has the whole row."""
    tree = f'<span aria-hidden="true">{branch(row.lasts)}</span>' if row.lasts else ""
    style = f"{WIDE};font-weight:normal;white-space:pre"
    if isinstance(row.item, str):
        return f'<td colspan="{others + 1}" style="{style}">{tree}{escape(row.item)}</td>'
    name = label(row.item)
    if row.listed and isinstance(row.item, ActionState):
        name = f"{row.item.name} {name}"
    # who does not see the lines of the tree hears it
    caller = f' title="called by {escape(row.caller)}"' if row.caller and not row.listed else ""
    return f'<th scope="row" style="{style}"{caller}>{tree}{escape(name)}</th>'


def _others(row: Row, columns: list[Column], texts: list[str], kept: list[int]) -> str:
    """Return the cells behind the first; why a call of a group failed has all of their room."""
    if isinstance(row.item, str):
        return ""
    if row.listed:
        return f'<td colspan="{len(kept)}" style="{CELL}">{_phase(row.item)}</td>'
    return "".join(f'<td style="{columns[at][2]}">{texts[at]}</td>' for at in kept)


def _phase(item: ActionState | Group) -> str:
    text = f"{mark(item.phase)}\N{NO-BREAK SPACE}"
    if isinstance(item, Group):
        share = percent(item.ready, item.total)
        if not item.done:
            said = f"{item.ready} of {count(item.total, 'call')} done"
            text += (
                f'<progress max="{item.total}" value="{item.ready}" '
                f'aria-label="{escape(f"{item.label}: {said}")}"></progress> {share} % · '
            )
        return f"{text}{counts(item)}{_retried(item)}"
    text += WORDS[item.phase]
    if item.attempt > 1:
        text += f", attempt {item.attempt}"
    if item.why and not item.done:
        text += _muted(f": {item.why}")
    elif item.done and item.group is not None and item.group.folded:
        text += escape(reason(item))
    elif not item.done and item.failures:
        last = item.failures[-1]
        text += _muted(f": attempt {last.attempt} failed{reason(item)}")
    return text


def _retried(group: Group) -> str:
    return _muted(f" · {group.retried:,} tried again") if group.retried else ""


def _muted(text: str) -> str:
    return f'<span style="color:{MUTED}">{escape(text)}</span>'


def _environment(item: ActionState | Group, target: str) -> str:
    one = item.members[0] if isinstance(item, Group) else item
    elsewhere = one.target and one.target != target
    return escape(f"{one.environment} on {one.target}" if elsewhere else one.environment)


def _resources(item: ActionState | Group) -> str:
    return escape((item.members[0] if isinstance(item, Group) else item).resources)


def _time(item: ActionState | Group, now: float | None) -> str:
    seconds = item.seconds(now)
    return "" if seconds is None else readable_seconds(seconds)


def _memory(item: ActionState | Group) -> str:
    """Return the peak of an action, of many the highest, against what it may use."""
    peak = item.peak_memory
    if not peak:
        return ""
    asked = (item.members[0] if isinstance(item, Group) else item).asked_memory
    most = "≤ " if isinstance(item, Group) else ""
    text = most + readable_bytes(peak)
    if asked:
        text += f" of {format_bytes(asked)} ({percent(peak, asked)} %)"
    return text


def _cpu(item: ActionState | Group) -> str:
    """Return the processor time, and on how many processors it went, against what was asked."""
    spent = item.cpu_seconds
    if spent is None:
        return ""
    text = readable_seconds(spent)
    if isinstance(item, Group):
        return f"{text} in all"
    seconds = item.seconds() if item.done else None
    # within a moment the start of its worker would be most of it
    if seconds and seconds >= LONG_ENOUGH and item.asked_cpu:
        text += f" · {spent / seconds:.1f} of {format_cpu(item.asked_cpu)}"
    return text
