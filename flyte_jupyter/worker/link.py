"""The worker's end of the stream: one thread at a time reads, any thread sends.

Whoever reads never decodes values and never runs user code; frames are handed to who waits for
them. While nothing runs, the main thread reads itself: to be woken by another one costs more than
a short call. When it runs user code the reading thread takes over: at once where something is
waited for (:meth:`Link.attend`), after :data:`PATIENCE` otherwise. When the stream ends the owner
is gone, and so is the reason to live: the process exits.
"""

from __future__ import annotations

import array
import os
import queue
import select
import socket
import stat
import threading
import time
from itertools import islice
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.channels import Channel
from flyte_jupyter.wire.exchange import Outbox, Packed, lay_out, piece_for, pieces, value_of
from flyte_jupyter.wire.frames import Frame, FrameDecoder, Kind, encode_frame
from flyte_jupyter.wire.segments import process_segments
from flyte_jupyter.wire.values import Encoded, Ref

__all__ = ["Link"]

READ = 512 * 1024
WINDOW = 4
SPACE = socket.CMSG_SPACE(253 * array.array("i").itemsize)
FLAGS = int(getattr(socket, "MSG_CMSG_CLOEXEC", 0))
TRUNCATED = int(socket.MSG_CTRUNC)
# milliseconds between two looks at what of the segments is not needed any more
TIDY = 5000.0

# Milliseconds after which the reading thread sees that the main thread is with user code, and how
# many times it looks for that after the last call before it sleeps.
PATIENCE = 5.0
LOOKS = 20


