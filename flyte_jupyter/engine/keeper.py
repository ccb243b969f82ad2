"""Large values, written to their files behind the results, by one thread that hurries nobody.

A value is held until it is written, and memory that is held cannot be used for the next one. So
only so much may wait: what comes faster than the disk takes it is not kept, and that is said.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from flyte_jupyter.engine.journal import write_value
from flyte_jupyter.engine.retention import Retention
from flyte_jupyter.spec.amounts import readable_bytes
from flyte_jupyter.wire.exchange import Packed

__all__ = ["Keeper"]

ROOM = 512 << 20
# What waits holds a segment, and so a descriptor: when so many do, others are copied, up to a size.
MANY = 8
COPIED = 16 << 20
# A result is opened at once: the processor is first of all for that.
PAUSE = 0.05
LOWEST_PRIORITY = 19


class Keeper:
    """Writes values, one after the other, in the order in which they came.

    Args:
        retention: makes room on the disk.
        say: called, on the thread that writes, with what there is to say of values.
        room: bytes that may wait; a single larger value may, too.
    """

    def __init__(self, retention: Retention, say: Callable[[str], None], room: int = ROOM) -> None:
        self._retention = retention
        self._say = say
        self._room = room
        self._waiting: deque[tuple[Path, Packed, Callable[[], None]]] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def keep(
        self, path: Path, packed: Packed, written: Callable[[], None], part: float = 1
    ) -> bool:
        """Write a value soon.

        Args:
            path: the file.
            packed: the value.
            written: called when the file is there, on the thread that writes.
            part: how much of the room there must be for it, between 0 and 1.

        Returns:
            False when too much waits already: it will not be written.
        """
        with self._changed:
            if self._size and self._size + packed.size > self._room * part:
                return False
            if len(self._waiting) >= MANY and packed.size <= COPIED:
                parts = [bytes(b) for b in packed.buffers]  # type: ignore[arg-type]
                packed = Packed(packed.tree, tuple(parts))
            self._size += packed.size
            self._waiting.append((path, packed, written))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="flyte-keeper", daemon=True)
                self._thread.start()
        return True

    def close(self, seconds: float) -> None:
        """Write what waits, as far as there is time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._thread is None, seconds)

    def _run(self) -> None:
        with contextlib.suppress(AttributeError, OSError):  # of Linux, where threads have their own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        with self._changed:
            self._changed.wait_for(lambda: self._closed, PAUSE)
        while True:
            with self._changed:
                if not self._waiting:
                    self._thread = None
                    self._changed.notify_all()
                    return
                path, packed, written = self._waiting.popleft()
            size = packed.size
            if self._make_room(path, size) and self._write(path, packed):
                written()
            del packed
            with self._changed:
                self._size -= size

    def _make_room(self, path: Path, size: int) -> bool:
        removed = self._retention.make_room(size)
        folder, most = path.parent.parent, readable_bytes(self._retention.limit)
        if removed is None:
            self._say(
                f"A value of {readable_bytes(size)} is not kept: {folder} takes {most} in all."
            )
        elif removed:
            self._say(f"Large values of older runs were removed: {folder} takes {most} in all.")
        return removed is not None

    def _write(self, path: Path, packed: Packed) -> bool:
        partial = path.with_suffix(path.suffix + ".partial")
        try:
            # the run may be one of those that have made room
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(partial, "wb", buffering=0) as file:
                write_value(packed, file.fileno())
            partial.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            self._say(
                f"Large values cannot be written to {path.parent.parent} ({error.strerror}): they "
                "are not kept there."
            )
            return False
        return True
