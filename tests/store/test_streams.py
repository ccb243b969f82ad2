"""A socket as a transport: bytes in order, descriptors with them, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from flyte_jupyter.store.streams import SocketTransport


class Listener(asyncio.Protocol):
    def __init__(self) -> None:
        self.received = bytearray()
        self.fds: list[int] = []
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.more = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.more.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)
        self.more.set()

    async def size(self, size: int) -> None:
        while len(self.received) < size and not self.lost.done():
            self.more.clear()
            await self.more.wait()


class Taker(Listener):
    def descriptors_received(self, fds: list[int]) -> None:
        self.fds += fds


def pair(first: type[Listener], second: type[Listener]) -> tuple[Any, Any, Any, Any]:
    loop = asyncio.get_running_loop()
    one, other = socket.socketpair()
    a, b = first(), second()
    return SocketTransport(loop, one, a), a, SocketTransport(loop, other, b), b


Scene = Callable[[], Coroutine[Any, Any, None]]


def play(scene: Scene) -> None:
    asyncio.run(asyncio.wait_for(scene(), 20))


def test_bytes_arrive_in_order_however_many() -> None:
    async def scene() -> None:
        out, _, _, listener = pair(Listener, Listener)
        content = os.urandom(5 << 20)
        out.write(content[: 3 << 20])
        out.write(memoryview(content)[3 << 20 :])
        out.close()
        await listener.lost
        assert listener.lost.result() is None
        assert listener.received == content

    play(scene)


def test_descriptors_come_no_later_than_their_bytes() -> None:
    async def scene() -> None:
        out, _, back, listener = pair(Listener, Taker)
        read, write = os.pipe()
        out.write(bytes(2 << 20))
        out.write_with(b"here", [write])
        await listener.size((2 << 20) + 4)
        (fd,) = listener.fds
        assert not os.get_inheritable(fd)
        os.write(fd, b"through")
        assert os.read(read, 100) == b"through"
        for one in (read, write, fd):
            os.close(one)
        out.close()
        back.close()

    play(scene)


def test_descriptors_that_nobody_takes_are_closed() -> None:
    async def scene() -> None:
        out, _, back, listener = pair(Listener, Listener)
        read, write = os.pipe()
        out.write_with(b"x", [write])
        os.close(write)
        await listener.size(1)
        assert os.read(read, 1) == b""
        os.close(read)
        out.close()
        back.close()

    play(scene)


def test_a_socket_that_ends_is_told_once() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        listener = Listener()
        transport = SocketTransport(loop, ours, listener)
        theirs.close()
        assert await listener.lost is None
        transport.write(b"nobody hears this")
        transport.close()
        assert transport.is_closing()
        assert ours.fileno() == -1

    play(scene)


def test_writing_to_a_socket_that_broke_loses_it() -> None:
    async def scene() -> None:
        ours, theirs = socket.socketpair()
        theirs.close()
        listener = Listener()
        transport = SocketTransport(asyncio.get_running_loop(), ours, listener)
        transport.write(b"x")
        assert isinstance(await listener.lost, (BrokenPipeError, type(None)))

    play(scene)
