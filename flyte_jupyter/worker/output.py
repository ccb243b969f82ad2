"""What user code prints, turned into log frames of the call that printed it.

Python's own ``print`` goes straight into frames, told apart by call. What C libraries and child
processes write arrives through pipes on descriptors 1 and 2.
"""

from __future__ import annotations

import contextvars
import io
import os
import sys
import threading
import time
from codecs import getincrementaldecoder
from typing import Any, Callable, Dict, List, Optional, Tuple

__all__ = ["LogBook", "current_call"]

current_call: "contextvars.ContextVar[int]" = contextvars.ContextVar("flyte_call", default=0)

QUIET = 0.02
LARGE = 32 * 1024
PIPE = 1 << 20
F_SETPIPE_SZ = 1031

Send = Callable[[int, str, str], None]


class LogBook:
    """Collects text and sends it: at once after a quiet moment, in batches in a flood.

    Args:
        send: called with call number, stream name and text.
        wake: called when text is held back, so that the reading thread asks :meth:`tick` again.
    """

    def __init__(self, send: Send, wake: Callable[[], None]) -> None:
        self._send = send
        self._wake = wake
        self._lock = threading.RLock()
        self._pending: Dict[Tuple[int, str], List[str]] = {}
        self._size = 0
        self._last = 0.0
        self._pipes: Dict[int, Tuple[str, Any]] = {}
        self.only_call = 0

    def write(self, call: int, stream: str, text: str) -> None:
        """Take text that a call printed."""
        with self._lock:
            first = not self._pending
            self._pending.setdefault((call, stream), []).append(text)
            self._size += len(text)
            if self._size > LARGE or ("\n" in text and time.monotonic() - self._last > QUIET):
                self._send_pending()
            elif first:
                self._wake()

    def flush(self) -> None:
        """Send what was taken, with what waits in the pipes."""
        for fd in self._pipes:
            self.drain(fd)
        with self._lock:
            self._send_pending()

    def tick(self) -> Optional[float]:
        """Send what is old enough; return the milliseconds until there is more to do."""
        if not self._pending:
            return None
        with self._lock:
            age = time.monotonic() - self._last
            if age < QUIET:
                return (QUIET - age) * 1000
            self._send_pending()
        return None

    def _send_pending(self) -> None:
        pending, self._pending, self._size = self._pending, {}, 0
        self._last = time.monotonic()
        for (call, stream), texts in pending.items():
            text = "".join(texts)
            for at in range(0, len(text), LARGE):
                self._send(call, stream, text[at : at + LARGE])

    def capture(self) -> List[int]:
        """Put pipes on descriptors 1 and 2 and frames under ``sys.stdout`` and ``sys.stderr``.

        Returns:
            The descriptors to read, for the reading thread.
        """
        for fd, name in ((1, "stdout"), (2, "stderr")):
            read, write = os.pipe()
            _widen(write)
            os.dup2(write, fd)
            os.close(write)
            os.set_blocking(read, False)
            self._pipes[read] = (name, getincrementaldecoder("utf-8")("replace"))
            setattr(sys, name, _Printed(self, name, fd))
            setattr(sys, f"__{name}__", getattr(sys, name))
        return list(self._pipes)

    def drain(self, fd: int) -> None:
        """Take what waits in a pipe."""
        name, decoder = self._pipes[fd]
        with self._lock:
            while True:
                try:
                    data = os.read(fd, PIPE)
                except BlockingIOError:
                    return
                if not data:
                    return
                self.write(self.only_call, name, decoder.decode(data))


def _widen(fd: int) -> None:
    try:
        import fcntl

        fcntl.fcntl(fd, F_SETPIPE_SZ, PIPE)
    except (ImportError, OSError):
        pass  # the default size is smaller, nothing else changes


class _Printed(io.TextIOBase):
    """``sys.stdout`` of user code."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, book: LogBook, name: str, fd: int) -> None:
        self._book = book
        self.name = f"<{name}>"
        self._stream = name
        self._fd = fd
        self.mode = "w"

    @property
    def buffer(self) -> Any:
        """The binary layer, for code that writes bytes."""
        return _Bytes(self)

    def write(self, text: str) -> int:
        """Take text; nothing is written to the descriptor."""
        if type(text) is not str:
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            book = self._book
            book.write(current_call.get() or book.only_call, self._stream, text)
        return len(text)

    def flush(self) -> None:
        """Send what was printed."""
        self._book.flush()

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return False: a progress bar should not move a cursor here."""
        return False

    def fileno(self) -> int:
        """Return the descriptor that C code and child processes write to."""
        return self._fd


class _Bytes(io.RawIOBase):
    def __init__(self, text: _Printed) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = bytes(data)
        self._text.write(view.decode("utf-8", "replace"))
        return len(view)

    def flush(self) -> None:
        self._text.flush()
