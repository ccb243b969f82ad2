"""A run shown while a cell waits for it: whoever shows runs is called now and then meanwhile.

Nobody does unless a notebook says so, and then waiting costs nothing more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

__all__ = ["Showing", "View", "show_with"]

PATIENCE = 0.15
"""Seconds that a run may take before it is worth to be shown."""


class View(Protocol):
    """Shows one run."""

    @property
    def pause(self) -> float:
        """Seconds until it may be shown again."""

    def tick(self) -> None:
        """Show what has happened, if it is time to."""

    def finish(self) -> None:
        """Show how it has ended."""


_opener: Callable[..., View | None] | None = None


def show_with(opener: Callable[..., View | None] | None) -> None:
    """Have runs shown from now on, or no more with ``None``.

    Args:
        opener: makes the view of a run; ``raises=`` says whether the cell will raise its failure.
            It gives ``None`` where the run is shown already, or nobody watches.
    """
    global _opener
    _opener = opener


class Showing:
    """Shows a run for as long as this is entered, if it takes long enough.

    Args:
        run: the run.
        raises: whether who waits raises what it fails with.
    """

    def __init__(self, run: Any, *, raises: bool) -> None:
        self._run = run
        self._raises = raises
        self._view: View | None = None
        # only what the main thread displays lands in the cell that is executed
        main = threading.current_thread() is threading.main_thread()
        self.wanted = _opener is not None and main
        self._begun = time.monotonic() if self.wanted else 0.0

    def __enter__(self) -> Showing:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._view is not None:
            self._view.finish()

    def wait(self, wait: Callable[[float], bool]) -> None:
        """Wait for something of the run.

        Args:
            wait: waits at most so many seconds, without end if they are negative; returns whether
                it is over.
        """
        while self.wanted:
            if wait(self._pause()):
                return
            self.tick()
        wait(-1)

    def tick(self) -> None:
        """Show the run, if it is time to."""
        if not self.wanted:
            return
        if self._view is not None:
            self._view.tick()
        elif time.monotonic() - self._begun >= PATIENCE and _opener is not None:
            self._view = _opener(self._run, raises=self._raises)
            self.wanted = self._view is not None

    def _pause(self) -> float:
        if self._view is not None:
            return max(self._view.pause, 0.01)
        return max(self._begun + PATIENCE - time.monotonic(), 0.01)
