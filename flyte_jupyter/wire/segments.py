"""Memory that processes share: a large buffer crosses a unix socket as a descriptor.

A *segment* is a sealed file in memory. The process that made it fills it through the one writable
mapping there is; every other process, and the maker where a value comes back to it, sees it through
private mappings. These are copy-on-write: what is decoded on them is writable, no change reaches
anyone else, and what is passed on is what was sent.

New pages cost several times what copying does. So the maker takes a segment again once nobody holds
it, and those who have seen it keep it mapped. Who sends a segment counts how often (*lent*), who
receives it gives back as many (*due*) when nothing in that process needs it any more. A segment
travels along a tree, so what goes back to where it came from is not counted.

Nothing of this outlives the processes: a file in memory has no name.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import mmap
import os
import threading
import time
import weakref
from collections import deque
from itertools import count
from typing import Any, Deque, Dict, List, Optional, Sequence, Set, Tuple

from flyte_jupyter.wire.memory import Pages, address_of, memory_limit
from flyte_jupyter.wire.values import Ref

__all__ = ["SHARED_FROM", "Segment", "Segments", "process_segments"]

#: Smaller buffers travel inside their frame.
SHARED_FROM = 64 * 1024 + 1

#: Buffers below this size share a segment, up to this size together.
TOGETHER = 16 << 20
SMALLEST = 1 << 20

#: Segments of a process, its own and those of others: each takes a descriptor.
MOST = 256

#: Part of the memory that own segments may take.
PART = 4
IDLE = 30.0

PAGE = mmap.PAGESIZE
ADD_SEALS = 1033
SEAL_SEAL, SEAL_SHRINK, SEAL_GROW, SEAL_FUTURE_WRITE = 1, 2, 4, 16


class Segment:
    """A segment as this process knows it."""

    __slots__ = (
        "due",
        "fd",
        "free_since",
        "id",
        "known",
        "lent",
        "private",
        "shared",
        "size",
        "source",
        "spoilt",
        "uses",
    )

    def __init__(self, key: str, size: int, fd: int, source: Optional[Any]) -> None:
        self.id = key
        self.size = size
        self.fd = fd
        self.source = source
        self.shared: Optional[mmap.mmap] = None
        self.private: List[mmap.mmap] = []
        self.uses = 0
        self.lent: Dict[Any, int] = {}
        self.known: Set[Any] = set()
        self.due = 0
        self.spoilt = False
        self.free_since = 0.0

    @property
    def held(self) -> bool:
        """True while anybody whom this process knows of needs the content."""
        return bool(self.uses or self.lent)

    def mapping(self, private: bool) -> mmap.mmap:
        """Return a mapping that nobody uses.

        Raises:
            OSError: there is no room for one.
        """
        if not private:
            assert self.shared is not None
            return self.shared
        if self.private:
            return self.private.pop()
        access = mmap.PROT_READ | mmap.PROT_WRITE
        return mmap.mmap(self.fd, self.size, flags=mmap.MAP_PRIVATE, prot=access)


class Use(weakref.ref):  # type: ignore[type-arg]
    """One use of a segment: over when the exporter of its memory is gone."""

    __slots__ = ("base", "mapping", "private", "segment")

    base: int
    mapping: mmap.mmap
    private: bool
    segment: Segment


class Segments:
    """The segments of a process; safe from any thread.

    Args:
        budget: bytes that own segments may take, ``None`` for a part of the memory.
    """

    def __init__(self, budget: Optional[int] = None) -> None:
        self._budget = budget
        self.lock = threading.RLock()
        self.all: Dict[str, Segment] = {}
        self._free: List[Segment] = []
        self._uses: Dict[int, Use] = {}
        self.over: Deque[Any] = deque()
        self._name = os.urandom(6).hex()
        self._numbers = count(1)
        self._pages = Pages()
        self._total = 0
        self._pid = os.getpid()

    @property
    def crowded(self) -> bool:
        """True when there are so many segments that values should not stay on them."""
        return len(self.all) > MOST // 2

    def __len__(self) -> int:
        with self.lock:
            self.settle()
            return len(self.all)

    @property
    def total(self) -> int:
        """Bytes of the segments that this process has made."""
        return self._total

    # values into segments

    def freeze(self, buffers: Sequence[Any], *, copy: bool = False) -> List[Any]:
        """Return buffers whose content cannot change any more, as far as segments can do that.

        What lies on a segment unchanged is taken as it is; other large buffers are copied to one.

        Args:
            buffers: bytes-like objects and references.
            copy: whether to copy what finds no place on a segment: what is small, and what there
                is no room for.
        """
        frozen = list(buffers)
        copied: List[Tuple[int, int, int]] = []
        for at, buffer in enumerate(frozen):
            if isinstance(buffer, Ref):
                continue
            if memoryview(buffer).nbytes < SHARED_FROM:
                if copy and not isinstance(buffer, bytes):
                    frozen[at] = bytes(buffer)
                continue
            address, size = address_of(buffer)
            again = self._again(buffer, address, size)
            if again is None:
                copied.append((at, address, size))
            else:
                frozen[at] = again
        for group in _groups(copied):
            if not self._copy(group, frozen):
                for at, address, size in group:
                    # a segment lacks what was changed in a mapping of it
                    if copy or self.use_at(address, size) is not None:
                        frozen[at] = bytes(frozen[at])
        return frozen

    def _again(self, buffer: Any, address: int, size: int) -> Any:
        """Return a buffer that lies on a segment already, if it is still what was sent."""
        with self.lock:
            self.settle()
            use = self.use_at(address, size)
            if use is None:
                return None
            if not use.private:
                return buffer
            segment = use.segment
            if segment.size > TOGETHER and size < segment.size // 8:
                return None  # the rest of the segment would be held for little
            if self._pages.changed(address, size):
                return None
            start = address - use.base
            view = self.use(segment, private=True)
            return None if view is None else view[start : start + size].toreadonly()

    def _copy(self, group: List[Tuple[int, int, int]], frozen: List[Any]) -> bool:
        need = sum(_paged(size) for _, _, size in group)
        with self.lock:
            self.settle()
            segment = self._obtain(need)
            view = None if segment is None else self.use(segment, private=False)
        if view is None:
            return False
        base, _ = address_of(view)
        start = 0
        for at, address, size in group:
            ctypes.memmove(base + start, address, size)
            frozen[at] = view[start : start + size].toreadonly()
            start += _paged(size)
        return True

    def _obtain(self, need: int) -> Optional[Segment]:
        fits = [s for s in self._free if need <= s.size <= max(SMALLEST, 2 * need)]
        if fits:
            segment = min(reversed(fits), key=lambda s: s.size)
            self._free.remove(segment)
            return segment
        size = _rounded(need)
        if self._budget is None:
            self._budget = memory_limit() // PART
        while self._free and (self._total + size > self._budget or len(self.all) >= MOST):
            self._destroy(self._free[0])
        if self._total + size > self._budget or len(self.all) >= MOST:
            return None
        return self._make(size)

    def _make(self, size: int) -> Optional[Segment]:
        fd = -1
        try:
            fd = os.memfd_create("flyte_jupyter", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(fd, size)
            shared = mmap.mmap(fd, size)
            fcntl.fcntl(fd, ADD_SEALS, SEAL_SHRINK | SEAL_GROW)
            with contextlib.suppress(OSError):  # before Linux 5.1 others could write to it
                fcntl.fcntl(fd, ADD_SEALS, SEAL_FUTURE_WRITE | SEAL_SEAL)
        except OSError:
            if fd >= 0:
                os.close(fd)
            return None
        segment = Segment(f"{self._name}.{next(self._numbers)}", size, fd, None)
        segment.shared = shared
        self.all[segment.id] = segment
        self._total += size
        return segment

    def own(self, buffers: Sequence[Any]) -> List[Any]:
        """Return buffers to keep: copies of what is not worth a segment.

        Args:
            buffers: bytes-like objects, some of them on segments.
        """
        crowded = self.crowded
        kept = []
        for buffer in buffers:
            view = memoryview(buffer)
            small = SHARED_FROM <= view.nbytes < SMALLEST
            if (small or (crowded and view.nbytes >= SHARED_FROM)) and self._lies_here(buffer):
                buffer = bytearray(view)
            kept.append(buffer)
        return kept

    def _lies_here(self, buffer: Any) -> bool:
        address, size = address_of(buffer)
        with self.lock:
            use = self.use_at(address, size)
        return use is not None

    # uses

    def use(self, segment: Segment, *, private: bool) -> Optional[memoryview]:
        """Return the memory of a segment, which is held for as long as a view of it lives."""
        try:
            mapping = segment.mapping(private)
        except OSError:
            return None
        exporter = (ctypes.c_char * segment.size).from_buffer(mapping)
        use = Use(exporter, self.over.append)
        use.segment, use.mapping, use.private = segment, mapping, private
        use.base = ctypes.addressof(exporter)
        self._uses[use.base] = use
        segment.uses += 1
        return memoryview(exporter).cast("B")

    def use_at(self, address: int, size: int) -> Optional[Use]:
        """Return the use of a segment that some memory belongs to."""
        for base, use in list(self._uses.items()):
            if base <= address and address + size <= base + use.segment.size:
                return use
        return None

    def settle(self) -> None:
        """Take note of the uses that are over; they end on any thread, in the middle of anything.

        What was changed in a private mapping is dropped, so that its next user sees the segment.
        """
        while self.over:
            use = self.over.popleft()
            del self._uses[use.base]
            segment = use.segment
            segment.uses -= 1
            if use.private:
                if segment.private:
                    _close(use.mapping)
                else:
                    if self._pages.changed(use.base, segment.size):
                        use.mapping.madvise(mmap.MADV_DONTNEED)
                    segment.private.append(use.mapping)
            self.look(segment)

    def look(self, segment: Segment) -> None:
        """Recycle a segment, or give it back, if nobody here needs it."""
        if segment.held or segment.id not in self.all:
            return
        if segment.shared is not None:
            if segment.spoilt:
                self._destroy(segment)
            elif segment not in self._free:
                segment.free_since = time.monotonic()
                self._free.append(segment)
        elif segment.source is None:
            self._destroy(segment)
        elif segment.due:
            segment.source.give_back(segment)

    def _destroy(self, segment: Segment) -> None:
        del self.all[segment.id]
        if segment in self._free:
            self._free.remove(segment)
        for channel in segment.known:
            if channel is not segment.source:
                channel.gone.append(segment.id)
        for mapping in segment.private:
            _close(mapping)
        if segment.shared is not None:
            self._total -= segment.size
            _close(segment.shared)
        os.close(segment.fd)

    def tidy(self, idle: float = IDLE) -> None:
        """Let segments go that were not needed for some seconds."""
        with self.lock:
            self.settle()
            limit = time.monotonic() - idle
            for segment in [s for s in self._free if s.free_since <= limit]:
                self._destroy(segment)

    def spoil(self) -> None:
        """Recycle nothing that is in use now: a process that was forked may still look at it."""
        if self._pid == os.getpid():
            with self.lock:
                for use in self._uses.values():
                    use.segment.spoilt = True

    def write_to(self, fd: int, buffer: Any) -> bool:
        """Write what was sent in a buffer to a file, whatever its holder changed since.

        Args:
            fd: descriptor of the file.
            buffer: memory of a segment.

        Returns:
            False when the buffer lies on no segment, and nothing was written.
        """
        if len(buffer) < SHARED_FROM:
            return False
        address, size = address_of(buffer)
        with self.lock:
            use = self.use_at(address, size)
        if use is None:
            return False
        start, end = address - use.base, address - use.base + size
        while start < end:
            start += os.sendfile(fd, use.segment.fd, start, min(end - start, TOGETHER))
        return True


def _close(mapping: mmap.mmap) -> None:
    with contextlib.suppress(BufferError):  # its last view is on its way out, and ends it
        mapping.close()


def _groups(copied: List[Tuple[int, int, int]]) -> List[List[Tuple[int, int, int]]]:
    """Return buffers in groups that share a segment: large ones alone, small ones together."""
    groups: List[List[Tuple[int, int, int]]] = []
    room = 0
    for one in copied:
        size = _paged(one[2])
        if size >= TOGETHER:
            groups.insert(0, [one])
        elif groups and room >= size:
            groups[-1].append(one)
            room -= size
        else:
            groups.append([one])
            room = TOGETHER - size
    return groups


def _paged(size: int) -> int:
    return -(-size // PAGE) * PAGE


def _rounded(size: int) -> int:
    """Return the size of a segment for so many bytes: few sizes, so that they are used again."""
    step = max(SMALLEST, 1 << max(0, size.bit_length() - 3))
    return -(-size // step) * step


@functools.cache
def process_segments() -> Optional[Segments]:
    """Return the segments of this process, ``None`` on a system that has nothing of the kind."""
    if not hasattr(os, "memfd_create") or not Pages().readable:
        return None
    segments = Segments()
    os.register_at_fork(before=segments.spoil, after_in_child=process_segments.cache_clear)
    return segments