class Link:
    """A stream of frames to the engine.

    Args:
        read_fd: where frames come from.
        write_fd: where frames go to; the same number for a socket.
        receive: called on the reading thread with every frame that is no piece of a buffer.
        closed: called, on whatever thread notices, when the stream has ended.
    """

    def __init__(
        self,
        read_fd: int,
        write_fd: int,
        receive: Callable[[Frame], None],
        closed: Callable[[], None],
    ) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._receive = receive
        self._closed = closed
        self._lock = threading.Lock()
        self._decoder = FrameDecoder()
        self._pulls: Dict[str, queue.SimpleQueue[Tuple[int, Any]]] = {}
        self.outbox = Outbox("w")
        self.sources: Dict[int, Callable[[], None]] = {}
        self.tick: Callable[[], Optional[float]] = lambda: None
        self.rehearsal = b""
        self._socket = _unix_socket(read_fd) if read_fd == write_fd else None
        self._buffer = bytearray(READ)
        self._view = memoryview(self._buffer)
        self._segments = None if self._socket is None else process_segments()
        self._channel: Optional[Channel] = None
        if self._segments is not None:
            self._channel = Channel(self._segments)
        self._lends = False
        self._blocks = os.get_blocking(read_fd)
        self._poll = select.poll()
        self._poll.register(read_fd, select.POLLIN)
        # held by the thread that reads, by none while user code has just begun
        self._reading = threading.Lock()
        self._claimed = False
        self._attended = False
        self._reads = True
        self._turns = self._seen = 0
        self._looks = LOOKS
        self._asleep = False
        self._wake_pipe = os.pipe()
        for fd in self._wake_pipe:
            os.set_blocking(fd, False)

    @property
    def takes_segments(self) -> bool:
        """True when the engine may send large buffers as segments."""
        return self._channel is not None

    def send(
        self, kind: int, call: int = 0, header: Optional[Dict[str, Any]] = None, buffers: Any = ()
    ) -> None:
        """Send one frame; safe from any thread."""
        self._send(encode_frame(kind, call, header, buffers), ())

    def _send(self, parts: List[Any], fds: Sequence[int]) -> None:
        try:
            with self._lock:
                if fds:
                    _write_with(self._socket, parts, fds)
                elif len(parts) == 1:
                    _write_all(self._write_fd, parts[0])
                else:
                    _write_gathered(self._write_fd, parts)
        except OSError:
            self._closed()

    def send_value(self, kind: int, call: int, header: Dict[str, Any], packed: Packed) -> List[str]:
        """Send a frame that carries a value; return the ids of the buffers that it offers."""
        channel = self._channel if self._lends else None
        if channel is not None and packed.buffers:
            assert self._segments is not None
            packed = Packed(packed.tree, tuple(self._segments.freeze(packed.buffers)), packed.info)
        full, laid = lay_out(header, packed, self.outbox, channel)
        self._send(encode_frame(kind, call, full, laid.inline), laid.fds)
        return laid.offered

    def tell_news(self) -> None:
        """Give back the segments of the engine that are needed no more."""
        news = None if self._channel is None else self._channel.news()
        if news is not None:
            self.send(Kind.FREE, 0, news)

    def value(self, frame: Frame) -> Packed:
        """Return the value that a frame carries; parts of it may lie on the other side."""
        return value_of(frame)

    def own(self, encoded: Encoded) -> Encoded:
        """Return a value to be decoded and kept, with copies of what is not worth a segment."""
        if self._segments is None or not encoded.buffers or Ref in map(type, encoded.buffers):
            return encoded
        return Encoded(encoded.tree, self._segments.own(encoded.buffers))

    def open_ref(self, ref: Ref) -> Any:
        """Return the bytes of a reference, pulled from the engine, in a buffer of their own.

        Raises:
            ProtocolError: the engine offers no such buffer.
        """
        if self.outbox.owns(ref):
            return bytearray(self.outbox.buffer(ref.id))
        self.attend()
        target = bytearray(ref.size)
        arrived: queue.SimpleQueue[Tuple[int, Any]] = queue.SimpleQueue()
        self._pulls[ref.id] = arrived
        row = pieces(ref.size)
        waiting = iter(row)
        try:
            for piece in islice(waiting, WINDOW):
                self._ask(ref, piece)
            for _ in row:
                at, data = arrived.get()
                if at < 0:
                    raise ProtocolError(str(data))
                target[at : at + len(data)] = data
                following = next(waiting, None)
                if following:
                    self._ask(ref, following)
        finally:
            self._pulls.pop(ref.id, None)
        return target

    def free(self, refs: List[Ref]) -> None:
        """Tell the engine that references it sent will not be opened again."""
        if refs:
            self.send(Kind.FREE, 0, {"ids": [ref.id for ref in refs]})

    def _ask(self, ref: Ref, piece: Tuple[int, int]) -> None:
        self.send(Kind.GET, 0, {"id": ref.id, "offset": piece[0], "length": piece[1]})

    def start(self) -> None:
        """Start the reading thread, which reads until :meth:`read_while` is called."""
        self._reading.acquire()
        threading.Thread(target=self._read_forever, name="flyte-stream", daemon=True).start()

    def read_while(self, idle: Callable[[], bool]) -> None:
        """Read on this thread, which has nothing else to do, as long as that is so.

        Args:
            idle: asked before each reading.
        """
        if not self._reading.acquire(False):
            self._claimed = True
            self.wake()
            self._reading.acquire()
            self._claimed = False
        while idle():
            if not self._blocks:
                self._poll.poll()
            if not self._read_once():
                self._closed()
                return
        self._turns += 1
        self._reading.release()
        if self._asleep:
            self.wake()

    def attend(self) -> None:
        """Have somebody read, as this thread waits for a frame while user code runs."""
        if not self._reading.locked():
            self._attended = True
            self.wake()

    def wake(self) -> None:
        """Make the reading thread look around."""
        try:
            os.write(self._wake_pipe[1], b"x")
        except BlockingIOError:
            pass  # it has been woken already

    def _woken(self) -> None:
        try:
            os.read(self._wake_pipe[0], 4096)
        except BlockingIOError:
            pass

    def _read_forever(self) -> None:
        """Look after the extra :attr:`sources`, and read where nobody else does."""
        sources = {**self.sources, self._wake_pipe[0]: self._woken}
        beside, everything = select.poll(), select.poll()
        everything.register(self._read_fd, select.POLLIN)
        for fd in sources:
            beside.register(fd, select.POLLIN)
            everything.register(fd, select.POLLIN)
        if self.rehearsal and not everything.poll(0):
            self._take(self.rehearsal)
        tidied = time.monotonic()
        while True:
            delays = [one for one in (self._look(), self.tick()) if one is not None]
            if self._segments:
                delays.append(TIDY)
            ready = (everything if self._reads else beside).poll(min(delays, default=None))
            if not ready and self._segments and time.monotonic() - tidied > TIDY / 1000:
                tidied = time.monotonic()
                self._segments.tidy()
                self.tell_news()
            for fd, event in ready:
                if fd == self._read_fd:
                    if not self._read_once():
                        self._closed()
                        return
                elif event & select.POLLIN:
                    sources[fd]()
                else:
                    beside.unregister(fd)
                    everything.unregister(fd)

    def _look(self) -> Optional[float]:
        """Take the reading over, or leave it; return the milliseconds until the next look."""
        self._asleep = False
        if self._reads:
            if not self._claimed:
                return None
            self._reads = False
            self._reading.release()
        attended, self._attended = self._attended, False
        still = self._turns == self._seen
        self._seen = self._turns
        taken = self._reading.locked()
        if not self._claimed and (attended or (still and not taken)):
            self._reads = self._reading.acquire(False)
            if self._reads:
                return None
        self._looks = self._looks - 1 if still else LOOKS
        if self._looks > 0 or not taken:
            return PATIENCE
        self._asleep = True
        # the main thread may have begun a call before it could see that
        return None if self._turns == self._seen and self._reading.locked() else PATIENCE

    def _read_once(self) -> bool:
        try:
            if self._socket is None:
                data: Any = os.read(self._read_fd, READ)
            else:
                data = self._receive_with(self._socket)
        except OSError:
            return False
        if not data:
            return False
        self._take(data)
        return True

    def _receive_with(self, stream: socket.socket) -> memoryview:
        size, ancillary, flags, _ = stream.recvmsg_into([self._buffer], SPACE, FLAGS)
        if ancillary:
            fds = array.array("i")
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
            if self._channel is not None:
                self._channel.arrived(fds)
        if flags & TRUNCATED:
            raise OSError("Descriptors were lost: this process has too many open.")
        return self._view[:size]

    def _take(self, data: Any) -> None:
        for frame in self._decoder.feed(data):
            if frame.kind == Kind.DATA:
                arrived = self._pulls.get(frame.header["id"])
                if arrived is not None:
                    arrived.put(_piece(frame))
            elif frame.kind == Kind.GET:
                self._serve(frame)
            elif frame.kind == Kind.FREE:
                self.outbox.free(frame.header.get("ids", ()))
                if self._channel is not None:
                    self._channel.told(frame.header)
            elif frame.kind == Kind.HELLO:
                self._lends = self._channel is not None and bool(frame.header.get("segments"))
            else:
                if "shared" in frame.header and self._channel is not None:
                    frame.header["shared"] = self._channel.take(frame.header["shared"])
                self._receive(frame)

    def _serve(self, frame: Frame) -> None:
        self.send(Kind.DATA, 0, *piece_for(frame.header, self.outbox))


