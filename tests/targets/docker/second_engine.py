"""A Docker engine of the tests' own, which they may end and fill up."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

__all__ = ["SecondEngine"]

STARTING = 60.0
BRIDGE = "fjt"


class SecondEngine:
    """An engine beside the machine's own, with its own files, socket, bridge and containerd.

    Args:
        size: of the disk that it has, as ``mount`` takes it; ``""`` for a folder on the machine's.
        arguments: given to it beside these; those of its next start are in the attribute.
    """

    def __init__(self, size: str = "", arguments: Sequence[str] = ()) -> None:
        self.arguments = tuple(arguments)
        # the addresses of sockets are short
        self._home = Path(tempfile.mkdtemp(prefix="fjt-", dir="/tmp"))
        self._data = self._home / "data"
        self._data.mkdir()
        self._mounted = bool(size)
        if size:
            _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self._data))
        # names of interfaces have 15 characters, addresses of bridges one octet
        self._bridge = f"{BRIDGE}{os.getpid() % 100_000}{'s' if size else ''}"
        octet = os.getpid() % 100 + (128 if size else 20)
        _run("ip", "link", "add", self._bridge, "type", "bridge")
        _run("ip", "addr", "add", f"10.{octet}.217.1/24", "dev", self._bridge)
        _run("ip", "link", "set", self._bridge, "up")
        self.socket = self._home / "docker.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._log = (self._home / "dockerd.log").open("ab")
        self._process = subprocess.Popen(
            [
                "dockerd",
                f"--host={self.url}",
                f"--data-root={self._data}",
                f"--exec-root={self._home / 'exec'}",
                f"--pidfile={self._home / 'docker.pid'}",
                f"--bridge={self._bridge}",
                "--iptables=false",
                "--ip-masq=false",
                "--shutdown-timeout=1",
                *self.arguments,
            ],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        limit = time.monotonic() + STARTING
        while not self._answers():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < limit, self.log()
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(str(self.socket))
                client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in client.recv(1024)
            except OSError:
                return False

    def load(self, image: str) -> None:
        """Give it an image that the machine's own engine has."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as save:
            command = ["docker", "-H", self.url, "load"]
            subprocess.run(command, stdin=save.stdout, check=True, capture_output=True)

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal, and wait until it has ended."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)
        # its containerd ends with it; as a zombie that nobody reaps it would seem to live
        (self._home / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
        if self._log is not None:
            self._log.close()

    def restart(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal, and start it again."""
        self.end(number)
        self.start()

    def log(self) -> str:
        """Return what it wrote."""
        return (self._home / "dockerd.log").read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """End it and leave nothing."""
        if self._process is not None and self._process.poll() is None:
            self.end()
        for pid in self._orphans():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _run("ip", "link", "del", self._bridge)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            place = line.split()[1]
            if place.startswith(str(self._home)):
                subprocess.run(["umount", "-l", place], check=False, capture_output=True)
        shutil.rmtree(self._home, ignore_errors=True)

    def _orphans(self) -> Iterator[int]:
        """Yield the processes that watch its containers, where it was killed before they were."""
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str(self._home).encode() in (place / "cmdline").read_bytes():
                    yield int(place.name)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
