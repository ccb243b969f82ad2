"""Frames: the one unit that crosses a container boundary.

A frame is a fixed prefix, the lengths of its buffers, a JSON header and the buffers. Many calls
share a stream, so a frame carries the number of its call. Nothing large travels in one frame: what
is over :data:`CHUNK` is offered by reference and pulled in ``DATA`` frames by the side that needs
it (see :mod:`flyte_jupyter.wire.exchange`), so that a cancel or a log line never waits behind it.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Union

from flyte_jupyter.errors import ProtocolError

__all__ = [
    "CHUNK",
    "PROTOCOL",
    "Frame",
    "FrameDecoder",
    "FrameHead",
    "Kind",
    "dump_json",
    "encode_frame",
    "frame_head",
    "load_json",
]

PROTOCOL = 1
CHUNK = 256 * 1024
MAX_FRAME = 4 * CHUNK
MAX_BUFFERS = 4096
# Up to here buffers are copied behind the header: one write, and no gathering.
SMALL = 4096

_PREFIX = struct.Struct("<BBHIIII")
_decoder = json.JSONDecoder()

Buffer = Union[bytes, bytearray, memoryview]


def _dumper() -> Callable[[Any], str]:
    encoder = json.JSONEncoder(separators=(",", ":"), check_circular=False)
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    # what `encode` makes anew for each value
    write = make(
        None,
        encoder.default,
        json.encoder.encode_basestring_ascii,
        None,
        encoder.key_separator,
        encoder.item_separator,
        encoder.sort_keys,
        encoder.skipkeys,
        encoder.allow_nan,
    )
    join = "".join
    return lambda value: join(write(value, 0))


dump_json = _dumper()


def load_json(text: str) -> Any:
    """Return what a text says; what `dump_json` wrote is read without a look for spaces.

    Raises:
        ValueError: it is no JSON.
    """
    value, end = _decoder.raw_decode(text)
    return value if end == len(text) else _decoder.decode(text)


class Kind:
    """The kinds of frames; the arrow says who sends it (E engine, W worker)."""

    HELLO = 1  # W→E protocol, python, platform, pid, segments; E→W segments
    LOAD = 2  # E→W a capsule, once for each worker
    CALL = 3  # E→W run a task; W→E a task calls another
    RESULT = 4  # the value of a call
    ERROR = 5  # the exception of a call
    CANCEL = 6  # end a call
    LOG = 7  # W→E text that user code printed
    GET = 8  # send me a piece of a buffer that you offered
    DATA = 9  # the piece
    FREE = 10  # I need these buffers no more, give these segments back, have none of these left
    NOTE = 11  # W→E a fact to be said once
    BYE = 12  # E→W finish what runs, then exit


_KNOWN = frozenset(v for k, v in vars(Kind).items() if k.isupper())


class Frame(NamedTuple):
    """One frame: kind, call number, sequence number, header and buffers."""

    kind: int
    call: int
    seq: int
    header: dict[str, Any]
    buffers: List[Buffer]


def encode_frame(
    kind: int,
    call: int = 0,
    header: Optional[dict[str, Any]] = None,
    buffers: Any = (),
    seq: int = 0,
) -> List[Buffer]:
    """Return the pieces of a frame, ready for one gathering write; a small frame is one piece.

    Args:
        kind: one of :class:`Kind`.
        call: number of the call that the frame belongs to, 0 for the stream itself.
        header: JSON values.
        buffers: bytes-like objects, all together at most :data:`MAX_FRAME`.
        seq: place in the sequence of frames that must survive a reconnect.

    Raises:
        ProtocolError: the frame would be larger than the other side takes.
    """
    text = dump_json(header).encode("ascii") if header else b""
    if not buffers:
        return [_PREFIX.pack(kind, 0, 0, call, seq, len(text), 0) + text]
    lengths = [memoryview(b).nbytes for b in buffers]
    total = sum(lengths)
    if total + len(text) > MAX_FRAME or len(lengths) > MAX_BUFFERS:
        raise ProtocolError(f"A frame of {total + len(text)} bytes is larger than {MAX_FRAME}.")
    head = _PREFIX.pack(kind, 0, len(lengths), call, seq, len(text), total)
    if total <= SMALL:
        return [b"".join((head, struct.pack(f"<{len(lengths)}I", *lengths), text, *buffers))]
    return [head + struct.pack(f"<{len(lengths)}I", *lengths) + text, *buffers]


class FrameHead(NamedTuple):
    """What the fixed prefix of a frame says: its kind, its call, and its bytes in all."""

    kind: int
    call: int
    size: int


def frame_head(data: Any, start: int) -> Optional[FrameHead]:
    """Return the head of the frame that begins at a place, ``None`` where it is not all there.

    Args:
        data: bytes-like.
        start: the place.

    Raises:
        ProtocolError: that is no frame, or it is larger than one may be.
    """
    if len(data) - start < _PREFIX.size:
        return None
    kind, flags, count, call, _, header, body = _PREFIX.unpack_from(data, start)
    if kind not in _KNOWN or flags:
        raise ProtocolError(f"The stream carries something that is no frame (kind {kind}).")
    if header + body > MAX_FRAME or count > MAX_BUFFERS:
        raise ProtocolError(f"A frame of {header + body} bytes is larger than {MAX_FRAME}.")
    return FrameHead(kind, call, _PREFIX.size + 4 * count + header + body)


class FrameDecoder:
    """Turns bytes, as they arrive, into frames.

    Unknown kinds and sizes over the bound raise :class:`ProtocolError`: a stream that carries
    them is not ours and nothing after it can be trusted.
    """

    def __init__(self) -> None:
        self._pending = bytearray()

    @property
    def idle(self) -> bool:
        """True when no frame is half received."""
        return not self._pending

    def feed(self, data: Buffer) -> Iterator[Frame]:
        """Take bytes and yield every frame that they complete."""
        pending = self._pending
        pending += data
        start = 0
        try:
            while True:
                end = self._frame_end(start)
                if end is None:
                    return
                frame = self._frame(start)
                start = end
                yield frame
        finally:
            if start:
                del pending[:start]

    def _frame_end(self, start: int) -> Optional[int]:
        head = frame_head(self._pending, start)
        if head is None or len(self._pending) - start < head.size:
            return None
        return start + head.size

    def _frame(self, start: int) -> Frame:
        pending = self._pending
        kind, _, count, call, seq, header_length, body = _PREFIX.unpack_from(pending, start)
        at = start + _PREFIX.size
        lengths = struct.unpack_from(f"<{count}I", pending, at) if count else ()
        at += 4 * count
        if (sum(lengths) if count else 0) != body:
            raise ProtocolError("The buffers of a frame do not add up to its length.")
        header: dict[str, Any] = {}
        if header_length:
            try:
                header = load_json(str(pending[at : at + header_length], "utf-8"))
            except (ValueError, RecursionError) as error:
                raise ProtocolError(f"The header of a frame is no JSON: {error}.") from None
            if type(header) is not dict:
                raise ProtocolError("The header of a frame is no JSON object.")
        at += header_length
        buffers: List[Buffer] = []
        for length in lengths:
            buffers.append(bytes(pending[at : at + length]))
            at += length
        return Frame(kind, call, seq, header, buffers)
