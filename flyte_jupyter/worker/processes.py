"""Process trees: who descends from a body, what it uses, and how it is ended.

A process that leaves its parent's session and lets the parent die is still found: the first
process of a worker is a subreaper, and every body carries a mark in its environment that its
children inherit.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import Any, Dict, Iterator, List, Set, Tuple

__all__ = [
    "MARK",
    "adopt_orphans",
    "children_of",
    "die_with_parent",
    "kill_session",
    "kill_tree",
    "memory_of_tree",
    "peak_bytes",
    "remove_folder",
]

MARK = "FLYTE_JUPYTER_BODY"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform == "linux"
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def _prctl(option: int, value: int) -> bool:
    if not LINUX:
        return False
    import ctypes

    return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)


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
    if LINUX:
        me = os.getpid()
        found.update(c for c in children.get(me, ()) if c not in found and _marked(c, pid))
    return found


def _marked(pid: int, body: int) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"{MARK}={body}".encode() in file.read().split(b"\0")
    except OSError:
        return False


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
    """Kill what a body that has ended left running; cheap when there is nothing."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass  # nothing is left in its own group
    others = children_of(os.getpid())
    if others:
        for child in others:
            if _marked(child, pid) or _session(child) == pid:
                kill_tree(child, signal.SIGKILL)


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


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
