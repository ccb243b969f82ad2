"""The kernel's end of a stream that carries all that goes to and from a container elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from flyte_jupyter.wire.relay import CONTROL, MARK, PULSE, READ, STREAM, Pieces, chunk

__all__ = ["WAITS", "Attachment"]

KEPT = 64 * 1024
# Told to a container that hears nothing else, well within its patience.
PULSE_SECONDS = 60.0
# A container whose control socket has ended has so many seconds to end the stream.
LEAVING = 10.0
WAITS = (BlockingIOError, InterruptedError)


class Attachment:
    """A stream on the loop: a control socket, frames, and last words. How it goes is others' part.

    Attributes:
        begun: done once the container has said its first word.
        ended: done once nothing comes any more.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._control: socket.socket | None
        self._control, self._near = socket.socketpair()
        self._near.setblocking(False)
        self._to_control = bytearray()
        self._chunks = Pieces()
        self._first = b""
        self._errors = b""
        self._transport: _Channel | None = None
        self._early = bytearray()
        self._frames_over = False
        self._over = False
        self.begun: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._near.fileno(), self._told)
        self._pulse = self._loop.call_later(PULSE_SECONDS, self._live)
        self._leaving: asyncio.TimerHandle | None = None

    def send(self, head: bytes, data: Any) -> None:
        """Send bytes, now or as they can go.

        Args:
            head: goes first.
            data: bytes-like.
        """
        raise NotImplementedError

    def end(self) -> None:
        """Let go of what carries the stream."""
        raise NotImplementedError

    @property
    def idle(self) -> bool:
        """True while nothing waits to be sent."""
        return True

    def take_control(self) -> socket.socket:
        """Return the socket to speak over with the first process in the container, once."""
        control, self._control = self._control, None
        assert control is not None
        return control

    def connect(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Attach the stream of frames to a protocol."""
        transport = self._transport = _Channel(self._loop, self, protocol)
        protocol.connection_made(transport)
        if self._early:
            early, self._early = self._early, bytearray()
            protocol.data_received(bytes(early))
        if self._over or self._frames_over:
            transport.lose()
        return transport

    def text(self) -> str:
        """Return the end of what the container wrote that was for nobody."""
        return (self._first + self._errors).decode("utf-8", "replace").strip()

    # from the container

    def arrived(self, part: Any) -> None:
        """Take bytes that the container has sent.

        Raises:
            ProtocolError: they are not what a container of ours sends.
        """
        if self.begun.done():
            self._take(part)
        elif part:
            self._begin(bytes(part))

    def _begin(self, part: bytes) -> None:
        before, mark, rest = (self._first + part).partition(MARK)
        if not mark:
            self._first = before[-KEPT:]
            return
        self._first = before.rstrip() + b"\n" if before.strip() else b""
        self.begun.set_result(None)
        self._take(rest)

    def _take(self, data: Any) -> None:
        for channel, part in self._chunks.feed(data):
            if channel == STREAM:
                self._frames(part)
            elif channel == CONTROL and self._near.fileno() >= 0:
                if part:
                    self._to_control += part
                    self._tell()
                else:
                    self._shut_control()

    def _frames(self, part: memoryview) -> None:
        if not part:
            self._frames_over = True
            if self._transport is not None:
                self._transport.lose()
        elif self._transport is None:
            self._early += part
        else:
            self._transport.received(part)

    def _tell(self) -> None:
        """Pass on to the control socket what it takes."""
        try:
            del self._to_control[: self._near.send(self._to_control)]
        except WAITS:
            self._loop.add_writer(self._near.fileno(), self._tell)
            return
        except OSError:
            self._to_control.clear()
        if self._to_control:
            self._loop.add_writer(self._near.fileno(), self._tell)
        else:
            self._loop.remove_writer(self._near.fileno())

    # to the container

    def _told(self) -> None:
        try:
            data = self._near.recv(READ)
        except WAITS:
            return
        except OSError:
            data = b""
        self.say(CONTROL, data)
        if not data:
            self._loop.remove_reader(self._near.fileno())
            # what it has said before is still on its way
            self._leaving = self._leaving or self._loop.call_later(LEAVING, self.close)

    def say(self, channel: bytes, data: Any) -> None:
        """Send bytes on a channel.

        Args:
            channel: the channel.
            data: what to send; nothing to end the channel.
        """
        if not self._over:
            self.send(chunk(channel, len(data)), data)

    def _live(self) -> None:
        if self.idle:
            self.say(PULSE, b"")
        self._pulse = self._loop.call_later(PULSE_SECONDS, self._live)

    # its end

    def _shut_control(self) -> None:
        """Have who listens to the control socket hear the rest, and its end."""
        fd = self._near.fileno()
        if fd >= 0:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
            with contextlib.suppress(OSError):
                self._near.send(self._to_control)
            self._near.close()

    def close(self) -> None:
        """Close the stream, by which a container that still runs ends."""
        if self._over:
            return
        self._over = True
        self._pulse.cancel()
        if self._leaving is not None:
            self._leaving.cancel()
        self.end()
        self._shut_control()
        if self._control is not None:
            self._control.close()  # nobody has spoken over it
        if self._transport is not None:
            self._transport.lose()
        if not self.ended.done():
            self.ended.set_result(None)


class _Channel(asyncio.Transport):
    """The stream of frames on an attached stream."""

    carries_descriptors = False

    def __init__(
        self, loop: asyncio.AbstractEventLoop, attached: Attachment, protocol: asyncio.Protocol
    ) -> None:
        super().__init__()
        self._loop = loop
        self._attached = attached
        self._protocol = protocol
        self._closing = False

    def received(self, data: memoryview) -> None:
        """Hand on bytes that have come."""
        if not self._closing:
            self._protocol.data_received(data)  # type: ignore[arg-type]

    def lose(self) -> None:
        """Tell the protocol, once, that nothing more comes."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes."""
        if not self._closing and data:
            self._attached.say(STREAM, data)

    def is_closing(self) -> bool:
        """Return True once :meth:`close` or :meth:`abort` was called, or the stream has ended."""
        return self._closing

    def close(self) -> None:
        """Send what was written, then end."""
        if not self._closing:
            self._attached.say(STREAM, b"")
            self.lose()

    def abort(self) -> None:
        """End at once."""
        self.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the default: there is nothing to tell."""
        del name
        return default
