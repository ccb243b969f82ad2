"""Who made something that outlives a process: host, process and when that process started.

A number of a process is given again to another one; together with its start it is not. Numbers
mean something only among processes that see each other, so a container's owner says which those
are, too.
"""

from __future__ import annotations

import functools
import os
import socket
import sys

__all__ = ["REMOTE_LEASE", "is_alive", "owner", "process_of"]

#: Seconds that work elsewhere goes on without its kernel: a laptop that sleeps is not dead.
REMOTE_LEASE = 600.0


def owner() -> str:
    """Return what this process writes on what it makes: ``host:pid:start``."""
    pid = os.getpid()
    return f"{_host()}:{pid}:{_started(pid)}"


def process_of(owner: str) -> int | None:
    """Return the number of the process that an owner names, ``None`` if it names none."""
    parts = owner.rsplit(":", 2)
    return int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else None


def is_alive(owner: str) -> bool | None:
    """Say whether an owner still runs; ``None`` where that cannot be told from here.

    Args:
        owner: as :func:`owner` has written it, here or on another machine.
    """
    host, _, _ = owner.partition(":")
    pid = process_of(owner)
    said = owner.rpartition(":")[2]
    if pid is None or host != _host() or said.partition("-")[2] != _neighbours():
        return None
    return said == _started(pid)


@functools.cache
def _host() -> str:
    # a colon would end the name too early
    return socket.gethostname().replace(":", "-")


@functools.cache
def _neighbours() -> str:
    """Return what names the processes that this one can see; a container shares its host's name."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return when a process started, and among which; ``None`` if there is no such process."""
    if sys.platform != "linux":
        return _started_by_ps(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    # a zombie has ended and only waits for its parent to ask how
    ended = fields[0] in (b"Z", b"X")
    return None if ended else f"{fields[19].decode()}-{_neighbours()}"


def _started_by_ps(pid: int) -> str | None:
    import subprocess

    command = ["ps", "-p", str(pid), "-o", "lstart="]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    words = text.split()
    return "_".join(words).replace(":", ".") + "-" if words else None
