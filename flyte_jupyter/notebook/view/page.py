"""A run as HTML: its heading, its table, what is being prepared, notes, logs, and why it failed.

It uses JupyterLab's own colours, with fallbacks for other places, and never colour alone. What is
shown is bounded, however large the run is.
"""

from __future__ import annotations

from html import escape

from flyte_jupyter.notebook.state import RunState
from flyte_jupyter.notebook.view.cancel import Cancel, cancel_button
from flyte_jupyter.notebook.view.card import failure_card
from flyte_jupyter.notebook.view.logs import fitted, log_block, logs_of
from flyte_jupyter.notebook.view.looks import MUTED, WORDS, count, mark
from flyte_jupyter.notebook.view.rows import rows_of
from flyte_jupyter.notebook.view.script import SCRIPT
from flyte_jupyter.notebook.view.table import table
from flyte_jupyter.notebook.view.timeline import extent_of
from flyte_jupyter.spec.amounts import readable_seconds

__all__ = ["html"]

LINES = 100
"""Lines of each log, as far as they fit."""
LOGS = 20
"""Logs of a view."""
NOTES = 20
"""Notes of a view."""


def html(
    state: RunState,
    *,
    now: float | None = None,
    times: bool = True,
    failure: bool = True,
    cancel: Cancel | None = None,
) -> str:
    """Return the run as HTML.

    Args:
        state: the run.
        now: seconds since the epoch, to tell how long unfinished actions have taken.
        times: whether to show how long things took, and names: what two equal runs differ in.
        failure: whether to say why the run failed; a cell that raises it does so itself.
        cancel: how it can be cancelled from here, ``None`` if it cannot.
    """
    rows = rows_of(state)
    parts = [_heading(state, now, times), cancel_button(state, cancel)]
    if rows:
        extent = extent_of(state, now) if times else None
        parts.append(_scrolling(table(rows, state.target, extent, now, times)))
    parts.extend(
        f'<div style="color:{MUTED}">preparing {escape(name)}: {escape(text)}</div>'
        for name, text in sorted(state.preparing.items())
    )
    parts.extend(f'<div style="color:{MUTED}">{escape(note)}</div>' for note in state.notes[:NOTES])
    if len(state.notes) > NOTES:
        more = count(len(state.notes) - NOTES, "more note")
        parts.append(f'<div style="color:{MUTED}">… and {more}</div>')
    name = state.name if times else ""
    logs = fitted(logs_of(rows, LINES)[:LOGS])
    parts += [log_block(log, name, opened=not state.done) for log in logs]
    if (found := state.failure()) is not None and (failure or times):
        parts.append(failure_card(*found, raised=not failure))
    if logs and name:
        parts.append(SCRIPT)
    return (
        f'<div class="flyte-jupyter-run" data-flyte-jupyter-run="{escape(name)}" '
        'style="font-family:var(--jp-ui-font-family, sans-serif);'
        f'font-size:var(--jp-ui-font-size1, 13px);color:inherit">{"".join(parts)}</div>'
    )


def _scrolling(content: str) -> str:
    return (
        '<div role="region" aria-label="actions" tabindex="0" style="overflow-x:auto">'
        f"{content}</div>"
    )


def _heading(state: RunState, now: float | None, times: bool) -> str:
    said = f"{mark(state.phase)} {WORDS[state.phase]} <b>{escape(state.label)}</b>"
    details = [f"on {escape(state.target)}"] if state.target else []
    if (total := len(state.actions)) > 1:
        done = f"{state.ready:,} of " if state.ready < total else ""
        details.append(f"{done}{count(total, 'action')}{' done' if done else ''}")
    if details:
        said += f' <span style="color:{MUTED}">{" · ".join(details)}</span>'
    text = f'<span role="status">{said}</span>'
    if times and (seconds := _run_seconds(state, now)) is not None:
        # not a part of the status: nobody wants to hear each second
        text += f' <span style="color:{MUTED}">· {readable_seconds(seconds)}</span>'
    return f"<div>{text}</div>"


def _run_seconds(state: RunState, now: float | None) -> float | None:
    if state.seconds is not None:
        return float(state.seconds)
    end = state.ended if state.ended is not None else now
    return None if state.began is None or end is None else max(0.0, end - state.began)
