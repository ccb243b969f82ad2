"""The hub joins pods and kernel, and outlives the cut of the kernel's connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from flyte_jupyter.targets.kubernetes import boot, link
from flyte_jupyter.targets.kubernetes.link import Link, Stream
from flyte_jupyter.wire.link import proof
from flyte_jupyter.wire.relay import MARK, STREAM, chunk

KEY = bytes(range(32))
PATIENCE = 30


class Scene:
    """A hub as a process, a kernel's link to it, and pods."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: dict[str, Stream] = {}
        self.news = asyncio.Event()
        self.connections: list[asyncio.Transport] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.link = Link(None, KEY, self._name, self._arrived, lambda: None)  # type: ignore[arg-type]

    async def _name(self) -> tuple[str, str]:
        return "hub", "127.0.0.1"

    def _arrived(self, name: str, stream: Stream) -> None:
        self.streams[name] = stream
        self.news.set()

    async def forward(self, *args: Any) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: args[-1], "127.0.0.1", self.port)
        self.connections.append(transport)

    async def pod(self, name: str, *blobs: str, key: bytes | None = None) -> Any:
        """Dial as a pod does; return its connection, with the rooms and blobs that it got."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        kind, _, nonce = (await reader.readline()).decode().split()
        assert kind == "hub"
        own = proof(key or KEY, "pod", name)
        words = ["pod", name, proof(own.encode(), "pod", nonce), *blobs]
        writer.write((" ".join(words) + "\n").encode())
        rooms = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
        fetched = []
        for _ in blobs:
            size = int.from_bytes(await reader.readexactly(8), "big")
            fetched.append(await reader.readexactly(size))
        return reader, writer, rooms, fetched

    async def close(self) -> None:
        await self.link.close()
        for stream in self.streams.values():
            stream.control.close()
        for writer in self.writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def stream(self, name: str) -> Stream:
        while name not in self.streams:
            self.news.clear()
            await self.news.wait()
        return self.streams[name]


class Frames(asyncio.Protocol):
    def __init__(self) -> None:
        self.data = bytearray()
        self.news = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.news.set()

    async def size(self, size: int) -> bytes:
        while len(self.data) < size:
            self.news.clear()
            await self.news.wait()
        return bytes(self.data)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that plays a scene with a hub of its own."""
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    program = boot.HUB.replace(str(boot.PORT), str(port)).replace("/tmp/.flyte", f"{tmp_path}/.f")
    environ = {boot.KEY: KEY.hex(), "PATH": "/usr/bin"}
    hub = subprocess.Popen([sys.executable, "-I", "-S", "-c", program, "600"], env=environ)

    def begin(act: Callable[[Scene], Coroutine[Any, Any, None]]) -> subprocess.Popen[bytes]:
        async def scene() -> None:
            set_up = Scene(port)
            monkeypatch.setattr(link, "forward", set_up.forward)
            set_up.link._cluster = type("", (), {"namespace": "", "inside": False})()  # type: ignore[assignment]
            set_up.link.begin()
            await set_up.link.open
            await act(set_up)
            await set_up.close()

        asyncio.run(asyncio.wait_for(scene(), PATIENCE))
        return hub

    yield begin
    hub.kill()
    hub.wait()


def test_bytes_go_both_ways_and_each_pod_has_its_own(play: Any) -> None:
    async def act(scene: Scene) -> None:
        both = [await scene.pod(name) for name in ("one", "other")]
        for number, (_, writer, rooms, _) in enumerate(both):
            assert rooms == boot.packed_rooms()
            writer.write(MARK + chunk(STREAM, 1) + str(number).encode())
        for number, name in enumerate(("one", "other")):
            frames = Frames()
            stream = await scene.stream(name)
            await stream.begun
            transport = stream.connect(frames)
            assert await frames.size(1) == str(number).encode()
            transport.write(f"to {name}".encode())
            told = await both[number][0].readexactly(5 + len(f"to {name}"))
            assert told == chunk(STREAM, len(f"to {name}")) + f"to {name}".encode()

    play(act)


def test_a_cut_connection_loses_and_repeats_nothing(play: Any) -> None:
    async def act(scene: Scene) -> None:
        _, writer, _, _ = await scene.pod("one")
        frames = Frames()
        content = b"".join(number.to_bytes(4, "big") for number in range(1 << 18))
        writer.write(MARK)
        stream = await scene.stream("one")
        await stream.begun
        stream.connect(frames)
        for at in range(0, len(content), 1 << 16):
            part = content[at : at + (1 << 16)]
            writer.write(chunk(STREAM, len(part)) + part)
            await writer.drain()
            if at % (1 << 18) == 0:
                scene.connections[-1].abort()
        assert await frames.size(len(content)) == content
        assert len(scene.connections) > 1

    play(act)


def test_a_blob_is_waited_for_and_fetched_whole(play: Any, tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        content = bytes(range(256)) * 5000
        (tmp_path / "blob").write_bytes(content)
        waiting = asyncio.ensure_future(scene.pod("one", "packages"))
        await scene.link.put("packages", tmp_path / "blob")
        _, _, _, fetched = await waiting
        assert fetched == [content]

    play(act)


def test_a_pod_that_the_kernel_has_let_go_of_counts_no_more(play: Any) -> None:
    async def act(scene: Scene) -> None:
        reader, writer, *_ = await scene.pod("stale")
        stream = await scene.stream("stale")
        frames = Frames()
        stream.connect(frames)
        writer.write(MARK + chunk(STREAM, 5) + b"early")
        await frames.size(5)
        stream.close()
        assert await reader.read() == b""  # the hub has ended its connection
        with contextlib.suppress(OSError):
            writer.write(chunk(STREAM, 4) + b"late")
            await writer.drain()
        # what others say is heard after whatever it has said
        other, *_ = (await scene.pod("next"))[1:]
        other.write(MARK + chunk(STREAM, 2) + b"ok")
        second = Frames()
        (await scene.stream("next")).connect(second)
        assert await second.size(2) == b"ok"
        assert bytes(frames.data) == b"early"

    play(act)


def test_a_pod_with_another_key_is_not_let_in(play: Any) -> None:
    async def act(scene: Scene) -> None:
        with pytest.raises(asyncio.IncompleteReadError):
            await scene.pod("one", key=bytes(32))

    play(act)


def test_the_hub_ends_with_the_session(play: Any) -> None:
    async def act(scene: Scene) -> None:
        pass

    hub = play(act)
    assert hub.wait(PATIENCE) == 0
