"""What a pod has sent, in pieces that each make sense alone: a new kernel can go on from any.

A hub hands on nothing but whole lines and whole frames. So what a kernel has not taken when it dies
begins where its heir can begin to read. An answer that was taken may not have been written down by
then, so the last ones are kept a while longer.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Iterator, Set, Tuple

from flyte_jupyter.wire.frames import FrameHead, Kind, frame_head
from flyte_jupyter.wire.relay import CONTROL, HEADER, MARK, STREAM, Pieces, chunk

__all__ = ["Answers", "Sorter"]

ANSWERS = (Kind.RESULT, Kind.ERROR)
# Bytes of answers that are kept, all pods together.
MOST = 32 << 20
# What remembering an answer takes beside it.
BESIDE = 400


class Answers:
    """The calls of all pods: which are not answered, and the last answers as far as there is room.

    Attributes:
        open: (stream, call) of what is not answered.
    """

    def __init__(self) -> None:
        self.open: Set[Tuple[int, int]] = set()
        self._kept: OrderedDict[Tuple[int, int], bytes] = OrderedDict()
        self._size = 0

    def keep(self, stream: int, call: int, frame: bytes) -> None:
        """Keep the answer to a call.

        Args:
            stream: the pod's.
            call: number of the call there.
            frame: the answer.
        """
        self.open.discard((stream, call))
        before = self._kept.pop((stream, call), None)
        if before is not None:
            self._size -= len(before) + BESIDE
        self._kept[stream, call] = frame
        self._size += len(frame) + BESIDE
        while self._size > MOST:
            self._size -= len(self._kept.popitem(last=False)[1]) + BESIDE

    def asked(self, stream: int, data: bytes) -> None:
        """See which calls the kernel makes.

        Args:
            stream: the pod's.
            data: what it is sent: one whole piece.
        """
        if data[:1] == STREAM:
            for _, head in _frames(data, HEADER.size):
                if head.kind == Kind.CALL:
                    self.open.add((stream, head.call))

    def ended(self, stream: int) -> None:
        """Expect nothing more of a pod."""
        self.open = {one for one in self.open if one[0] != stream}

    def of(self, stream: int) -> bytes:
        """Return the answers that are kept of a pod, one behind the other."""
        return b"".join(frame for (number, _), frame in self._kept.items() if number == stream)

    def streams(self) -> Iterator[int]:
        """Yield the streams that there are answers of."""
        yield from dict.fromkeys(number for number, _ in self._kept)


class Sorter:
    """Sorts what one pod sends.

    Args:
        name: the pod's.
        stream: likewise, a number.
        answers: keeps its answers.

    Attributes:
        begun: whether it has said its first word.
    """

    def __init__(self, name: str, stream: int, answers: Answers) -> None:
        self.name = name
        self.begun = False
        self._stream = stream
        self._answers = answers
        self._pieces = Pieces()
        self._first = b""
        self._lines = bytearray()
        self._frames = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what can be handed on of what there is now.

        Args:
            data: the next bytes of the pod.

        Raises:
            ProtocolError: they are not what a pod of ours sends.
        """
        if not self.begun:
            before, mark, data = (self._first + data).partition(MARK)
            if not mark:
                self._first = before[-len(MARK) :]
                return
            self.begun = True
            yield MARK
        for channel, part in self._pieces.feed(data):
            if channel == CONTROL:
                self._lines += part
            elif channel == STREAM:
                self._frames += part
            if not part and channel in (CONTROL, STREAM):
                yield from self._whole()
                yield chunk(channel, 0)
        yield from self._whole()

    def _whole(self) -> Iterator[bytes]:
        end = self._lines.rfind(b"\n") + 1
        if end:
            yield chunk(CONTROL, end) + bytes(self._lines[:end])
            del self._lines[:end]
        end = 0
        for at, head in _frames(self._frames, 0):
            end = at + head.size
            if head.kind in ANSWERS:
                whole = bytes(memoryview(self._frames)[at:end])
                self._answers.keep(self._stream, head.call, whole)
        if end:
            yield chunk(STREAM, end) + bytes(memoryview(self._frames)[:end])
            del self._frames[:end]


def _frames(data: Any, at: int) -> Iterator[Tuple[int, FrameHead]]:
    """Yield place and head of each whole frame from a place on."""
    while True:
        head = frame_head(data, at)
        if head is None or at + head.size > len(data):
            return
        yield at, head
        at += head.size
