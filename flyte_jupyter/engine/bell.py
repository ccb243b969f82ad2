"""What wakes the engine's loop from another thread: one write there, one read here.

The loop's own way costs a socket, two reads and an exception for each wake.
"""

from __future__ import annotations

import os
import sys

__all__ = ["Bell"]

ONE = (1).to_bytes(8, sys.byteorder)


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
        try:  # noqa: SIM105, on the way of each call
            os.write(self._far, ONE)
        except OSError:  # it rings already, or nobody listens any more
            pass

    def silence(self) -> None:
        """Take note of what was rung."""
        try:  # noqa: SIM105, on the way of each call
            os.read(self.fd, 4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """End it."""
        fds = {self.fd, self._far}
        # the numbers may soon be those of other files
        self.fd = self._far = -1
        for fd in fds:
            os.close(fd)
