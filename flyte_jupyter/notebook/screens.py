"""Where a run is shown: a cell of a notebook, a terminal that draws, or plain text at its end."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Protocol

from flyte_jupyter.notebook import comm
from flyte_jupyter.notebook.drawn import Terminal, can_draw
from flyte_jupyter.notebook.state import RunState
from flyte_jupyter.notebook.view.cancel import Cancel
from flyte_jupyter.notebook.view.page import html
from flyte_jupyter.notebook.view.text import plain

__all__ = ["Cell", "Screen", "Text", "print_logs", "reachable", "screen_for"]

LINES = 12
"""Lines of each log in the text of a cell that is watched."""


class Screen(Protocol):
    """Shows the state of a run."""

    updates: bool
    """Whether it is shown before its end."""
    bounded: bool
    """Whether only the last lines of its logs are needed."""

    def show(self, state: RunState) -> None:
        """Show it as it is, where it was shown before."""

    def end(self, state: RunState) -> None:
        """Show it as it has ended."""

    def amend(self, state: RunState) -> None:
        """Show what has become known after its end."""


def screen_for(
    interactive: bool, *, raises: bool = True, blocking: bool = True, beside: bool = False
) -> Screen:
    """Return where a run is shown.

    Args:
        interactive: whether somebody watches the cells of this kernel.
        raises: whether the cell raises what the run fails with, and so says it itself.
        blocking: whether the cell waits for the run.
        beside: whether a button that cancels it stands below.
    """
    if interactive:
        return Cell(failure=not raises, cancel=Cancel(blocking, beside=beside))
    if can_draw():
        return Drawn()
    return Text(failure=not raises)


class Cell:
    """The output of the cell that shows a run first.

    Args:
        failure: whether to say why the run failed.
        cancel: how the run can be cancelled.
    """

    updates = bounded = True

    def __init__(self, *, failure: bool, cancel: Cancel) -> None:
        self._failure = failure
        self._cancel = cancel
        self._handle: Any = None

    def show(self, state: RunState) -> None:
        """Show it as it is, where it was shown before."""
        cancel = replace(self._cancel, reachable=reachable())
        bundle = {
            "text/plain": plain(state, log_lines=LINES, failure=self._failure),
            "text/html": html(state, now=time.time(), failure=self._failure, cancel=cancel),
        }
        if self._handle is None:
            from IPython.display import display

            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    end = amend = show


class Text:
    """Plain text, once: the logs in the order of the actions, and the run after them.

    Args:
        failure: whether to say why the run failed.
    """

    updates = bounded = False

    def __init__(self, *, failure: bool) -> None:
        self._failure = failure

    def show(self, state: RunState) -> None:
        """Show nothing before the end."""

    amend = show

    def end(self, state: RunState) -> None:
        """Print the logs and show the run."""
        from IPython.display import display

        print_logs(state)
        display({"text/plain": plain(state, failure=self._failure)}, raw=True)


class Drawn:
    """A terminal: a picture of the run in place, and at its end the logs and the run after them."""

    updates, bounded = True, False

    def __init__(self) -> None:
        self._terminal = Terminal()

    def show(self, state: RunState) -> None:
        """Draw it over what was drawn before."""
        self._terminal.draw(state, time.time())

    def end(self, state: RunState) -> None:
        """Print the logs and the run; nothing is drawn over them any more."""
        self._terminal.clear()
        print_logs(state)
        self._terminal.conclude(state)

    def amend(self, state: RunState) -> None:
        """Leave what was printed as it is."""


def reachable() -> bool:
    """Return whether JupyterLab's extension is there and heard while a cell is executed."""
    return comm.can_act_while_busy()


def print_logs(state: RunState) -> None:
    """Print what all actions have written, one after the other."""
    for action in state.walk():
        for line in action.lines:
            print(line)
