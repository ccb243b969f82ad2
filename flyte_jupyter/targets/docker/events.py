"""What the engine says of our containers: that they ended, how, and that they are gone."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

from flyte_jupyter.store.owners import owner
from flyte_jupyter.targets.docker.labels import OWNER

__all__ = ["Events"]

ACTIONS = ["oom", "kill", "stop", "die", "destroy"]


class Events:
    """The engine's events of this kernel's containers.

    Args:
        api: a client of the engine that nobody else uses.
        happened: called on the loop with name of the container, action and attributes.
        lost: called on the loop once no more events come though nobody closed this.
    """

    def __init__(
        self,
        api: Any,
        happened: Callable[[str, str, Mapping[str, str]], None],
        lost: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._api = api
        self._happened = happened
        self._lost = lost
        self._stream: Any = None
        self._closed = False
        self.open = True

    def listen(self) -> None:
        """Subscribe, on the calling thread; what happens from then on is told."""
        self._stream = self._api.events(
            decode=True,
            filters={"type": "container", "label": f"{OWNER}={owner()}", "event": ACTIONS},
        )
        threading.Thread(target=self._read, name="flyte-docker-events", daemon=True).start()

    def _read(self) -> None:
        # a stream that is closed under the reader fails in many ways, and an engine that ends too
        with contextlib.suppress(Exception):
            for event in self._stream:
                attributes = event["Actor"]["Attributes"]
                told = (attributes.get("name", ""), event["Action"], attributes)
                self._loop.call_soon_threadsafe(self._happened, *told)
        with contextlib.suppress(RuntimeError):  # the loop has ended before
            self._loop.call_soon_threadsafe(self._ended)

    def _ended(self) -> None:
        self.open = False
        if not self._closed:
            self._lost()

    def close(self) -> None:
        """Stop to listen."""
        self._closed = True
        with contextlib.suppress(Exception):
            self._stream.close()
        self._api.close()
