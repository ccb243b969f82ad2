"""A run drawn in a terminal: lines that fit it, drawn again over the ones before."""

from __future__ import annotations

import os
import re
import shutil
import sys

from flyte_jupyter.engine.events import Phase
from flyte_jupyter.notebook.groups import Group
from flyte_jupyter.notebook.state import RunState
from flyte_jupyter.notebook.view.looks import SYMBOLS, WORDS, branch, count
from flyte_jupyter.notebook.view.rows import Row, rows_of
from flyte_jupyter.notebook.view.text import words
from flyte_jupyter.spec.amounts import readable_seconds

__all__ = ["Terminal", "can_draw", "picture"]

BAR = 20
LOG = 5
"""Lines of the newest log below a picture."""
RESET, BOLD, DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
COLOURS = {
    Phase.RUNNING: "\x1b[34m",
    Phase.PREPARING: "\x1b[34m",
    Phase.SUCCEEDED: "\x1b[32m",
    Phase.FAILED: "\x1b[31m",
    Phase.TIMED_OUT: "\x1b[31m",
    Phase.ABORTED: "\x1b[33m",
}
SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")


def can_draw() -> bool:
    """Return whether standard output is a terminal that can be drawn over."""
    said = os.environ.get("FLYTE_JUPYTER_INTERACTIVE", "").strip().lower()
    if said in ("0", "false", "no", "off") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    # a stand-in for standard output may lack it
    return bool(getattr(sys.stdout, "isatty", lambda: False)())


class Terminal:
    """What is drawn on standard output, and how to draw over it."""

    def __init__(self) -> None:
        self._drawn = 0

    def draw(self, state: RunState, now: float) -> None:
        """Draw a run over what was drawn before.

        Args:
            state: the run.
            now: seconds since the epoch.
        """
        width, height = shutil.get_terminal_size()
        lines = picture(state, now, width, height - 1)
        self._write(self._over() + "".join(f"{line}\n" for line in lines))
        self._drawn = len(lines)

    def clear(self) -> None:
        """Take away what was drawn."""
        self._write(self._over())
        self._drawn = 0

    def conclude(self, state: RunState) -> None:
        """Print a run that has ended."""
        width, _ = shutil.get_terminal_size()
        for line in [*_heading(state, None), *_tree(state, None, 60), *_notes(state)]:
            self._write(_cut(line, width) + "\n")

    def _over(self) -> str:
        return f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def picture(state: RunState, now: float, width: int, height: int) -> list[str]:
    """Return a run as lines that fit a terminal.

    Args:
        state: the run.
        now: seconds since the epoch.
        width: columns of the terminal.
        height: lines of it that may be used.
    """
    foot = [f"{DIM}preparing {name}: {text}{RESET}" for name, text in state.preparing.items()]
    foot = (foot + _notes(state))[:3] + _last_lines(state)
    room = max(1, height - 2 - len(foot))
    lines = [*_heading(state, now), *_tree(state, now, room), *foot]
    return [_cut(line, width) for line in lines[:height]]


def _heading(state: RunState, now: float | None) -> list[str]:
    text = f"{_mark(state.phase)} {WORDS[state.phase]} {BOLD}{state.label}{RESET}"
    details = [f"on {state.target}"] if state.target else []
    total = len(state.actions)
    if total > 1:
        done = f"{state.ready:,} of " if state.ready < total else ""
        details.append(f"{done}{count(total, 'action')}{' done' if done else ''}")
    end = state.ended if state.ended is not None else now
    if state.began is not None and end is not None:
        details.append(readable_seconds(max(0.0, end - state.began)))
    return [f"{text} {DIM}{' · '.join(details)}{RESET}"]


def _tree(state: RunState, now: float | None, most: int) -> list[str]:
    return [branch(row.lasts) + _row(row, now) for row in rows_of(state, most)]


def _row(row: Row, now: float | None) -> str:
    text = words(row)
    item = row.item
    if isinstance(item, str):
        return DIM + text + RESET
    text = _mark(item.phase) + text.removeprefix(SYMBOLS[item.phase])
    if isinstance(item, Group) and not item.done:
        full = BAR * item.ready // item.total
        text += f" {'█' * full}{'░' * (BAR - full)} {100 * item.ready // item.total} %"
    seconds = item.seconds(now)
    return text if seconds is None else f"{text} {DIM}{readable_seconds(seconds)}{RESET}"


def _notes(state: RunState) -> list[str]:
    return [f"{DIM}note: {note}{RESET}" for note in state.notes]


def _last_lines(state: RunState) -> list[str]:
    """Return the end of the log of what wrote last."""
    newest = state.wrote
    if newest is None or not newest.lines:
        return []
    title = f"{DIM}── log of {newest.label}{RESET}"
    return [title, *newest.lines[-LOG:]]


def _mark(phase: Phase) -> str:
    return f"{COLOURS.get(phase, '')}{SYMBOLS[phase]}{RESET}"


def _cut(line: str, width: int) -> str:
    """Return a line that takes no more than one of the terminal's."""
    if len(SEQUENCE.sub("", line)) < width:
        return line
    kept, place = [], 0
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if SEQUENCE.fullmatch(piece):
            kept.append(piece)
            continue
        kept.append(piece[: max(0, width - 2 - place)])
        place += len(piece)
    return "".join(kept) + "…" + RESET
