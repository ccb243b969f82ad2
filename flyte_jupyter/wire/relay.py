"""One duplex stream that carries two: a control socket and a stream of frames.

Where the kernel and a container share no machine, all there is between them is the stream that is
attached to the container. What goes over it is a row of chunks: a letter for the channel, the
length, the bytes. A chunk of no length says that its channel has ended; one on no channel at all
only says that the kernel is there. A mark goes before all that comes from the container: what its
Python may print before our first line runs is no chunk.
"""

from __future__ import annotations

import array
import os
import select
import socket
import struct
import time
from typing import Any, Dict, Iterator, List, Optional, Tuple

from flyte_jupyter.errors import ProtocolError

__all__ = [
    "CHANNELS",
    "CONTROL",
    "MARK",
    "PULSE",
    "READ",
    "STREAM",
    "Far",
    "Pieces",
    "Relay",
    "chunk",
]

CONTROL = b"c"
STREAM = b"s"
PULSE = b"p"
CHANNELS = (CONTROL, STREAM, PULSE)
MARK = b"\0flyte_jupyter\0"
HEADER = struct.Struct(">cI")
READ = 256 * 1024
# What is on its way in one direction is at most about this much; then its source has to wait.
MOST = 4 << 20
# What is said last is worth so many seconds.
FLUSH = 1.0
WAITS = (BlockingIOError, InterruptedError)


def chunk(channel: bytes, length: int) -> bytes:
    """Return what goes before so many bytes on a channel."""
    return HEADER.pack(channel, length)


class Pieces:
    """Takes a row of pieces apart, each with its kind and length before it.

    Args:
        header: how the two are written.
        kinds: those that there are; ``()`` to take any.
    """

    def __init__(self, header: struct.Struct = HEADER, kinds: Tuple[Any, ...] = CHANNELS) -> None:
        self._header = header
        self._kinds = kinds
        self._head = bytearray()
        self._kind: Any = None
        self._left = 0

    def feed(self, data: Any) -> Iterator[Tuple[Any, memoryview]]:
        """Yield kind and bytes of each piece, in parts as they come; none for an empty piece.

        Args:
            data: the next bytes, which must not change meanwhile.

        Raises:
            ProtocolError: there is no such kind.
        """
        view = memoryview(data)
        at, size = 0, self._header.size
        while at < len(view):
            if self._left:
                part = view[at : at + self._left]
                at += len(part)
                self._left -= len(part)
                yield self._kind, part
                continue
            lacking = size - len(self._head)
            self._head += view[at : at + lacking]
            at += lacking
            if len(self._head) == size:
                self._kind, self._left = self._header.unpack(self._head)
                self._head.clear()
                if self._kinds and self._kind not in self._kinds:
                    raise ProtocolError(f"The attached stream has no channel {self._kind!r}.")
                if not self._left:
                    yield self._kind, view[:0]


