"""The engine's end of a worker's stream: calls out, calls in, and buffers pulled on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any, cast

from flyte_jupyter.errors import ProtocolError, RuntimeSystemError
from flyte_jupyter.wire.exchange import Outbox, Packed, lay_out, piece_for, pieces, unpack_slots
from flyte_jupyter.wire.frames import PROTOCOL, Frame, FrameDecoder, Kind, encode_frame
from flyte_jupyter.wire.values import Ref

__all__ = ["Peer", "StreamLost"]

WINDOW = 4


class StreamLost(RuntimeSystemError):
    """The stream of a worker ended before its call did."""


class Peer(asyncio.Protocol):
    """One worker's stream.

    Args:
        frames: called with every frame that is for a call or for the engine.
        lost: called once when the stream has ended.
    """

    def __init__(self, frames: Callable[[Frame], None], lost: Callable[[], None]) -> None:
        self._frames = frames
        self._lost = lost
        self._decoder = FrameDecoder()
        self._transport: asyncio.Transport | None = None
        self._pulls: dict[str, asyncio.Queue[Frame | None]] = {}
        self.outbox = Outbox("e")
        self.hello: dict[str, Any] | None = None
        self.open = True

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand on every frame that the bytes complete."""
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
                elif frame.kind == Kind.HELLO:
                    self._greet(frame)
                else:
                    self._frames(frame)
        except (ProtocolError, KeyError, TypeError):
            self.close()
            self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who waits that nothing will come."""
        del exc
        if not self.open:
            return
        self.open = False
        for queue in self._pulls.values():
            queue.put_nowait(None)
        self._lost()

    def _greet(self, frame: Frame) -> None:
        if frame.header.get("protocol") != PROTOCOL:
            raise ProtocolError(f"A worker speaks protocol {frame.header.get('protocol')}.")
        self.hello = frame.header

    def _serve(self, frame: Frame) -> None:
        self.send(Kind.DATA, 0, *piece_for(frame.header, self.outbox))

    # the engine's side

    def send(
        self, kind: int, call: int = 0, header: dict[str, Any] | None = None, buffers: Any = ()
    ) -> None:
        """Send one frame; nothing happens once the stream has ended."""
        if self._transport is not None and self.open:
            parts = encode_frame(kind, call, header, buffers)
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def send_value(self, kind: int, call: int, header: dict[str, Any], packed: Packed) -> list[str]:
        """Send a frame that carries a value; return the ids of the buffers that it offers."""
        full, inline, offered = lay_out(header, packed, self.outbox)
        self.send(kind, call, full, inline)
        return offered

    def value(self, frame: Frame) -> Packed:
        """Return the value of a frame; references that it got from here are buffers again."""
        packed = unpack_slots(frame.header.get("value"), frame.buffers, frame.header.get("info"))
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
