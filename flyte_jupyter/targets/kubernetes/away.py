"""Whether this kernel was away: stopped, or its machine asleep, while the cluster went on."""

from __future__ import annotations

import asyncio
import time

__all__ = ["Away"]

BEAT = 5.0
# What has ended meanwhile is heard of within so many seconds.
HEARD = 60.0


class Away:
    """Notices that time has passed in which nothing was done here.

    Args:
        patience: seconds that the cluster waits for this kernel.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._pause = min(BEAT, patience / 4)
        self._loop = asyncio.get_running_loop()
        self._woke = -HEARD
        self._last = time.time()
        self._timer = self._loop.call_later(self._pause, self._beat)

    @property
    def long(self) -> bool:
        """Whether it was a moment ago, for longer than the cluster waits."""
        # the clock of the wall goes on while the machine sleeps
        now = time.time()
        return now - self._last > self._patience or now - self._woke < HEARD

    def _beat(self) -> None:
        now = time.time()
        if now - self._last > self._patience:
            self._woke = now
        self._last = now
        self._timer = self._loop.call_later(self._pause, self._beat)

    def end(self) -> None:
        """Look no more."""
        self._timer.cancel()
