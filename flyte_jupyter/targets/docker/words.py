"""What a container writes itself, before and beside its stream of frames: its last words."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

__all__ = ["Words"]

HEADER = struct.Struct(">BxxxI")
KEPT = 64 * 1024


class Words:
    """Listens to the output that is attached to a container, and keeps the end of it.

    Args:
        connection: the attached stream; each piece in it begins with its length.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._raw = b""
        self._kept = b""
        self.ended: asyncio.Future[None] = self._loop.create_future()
        connection.setblocking(False)
        self._loop.add_reader(connection.fileno(), self._readable)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(KEPT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._raw += data
        while len(self._raw) >= HEADER.size:
            _, length = HEADER.unpack_from(self._raw)
            end = HEADER.size + length
            if len(self._raw) < end:
                break
            self._kept = (self._kept + self._raw[HEADER.size : end])[-KEPT:]
            self._raw = self._raw[end:]

    def text(self) -> str:
        """Return what was written last."""
        return self._kept.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Stop to listen."""
        if not self.ended.done():
            self.ended.set_result(None)
            self._loop.remove_reader(self._socket.fileno())
            with contextlib.suppress(OSError):
                self._socket.close()
