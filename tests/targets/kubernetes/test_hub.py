"""The hub joins pods and kernel, and outlives the cut of the kernel's connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flyte_jupyter.targets.kubernetes import boot, link
from flyte_jupyter.targets.kubernetes.heir import HeirLink
from flyte_jupyter.targets.kubernetes.link import Link, Stream
from flyte_jupyter.targets.kubernetes.trust import Trust, new_trust, trusting
from flyte_jupyter.wire.frames import Kind, encode_frame
from flyte_jupyter.wire.link import proof
from flyte_jupyter.wire.relay import MARK, STREAM, chunk

TRUST = new_trust()
PATIENCE = 30


class Scene:
    """A hub as a process, a kernel's link to it, and pods."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: dict[str, Stream] = {}
        self.news = asyncio.Event()
        self.connections: list[asyncio.Transport] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.readers: dict[str, asyncio.StreamReader] = {}
        self.inherited: dict[str, Stream] = {}
        self.link = Link(None, TRUST, self._name, self._arrived, lambda: None)  # type: ignore[arg-type]

    async def _name(self) -> tuple[str, str]:
        return "hub", "127.0.0.1"

    def _arrived(self, name: str, stream: Stream) -> None:
        self.streams[name] = stream
        self.news.set()

    def heir(self) -> HeirLink:
        """Have another kernel take over."""
        heir = HeirLink(
            self.link._cluster, TRUST, self._name, self.inherited.__setitem__, lambda: None
        )
        heir.begin()
        return heir

    async def forward(self, *args: Any) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: args[-1], "127.0.0.1", self.port)
        self.connections.append(transport)

    async def pod(self, name: str, *blobs: str, trust: Trust = TRUST) -> Any:
        """Dial as a pod does; return its connection, with the rooms and blobs that it got."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=trusting(trust.certificate),
            server_hostname=boot.NAME,
        )
        self.writers.append(writer)
        self.readers[name] = reader
        kind, _, nonce = (await reader.readline()).decode().split()
        assert kind == "hub"
        own = proof(trust.key, "pod", name)
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
        for writer in self.writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def stream(self, name: str) -> Stream:
        while name not in self.streams:
            self.news.clear()
            await self.news.wait()
        return self.streams[name]


def frame(data: bytes, kind: int = Kind.DATA, call: int = 0) -> bytes:
    return b"".join(encode_frame(kind, call, {"id": "w1"}, [data]))


def sent(data: bytes) -> bytes:
    return chunk(STREAM, len(data)) + data


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
    environ = {
        boot.KEY: TRUST.key.hex(),
        boot.CERTIFICATE: TRUST.certificate,
        boot.PRIVATE: TRUST.private,
        "PATH": "/usr/bin",
    }
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
            writer.write(MARK + sent(frame(str(number).encode())))
        for number, name in enumerate(("one", "other")):
            frames = Frames()
            stream = await scene.stream(name)
            await stream.begun
            transport = stream.connect(frames)
            expected = frame(str(number).encode())
            assert await frames.size(len(expected)) == expected
            transport.write(f"to {name}".encode())
            told = await both[number][0].readexactly(5 + len(f"to {name}"))
            assert told == chunk(STREAM, len(f"to {name}")) + f"to {name}".encode()

    play(act)


def test_a_cut_connection_loses_and_repeats_nothing(play: Any) -> None:
    async def act(scene: Scene) -> None:
        _, writer, _, _ = await scene.pod("one")
        frames = Frames()
        numbers = b"".join(number.to_bytes(4, "big") for number in range(1 << 18))
        parts = [frame(numbers[at : at + 100_000]) for at in range(0, len(numbers), 100_000)]
        content = b"".join(parts)
        writer.write(MARK)
        stream = await scene.stream("one")
        await stream.begun
        stream.connect(frames)
        for at in range(0, len(content), 1 << 16):
            writer.write(sent(content[at : at + (1 << 16)]))
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
        early, ok = frame(b"early"), frame(b"ok")
        writer.write(MARK + sent(early))
        await frames.size(len(early))
        stream.close()
        assert await reader.read() == b""  # the hub has ended its connection
        with contextlib.suppress(OSError):
            writer.write(sent(frame(b"late")))
            await writer.drain()
        # what others say is heard after whatever it has said
        other, *_ = (await scene.pod("next"))[1:]
        other.write(MARK + sent(ok))
        second = Frames()
        (await scene.stream("next")).connect(second)
        assert await second.size(len(ok)) == ok
        assert bytes(frames.data) == early

    play(act)


def test_a_pod_with_another_key_is_not_let_in(play: Any) -> None:
    async def act(scene: Scene) -> None:
        with pytest.raises(asyncio.IncompleteReadError):
            await scene.pod("one", trust=replace(TRUST, key=bytes(32)))

    play(act)


def test_a_pod_does_not_take_another_for_the_hub(play: Any) -> None:
    async def act(scene: Scene) -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            await scene.pod("one", trust=new_trust())

    play(act)


def test_an_heir_hears_what_the_kernel_may_not_have_written_down(play: Any) -> None:
    async def act(scene: Scene) -> None:
        _, writer, _, _ = await scene.pod("one")
        _, silent, _, _ = await scene.pod("silent")
        early = frame(b"early", Kind.RESULT, 1)
        writer.write(MARK + sent(early))
        frames = Frames()
        stream = await scene.stream("one")
        await stream.begun
        stream.connect(frames)
        assert await frames.size(len(early)) == early
        # half a frame is nobody's yet
        late = frame(b"late", Kind.LOG, 2)
        writer.write(sent(late[:7]))
        heir = scene.heir()
        await heir.handed_over
        writer.write(sent(late[7:]))
        told = Frames()
        inherited = scene.inherited["one"]
        await inherited.begun
        transport = inherited.connect(told)
        # an answer that was taken comes once more, and so does what was not told to be taken
        assert await told.size(len(2 * early + late)) == 2 * early + late
        assert not scene.inherited["silent"].begun.done()
        silent.write(MARK)
        await scene.inherited["silent"].begun
        transport.write(b"to the pod")
        reader = scene.readers["one"]
        assert await reader.readexactly(len(sent(b"to the pod"))) == sent(b"to the pod")
        assert scene.link._task is not None
        await scene.link._task
        assert scene.link.over
        await heir.close()

    play(act)


def test_the_hub_ends_with_the_session(play: Any) -> None:
    async def act(scene: Scene) -> None:
        pass

    hub = play(act)
    assert hub.wait(PATIENCE) == 0
