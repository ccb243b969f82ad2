"""One front end that has opened our comm: what it watches, and the way to it from any thread."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Mapping
from typing import Any

from flyte_jupyter.notebook.comm.protocol import SILENCE, snapshot

__all__ = ["Peer"]


class Peer:
    """A front end.

    Args:
        comm: the open comm; what opened it is being handled on this thread.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.parts: tuple[str, ...] = ()
        self.once: set[str] = set()
        self.acts_while_busy = False
        self._sent: dict[str, Any] = {}
        self._lock = threading.Lock()
        self.heard()

    def heard(self) -> None:
        """Take note that it has said something, which is being handled on this thread.

        A kernel sends what it is told to the thread that has last published on the comm. What is
        published later, from our own threads, is therefore published in the context of this one.
        """
        self._context = contextvars.copy_context()
        self._at = time.monotonic()
        # a subshell's thread hears while the main one executes a cell
        self.acts_while_busy = threading.current_thread() is not threading.main_thread()

    @property
    def lives(self) -> bool:
        """Whether it has said something lately; a page that was closed says no more."""
        return time.monotonic() - self._at < SILENCE

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; one to a front end that is gone is lost."""
        with self._lock:
            self._context.copy().run(self.comm.send, message)

    def forget(self, part: str) -> None:
        """Have a part sent again, though it is as it was."""
        self._sent.pop(part, None)

    @property
    def wants(self) -> set[str]:
        """The parts that are to be sent to it."""
        return {*self.parts, *self.once} if self.lives else set()

    def tell(self, part: str, data: Any) -> None:
        """Send a part, if it is wanted and is not as it was."""
        if part in self.wants and self._sent.get(part) != data:
            self.once.discard(part)
            self._sent[part] = data
            self.send(snapshot(part, data))
