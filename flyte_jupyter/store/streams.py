"""A connected socket as a transport of bytes, and of descriptors where the system passes them.

asyncio's own transports read with ``recv``, which loses the descriptors that come along.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Any

__all__ = ["SocketTransport"]

READ = 256 * 1024
# no more than 253 descriptors travel at once
MOST_DESCRIPTORS = 253
_SPACE = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)
_FLAGS = int(getattr(socket, "MSG_CMSG_CLOEXEC", 0))
_TRUNCATED = int(socket.MSG_CTRUNC)


class SocketTransport(asyncio.Transport):
    """Carries bytes between a socket and a protocol, on the loop's thread.

    A protocol that has ``descriptors_received(fds)`` is called with the descriptors, which are its
    to close, before the bytes that they came with; they are closed for any other.

    Args:
        loop: the loop, which must be one with readers and writers.
        connection: a connected socket; it is closed with the transport.
        protocol: what is told.
        descriptors: True for a unix socket whose other end is the other side itself, and not a
            relay, which would lose them.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        protocol: asyncio.Protocol,
        descriptors: bool = False,
    ) -> None:
        super().__init__()
        connection.setblocking(False)
        self._loop = loop
        self._socket = connection
        self._fd = connection.fileno()
        self._protocol = protocol
        self._take_descriptors: Any = getattr(protocol, "descriptors_received", None)
        self._backlog: list[tuple[memoryview, Sequence[int]]] = []
        self.carries_descriptors = descriptors
        self._buffer = bytearray(READ)
        self._view = memoryview(self._buffer)
        self._closing = False
        self._lost = False
        loop.add_reader(self._fd, self._readable)
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, now as far as the socket takes them, then as it takes more."""
        if self._lost or self._closing:
            return
        if not self._backlog:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._lose(error)
                return
            if sent == len(data):
                return
            data = memoryview(data)[sent:]
            self._loop.add_writer(self._fd, self._writable)
        self._backlog.append((memoryview(data), ()))

    def write_with(self, data: bytes | bytearray | memoryview, fds: Sequence[int]) -> None:
        """Send bytes with descriptors, which must stay open until the other side has them.

        Args:
            data: at least one byte.
            fds: at most as many as the system passes at once.
        """
        if not fds:
            self.write(data)
        elif not (self._lost or self._closing):
            self._backlog.append((memoryview(data), fds))
            if len(self._backlog) == 1:
                self._loop.add_writer(self._fd, self._writable)
                self._writable()

    def _writable(self) -> None:
        while self._backlog:
            data, fds = self._backlog[0]
            try:
                if fds:
                    rights = array.array("i", fds).tobytes()
                    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
                    sent = self._socket.sendmsg([data], ancillary)
                else:
                    sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._lose(error)
                return
            if sent < len(data):
                self._backlog[0] = (data[sent:], ())
            else:
                del self._backlog[0]
        self._loop.remove_writer(self._fd)
        if self._closing:
            self._lose(None)

    def _readable(self) -> None:
        try:
            size, ancillary, flags, _ = self._socket.recvmsg_into([self._buffer], _SPACE, _FLAGS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        if ancillary:
            self._descriptors(ancillary)
        if flags & _TRUNCATED:
            self._lose(OSError("Descriptors were lost: this process has too many open."))
        elif size:
            try:
                self._protocol.data_received(self._view[:size])  # type: ignore[arg-type]
            except Exception as error:
                # the rest of what came is lost with it: nobody must go on to wait for that
                context = {"message": "What a stream brought failed.", "exception": error}
                self._loop.call_exception_handler(context)
                self._lose(error)
        else:
            self._lose(None)

    def _descriptors(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        fds = array.array("i")
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
        if self._take_descriptors is not None:
            self._take_descriptors(list(fds))
        else:
            for fd in fds:
                os.close(fd)

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        self._backlog.clear()
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._loop.call_soon(self._ended, error)

    def _ended(self, error: Exception | None) -> None:
        self._socket.close()
        self._protocol.connection_lost(error)

    def is_closing(self) -> bool:
        """Return True once :meth:`close` or :meth:`abort` was called, or the socket has ended."""
        return self._closing

    def close(self) -> None:
        """Send what was written, then end."""
        if self._closing:
            return
        self._closing = True
        self._loop.remove_reader(self._fd)
        if not self._backlog:
            self._lose(None)

    def abort(self) -> None:
        """End at once."""
        self._lose(None)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the socket for ``"socket"``."""
        return self._socket if name == "socket" else default
