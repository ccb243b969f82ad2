"""One duplex stream that carries two: a control socket and a stream of frames.

Where the kernel and a container share no machine, all there is between them is the stream that is
attached to the container. A relay stands at each end. What goes over is a row of chunks: a letter
for the channel, the length, the bytes. A chunk of no length says that its channel has ended; one
on no channel at all only says that the kernel is there.
"""

from __future__ import annotations

import array
import os
import select
import socket
import struct
import time
from typing import Any, Callable, Dict, List, Optional

from flyte_jupyter.errors import ProtocolError

__all__ = ["CONTROL", "STREAM", "Relay"]

CONTROL = b"c"
STREAM = b"s"
PULSE = b"p"
HEADER = struct.Struct(">cI")
READ = 256 * 1024
# What is on its way in one direction is at most about this much; then its source has to wait.
MOST = 4 << 20
WAITS = (BlockingIOError, InterruptedError)


class Relay:
    """Carries bytes until the far side or the control socket has ended.

    Args:
        read: returns bytes from the far side, none where it has ended; raises `BlockingIOError`.
        write: takes bytes for the far side, returns how many; raises `BlockingIOError`.
        read_fd: tells by poll when there is something to read.
        write_fd: tells by poll when something can be written.
        control: the near control socket.
        stream: the near stream of frames, ``None`` where its descriptor comes over the control
            socket.
        finish: called where nothing more will be written.
        pulse: seconds after which the far side is told that this one lives, if nothing else was.
        patience: seconds without a word of the far side after which it counts as gone.
    """

    def __init__(
        self,
        read: Callable[[], bytes],
        write: Callable[[Any], int],
        read_fd: int,
        write_fd: int,
        control: socket.socket,
        stream: Optional[socket.socket],
        finish: Callable[[], None],
        pulse: Optional[float] = None,
        patience: Optional[float] = None,
    ) -> None:
        self._read = read
        self._write = write
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._finish = finish
        self._pulse = pulse
        self._patience = patience
        self._heard = time.monotonic()
        self._near: Dict[bytes, socket.socket] = {CONTROL: control}
        self._to_near: Dict[bytes, bytearray] = {CONTROL: bytearray(), STREAM: bytearray()}
        self._ending: Dict[bytes, bool] = {CONTROL: False, STREAM: False}
        self._to_far = bytearray()
        self._from_far = bytearray()
        self._hand_over: Optional[int] = None
        control.setblocking(False)
        if stream is not None:
            self._meet(stream)

    def hand_over(self, fd: int) -> None:
        """Pass a descriptor on with the first bytes that go to the near control socket."""
        self._hand_over = fd

    def _meet(self, stream: socket.socket) -> None:
        stream.setblocking(False)
        self._near[STREAM] = stream

    def run(self) -> None:
        """Carry until one side has ended; the near sockets are closed then."""
        try:
            while self._turn():
                pass
        finally:
            for near in self._near.values():
                near.close()

    def _turn(self) -> bool:
        poll = select.poll()
        events: Dict[int, int] = {}

        def watch(fd: int, event: int) -> None:
            events[fd] = events.get(fd, 0) | event

        if sum(map(len, self._to_near.values())) < MOST:
            watch(self._read_fd, select.POLLIN)
        if self._to_far:
            watch(self._write_fd, select.POLLOUT)
        for channel, near in self._near.items():
            if len(self._to_far) < MOST:
                watch(near.fileno(), select.POLLIN)
            if self._to_near[channel]:
                watch(near.fileno(), select.POLLOUT)
        for fd, event in events.items():
            poll.register(fd, event)
        ready = dict(poll.poll(self._pause()))
        if not ready:
            silent = time.monotonic() - self._heard
            if self._patience is not None and silent > self._patience:
                return False
            if self._pulse is not None:
                self._to_far += HEADER.pack(PULSE, 0)
        if ready.get(self._read_fd, 0) and not self._take_far():
            return False
        for channel, near in list(self._near.items()):
            event = ready.get(near.fileno(), 0)
            if event & ~select.POLLOUT and not self._take_near(channel, near):
                return False
        return self._send()

    def _pause(self) -> Optional[float]:
        known = [seconds for seconds in (self._pulse, self._patience) if seconds is not None]
        return min(known) * 1000 if known else None

    def _send(self) -> bool:
        """Write what can be written at once; False where a side has ended."""
        if self._to_far:
            try:
                del self._to_far[: self._write(self._to_far)]
            except WAITS:
                pass
            except OSError:
                return False
        for channel, near in list(self._near.items()):
            waiting = self._to_near[channel]
            if (waiting and not self._give_near(channel, near, waiting)) or (
                self._ending[channel] and not waiting
            ):
                self._drop(channel)
        return CONTROL in self._near

    def _give_near(self, channel: bytes, near: socket.socket, waiting: bytearray) -> bool:
        try:
            if channel == CONTROL and self._hand_over is not None:
                rights = array.array("i", [self._hand_over]).tobytes()
                beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
                sent = near.sendmsg([waiting], beside)
                os.close(self._hand_over)
                self._hand_over = None
            else:
                sent = near.send(waiting)
        except WAITS:
            return True
        except OSError:
            return False
        del waiting[:sent]
        return True

    def _drop(self, channel: bytes) -> None:
        self._near.pop(channel).close()
        self._to_near[channel].clear()

    def _take_far(self) -> bool:
        try:
            data = self._read()
        except WAITS:
            return True
        except OSError:
            return False
        if not data:
            return False
        self._heard = time.monotonic()
        self._from_far += data
        at = 0
        while len(self._from_far) - at >= HEADER.size:
            channel, length = HEADER.unpack_from(self._from_far, at)
            if channel not in self._to_near and channel != PULSE:
                raise ProtocolError(f"The attached stream has no channel {channel!r}.")
            end = at + HEADER.size + length
            if len(self._from_far) < end:
                break
            if channel == PULSE:
                pass
            elif not length:
                self._ending[channel] = True
            elif channel in self._near:
                self._to_near[channel] += self._from_far[at + HEADER.size : end]
            at = end
        del self._from_far[:at]
        return True

    def _take_near(self, channel: bytes, near: socket.socket) -> bool:
        fds: List[int] = []
        try:
            if channel == CONTROL:
                data, beside, _, _ = near.recvmsg(READ, socket.CMSG_SPACE(4 * 8))
                for level, kind, payload in beside:
                    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                        rights = array.array("i")
                        rights.frombytes(payload[: len(payload) - len(payload) % rights.itemsize])
                        fds.extend(rights)
            else:
                data = near.recv(READ)
        except WAITS:
            return True
        except OSError:
            data = b""
        for fd in fds:
            self._meet(socket.socket(fileno=fd))
        self._to_far += HEADER.pack(channel, len(data)) + data
        if not data:
            self._drop(channel)
            if channel == CONTROL:
                self._close_far()
                return False
        return True

    def _close_far(self) -> None:
        """Write the rest, as far as the other side takes it, and end the direction."""
        poll = select.poll()
        poll.register(self._write_fd, select.POLLOUT)
        try:
            while self._to_far and poll.poll(1000):
                try:
                    del self._to_far[: self._write(self._to_far)]
                except WAITS:
                    continue
        except OSError:
            pass
        self._finish()
