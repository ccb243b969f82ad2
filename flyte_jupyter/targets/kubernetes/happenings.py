"""What the cluster tells beside a pod's status: its events, as far as one may read them."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError, Watch
from flyte_jupyter.errors import FlyteError

__all__ = ["Happening", "Happenings"]

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
# What an event says a pod waits for; what it does not say is in its message.
WORDS: Mapping[str, str] = {
    "FailedAttachVolume": "waits for a volume",
    "FailedCreatePodSandBox": "waits for its node to begin it",
    "FailedMapVolume": "waits for a volume",
    "FailedMount": "waits for a volume",
    "Nominated": "waits for a node that the cluster adds",
    "NotTriggerScaleUp": "waits for a node, and the cluster adds none",
    "Pulling": "pulls its image",
    "TriggeredScaleUp": "waits for a node that the cluster adds",
}
#: Those that are about nodes to come.
GROWTH = ("Nominated", "NotTriggerScaleUp", "TriggeredScaleUp")
# A pod has come further than what was told before.
PROGRESS = ("Created", "Pulled", "Scheduled", "Started")
PODS = "involvedObject.kind=Pod"
NOT_ALLOWED = (401, 403)


@dataclass(frozen=True, slots=True)
class Happening:
    """The last event of a pod that says what it waits for.

    Args:
        reason: the cluster's word.
        message: what it says.
        since: when the first one with that reason was heard, as ``time.monotonic`` tells it.
    """

    reason: str
    message: str
    since: float

    @property
    def words(self) -> str:
        """What the pod waits for, in a few words."""
        if self.reason == "Pulling":
            image = re.search(r'"([^"]+)"', self.message)
            return f"pulls the image {image[1]}" if image else WORDS[self.reason]
        return f"{WORDS[self.reason]}: {self.message}"


class Happenings:
    """The events of the pods of one session.

    Args:
        api: the cluster's.
        namespace: where.
        session: what the names of its pods begin with.
        news: called, on the thread that listens, with the name of a pod that has something new.

    Attributes:
        refusal: why events may not be read, ``""`` where they may.
    """

    def __init__(self, api: Api, namespace: str, session: str, news: Callable[[str], None]) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/events"
        self._session = session
        self._news = news
        self._last: dict[str, Happening] = {}
        self._watch: Watch | None = None
        self._closed = threading.Event()
        self.refusal = ""

    def of(self, pod: str) -> Happening | None:
        """Return the last event that says what a pod waits for, ``None`` if there is none."""
        return self._last.get(pod)

    def forget(self, pod: str) -> None:
        """Let go of what was heard of a pod."""
        self._last.pop(pod, None)

    def listen(self) -> None:
        """Hear of the pods until it is closed; returns at once where that is not allowed."""
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            try:
                self._follow()
                pause = FIRST_PAUSE
            except ApiError as error:
                if error.status in NOT_ALLOWED:
                    self.refusal = error.sentence
                    return
            except (FlyteError, OSError):
                pass
            self._closed.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _follow(self) -> None:
        # only those to come: a namespace may hold many thousands of an hour
        found = self._api.call("GET", self._path, limit="1", fieldSelector=PODS)
        version = found["metadata"]["resourceVersion"]
        watch = self._watch = self._api.watch(
            self._path, resourceVersion=version, fieldSelector=PODS
        )
        if self._closed.is_set():
            watch.close()
        with contextlib.closing(watch):
            for event in watch:
                if event["type"] == "ERROR":
                    return
                self._take(event["object"])

    def _take(self, event: Mapping[str, Any]) -> None:
        name = str((event.get("involvedObject") or {}).get("name") or "")
        if not name.startswith(self._session):
            return
        reason, message = str(event.get("reason") or ""), str(event.get("message") or "")
        if reason in PROGRESS:
            if self._last.pop(name, None) is not None:
                self._news(name)
        elif reason in WORDS:
            known = self._last.get(name)
            same = known is not None and known.reason == reason
            since = known.since if known is not None and same else time.monotonic()
            self._last[name] = Happening(reason, message, since)
            self._news(name)

    def close(self) -> None:
        """Hear no more."""
        self._closed.set()
        if self._watch is not None:
            self._watch.close()