class Far:
    """The way to the far side: descriptors that do not block.

    Args:
        read_fd: where chunks come from.
        write_fd: where chunks go to.
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd
        for fd in {read_fd, write_fd}:
            os.set_blocking(fd, False)

    def read(self) -> bytes:
        """Return what has come, nothing at its end.

        Raises:
            OSError: there is nothing now, or never again.
        """
        return os.read(self.read_fd, READ)

    def write(self, *parts: Any) -> int:
        """Write what can be written now; return how much.

        Raises:
            OSError: that is nothing now, or never again.
        """
        return os.writev(self.write_fd, parts)


class Relay:
    """The container's end: carries bytes until the far side or the control socket has ended.

    Args:
        far: the way to the far side.
        control: the near control socket.
        stream: the near stream of frames.
        patience: seconds without a word of the far side after which it counts as gone.

    Attributes:
        silent: whether it has ended for that.
    """

    def __init__(
        self,
        far: Far,
        control: socket.socket,
        stream: socket.socket,
        patience: Optional[float] = None,
    ) -> None:
        self._far = far
        self._read_fd = far.read_fd
        self._write_fd = far.write_fd
        self._patience = patience
        self._heard = time.monotonic()
        self.silent = False
        self._near: Dict[bytes, socket.socket] = {CONTROL: control, STREAM: stream}
        self._waiting: Dict[bytes, bytearray] = {CONTROL: bytearray(), STREAM: bytearray()}
        self._ending: Dict[bytes, bool] = {CONTROL: False, STREAM: False}
        self._to_far = bytearray()
        self._from_far = Pieces()
        self._hand_over: Optional[int] = None
        self._poll = select.poll()
        self._watched: Dict[int, int] = {}
        self._state: Tuple[int, ...] = ()
        for near in self._near.values():
            near.setblocking(False)

    def hand_over(self, fd: int) -> None:
        """Pass a descriptor on with the first bytes that go to the near control socket."""
        self._hand_over = fd

    def run(self) -> bool:
        """Carry until one side has ended; return whether that was the near one.

        Raises:
            ProtocolError: what comes from the far side is no chunk.
        """
        try:
            while True:
                over = self._turn()
                if over is not None:
                    return over
        finally:
            for near in self._near.values():
                near.close()

    def _turn(self) -> Optional[bool]:
        """Carry what there is; return what :meth:`run` is to return, if it is over."""
        listening = self._watch()
        ready = dict(self._poll.poll(self._pause() if listening else None))
        if ready.get(self._read_fd, 0) & ~select.POLLOUT:
            if not listening or not self._take_far():
                return False
        elif not listening:
            self._heard = time.monotonic()  # who is not listened to is not silent
        elif self._patience is not None and time.monotonic() - self._heard >= self._patience:
            self.silent = True
            return False
        for channel in (STREAM, CONTROL):
            near = self._near.get(channel)
            event = 0 if near is None else ready.get(near.fileno(), 0)
            if near is None or not event:
                continue
            if self._waiting[channel]:
                self._give_near(channel, near)
            if (
                event & ~select.POLLOUT
                and channel in self._near
                and not self._take_near(channel, near)
            ):
                self._flush()
                return True
        if self._to_far and not self._give_far():
            return False
        for channel, near in list(self._near.items()):
            if self._ending[channel] and not self._waiting[channel]:
                self._drop(channel, near)
        return None if CONTROL in self._near else False

    def _watch(self) -> bool:
        """Have the poll look at what can be carried; say whether the far side is listened to."""
        said, framed = (len(waiting) for waiting in self._waiting.values())
        listening = said + framed < MOST
        full = len(self._to_far) >= MOST
        state = (listening, full, bool(self._to_far), bool(said), bool(framed), len(self._near))
        if state == self._state:
            return listening
        self._state = state
        wanted: Dict[int, int] = {self._write_fd: select.POLLOUT} if self._to_far else {}
        for channel, near in self._near.items():
            event = select.POLLOUT if self._waiting[channel] else 0
            if event or not full:
                wanted[near.fileno()] = event | (0 if full else select.POLLIN)
        # its end is told by poll even where nothing is asked for
        wanted[self._read_fd] = wanted.get(self._read_fd, 0) | (select.POLLIN if listening else 0)
        for fd in self._watched:
            if fd not in wanted:
                self._poll.unregister(fd)
        for fd, event in wanted.items():
            self._poll.register(fd, event)
        self._watched = wanted
        return listening

    def _pause(self) -> Optional[float]:
        if self._patience is None:
            return None
        return max(0.0, self._heard + self._patience - time.monotonic()) * 1000 + 1

    # to the near sockets

    def _take_far(self) -> bool:
        try:
            data = self._far.read()
        except WAITS:
            return True
        except OSError:
            return False
        if not data:
            return False
        self._heard = time.monotonic()
        for channel, part in self._from_far.feed(data):
            near = self._near.get(channel)
            if near is None:
                continue  # only a pulse, or for a body that has ended
            if not part:
                self._ending[channel] = True
                continue
            waiting = self._waiting[channel]
            first = not waiting
            waiting += part
            if first:
                self._give_near(channel, near)
        return True

    def _give_near(self, channel: bytes, near: socket.socket) -> None:
        waiting = self._waiting[channel]
        try:
            if channel == CONTROL and self._hand_over is not None:
                rights = array.array("i", [self._hand_over]).tobytes()
                sent = near.sendmsg([waiting], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                os.close(self._hand_over)
                self._hand_over = None
            else:
                sent = near.send(waiting)
        except WAITS:
            return
        except OSError:
            # nobody reads there any more, but what was written there before is still read
            waiting.clear()
            return
        del waiting[:sent]

    def _drop(self, channel: bytes, near: socket.socket) -> None:
        fd = near.fileno()
        if self._watched.pop(fd, 0):
            self._poll.unregister(fd)
        self._state = ()
        del self._near[channel]
        self._waiting[channel].clear()
        near.close()

    # to the far side

    def _take_near(self, channel: bytes, near: socket.socket) -> bool:
        """Carry what comes from a near socket; False once the control socket has ended."""
        data = _received(near)
        if data is None:
            return True
        if channel == CONTROL:
            # who has ended was heard to the end before it is told that it has
            self._drain_stream()
        self._say(channel, data)
        if not data:
            self._drop(channel, near)
        return bool(data) or channel != CONTROL

    def _drain_stream(self) -> None:
        near = self._near.get(STREAM)
        taken = 0
        while near is not None and taken < MOST:
            data = _received(near)
            if data is None:
                return
            self._say(STREAM, data)
            taken += len(data)
            if not data:
                self._drop(STREAM, near)
                return

    def _say(self, channel: bytes, data: bytes) -> None:
        parts: List[bytes] = [HEADER.pack(channel, len(data)), data]
        if not self._to_far:
            try:
                sent = self._far.write(*parts)
            except OSError:
                sent = 0  # that the other side is gone is heard where it is read
            if sent == HEADER.size + len(data):
                return
            self._to_far += b"".join(parts)[sent:]
        else:
            self._to_far += b"".join(parts)

    def _give_far(self) -> bool:
        try:
            del self._to_far[: self._far.write(self._to_far)]
        except WAITS:
            pass
        except OSError:
            return False
        return True

    def _flush(self) -> None:
        """Write the rest, as far as the other side takes it."""
        poll = select.poll()
        poll.register(self._write_fd, select.POLLOUT)
        while self._to_far and poll.poll(FLUSH * 1000):
            if not self._give_far():
                return


def _received(near: socket.socket) -> Optional[bytes]:
    """Return what there is, nothing where it has ended, ``None`` where one has to wait."""
    try:
        return near.recv(READ)
    except WAITS:
        return None
    except OSError:
        return b""
