"""What user code prints, turned into log frames of the call that printed it.

Python's own ``print`` goes straight into frames, told apart by call. What C libraries and child
processes write arrives through pipes on descriptors 1 and 2. The first process of the worker holds
the same pipes: what a body that dies left in them is its last words.
"""

from __future__ import annotations

import contextvars
import io
import os
import select
import sys
import threading
import time
from codecs import getincrementaldecoder
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from flyte_jupyter.worker import processes

__all__ = ["LogBook", "current_call", "output_pipes"]

current_call: contextvars.ContextVar[int] = contextvars.ContextVar("flyte_call", default=0)

QUIET = 0.02
LARGE = 32 * 1024
PIPE = 1 << 20
F_SETPIPE_SZ = 1031
# So many lines go out one by one, and so many more each second, before they go in batches.
BURST = 40
RATE = 200.0

Send = Callable[[int, str, str], None]


def output_pipes() -> List[List[int]]:
    """Return a pipe for standard output and one for standard error, as ``[read, write]``."""
    pipes = []
    for _ in range(2):
        read, write = os.pipe()
        os.set_blocking(read, False)
        _widen(write)
        pipes.append([read, write])
    return pipes


class LogBook:
    """Collects text and sends it: line by line, and in batches in a flood.

    What is held back would be lost with a process that dies, so little is.

    Args:
        send: called with call number, stream name and text.
        wake: called when text is held back, so that the reading thread asks :meth:`tick` again.
    """

    def __init__(self, send: Send, wake: Callable[[], None]) -> None:
        self._send = send
        self._wake = wake
        self._lock = threading.RLock()
        self._pending: List[Tuple[Tuple[int, str], List[str]]] = []
        self._size = 0
        self._last = 0.0
        self._since = 0.0
        self._allowed = float(BURST)
        self._pipes: Dict[int, Tuple[str, Any]] = {}
        self._poll = select.poll()
        self._forked = False
        self._lines: Dict[str, str] = {}
        self.only_call = 0

    def write(self, call: int, stream: str, text: str) -> None:
        """Take text that a call printed."""
        if self._forked:
            self._write_lines(stream, text)
            return
        with self._lock:
            if self._poll.poll(0):
                self._drain_all()  # it was written before this
            self._take(call, stream, text)

    def _take(self, call: int, stream: str, text: str) -> None:
        pending = self._pending
        first = not pending
        if first or pending[-1][0] != (call, stream):
            pending.append(((call, stream), [text]))
        else:
            pending[-1][1].append(text)
        self._size += len(text)
        if self._size > LARGE or ("\n" in text and self._may_send()):
            self._send_pending()
        elif first:
            self._since = time.monotonic()
            self._wake()

    def _take_below(self, stream: str, text: str) -> None:
        """Take what C code or a child process wrote: before a line that was only begun."""
        key, begun = (self.only_call, stream), ""
        if text.endswith("\n") and self._pending and self._pending[-1][0][1] == stream:
            key, texts = self._pending.pop()
            whole, newline, begun = "".join(texts).rpartition("\n")
            if newline:
                self._pending.append((key, [whole + newline]))
        self._take(self.only_call, stream, text)
        if begun:
            self._take(key[0], stream, begun)

    def _may_send(self) -> bool:
        self._allowed = min(BURST, self._allowed + (time.monotonic() - self._last) * RATE)
        return self._allowed >= 1

    def flush(self) -> None:
        """Send what was taken, with what waits in the pipes."""
        if self._forked:
            for stream in list(self._lines):
                _write_below(stream, self._lines.pop(stream))
            return
        processes.flush_c_output()  # not under the lock: it may wait until a pipe is drained
        with self._lock:
            if self._poll.poll(0):
                self._drain_all()
            if self._pending:
                self._send_pending()

    def tick(self) -> Optional[float]:
        """Send what is old enough; return the milliseconds until there is more to do."""
        if not self._pending:
            return None
        with self._lock:
            # a line that is printed in pieces is not torn where another process prints meanwhile
            age = time.monotonic() - self._since
            if age < QUIET:
                return (QUIET - age) * 1000
            self._send_pending()
        return None

    def _send_pending(self) -> None:
        pending, self._pending, self._size = self._pending, [], 0
        now = time.monotonic()
        self._allowed = min(BURST, self._allowed + (now - self._last) * RATE) - len(pending)
        self._last = now
        for (call, stream), texts in pending:
            text = "".join(texts)
            for at in range(0, len(text), LARGE):
                self._send(call, stream, text[at : at + LARGE])

    def capture(self, pipes: Sequence[Sequence[int]]) -> List[int]:
        """Put pipes on descriptors 1 and 2 and frames under ``sys.stdout`` and ``sys.stderr``.

        Args:
            pipes: what :func:`output_pipes` returned.

        Returns:
            The descriptors to read, for the reading thread.
        """
        for (read, write), (fd, name) in zip(pipes, ((1, "stdout"), (2, "stderr"))):
            os.dup2(write, fd)
            os.close(write)
            self._pipes[read] = (name, getincrementaldecoder("utf-8")("replace"))
            self._poll.register(read, select.POLLIN)
            setattr(sys, name, _Printed(self, name, fd))
            setattr(sys, f"__{name}__", getattr(sys, name))
        processes.send_c_output_by_line()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._fork)
        return list(self._pipes)

    def _fork(self) -> None:
        """Write to the pipes from now on: a child process of user code has no stream of its own."""
        self._forked = True

    def _write_lines(self, stream: str, text: str) -> None:
        """Write whole lines, so that those of several child processes do not mix."""
        lines, newline, rest = (self._lines.pop(stream, "") + text).rpartition("\n")
        if rest:
            self._lines[stream] = rest
        if newline:
            _write_below(stream, lines + newline)

    def _drain_all(self) -> None:
        for fd in self._pipes:
            self.drain(fd)

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
                self._take_below(name, decoder.decode(data))


def _write_below(stream: str, text: str) -> None:
    data = memoryview(text.encode("utf-8", "surrogateescape"))
    while data:
        data = data[os.write(1 if stream == "stdout" else 2, data) :]


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

    def reconfigure(self, **_: Any) -> None:
        """Do nothing: lines are sent as they come, whatever is asked for."""

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
