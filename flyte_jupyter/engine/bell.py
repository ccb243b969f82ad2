"""What wakes the engine's loop from another thread: one write there, one read here.

The loop's own way costs a socket, two reads and an exception for each wake.
"""

from __future__ import annotations

import contextlib
import os

__all__ = ["Bell"]


class Bell:
    """A descriptor that is readable once it was rung."""

    def __init__(self) -> None:
        if hasattr(os, "eventfd"):
            self.fd = self._far = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        else:
            self.fd, self._far = os.pipe()
            for fd in (self.fd, self._far):
                os.set_blocking(fd, False)

    def ring(self) -> None:
        """Make it readable; safe from any thread, and after the end."""
        with contextlib.suppress(BlockingIOError, OSError):  # it rings, or nobody listens
            os.write(self._far, b"\1\0\0\0\0\0\0\0")

    def silence(self) -> None:
        """Take note of what was rung."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)

    def close(self) -> None:
        """End it."""
        for fd in {self.fd, self._far}:
            os.close(fd)
