"""How phases look, and what text and HTML say alike: a symbol and a word, never colour alone."""

from __future__ import annotations

from html import escape

from flyte_jupyter.drawing.states import CALLS
from flyte_jupyter.engine.events import Phase
from flyte_jupyter.notebook.groups import Group
from flyte_jupyter.notebook.state import ActionState

__all__ = [
    "COLOURS",
    "MUTED",
    "SYMBOLS",
    "WORDS",
    "branch",
    "count",
    "counts",
    "mark",
    "percent",
]

SYMBOLS = {phase: CALLS[phase.value].symbol for phase in Phase}
WORDS = {phase: CALLS[phase.value].word for phase in Phase}
COLOURS = {phase: CALLS[phase.value].colour for phase in Phase}
"""Of what is drawn, not of text: 3 : 1 on white paper and on the dark paper of JupyterLab."""
MUTED = "var(--jp-ui-font-color2, #6f6f6f)"
ORDER = (
    Phase.RUNNING,
    Phase.PREPARING,
    Phase.WAITING,
    Phase.QUEUED,
    Phase.SUCCEEDED,
    Phase.FAILED,
    Phase.TIMED_OUT,
    Phase.ABORTED,
)


def mark(phase: Phase) -> str:
    """Return the symbol of a phase in HTML; the word beside it says the same."""
    return f'<span aria-hidden="true" style="color:{COLOURS[phase]}">{SYMBOLS[phase]}</span>'


def count(number: int, noun: str) -> str:
    """Return ``1 line`` or ``1,200 lines``."""
    return f"{number:,} {noun}" + ("s" if number != 1 else "")


def counts(group: Group) -> str:
    """Return how many calls are in which phase: ``2 running, 7 succeeded``."""
    found = group.counts
    return ", ".join(f"{found[phase]:,} {WORDS[phase]}" for phase in ORDER if found[phase])


def branch(lasts: tuple[bool, ...]) -> str:
    """Return the lines of a tree before a row.

    Args:
        lasts: for each level whether the row, or what it is below, is the last one there.
    """
    if not lasts:
        return ""
    return "".join("   " if last else "│  " for last in lasts[:-1]) + (
        "└─ " if lasts[-1] else "├─ "
    )


def percent(part: float, whole: float) -> int:
    """Return a share as a whole number of hundredths; what is unfinished is never 100."""
    share = int(100 * part / whole) if whole else 0
    return min(share, 99) if part < whole else min(share, 999)


def label(item: ActionState | Group) -> str:
    """Return what a row is called: a task, and how many calls of it where they share the row."""
    return f"{item.label} × {item.total:,}" if isinstance(item, Group) else item.label


def joined(parts: list[str], between: str = " · ") -> str:
    """Return texts in a line of HTML, escaped, without the empty ones."""
    return between.join(escape(part) for part in parts if part)
