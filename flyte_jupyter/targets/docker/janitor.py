"""What tidies up after a kernel that could not do it itself: a small process that outlives it.

Containers end by themselves when their kernel is gone. Some things cannot: a container that was
created and not started yet, one whose socket a process that the kernel has forked holds open, the
folder of the socket. The janitor waits for the end of the kernel's process and removes them.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

from flyte_jupyter.daemon.endpoints import Endpoint
from flyte_jupyter.daemon.labels import OWNER
from flyte_jupyter.store.owners import owner

__all__ = ["Janitor"]

PROGRAM = """\
import http.client, json, os, select, shutil, sys, time
from urllib.parse import quote
told = json.loads(sys.argv[1])

def ask(method, path):
    from flyte_jupyter.daemon.dial import dial
    from flyte_jupyter.daemon.endpoints import Endpoint

    engine = http.client.HTTPConnection("docker")
    engine.sock = dial(Endpoint(**told["engine"]), 20)
    try:
        engine.request(method, path)
        return engine.getresponse().read()
    finally:
        engine.close()

def tidy():
    label = quote(json.dumps({"label": [told["label"]]}))
    found = json.loads(ask("GET", "/containers/json?all=1&filters=" + label))
    for one in found:
        ask("DELETE", "/containers/" + one["Id"] + "?force=1&v=1")
    return not found

poll = select.poll()
poll.register(0, select.POLLIN)
try:
    poll.register(os.pidfd_open(told["kernel"]), select.POLLIN)
except (AttributeError, OSError):
    pass  # then the end of the pipe tells it
poll.poll()
if select.select([0], [], [], 0)[0] and os.read(0, 1):
    sys.exit()  # the kernel has left nothing
for folder in told["folders"]:
    shutil.rmtree(folder, ignore_errors=True)
sys.path[:] = told["path"]
clean, until = 0, time.monotonic() + 60
while clean < 3 and time.monotonic() < until:
    try:
        clean = clean + 1 if tidy() else 0
    except (OSError, ValueError, http.client.HTTPException):
        clean = 0
    time.sleep(0.3)
"""


class Janitor:
    """Waits for the end of this process.

    Args:
        engine: where it listens.
        folders: removed, if they are there.
    """

    def __init__(self, engine: Endpoint, folders: Sequence[str]) -> None:
        told = {
            "engine": asdict(engine),
            "label": f"{OWNER}={owner()}",
            "kernel": os.getpid(),
            "folders": list(folders),
            "path": [os.path.abspath(place) for place in sys.path],
        }
        self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", PROGRAM, json.dumps(told)],
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
