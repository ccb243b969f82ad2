"""What tidies up after a kernel that could not do it itself: a small process that outlives it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["Janitor"]

# Waits for the end of the kernel's process; what follows finds what it was told in ``told``.
WAIT = """\
import json, os, select, sys, time
told = json.loads(sys.argv[1])
poll = select.poll()
poll.register(0, select.POLLIN)
try:
    poll.register(os.pidfd_open(told["kernel"]), select.POLLIN)
except (AttributeError, OSError):
    pass  # then the end of the pipe tells it
poll.poll()
if select.select([0], [], [], 0)[0] and os.read(0, 1):
    sys.exit()  # the kernel has left nothing
sys.path[:] = told["path"]
"""


class Janitor:
    """Waits for the end of this process.

    Args:
        program: what it does then, in Python; it finds what it is told in ``told``.
        told: JSON; anybody on this machine can read it.
    """

    def __init__(self, program: str, told: Mapping[str, Any]) -> None:
        path = [os.path.abspath(place) for place in sys.path]
        words = json.dumps({**told, "kernel": os.getpid(), "path": path})
        self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", WAIT + program, words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # what ends the kernel's group must not end it
        )

    def dismiss(self, clean: bool) -> None:
        """Let it end.

        Args:
            clean: whether nothing is left; otherwise it tidies up first.
        """
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.write(b"." if clean else b"")
                process.stdin.close()
            process.wait()
