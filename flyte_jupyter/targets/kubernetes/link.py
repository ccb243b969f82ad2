"""The kernel's end of the link to the hub: dialled through the API server, and again when cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Any

from flyte_jupyter.cluster.connect import Cluster
from flyte_jupyter.cluster.forward import forward
from flyte_jupyter.errors import ProtocolError, TargetError
from flyte_jupyter.targets.attachment import Attachment
from flyte_jupyter.targets.kubernetes.boot import PORT, packed_rooms
from flyte_jupyter.targets.kubernetes.speaker import Speaker
from flyte_jupyter.targets.kubernetes.trust import Trust, trusting
from flyte_jupyter.wire.link import (
    ARRIVED,
    BLOB,
    BLOB_END,
    BLOB_PART,
    BYE,
    BYTES,
    END,
    HANDED_OVER,
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
UNKNOWN = "-"


class Stream(Attachment):
    """The stream of one pod.

    Args:
        link: carries it.
        number: of the stream.

    Attributes:
        orphaned: whether the hub was lost that carried it.
    """

    def __init__(self, link: Link, number: int) -> None:
        super().__init__()
        self.orphaned = False
        self._link = link
        self._number = number

    def send(self, head: bytes, data: Any) -> None:
        """Send bytes to the pod, in one piece: what an heir sends may follow any of them."""
        self._link.tell(BYTES, self._number, head + bytes(data))

    def take(self, data: bytes) -> None:
        """Take bytes that the pod has sent."""
        try:
            self.arrived(data)
        except ProtocolError as error:
            self._errors += str(error).encode()
            self.close()

    def end(self) -> None:
        """Have the hub end the stream."""
        self._link.tell(END, self._number)
        self._link.forget(self._number)


class Link:
    """The link to the hub of one session.

    Args:
        cluster: where.
        trust: the session's.
        hub: returns the name of the hub's pod and its address, once it runs.
        arrived: called with the name of a pod and its stream.
        lost: called when the hub is another one, which has nothing of what the last one had.
        heard: called with why it is not reached, and with ``None`` when it is.

    Attributes:
        open: done once the hub was reached for the first time.
        refusal: why it is not reached now, ``None`` while it is or nothing is known.
        over: whether another kernel has taken over.
        handed_over: done once the hub has told all that a dead kernel had left.
    """

    def __init__(
        self,
        cluster: Cluster,
        trust: Trust,
        hub: Callable[[], Awaitable[tuple[str, str]]],
        arrived: Callable[[str, Stream], None],
        lost: Callable[[], None],
        heard: Callable[[Exception | None], None] = lambda _: None,
    ) -> None:
        self._heard = heard
        self.lost = lost
        self._loop = asyncio.get_running_loop()
        self._cluster = cluster
        self._key = trust.key
        self._trust = trusting(trust.certificate)
        self._hub = hub
        self._arrived = arrived
        self._messages = Messages()
        self._streams: dict[int, Stream] = {}
        self._room = asyncio.Event()
        self._blobs = count(1)
        self._speaker: Speaker | None = None
        self._instance = ""
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.over = False
        self.refusal: Exception | None = None
        self.handed_over: asyncio.Future[None] = self._loop.create_future()
        self.open: asyncio.Future[None] = self._loop.create_future()

    def begin(self) -> None:
        """Dial the hub, and again whenever the connection ends."""
        self._task = self._loop.create_task(self._keep())

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while not self._closed and not self.over:
            try:
                speaker = await self._dial()
            except Exception as error:  # whatever it is, who waits for the hub tells it
                self.refusal = error
                self._heard(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            pause, self.refusal = FIRST_PAUSE, None
            self._heard(None)
            pulse = self._loop.create_task(self._pulse())
            await speaker.lost
            pulse.cancel()
            self._speaker = None

    async def _pulse(self) -> None:
        while True:
            await asyncio.sleep(PULSE_SECONDS)
            if self._speaker is not None:
                self._speaker.write(message(TAKEN, self._messages.taken))

    async def _dial(self) -> Speaker:
        """Connect, show who one is, and go on where the link was cut."""
        pod, address = await self._hub()
        while True:
            speaker = Speaker(self._trust)
            await self._connect(pod, address, speaker)
            try:
                async with asyncio.timeout(HELLO_SECONDS):
                    if await self._greet(speaker):
                        return speaker
            except BaseException:
                speaker.close()
                raise

    async def _connect(self, pod: str, address: str, speaker: Speaker) -> None:
        """Reach the hub: as pods do from inside the cluster, else through the API server."""
        if self._cluster.inside:
            try:
                async with asyncio.timeout(DIRECT_SECONDS):
                    await self._loop.create_connection(lambda: speaker, address, PORT)
                return
            except ConnectionRefusedError:
                raise  # it does not listen yet
            except (OSError, TimeoutError):
                pass  # a policy of the network may forbid it
        await forward(self._cluster, self._cluster.namespace, pod, PORT, speaker)

    async def _greet(self, speaker: Speaker) -> bool:
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
        again = await self._introduce(speaker, instance, nonce)
        for one in again:
            speaker.write(one)
        self._speaker = speaker
        speaker.hear(self._take)
        if not self.open.done():
            self.open.set_result(None)
        return True

    async def _introduce(self, speaker: Speaker, instance: str, nonce: str) -> Iterable[bytes]:
        """Say who one is; return what is to be sent again."""
        shown = proof(self._key, "kernel", nonce)
        known = self._instance or UNKNOWN
        speaker.write(f"kernel {shown} {self._messages.taken} {known}\n".encode())
        answer, *rest = (await speaker.line()).split()
        if answer == "gone":
            self.over = True
            raise TargetError("Another kernel has taken over what this one had in the cluster.")
        self._instance = instance
        return self._messages.again(int(rest[0]))

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
                if kind == HANDED_OVER and not self.handed_over.done():
                    self.handed_over.set_result(None)
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
