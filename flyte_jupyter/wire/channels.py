"""What the two ends of a stream know of each other's segments.

Segments are lent with the frames that need them, and given back once for each time that they were
lent; see :mod:`flyte_jupyter.wire.segments`.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque
from typing import Any, Deque, Dict, List, Optional, Sequence

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.memory import address_of
from flyte_jupyter.wire.segments import SEAL_SHRINK, Segment, Segments

__all__ = ["Channel"]

#: Descriptors in one frame; the system passes no more than 253 at once.
IN_FRAME = 64

GET_SEALS = 1034


class Channel:
    """What the two ends of one stream know of each other's segments.

    Args:
        segments: those of this process.
    """

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._due: List[Segment] = []
        self.gone: List[str] = []
        self._fds: Deque[int] = deque()
        self.closed = False

    # out

    def lay(self, buffer: Any, shared: List[Any], fds: List[int]) -> Optional[List[int]]:
        """Lend the segment that a buffer lies on, for one frame.

        Args:
            buffer: what was frozen.
            shared: the segments of the frame, to be extended.
            fds: descriptors that travel with the frame, to be extended.

        Returns:
            The slot of the buffer, ``None`` when it cannot go that way.
        """
        address, size = address_of(buffer)
        segments = self._segments
        with segments.lock:
            use = segments.use_at(address, size)
            if use is None or self.closed:
                return None
            segment = use.segment
            for at, entry in enumerate(shared):
                if entry[0] == segment.id:
                    return [at, address - use.base, size]
            entry = [segment.id]
            if self not in segment.known:
                if len(fds) >= IN_FRAME:
                    return None
                segment.known.add(self)
                fds.append(segment.fd)
                entry.append(segment.size)
            shared.append(entry)
            if segment.source is not self:
                segment.lent[self] = segment.lent.get(self, 0) + 1
            return [len(shared) - 1, address - use.base, size]

    def news(self) -> Optional[Dict[str, Any]]:
        """Return what the other side should know of its segments and ours, if there is anything."""
        segments = self._segments
        if not (segments.over or self._due or self.gone):
            return None
        with segments.lock:
            segments.settle()
            if not (self._due or self.gone):
                return None
            due, self._due = self._due, []
            gone, self.gone = self.gone, []
            back = {}
            spoilt = []
            for segment in due:
                if segment.due and not segment.held:
                    back[segment.id] = segment.due
                    segment.due = 0
                    if segment.spoilt:
                        spoilt.append(segment.id)
        return {"ids": [], "back": back, "spoilt": spoilt, "gone": gone}

    def give_back(self, segment: Segment) -> None:
        """Note that a segment of the other side is not needed here any more."""
        self._due.append(segment)

    # in

    def arrived(self, fds: Sequence[int]) -> None:
        """Take descriptors, which arrive no later than the frame that they belong to."""
        self._fds.extend(fds)

    def take(self, shared: Any) -> List[memoryview]:
        """Return the memory of the segments that a frame lends.

        Args:
            shared: what :meth:`lay` has put down on the other side.

        Raises:
            ProtocolError: they are not what the other side may lend.
        """
        with self._segments.lock:
            return [self._take(entry) for entry in _list(shared)]

    def _take(self, entry: Any) -> memoryview:
        segments = self._segments
        if not _list(entry) or type(entry[0]) is not str:
            raise ProtocolError("A segment was lent without a name.")
        segment = segments.all.get(entry[0])
        if len(entry) == 2:
            segment = self._new(segment, *entry)
        elif segment is None or self not in segment.known:
            raise ProtocolError("A segment was lent that was never shown.")
        if segment.source is self:
            segment.due += 1
        view = segments.use(segment, private=True)
        if view is None:
            raise ProtocolError("A segment cannot be mapped.")
        return view

    def _new(self, known: Optional[Segment], key: str, size: Any) -> Segment:
        if not self._fds:
            raise ProtocolError("A segment was lent without its descriptor.")
        fd = self._fds.popleft()
        try:
            right = (
                known is None
                and type(size) is int
                and 0 < size <= os.fstat(fd).st_size
                and fcntl.fcntl(fd, GET_SEALS) & SEAL_SHRINK
            )
        except OSError:
            right = False
        if not right:
            os.close(fd)
            raise ProtocolError("A descriptor came that is no segment.")
        segment = Segment(key, size, fd, self)
        segment.known.add(self)
        self._segments.all[key] = segment
        return segment

    def told(self, news: Dict[str, Any]) -> None:
        """Take what the other side says of its segments and ours.

        Args:
            news: what :meth:`news` returned there.
        """
        segments = self._segments
        with segments.lock:
            segments.settle()
            for key, times in news.get("back", {}).items():
                segment = segments.all.get(key)
                if segment is not None and self in segment.lent:
                    if key in news.get("spoilt", ()):
                        segment.spoilt = True
                    segment.lent[self] -= times
                    if segment.lent[self] <= 0:
                        del segment.lent[self]
                        segments.look(segment)
            for key in news.get("gone", ()):
                segment = segments.all.get(key)
                if segment is not None and segment.source is self:
                    segment.source = None
                    segments.look(segment)

    def close(self) -> None:
        """Forget the other side: what it was lent comes back, what it lent lasts while needed."""
        segments = self._segments
        with segments.lock:
            self.closed = True
            while self._fds:
                os.close(self._fds.popleft())
            segments.settle()
            for segment in list(segments.all.values()):
                segment.known.discard(self)
                segment.lent.pop(self, None)
                if segment.source is self:
                    segment.source = None
                segments.look(segment)


def _list(value: Any) -> List[Any]:
    if type(value) is not list:
        raise ProtocolError("The segments of a frame are no list.")
    return value
