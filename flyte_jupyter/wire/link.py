"""The link between a kernel and the hub of its session: many streams over one that may be cut.

What goes over it is a row of messages: a letter, the number of a stream, the length, the bytes.
Each side keeps what it has sent until the other has told that it arrived, and counts what it has
taken. When the connection is cut, both go on over the next one where the other stopped, so who
uses a stream notices nothing but a pause.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections import deque
from typing import Any, Deque, Iterator, Tuple

from flyte_jupyter.errors import ProtocolError

__all__ = [
    "ARRIVED",
    "BLOB",
    "BLOB_END",
    "BLOB_PART",
    "BYE",
    "BYTES",
    "END",
    "HANDED_OVER",
    "MOST",
    "PART",
    "Messages",
    "message",
    "proof",
]

#: A message with the name of who has connected; its number is that of its stream from now on.
ARRIVED = b"o"
#: Bytes of a stream.
BYTES = b"d"
#: A stream has ended.
END = b"e"
#: A blob begins: its name; then its parts, then its end. Its number is one of the kernel's own.
BLOB = b"n"
BLOB_PART = b"b"
BLOB_END = b"f"
#: The kernel ends the session.
BYE = b"x"
#: All that a dead kernel has left was told to its heir.
HANDED_OVER = b"w"
#: So many messages have been taken; its number is their count, and it is not counted itself.
TAKEN = b"a"

KINDS = (ARRIVED, BYTES, END, BLOB, BLOB_PART, BLOB_END, BYE, HANDED_OVER, TAKEN)
HEADER = struct.Struct(">cQI")
#: Bytes of a stream that one message holds at the most.
PART = 128 * 1024
#: Bytes that may be on their way; what comes from streams waits then.
MOST = 16 << 20
# The other side is told of what was taken at least that often.
NEWS = 64


def proof(key: bytes, *words: str) -> str:
    """Return what shows that somebody knows a key, without telling it.

    Args:
        key: the key.
        words: who shows it, and what it was asked with.
    """
    return hmac.new(key, "\0".join(words).encode(), hashlib.sha256).hexdigest()


def message(kind: bytes, number: int, data: Any = b"") -> bytes:
    """Return a message.

    Args:
        kind: its letter.
        number: of the stream.
        data: bytes-like.
    """
    return HEADER.pack(kind, number, len(data)) + bytes(data)


class Messages:
    """One side's memory of what went over the link, both ways.

    Attributes:
        taken: how many messages have come.
        waiting: bytes that the other side has not told to have taken.
    """

    def __init__(self) -> None:
        self.taken = 0
        self.waiting = 0
        self._told = 0
        self._first = 0
        self._kept: Deque[bytes] = deque()
        self._text = bytearray()

    def sent(self, data: bytes) -> bytes:
        """Keep a message that is sent, and return it."""
        self._kept.append(data)
        self.waiting += len(data)
        return data

    def again(self, taken: int) -> Iterator[bytes]:
        """Begin anew on another connection: yield what the other side has not taken.

        Args:
            taken: how many messages it has.

        Raises:
            ProtocolError: it has more than were sent, or lacks what is not kept any more.
        """
        if not self._first <= taken <= self._first + len(self._kept):
            raise ProtocolError("The link was continued by somebody who did not begin it.")
        self._text.clear()
        self._told = self.taken
        self._forget(taken)
        yield from list(self._kept)

    def feed(self, data: Any) -> Iterator[Tuple[bytes, int, bytes]]:
        """Yield (kind, number, bytes) of each message that some bytes complete.

        Raises:
            ProtocolError: there is no such message.
        """
        text = self._text
        text += data
        at = 0
        try:
            while len(text) - at >= HEADER.size:
                kind, number, length = HEADER.unpack_from(text, at)
                if length > MOST or kind not in KINDS:
                    raise ProtocolError(f"The link has no message {kind!r} of {length} bytes.")
                end = at + HEADER.size + length
                if len(text) < end:
                    return
                payload = bytes(memoryview(text)[at + HEADER.size : end])
                at = end
                if kind == TAKEN:
                    self._forget(number)
                else:
                    self.taken += 1
                    yield kind, number, payload
        finally:
            del text[:at]

    def news(self) -> bytes:
        """Return what tells the other side what was taken, nothing if there is little to tell."""
        if self.taken - self._told < NEWS:
            return b""
        self._told = self.taken
        return message(TAKEN, self.taken)

    @property
    def kept(self) -> Iterator[Tuple[bytes, int, bytes]]:
        """What the other side has not told to have taken: kind, number and bytes of each."""
        for data in list(self._kept):
            kind, number, _ = HEADER.unpack_from(data)
            yield kind, number, data[HEADER.size :]

    def _forget(self, taken: int) -> None:
        while self._first < taken and self._kept:
            self.waiting -= len(self._kept.popleft())
            self._first += 1
