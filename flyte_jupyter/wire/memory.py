"""What lies where in the memory of this process, and how much memory there is."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from typing import Any, Tuple

__all__ = ["Pages", "address_of", "memory_limit"]

PAGE = mmap.PAGESIZE
# of a page's eight bytes in the page map, the last: present, swapped, of a file
PRESENT, SWAPPED, OF_FILE = 0x80, 0x40, 0x20
COPIED = bytes(1 if b & (PRESENT | SWAPPED) and not b & OF_FILE else 0 for b in range(256))
# pages that are looked up at once
AT_ONCE = 1 << 16

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class _Buffer(ctypes.Structure):
    """Python's ``Py_buffer``."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_void_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


_get = ctypes.pythonapi.PyObject_GetBuffer
_get.argtypes = [ctypes.py_object, ctypes.POINTER(_Buffer), ctypes.c_int]
_release = ctypes.pythonapi.PyBuffer_Release
_release.argtypes = [ctypes.POINTER(_Buffer)]
_release.restype = None


def address_of(buffer: Any) -> Tuple[int, int]:
    """Return where the memory of a buffer begins, and its size in bytes.

    Args:
        buffer: a contiguous bytes-like object; it has to live for as long as the address is used.
    """
    view = _Buffer()
    _get(buffer, view, 0)
    try:
        return view.buf or 0, view.len
    finally:
        _release(view)


class Pages:
    """The page map of this process, in which a private copy of a page can be told from the page."""

    def __init__(self) -> None:
        self._pid = 0
        self._fd = -1

    @property
    def readable(self) -> bool:
        """True when the page map can be read."""
        try:
            return bool(self._read(0, 0) == b"")
        except OSError:
            return False

    def changed(self, address: int, size: int) -> bool:
        """Say whether something was written to a private mapping of a file.

        Args:
            address: where to begin to look.
            size: bytes to look at.
        """
        first, last = address // PAGE, -(-(address + size) // PAGE)
        try:
            while first < last:
                pages = min(last - first, AT_ONCE)
                entries = self._read(first * 8, pages * 8)
                if len(entries) < pages * 8 or b"\1" in entries[7::8].translate(COPIED):
                    return True
                first += pages
        except OSError:
            return True
        return False

    def _read(self, offset: int, length: int) -> bytes:
        if self._pid != os.getpid():  # a forked process has a map of its own
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
            self._pid = os.getpid()
        return os.pread(self._fd, length, offset)


def memory_limit() -> int:
    """Return the bytes of memory that this process may use, as far as is known."""
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if sys.platform == "linux":
        for path in CGROUP_LIMITS:
            try:
                with open(path) as file:
                    limit = min(limit, int(file.read()))
            except (OSError, ValueError):
                pass  # another version of control groups, or no limit
    return limit
