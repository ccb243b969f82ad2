"""The first process of a container: it reaches the kernel, then serves one body.

Where the container shares a machine with the kernel, the kernel listens on a socket in a folder
that is mounted into the container. A socket that ends means that the kernel is gone, whatever
became of the Docker engine. Elsewhere the stream that is attached to the container carries
everything, and :mod:`flyte_jupyter.worker.attached` stands between it and this process.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any, Dict

from flyte_jupyter.worker import cgroup
from flyte_jupyter.worker.init import Body, Init

__all__ = ["main"]


class ContainerInit(Init):
    """Serves the body of a container, whose control group keeps the limits and the counts."""

    def record(self, body: Body, status: int, usage: Any) -> Dict[str, Any]:
        """Return the exit record, with what the control group has counted."""
        body.folders = []  # they end with the container, or belong to the image
        record = super().record(body, status, usage)
        record["oom_kills"] = kills = cgroup.oom_kills()
        if kills and record["signal"] == 9 and not record["cause"]:
            record["cause"] = "memory"
        peak = cgroup.peak_memory()
        if peak is not None:
            record["peak_memory"] = peak
        spent = cgroup.cpu_seconds()
        if spent is not None:
            record["cpu_seconds"] = spent
        return record

    def _warm_up(self) -> None:
        """Import nothing ahead: a container has one body."""

    def _end(self) -> None:
        """Leave the rest to the system, which ends a container with its first process."""


def main(address: str, token: str) -> None:
    """Reach the kernel over its socket and serve.

    Args:
        address: path of the socket.
        token: what shows the kernel which container this is.
    """
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        control.connect(address)
        control.sendall(token.encode("ascii") + b"\n")
    except OSError as error:
        sys.exit(f"The notebook's socket cannot be reached from the container: {error}")
    serve(control)


def serve(control: socket.socket) -> None:
    """Serve a kernel that is connected."""
    os.set_inheritable(control.fileno(), False)
    home = os.environ.get("HOME", "")
    if not home or not os.access(home, os.W_OK):
        os.environ["HOME"] = "/tmp"  # the user may be nobody that the image knows
    ContainerInit(control, "").run()
