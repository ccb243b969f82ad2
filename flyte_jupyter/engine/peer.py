"""The engine's end of a worker's stream: calls out, calls in, and buffers pulled on demand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from flyte_jupyter.errors import ProtocolError, RuntimeSystemError
from flyte_jupyter.wire.channels import Channel
from flyte_jupyter.wire.exchange import Outbox, Packed, lay_out, piece_for, pieces, value_of
from flyte_jupyter.wire.frames import PROTOCOL, Frame, FrameDecoder, Kind, encode_frame
from flyte_jupyter.wire.segments import SHARED_FROM, process_segments
from flyte_jupyter.wire.values import Ref

if TYPE_CHECKING:
    from flyte_jupyter.store.streams import SocketTransport

__all__ = ["Peer", "StreamLost"]

WINDOW = 4


class StreamLost(RuntimeSystemError):
    """The stream of a worker ended before its call did."""


class Peer(asyncio.Protocol):
    """One worker's stream.

    Args:
        frames: called with every frame that is for a call or for the engine.
        lost: called once when the stream has ended.
        turn: entered while the frames of one reading are handed on.
    """

    def __init__(
        self,
        frames: Callable[[Frame], None],
        lost: Callable[[], None],
        turn: AbstractContextManager[None] | None = None,
    ) -> None:
        self._turn = turn or nullcontext()
        self._frames = frames
        self._lost = lost
        self._decoder = FrameDecoder()
        self._transport: asyncio.Transport | None = None
        self._pulls: dict[str, asyncio.Queue[Frame | None]] = {}
        self.outbox = Outbox("e")
        self.hello: dict[str, Any] | None = None
        self.open = True
        self._channel: Channel | None = None
        self._held: list[tuple[int, int, dict[str, Any], Packed | None, list[str]]] | None = None
        self._greeted = False
        self._waiting_for_hello: list[Callable[[], None]] = []
        self._sent = False

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        segments = process_segments()
        if segments is not None and getattr(transport, "carries_descriptors", False):
            self._channel = Channel(segments)

    def descriptors_received(self, fds: Sequence[int]) -> None:
        """Keep descriptors for the frame that they came with."""
        if self._channel is not None:
            self._channel.arrived(fds)
        else:
            for fd in fds:
                os.close(fd)

    def data_received(self, data: bytes) -> None:
        """Hand on every frame that the bytes complete."""
        with self._turn:
            self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                if frame.kind == Kind.DATA:
                    queue = self._pulls.get(frame.header["id"])
                    if queue is not None:
                        queue.put_nowait(frame)
                elif frame.kind == Kind.GET:
                    self._serve(frame)
                elif frame.kind == Kind.FREE:
                    self.outbox.free(frame.header["ids"])
                    if self._channel is not None:
                        self._channel.told(frame.header)
                elif frame.kind == Kind.HELLO:
                    self._greet(frame)
                else:
                    if "shared" in frame.header:
                        self._map(frame)
                    self._frames(frame)
        except (ProtocolError, KeyError, TypeError, AttributeError):
            self.close()
            self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who waits that nothing will come."""
        del exc
        if not self.open:
            return
        self.open = False
        if self._channel is not None:
            self._channel.close()
        for queue in self._pulls.values():
            queue.put_nowait(None)
        self._lost()

    def _greet(self, frame: Frame) -> None:
        if frame.header.get("protocol") != PROTOCOL:
            raise ProtocolError(f"A worker speaks protocol {frame.header.get('protocol')}.")
        self.hello = frame.header
        if self._channel is not None and not self.hello.get("segments"):
            self._channel.close()
            self._channel = None
        held, self._held = self._held, None
        for kind, call, header, packed, offered in held or ():
            if packed is None:
                self.send(kind, call, header)
            else:
                self.send_value(kind, call, header, packed, offered)
        waiting, self._waiting_for_hello = self._waiting_for_hello, []
        for callback in waiting:
            callback()
        if self._sent:
            self._tell_segments()  # otherwise with the first frame, as an idle worker rehearses

    def when_greeted(self, callback: Callable[[], None]) -> None:
        """Call back once the worker has said hello, now if it has."""
        if self.hello is None:
            self._waiting_for_hello.append(callback)
        else:
            callback()

    def _map(self, frame: Frame) -> None:
        if self._channel is None:
            raise ProtocolError("A worker lends segments on a stream that carries none.")
        frame.header["shared"] = self._channel.take(frame.header["shared"])

    def _serve(self, frame: Frame) -> None:
        self.send(Kind.DATA, 0, *piece_for(frame.header, self.outbox))

    # the engine's side

    def send(
        self,
        kind: int,
        call: int = 0,
        header: dict[str, Any] | None = None,
        buffers: Any = (),
        fds: Sequence[int] = (),
    ) -> None:
        """Send one frame; nothing happens once the stream has ended."""
        if self._transport is None or not self.open:
            return
        if self._held is not None:
            self._held.append((kind, call, header or {}, None, []))
            return
        self._sent = True
        if self._channel is not None:
            self._tell_segments()
        parts = encode_frame(kind, call, header, buffers)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if fds:
            cast("SocketTransport", self._transport).write_with(data, fds)
        else:
            self._transport.write(data)

    def send_value(
        self, kind: int, call: int, header: dict[str, Any], packed: Packed, offered: list[str]
    ) -> None:
        """Send a frame that carries a value.

        Args:
            kind: kind of the frame.
            call: number of the call.
            header: what else is said.
            packed: the value.
            offered: takes the ids of the buffers that are offered for it.
        """
        if self._channel is not None and self.hello is None and packed.size >= SHARED_FROM:
            self._held = self._held or []  # until the worker has said what it can take
        if self._held is not None:
            self._held.append((kind, call, header, packed, offered))
            return
        full, laid = lay_out(header, packed, self.outbox, self._channel)
        offered.extend(laid.offered)
        self.send(kind, call, full, laid.inline, laid.fds)

    def tell_news(self) -> None:
        """Give back the segments of the worker that are needed no more."""
        if self._channel is not None and self.hello is not None and self.open:
            self._tell_segments()

    def _tell_segments(self) -> None:
        """Say, before anything else is sent, what is to be said of segments."""
        channel, transport = self._channel, self._transport
        if channel is None or transport is None or self.hello is None:
            return
        if not self._greeted:
            self._greeted = True
            transport.write(encode_frame(Kind.HELLO, 0, {"segments": True})[0])
        news = channel.news()
        if news is not None:
            transport.write(encode_frame(Kind.FREE, 0, news)[0])

    def value(self, frame: Frame) -> Packed:
        """Return the value of a frame; references that it got from here are buffers again."""
        packed = value_of(frame)
        if packed.complete:
            return packed
        parts = [self._own(part) for part in (packed.tree, *packed.buffers)]
        return Packed(parts[0], tuple(parts[1:]), packed.info)

    def _own(self, part: Any) -> Any:
        if isinstance(part, Ref) and self.outbox.owns(part):
            return self.outbox.buffer(part.id)
        return part

    async def collect(self, packed: Packed) -> Packed:
        """Return the value with everything that still lies in the worker pulled here.

        Raises:
            StreamLost: the worker ended first.
        """
        if packed.complete:
            return packed
        parts = [
            await self._pull(part) if isinstance(part, Ref) else part
            for part in (packed.tree, *packed.buffers)
        ]
        refs = [p.id for p in (packed.tree, *packed.buffers) if isinstance(p, Ref)]
        self.send(Kind.FREE, 0, {"ids": refs})
        return Packed(parts[0], tuple(parts[1:]), packed.info)

    async def _pull(self, ref: Ref) -> bytearray:
        target = bytearray(ref.size)
        queue: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._pulls[ref.id] = queue
        row = pieces(ref.size)
        waiting = iter(row)
        try:
            for offset, length in islice(waiting, WINDOW):
                self.send(Kind.GET, 0, {"id": ref.id, "offset": offset, "length": length})
            for _ in row:
                frame = await queue.get() if self.open else None
                if frame is None:
                    raise StreamLost("", "The worker ended while its result was being fetched.")
                at = frame.header["offset"]
                if at < 0:
                    raise StreamLost("", f"The worker lost a buffer: {frame.header['error']}")
                target[at : at + len(frame.buffers[0])] = frame.buffers[0]
                following = next(waiting, None)
                if following:
                    offset, length = following
                    self.send(Kind.GET, 0, {"id": ref.id, "offset": offset, "length": length})
        finally:
            self._pulls.pop(ref.id, None)
        return target

    def close(self) -> None:
        """Close the stream; what was written is still sent."""
        if self._transport is not None:
            self._transport.close()
