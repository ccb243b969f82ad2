"""The kernel's end of the control socket of a worker's first process: lines, with descriptors."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
from collections.abc import Callable
from typing import Any

__all__ = ["Control"]


class Control:
    """A control socket; see :mod:`flyte_jupyter.worker.init` for what its lines say.

    Args:
        connection: the connected socket.
        told: called with each line that comes.
        lost: called once when the socket has ended.
        begun: bytes that were read from it already.
    """

    def __init__(
        self,
        connection: socket.socket,
        told: Callable[[dict[str, Any]], None],
        lost: Callable[[], None],
        begun: bytes = b"",
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._told = told
        self._lost = lost
        self._text = b""
        self._backlog: list[tuple[bytes, int | None]] = []
        self.open = True
        connection.setblocking(False)
        self._socket = connection
        self._loop.add_reader(connection.fileno(), self._readable)
        self._take(begun)

    def say(self, line: dict[str, Any], fd: int | None = None) -> None:
        """Send a line, with a descriptor beside it if there is one to pass on; it is closed here.

        Args:
            line: what to say.
            fd: the descriptor.
        """
        if not self.open:
            if fd is not None:
                os.close(fd)
            return
        self._backlog.append((json.dumps(line).encode() + b"\n", fd))
        self._flush()

    def _flush(self) -> None:
        while self._backlog and self.open:
            data, fd = self._backlog[0]
            rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _ints(fd))]
            try:
                sent = self._socket.sendmsg([data], rights)
            except BlockingIOError:
                self._loop.add_writer(self._socket.fileno(), self._flush)
                return
            except OSError:
                self.end()
                return
            if fd is not None:
                os.close(fd)
            if sent < len(data):
                self._backlog[0] = (data[sent:], None)
            else:
                del self._backlog[0]
        if self.open:
            self._loop.remove_writer(self._socket.fileno())

    def _readable(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.end()
            return
        self._take(data)

    def _take(self, data: bytes) -> None:
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            self._told(json.loads(line))

    def hang_up(self) -> None:
        """Tell the first process that nothing more will come; it ends, and then so does this."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.end()

    def end(self) -> None:
        """Close the socket, if it is open, and tell that it has ended."""
        if not self.open:
            return
        self.open = False
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        for _, fd in self._backlog:
            if fd is not None:
                os.close(fd)
        self._backlog.clear()
        self._lost()


def _ints(fd: int) -> bytes:
    return array.array("i", [fd]).tobytes()
