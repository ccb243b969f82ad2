"""The kernel's end of the stream that is attached to a container on another machine."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from typing import Any

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.targets import attachment
from flyte_jupyter.targets.attachment import KEPT, Attachment
from flyte_jupyter.wire.relay import READ, Pieces

__all__ = ["Attached"]

# Each piece of what an engine sends of a container has these before it: which output, and length.
HEADER = struct.Struct(">BxxxI")
ERRORS = 2
# What an encrypted stream is given at once: it has to be given the same again where it waits.
RECORDS = 64 * 1024
WAITS = (*attachment.WAITS, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Attached(Attachment):
    """The stream that an engine has attached to a container.

    Args:
        connection: the stream; it is closed here.
    """

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._socket = connection
        self._fd = connection.fileno()
        self._encrypted = isinstance(connection, ssl.SSLSocket)
        connection.setblocking(False)
        self._to_far = bytearray()
        self._outputs = Pieces(HEADER, ())
        self._loop.add_reader(self._fd, self._readable)

    @property
    def idle(self) -> bool:
        """True while nothing waits to be sent."""
        return not self._to_far

    def _readable(self) -> None:
        data = self._received()
        if data is None:
            return
        # what is left inside an encrypted stream wakes nobody
        while self._encrypted and data and self._socket.pending():  # type: ignore[attr-defined]
            data += self._received() or b""
        try:
            for kind, part in self._outputs.feed(data):
                if kind == ERRORS:
                    self._errors = (self._errors + part)[-KEPT:]
                else:
                    self.arrived(part)
        except ProtocolError as error:
            self._errors += str(error).encode()
            data = b""
        if not data:
            self.close()

    def _received(self) -> bytes | None:
        """Return what there is, nothing where it has ended, ``None`` where one has to wait."""
        try:
            return self._socket.recv(READ)
        except WAITS:
            return None
        except OSError:
            return b""

    def send(self, head: bytes, data: Any) -> None:
        """Send bytes, now as far as the stream takes them, then as it takes more.

        Args:
            head: goes first.
            data: bytes-like.
        """
        if self._to_far:
            self._to_far += head
            self._to_far += data
            return
        if self._encrypted:
            self._to_far += head
            self._to_far += data
            self._writable()
            return
        try:
            sent = self._socket.sendmsg([head, data])
        except WAITS:
            sent = 0
        except OSError:
            return  # that the stream has ended is heard where it is read
        if sent < len(head):
            self._to_far += head[sent:]
            sent = len(head)
        with memoryview(data) as view:
            self._to_far += view[sent - len(head) :]
        if self._to_far:
            self._loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        try:
            while self._to_far:
                part: Any = bytes(self._to_far[:RECORDS]) if self._encrypted else self._to_far
                sent = self._socket.send(part)
                del self._to_far[:sent]
        except WAITS:
            self._loop.add_writer(self._fd, self._writable)
            return
        except OSError:
            self._to_far.clear()
        self._loop.remove_writer(self._fd)

    def end(self) -> None:
        """Close the stream."""
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        with contextlib.suppress(OSError):
            self._socket.close()
