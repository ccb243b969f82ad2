"""A run shown while it runs: one display per run, fed from its events at a bounded rate.

The engine's thread only says that there is something new; reading the events and displaying them
happens on the thread that waits for the run (the main one) or, without waiting, on a thread of the
display. An update of a display handle lands in the cell that made it, whichever thread sends it;
a ``print`` from a thread would not.

Where nobody watches (nbconvert, nbclient, tests, a terminal) nothing is updated: the logs are
printed once, in the order of the actions, and the finished run is shown after them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from flyte_jupyter.engine.events import Event
from flyte_jupyter.notebook.state import RunState
from flyte_jupyter.notebook.view import html, plain

__all__ = ["LiveRun", "Watched", "follow", "is_interactive", "wait"]

INTERVAL = 0.2
"""Seconds between two updates of a display."""
PATIENCE = 0.15
"""Seconds after which a run is worth a display before it has ended."""
ABORT_GRACE = 0.8
"""Seconds that an interrupt waits for the run's containers to go."""


class Watched(Protocol):
    """What a display needs of a run."""

    def events(self, start: int = 0) -> list[Event]:
        """Return the events from a place in their sequence on."""

    def subscribe(self, callback: Callable[[Event], None]) -> object:
        """Call back for each event, on a thread of the engine."""

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
        interactive: whether to update the display while the run goes on.
        raises: whether the cell raises what the run fails with, and so says it itself.
    """

    def __init__(self, run: Watched, *, interactive: bool, raises: bool = True) -> None:
        self._raises = raises
        self.state = RunState(log_lines=200 if interactive else None)
        self._run = run
        self._interactive = interactive
        self._news = threading.Event()
        self._handle: Any = None
        self.thread: threading.Thread | None = None
        self._begun = time.monotonic()
        run.subscribe(self._wake)

    def _wake(self, _event: Event) -> None:
        self._news.set()

    def step(self, timeout: float) -> bool:
        """Wait for news at most ``timeout`` seconds and take it in; return whether all is over."""
        self._news.wait(timeout)
        self._news.clear()
        self.state.feed(self._run.events(self.state.next_seq))
        return self.state.done

    def pump(self) -> None:
        """Follow the run to its end, showing it if it takes long enough to be looked at."""
        shown = 0.0
        while not self.step(INTERVAL):
            now = time.monotonic()
            if self._interactive and now - self._begun >= PATIENCE and now - shown >= INTERVAL:
                self.show()
                shown = now

    def finish(self) -> None:
        """Show the last state, and print the logs where nobody has watched them."""
        self.state.feed(self._run.events(self.state.next_seq))
        if self._interactive:
            self.show()
            return
        for action, _ in self.state.walk():
            for line in action.log.lines:
                print(line)
        self.show()

    def show(self) -> None:
        """Show the state as it is, where it was shown before."""
        bundle = self._bundle()
        if self._handle is None:
            from IPython.display import display

            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    def _bundle(self) -> dict[str, str]:
        failure = not self._raises
        if not self._interactive:
            return {"text/plain": plain(self.state, failure=failure)}
        return {
            "text/plain": plain(self.state, log_lines=12, failure=failure),
            "text/html": html(self.state, now=time.time(), failure=failure),
        }


def wait(run: Watched, *, interactive: bool) -> RunState:
    """Show a run in the cell that is being executed and block until it has ended.

    Returns:
        Its last state.

    Raises:
        KeyboardInterrupt: the cell was interrupted; the run has been told to end.
    """
    live = LiveRun(run, interactive=interactive)
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


def follow(run: Watched, *, interactive: bool) -> LiveRun | None:
    """Show a run in the cell that started it without waiting for it.

    Where nobody watches there is no display: the logs belong to whoever waits for the run.
    """
    if not interactive:
        return None
    live = LiveRun(run, interactive=True, raises=False)
    live.show()  # the handle must be made by the cell, later updates find it by its id

    def pump_and_finish() -> None:
        live.pump()
        live.finish()

    live.thread = threading.Thread(target=pump_and_finish, name="flyte-display", daemon=True)
    live.thread.start()
    return live


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