def _piece(frame: Frame) -> Tuple[int, Any]:
    if frame.header["offset"] < 0:
        return -1, frame.header.get("error", "the buffer is gone")
    return frame.header["offset"], frame.buffers[0]


def _unix_socket(fd: int) -> Optional[socket.socket]:
    """Return a socket for a descriptor that is one of a kind that carries descriptors."""
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        return None
    stream = socket.socket(fileno=fd)
    if stream.family == socket.AF_UNIX:
        return stream
    stream.detach()
    return None


def _write_with(stream: Any, parts: List[Any], fds: Sequence[int]) -> None:
    rights = array.array("i", fds).tobytes()
    sent = stream.sendmsg([parts[0]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    _write_gathered(stream.fileno(), [memoryview(parts[0])[sent:], *parts[1:]])


def _write_all(fd: int, data: Any) -> None:
    sent = os.write(fd, data)
    while sent < len(data):
        data = memoryview(data)[sent:]
        sent = os.write(fd, data)


def _write_gathered(fd: int, parts: List[Any]) -> None:
    views = [memoryview(p) for p in parts if len(p)]
    while views:
        sent = os.writev(fd, views[:64])
        while sent and sent >= views[0].nbytes:
            sent -= views[0].nbytes
            del views[0]
        if sent:
            views[0] = views[0][sent:]
