"""What the engine says of our containers: that they ended, how, and that they are gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from flyte_jupyter.daemon.labels import OWNER
from flyte_jupyter.store.owners import owner

if TYPE_CHECKING:
    from flyte_jupyter.daemon.connect import Daemon

__all__ = ["Events"]

ACTIONS = ["oom", "kill", "stop", "die", "destroy"]
# What Podman calls some of them: when it is asked for them, and when it tells them.
PODMAN = {"died": "die", "remove": "destroy"}
JOIN = 2.0


class Events:
    """The engine's events of this kernel's containers.

    Args:
        daemon: the engine.
        happened: called on the loop with name of the container, action and attributes.
        lost: called on the loop once no more events come though nobody closed this.
    """

    def __init__(
        self,
        daemon: Daemon,
        happened: Callable[[str, str, Mapping[str, str]], None],
        lost: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._happened = happened
        self._lost = lost
        self._closed = False
        self._daemon = daemon
        self.open = False

    def listen(self) -> None:
        """Subscribe, on the calling thread.

        Raises:
            TargetError: the engine refuses.
            OSError: it does not answer.
        """
        ours = {
            "type": ["container"],
            "label": [f"{OWNER}={owner()}"],
            "event": [*ACTIONS, *PODMAN],
        }
        self._connection, self._lines = self._daemon.events(ours)
        self._thread = threading.Thread(target=self._read, name="flyte-docker-events", daemon=True)
        self.open = True
        self._thread.start()

    def _read(self) -> None:
        # a stream that is shut down under its reader fails in many ways, and so does an engine
        with contextlib.suppress(Exception):
            for line in self._lines:
                event = json.loads(line)
                attributes = event["Actor"]["Attributes"]
                action = PODMAN.get(event["Action"], event["Action"])
                told = (attributes.get("name", ""), action, attributes)
                self._loop.call_soon_threadsafe(self._happened, *told)
        with contextlib.suppress(RuntimeError):  # the loop has ended before
            self._loop.call_soon_threadsafe(self._ended)
        self._lines.close()
        self._connection.close()

    def _ended(self) -> None:
        self.open = False
        if not self._closed:
            self._lost()

    def close(self) -> None:
        """Stop to listen."""
        self._closed = True
        if self.open:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            self._thread.join(JOIN)
