"""A run shown while it runs: one display per run, a function of its events, at a bounded rate.

Reading the events and displaying them happens on the thread that waits for the run (the main one)
or, without waiting, on a thread of the display; the engine's thread has nothing to do for it. A
view takes only a small share of the time, whatever it costs to draw. An update of a display handle
lands in the cell that made it, whichever thread sends it; a ``print`` from a thread would not.

Where nobody watches (nbconvert, nbclient, tests, a pipe) nothing is updated: the logs are printed
once, in the order of the actions, and the finished run is shown after them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from flyte_jupyter.engine.events import Event
from flyte_jupyter.notebook.screens import Screen, reachable, screen_for
from flyte_jupyter.notebook.state import RunState

__all__ = ["LiveRun", "Watched", "follow", "is_interactive", "show_value", "view_in_cell", "wait"]

INTERVAL = 0.2
"""Seconds between two updates of a display."""
PATIENCE = 0.15
"""Seconds after which a run is worth a display before it has ended."""
SHARE = 0.03
"""How much of the time may go into looking and drawing: a view that costs more is drawn less."""
ABORT_GRACE = 0.8
"""Seconds that an interrupt waits for the run's containers to go."""
LAST_WORDS = 2.0
"""Seconds after the end of a run in which workers that end tell what they have used."""
LAST_CALLS = 10.0
"""Seconds after the end of a map in which calls that nobody wants any more come to their end."""

# where the view of a run stands: the number of the execution that made it
_shown: dict[str, int] = {}


class Watched(Protocol):
    """What a display needs of a run."""

    @property
    def name(self) -> str:
        """Unique name of the run."""

    @property
    def done(self) -> bool:
        """Return whether it has ended."""

    def events(self, start: int = 0) -> list[Event]:
        """Return the events from a place in their sequence on."""

    def when_done(self, callback: Callable[[], object]) -> None:
        """Call back, on any thread, once the run has ended."""

    def abort(self) -> Any:
        """End the run."""


def is_interactive(shell: Any) -> bool:
    """Return whether somebody watches the cells of a shell.

    ``FLYTE_JUPYTER_INTERACTIVE`` (0 or 1) decides; otherwise a kernel whose front end can be asked
    for input is watched: that is false in nbclient, nbval and nbconvert.
    """
    said = os.environ.get("FLYTE_JUPYTER_INTERACTIVE", "").strip().lower()
    if said:
        return said not in ("0", "false", "no", "off")
    kernel = getattr(shell, "kernel", None)
    return kernel is not None and bool(getattr(kernel, "_allow_stdin", False))


class LiveRun:
    """The display of one run.

    Args:
        run: the run.
        screen: where it is shown.
    """

    def __init__(self, run: Watched, screen: Screen) -> None:
        self.state = RunState(log_lines=200 if screen.updates and screen.bounded else None)
        self.thread: threading.Thread | None = None
        self._run = run
        self._screen = screen
        self._over = threading.Event()
        self._begun = time.monotonic()
        self._next = self._begun + PATIENCE
        run.when_done(self._over.set)

    @property
    def pause(self) -> float:
        """Return the seconds until the display may be looked after again."""
        return max(0.0, self._next - time.monotonic())

    def step(self, timeout: float) -> bool:
        """Wait at most so many seconds for the end of the run; return whether it has come."""
        return self._over.wait(timeout)

    def tick(self) -> None:
        """Take in what has happened and show it, unless it was done a moment ago."""
        begun = time.monotonic()
        if begun < self._next:
            return
        if self._screen.updates:
            self._take_in()
            self._screen.show(self.state)
        now = time.monotonic()
        self._next = now + max(INTERVAL, (now - begun) / SHARE)

    def pump(self) -> None:
        """Follow the run to its end, showing it if it takes long enough to be looked at."""
        while not self.step(max(self.pause, 0.01)):
            self.tick()

    def finish(self) -> None:
        """Show the last state."""
        self._over.wait(LAST_WORDS)
        self._take_in()
        self._screen.end(self.state)
        if self._screen.updates and self._expects():
            threading.Thread(target=self._hear_last, name="flyte-display", daemon=True).start()

    def _take_in(self) -> bool:
        return self.state.feed(self._run.events(self.state.next_seq))

    def _hear_last(self) -> None:
        """Show what calls and workers that end after their run have come to, and have used."""
        begun = time.monotonic()
        news = False
        while (patience := self._expects()) and time.monotonic() - begun < patience:
            time.sleep(INTERVAL)
            news = self._take_in() or news
        if news:
            self._screen.amend(self.state)

    def _expects(self) -> float:
        """Return the seconds after the end of the run in which more of it may be told."""
        actions = self.state.actions.values()
        if not all(one.done for one in actions):
            return LAST_CALLS
        return LAST_WORDS if any(one.attempt and one.cpu_seconds is None for one in actions) else 0


