"""What is heard of a session's pods: a list, then what changes, and a list again after a gap."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError, Watch
from flyte_jupyter.errors import FlyteError

__all__ = ["Listener"]

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
# A server that ends every watch at once is not asked without a pause.
SHORT = 1.0


class Listener:
    """Hears of the pods that a selector names; its functions are called on its own thread.

    Args:
        api: the cluster's.
        path: of the pods.
        selector: of labels.
        listed: called with all pods that there are, and when that was asked, as
            ``time.monotonic`` tells it.
        happened: called with what has become of a pod: ``ADDED``, ``MODIFIED`` or ``DELETED``.
        heard: called with why the cluster did not tell, and with ``None`` where it did.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        selector: str,
        listed: Callable[[list[dict[str, Any]], float], None],
        happened: Callable[[str, dict[str, Any]], None],
        heard: Callable[[Exception | None], None],
    ) -> None:
        self._api = api
        self._path = path
        self._selector = selector
        self._listed = listed
        self._happened = happened
        self._heard = heard
        self._watch: Watch | None = None
        self._closed = threading.Event()

    def listen(self) -> None:
        """Hear of them until it is closed, whatever the cluster does meanwhile."""
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            try:
                asked = time.monotonic()
                found = self._api.call("GET", self._path, labelSelector=self._selector)
                self._heard(None)
                self._listed(found["items"], asked)
                version = found["metadata"]["resourceVersion"]
                while not self._closed.is_set():
                    began = time.monotonic()
                    version = self._follow(version)
                    pause = FIRST_PAUSE
                    if time.monotonic() - began < SHORT:
                        self._closed.wait(FIRST_PAUSE)
            except (FlyteError, ApiError, OSError) as error:
                self._heard(error)
            if not self._closed.is_set():
                self._closed.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _follow(self, version: str) -> str:
        """Hear what changes from a version on, and return the last one that was heard of.

        Raises:
            ApiError: the cluster has forgotten what came after that version.
        """
        watch = self._watch = self._api.watch(
            self._path,
            labelSelector=self._selector,
            resourceVersion=version,
            # a version that nothing of ours has changed for long would be forgotten
            allowWatchBookmarks="true",
        )
        if self._closed.is_set():
            watch.close()
        with contextlib.closing(watch):
            for event in watch:
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise ApiError(status.get("code") or 410, "Expired", str(status))
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._happened(event["type"], event["object"])
        return version

    def close(self) -> None:
        """Hear no more."""
        self._closed.set()
        if self._watch is not None:
            self._watch.close()
