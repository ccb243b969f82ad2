"""The kernel's end of the link to the hub: dialled through the API server, and again when cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any, cast

from flyte_jupyter.cluster.connect import Cluster
from flyte_jupyter.cluster.forward import forward
from flyte_jupyter.errors import FlyteError, ProtocolError, TargetError
from flyte_jupyter.targets.attachment import Attachment
from flyte_jupyter.targets.kubernetes.boot import PORT, packed_rooms
from flyte_jupyter.wire.link import (
    ARRIVED,
    BLOB,
    BLOB_END,
    BLOB_PART,
    BYE,
    BYTES,
    END,
    MOST,
    PART,
    TAKEN,
    Messages,
    message,
    proof,
)

__all__ = ["Link", "Stream"]

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
HELLO_SECONDS = 20.0
DIRECT_SECONDS = 3.0
# The hub takes a kernel that says nothing for gone; this is well within its patience.
PULSE_SECONDS = 15.0


class Stream(Attachment):
    """The stream of one pod.

    Args:
        link: carries it.
        number: of the stream.

    Attributes:
        orphaned: whether the hub was lost that carried it.
        held: whether somebody speaks over its control socket, and closes that.
    """

    def __init__(self, link: Link, number: int) -> None:
        super().__init__()
        self.orphaned = self.held = False
        self._link = link
        self._number = number

    def send(self, head: bytes, data: Any) -> None:
        """Send bytes to the pod."""
        whole = head + bytes(data)
        for at in range(0, len(whole), PART):
            self._link.tell(BYTES, self._number, whole[at : at + PART])

    def take(self, data: bytes) -> None:
        """Take bytes that the pod has sent."""
        try:
            self.arrived(data)
        except ProtocolError as error:
            self._errors += str(error).encode()
            self.close()

    def close(self) -> None:
        """Close the stream, by which the pod ends."""
        super().close()
        if not self.held:
            self.control.close()

    def end(self) -> None:
        """Have the hub end the stream."""
        self._link.tell(END, self._number)
        self._link.forget(self._number)


class Link:
    """The link to the hub of one session.

    Args:
        cluster: where.
        key: the session's.
        hub: returns the name of the hub's pod and its address, once it runs.
        arrived: called with the name of a pod and its stream.
        lost: called when the hub is another one, which has nothing of what the last one had.

    Attributes:
        open: done once the hub was reached for the first time.
        refusal: why it is not reached now, ``None`` while it is or nothing is known.
    """

    def __init__(
        self,
        cluster: Cluster,
        key: bytes,
        hub: Callable[[], Awaitable[tuple[str, str]]],
        arrived: Callable[[str, Stream], None],
        lost: Callable[[], None],
    ) -> None:
        self.lost = lost
        self._loop = asyncio.get_running_loop()
        self._cluster = cluster
        self._key = key
        self._hub = hub
        self._arrived = arrived
        self._messages = Messages()
        self._streams: dict[int, Stream] = {}
        self._room = asyncio.Event()
        self._blobs = count(1)
        self._speaker: _Speaker | None = None
        self._instance = ""
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.refusal: Exception | None = None
        self.open: asyncio.Future[None] = self._loop.create_future()

    def begin(self) -> None:
        """Dial the hub, and again whenever the connection ends."""
        self._task = self._loop.create_task(self._keep())

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while not self._closed:
            try:
                speaker = await self._dial()
            except (FlyteError, OSError, TimeoutError, ValueError) as error:
                self.refusal = error
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            pause, self.refusal = FIRST_PAUSE, None
            pulse = self._loop.create_task(self._pulse())
            await speaker.lost
            pulse.cancel()
            self._speaker = None

    async def _pulse(self) -> None:
        while True:
            await asyncio.sleep(PULSE_SECONDS)
            if self._speaker is not None:
                self._speaker.write(message(TAKEN, self._messages.taken))

    async def _dial(self) -> _Speaker:
        """Connect, show who one is, and go on where the link was cut."""
        pod, address = await self._hub()
        while True:
            speaker = _Speaker()
            await self._connect(pod, address, speaker)
            try:
                async with asyncio.timeout(HELLO_SECONDS):
                    if await self._greet(speaker):
                        return speaker
            except BaseException:
                speaker.close()
                raise

    async def _connect(self, pod: str, address: str, speaker: _Speaker) -> None:
        """Reach the hub: as pods do from inside the cluster, else through the API server."""
        if self._cluster.inside:
            try:
                async with asyncio.timeout(DIRECT_SECONDS):
                    await self._loop.create_connection(lambda: speaker, address, PORT)
                return
            except (OSError, TimeoutError):
                pass  # a policy of the network may forbid it
        await forward(self._cluster, self._cluster.namespace, pod, PORT, speaker)

    async def _greet(self, speaker: _Speaker) -> bool:
        """Say hello; False where the hub has only now got what it is made of."""
        kind, instance, nonce = (await speaker.line()).split()
        if kind == "boot":
            rooms = packed_rooms()
            shown = proof(self._key, "rooms", nonce)
            speaker.write(f"rooms {shown} {len(rooms)}\n".encode())
            for at in range(0, len(rooms), PART):
                speaker.write(rooms[at : at + PART])
            await speaker.line()
            speaker.close()
            return False
        if self._instance and instance != self._instance:
            self._begin_anew()
        self._instance = instance
        shown = proof(self._key, "kernel", nonce)
        speaker.write(f"kernel {shown} {self._messages.taken}\n".encode())
        _, taken = (await speaker.line()).split()
        for one in self._messages.again(int(taken)):
            speaker.write(one)
        self._speaker = speaker
        speaker.hear(self._take)
        if not self.open.done():
            self.open.set_result(None)
        return True

    def _begin_anew(self) -> None:
        """Let go of the streams of a hub that is no more."""
        self._messages = Messages()
        self._room.set()
        self.lost()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.orphaned = True
            stream.close()

    def _take(self, data: Any) -> None:
        try:
            for kind, number, payload in self._messages.feed(data):
                if kind == ARRIVED:
                    stream = self._streams[number] = Stream(self, number)
                    self._arrived(payload.decode(), stream)
                    continue
                stream_or_none = self._streams.get(number)
                if stream_or_none is None:
                    continue
                if kind == BYTES:
                    stream_or_none.take(payload)
                elif kind == END:
                    stream_or_none.close()
        except ProtocolError:
            if self._speaker is not None:
                self._speaker.close()
            return
        if self._messages.waiting < MOST:
            self._room.set()
        news = self._messages.news()
        if news and self._speaker is not None:
            self._speaker.write(news)

    def tell(self, kind: bytes, number: int, data: bytes = b"") -> None:
        """Send a message, now or when the hub is reached again."""
        one = self._messages.sent(message(kind, number, data))
        if self._speaker is not None:
            self._speaker.write(one)

    async def put(self, name: str, path: Path) -> None:
        """Bring a file to the hub.

        Args:
            name: what pods ask for it by.
            path: the file.

        Raises:
            TargetError: the hub was lost meanwhile.
        """
        number, messages = next(self._blobs), self._messages
        self.tell(BLOB, number, name.encode())
        with path.open("rb") as file:
            while data := file.read(PART):
                while messages.waiting >= MOST:
                    self._room.clear()
                    await self._room.wait()
                if messages is not self._messages:
                    raise TargetError("The hub of the session was lost; run it again.")
                self.tell(BLOB_PART, number, data)
        self.tell(BLOB_END, number)

    def forget(self, number: int) -> None:
        """Take no more of a stream."""
        self._streams.pop(number, None)

    async def close(self) -> None:
        """End the session: the hub ends, and with it every pod, whatever else can be done."""
        self._closed = True
        self.tell(BYE, 0)
        for stream in list(self._streams.values()):
            stream.close()
        if self._speaker is not None:
            self._speaker.close()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


class _Speaker(asyncio.Protocol):
    """One connection to the hub: lines at first, then messages."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._text = bytearray()
        self._news = asyncio.Event()
        self._hear: Callable[[Any], None] | None = None
        self.lost: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._hear is not None:
            self._hear(data)
        else:
            self._text += data
            self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._news.set()
        if not self.lost.done():
            self.lost.set_result(None)

    async def line(self) -> str:
        """Return the next line.

        Raises:
            TargetError: the connection has ended.
        """
        while b"\n" not in self._text:
            if self.lost.done():
                raise TargetError("The hub of the session has ended the connection.")
            self._news.clear()
            await self._news.wait()
        text, _, rest = bytes(self._text).partition(b"\n")
        self._text = bytearray(rest)
        return text.decode("ascii", "replace")

    def hear(self, hear: Callable[[Any], None]) -> None:
        """Hand on from now on what comes, as it comes."""
        self._hear = hear
        if self._text:
            hear(bytes(self._text))
            self._text.clear()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self.lost.done():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        if not self.lost.done():
            self.lost.set_result(None)