def wait(run: Watched, *, interactive: bool) -> RunState:
    """Show a run in the cell that is being executed and block until it has ended.

    Returns:
        Its last state.

    Raises:
        KeyboardInterrupt: the cell was interrupted; the run has been told to end.
    """
    live = LiveRun(run, screen_for(interactive))
    _note(run)
    try:
        live.pump()
    except KeyboardInterrupt as interrupt:
        _abort(run)
        live.finish()
        sentence = f"KeyboardInterrupt: {live.state.label} was aborted with all that it started"
        interrupt._render_traceback_ = lambda: [sentence]  # type: ignore[attr-defined]
        raise
    live.finish()
    return live.state


def view_in_cell(run: Watched, *, raises: bool) -> LiveRun | None:
    """Return the display of a run that code of a cell waits for, ``None`` if it has one.

    Args:
        run: the run.
        raises: whether the cell raises what the run fails with, and so says it itself.
    """
    if run.name in _shown or not is_interactive(_shell()):
        return None
    _note(run)
    return LiveRun(run, screen_for(True, raises=raises))


def follow(run: Watched, *, interactive: bool) -> LiveRun | None:
    """Show a run in the cell that started it without waiting for it.

    Where nobody watches there is no display: the logs belong to whoever waits for the run.
    """
    if not interactive:
        return None
    from flyte_jupyter.notebook.button import CancelButton

    # where the extension is heard at any time, the view's own button is enough
    button = None if reachable() else CancelButton(run)
    beside = button is not None and button.shown
    live = LiveRun(run, screen_for(True, raises=False, blocking=False, beside=beside))
    _note(run)
    live._take_in()
    live._screen.show(live.state)  # the cell makes the handle, later updates find it by its id
    if button is not None:
        button.show()

    def pump_and_finish() -> None:
        live.pump()
        if button is not None:
            button.remove()
        live.finish()

    live.thread = threading.Thread(target=pump_and_finish, name="flyte-display", daemon=True)
    live.thread.start()
    return live


def show_value(run: Watched) -> bool:
    """Show a run that still goes on where it is the value of a cell; return whether it is shown.

    Where its view stands in the same cell there is nothing to add.
    """
    shell = _shell()
    if not is_interactive(shell):
        return False
    if _shown.get(run.name) == shell.execution_count:
        return True
    return not run.done and follow(run, interactive=True) is not None


def _note(run: Watched) -> None:
    _shown[run.name] = getattr(_shell(), "execution_count", 0)


def _shell() -> Any:
    from IPython import get_ipython

    return get_ipython()


def _abort(run: Watched) -> None:
    """Abort a run without letting a slow end of its containers hold up the interrupt."""

    def abort() -> None:
        try:
            run.abort()
        except Exception:  # the run's own state tells what became of it
            return

    thread = threading.Thread(target=abort, name="flyte-abort", daemon=True)
    thread.start()
    thread.join(ABORT_GRACE)
