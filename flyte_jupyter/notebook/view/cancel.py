"""The button that cancels a run: there while the run goes on, and honest about when it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from flyte_jupyter.notebook.state import RunState
from flyte_jupyter.notebook.view.looks import MUTED

__all__ = ["Cancel", "cancel_button"]

BUSY = (
    "This cell waits for the run, so the kernel hears no button: the notebook's stop button (■) "
    "cancels the run."
)


@dataclass(frozen=True, slots=True)
class Cancel:
    """How the run of a view can be cancelled.

    Args:
        blocking: whether the cell waits for the run.
        reachable: whether the kernel hears the front end's extension, also while it is busy.
        beside: whether a button that is no part of the view stands below it.
    """

    blocking: bool
    reachable: bool = False
    beside: bool = False


def cancel_button(state: RunState, how: Cancel | None) -> str:
    """Return the button as HTML, with the reason where it cannot work; nothing of a run that ended.

    The extension of JupyterLab looks for ``data-flyte-jupyter-cancel`` and hears its clicks.

    Args:
        state: the run.
        how: how it can be cancelled, ``None`` where nobody can.
    """
    if how is None or state.done or not state.name:
        return ""
    if how.reachable:
        return _button(state.name, "", f"Cancel {state.name}")
    if how.blocking:
        reason = f'<span style="color:{MUTED}"> {escape(BUSY)}</span>'
        return _button(state.name, " disabled", BUSY) + reason
    if how.beside:
        return ""
    return f'<span style="color:{MUTED}"><code>run.abort()</code> cancels it.</span>'


def _button(run: str, more: str, title: str) -> str:
    return (
        f'<button type="button" data-flyte-jupyter-cancel="{escape(run)}" '
        f'title="{escape(title)}"{more}>Cancel</button>'
    )
