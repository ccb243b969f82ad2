"""The kernel's end of the stream that is attached to a container on another machine."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from typing import Any

from flyte_jupyter.wire.relay import READ, Relay

__all__ = ["attach"]

HEADER = struct.Struct(">BxxxI")
ERRORS = 2
KEPT = 64 * 1024
# Told to a container that hears nothing else, well within its patience.
PULSE = 60.0


class Attached:
    """An attached stream, as the relay reads and writes it.

    Args:
        connection: the stream; what comes from it are pieces with a header of the engine's.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._raw = bytearray()
        self._errors = b""

    def read(self) -> bytes:
        """Return what the container has written to its standard output."""
        while True:
            data = self._receive()
            if not data:
                return b""
            self._raw += data
            plain = self._unwrapped()
            if plain:
                return plain

    def _receive(self) -> bytes:
        """Return all that is there: what is left inside an encrypted stream wakes nobody."""
        data = self._once()
        while data and isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            data += self._once()
        return data

    def _once(self) -> bytes:
        try:
            return self._socket.recv(READ)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def _unwrapped(self) -> bytes:
        plain = bytearray()
        at = 0
        while len(self._raw) - at >= HEADER.size:
            kind, length = HEADER.unpack_from(self._raw, at)
            end = at + HEADER.size + length
            if len(self._raw) < end:
                break
            piece = self._raw[at + HEADER.size : end]
            if kind == ERRORS:
                self._errors = (self._errors + piece)[-KEPT:]
            else:
                plain += piece
            at = end
        del self._raw[:at]
        return bytes(plain)

    def write(self, data: Any) -> int:
        """Write to the container's standard input; return how much was taken."""
        try:
            return self._socket.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def finish(self) -> None:
        """End the container's standard input, and hear what it still says."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def text(self) -> str:
        """Return the end of what the container wrote to its standard error."""
        return self._errors.decode("utf-8", "replace").strip()

    @property
    def fd(self) -> int:
        """Number of the descriptor, for poll."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the stream."""
        with contextlib.suppress(OSError):
            self._socket.close()


def attach(connection: socket.socket) -> tuple[socket.socket, Attached]:
    """Carry a control socket and a stream of frames over an attached stream, on a thread.

    Args:
        connection: the attached stream.

    Returns:
        The control socket to use here, and what tells the container's last words.
    """
    ours, theirs = socket.socketpair()
    attached = Attached(connection)
    relay = Relay(
        attached.read,
        attached.write,
        attached.fd,
        attached.fd,
        theirs,
        None,
        attached.finish,
        pulse=PULSE,
    )

    def carry() -> None:
        try:
            relay.run()
        finally:
            attached.close()

    threading.Thread(target=carry, name="flyte-docker-attached", daemon=True).start()
    return ours, attached
