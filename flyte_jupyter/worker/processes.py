"""Process trees: who descends from a body, what it uses, and how it is ended.

A process that leaves its parent's session and lets the parent die is still found: a body adopts
the orphans among its descendants, and the first process of the worker those of a body that ended.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import sys
from typing import Any, Dict, Iterator, List, Set, Tuple

__all__ = [
    "adopt_orphans",
    "children_of",
    "die_with_parent",
    "flush_c_output",
    "kill_session",
    "kill_tree",
    "memory_of_tree",
    "peak_bytes",
    "remove_folder",
    "send_c_output_by_line",
]

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform == "linux"
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@functools.cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None)


def _prctl(option: int, value: int) -> bool:
    return LINUX and bool(_libc().prctl(option, value, 0, 0, 0) == 0)


@functools.cache
def _c_output() -> Any:
    """Return the C library's own ``stdout``."""
    import ctypes

    return ctypes.c_void_p.in_dll(_libc(), "stdout" if LINUX else "__stdoutp")


def send_c_output_by_line() -> None:
    """Have C code that prints write each line as it ends, as on a terminal."""
    _libc().setvbuf(_c_output(), None, 1, 0)  # 1 is _IOLBF


def flush_c_output() -> None:
    """Write what C code has printed and not written yet."""
    _libc().fflush(_c_output())


def adopt_orphans() -> bool:
    """Become the parent of descendants whose own parent dies; False where that is not possible."""
    return _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> bool:
    """Ask the kernel of the system to kill this process when its (single-threaded) parent ends."""
    return _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _stats() -> Dict[int, Tuple[int, int]]:
    """Return pid → (parent, session) of every process that can be seen."""
    if not LINUX:
        return dict(_stats_by_ps())
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            table[int(name)] = (int(fields[1]), int(fields[3]))
    return table


def _stats_by_ps() -> Iterator[Tuple[int, Tuple[int, int]]]:
    import subprocess

    output = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,sess=,pgid="], capture_output=True, text=True, check=False
    ).stdout
    for line in output.splitlines():
        pid, parent, _, group = line.split()
        yield int(pid), (int(parent), int(group))


def _tree(pid: int) -> Set[int]:
    table = _stats()
    children: Dict[int, List[int]] = {}
    for child, (parent, _) in table.items():
        children.setdefault(parent, []).append(child)
    found = {p for p, (_, session) in table.items() if session == pid}
    found.add(pid)
    todo = list(found)
    while todo:
        for child in children.get(todo.pop(), ()):
            if child not in found:
                found.add(child)
                todo.append(child)
    return found


def children_of(pid: int) -> List[int]:
    """Return the direct children of a process."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return [child for child, (parent, _) in _stats().items() if parent == pid]


def kill_tree(pid: int, number: int) -> None:
    """Send a signal to a body and everything that descends from it."""
    for victim in _tree(pid):
        try:
            os.kill(victim, number)
        except OSError:
            pass  # it has ended by itself


def kill_session(pid: int) -> None:
    """Kill what a body that has ended left running in its own session."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass  # nothing is left in its own group


def memory_of_tree(pid: int) -> int:
    """Return the bytes of private memory that a body and its descendants hold."""
    if not LINUX:
        return _memory_by_ps(pid)
    pids = _tree(pid) if children_of(pid) else {pid}
    total = 0
    for one in pids:
        try:
            with open(f"/proc/{one}/statm", "rb") as file:
                fields = file.read().split()
        except OSError:
            continue
        total += (int(fields[1]) - int(fields[2])) * PAGE
    return total


def _memory_by_ps(pid: int) -> int:
    import subprocess

    pids = ",".join(map(str, _tree(pid)))
    output = subprocess.run(
        ["ps", "-o", "rss=", "-p", pids], capture_output=True, text=True, check=False
    ).stdout
    return sum(int(word) * 1024 for word in output.split())


def peak_bytes(usage: Any) -> int:
    """Return the peak of resident memory that ``wait4`` reports, in bytes."""
    return int(usage.ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def remove_folder(path: str) -> None:
    """Remove a body's scratch folder with everything in it."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
    except OSError:
        shutil.rmtree(path, ignore_errors=True)
