"""The socket by which containers of this machine reach the kernel.

It lies in a folder that is mounted into every container of the kernel. A container shows the token
that it was started with; whoever shows none that is waited for is turned away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
from pathlib import Path

from flyte_jupyter.store.owners import is_alive, owner

__all__ = ["NAME", "Arrival", "Gate"]

NAME = "kernel.sock"
LONGEST = 256
Arrival = tuple[socket.socket, bytes]
SEPARATOR = "+"  # no name of a host has it


class Gate:
    """Waits for containers; while none is waited for there is nothing to find on the disk.

    Args:
        folder: where kernels of this machine keep their sockets.
    """

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.get_running_loop()
        _remove_stale(folder)
        # the outer folder keeps other users out, the inner one and the socket let in a container
        # whatever its user is mapped to
        self.home = folder / owner().replace(":", SEPARATOR)
        self.folder = self.home / "gate"
        self._server: socket.socket | None = None
        self._expected: dict[str, asyncio.Future[Arrival]] = {}
        self._comers: dict[socket.socket, bytes] = {}

    def _open(self) -> socket.socket:
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True, mode=0o700)
        self.folder.mkdir()
        self.folder.chmod(0o755)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.setblocking(False)
        place = os.open(self.folder, os.O_PATH)
        try:
            # the path itself may be longer than the address of a socket can be
            server.bind(f"/proc/self/fd/{place}/{NAME}")
        finally:
            os.close(place)
        (self.folder / NAME).chmod(0o666)
        server.listen(128)
        self._loop.add_reader(server.fileno(), self._accept, server)
        return server

    def _shut(self) -> None:
        if self._server is not None:
            self._loop.remove_reader(self._server.fileno())
            self._server.close()
            self._server = None
            shutil.rmtree(self.home, ignore_errors=True)

    def expect(self) -> tuple[str, asyncio.Future[Arrival]]:
        """Return a token, and the future of who shows it: its socket, and what it said after."""
        if self._server is None:
            self._server = self._open()
        token = secrets.token_hex(16)
        arrived = self._expected[token] = self._loop.create_future()
        arrived.add_done_callback(lambda _: self._no_more(token))
        return token, arrived

    def _no_more(self, token: str) -> None:
        self._expected.pop(token, None)
        if not self._expected:
            self._shut()

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                comer, _ = server.accept()
                comer.setblocking(False)
                self._comers[comer] = b""
                self._loop.add_reader(comer.fileno(), self._listen, comer)

    def _listen(self, comer: socket.socket) -> None:
        try:
            data = comer.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        text = self._comers[comer] + data
        if data and b"\n" not in text and len(text) < LONGEST:
            self._comers[comer] = text
            return
        self._forget(comer)
        token, _, rest = text.partition(b"\n")
        arrived = self._expected.get(token.decode("ascii", "replace"))
        if not data or arrived is None or arrived.done():
            comer.close()
        else:
            arrived.set_result((comer, rest))

    def _forget(self, comer: socket.socket) -> None:
        del self._comers[comer]
        self._loop.remove_reader(comer.fileno())

    def close(self) -> None:
        """Let nobody in any more, and leave nothing."""
        for comer in list(self._comers):
            self._forget(comer)
            comer.close()
        for arrived in list(self._expected.values()):
            arrived.cancel()
        self._expected.clear()
        self._shut()


def _remove_stale(folder: Path) -> None:
    """Remove what kernels left that could not do it themselves."""
    with contextlib.suppress(OSError):
        for home in folder.iterdir():
            if is_alive(home.name.replace(SEPARATOR, ":")) is False:
                shutil.rmtree(home, ignore_errors=True)
