"""The pod of a session's hub as the cluster tells of it: there, lost for a while, or for good."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from flyte_jupyter.cluster.api import ApiError
from flyte_jupyter.diagnose.pods import POD_ENDS
from flyte_jupyter.errors import FlyteError, TargetError, WorkerLostError
from flyte_jupyter.targets.kubernetes.away import Away

__all__ = ["HubPod"]

# A hub that is not there comes again within a moment, or its job has ended.
LOOK = 1.0
THERE = ("Pending", "Running")


class HubPod:
    """The hub's pod; the session's job makes another where one is lost.

    Args:
        job: asks the cluster for the session's job.
        away: says whether this kernel was away for longer than the cluster waits for it.
        lost: called when the pod is no more, and with it all that came over it.

    Attributes:
        changed: set when there is something new to say of it.
        linked: set while the link leads to the hub that there is, or has never led to one.
        count: how many hubs there were before this one.
        over: why there will be none any more, ``None`` while there may.
    """

    def __init__(
        self, job: Callable[[], Awaitable[dict[str, Any]]], away: Away, lost: Callable[[], None]
    ) -> None:
        self._job = job
        self._away = away
        self._lost = lost
        self._pod: dict[str, Any] = {}
        self._guard: asyncio.Task[None] | None = None
        self._closed = False
        self.changed = asyncio.Event()
        self.linked = asyncio.Event()
        self.linked.set()
        self.count = 0
        self.over: FlyteError | None = None

    @property
    def name(self) -> str:
        """Name of the pod, ``""`` while there is none."""
        return str((self._pod.get("metadata") or {}).get("name") or "")

    @property
    def status(self) -> Mapping[str, Any]:
        """What the cluster has told last of it."""
        return self._pod.get("status") or {}

    @property
    def placed(self) -> bool:
        """Whether it has a node."""
        return bool((self._pod.get("spec") or {}).get("nodeName"))

    @property
    def ready(self) -> bool:
        """Whether pods can be made that will reach it, or never any more."""
        return self.over is not None or (self._runs() and self.linked.is_set())

    def _runs(self) -> bool:
        return self.status.get("phase") == "Running"

    async def address(self) -> tuple[str, str]:
        """Return the name of the pod and its address, once it runs.

        Raises:
            FlyteError: it will not.
        """
        while not self._runs():
            if self.over is not None:
                raise self.over
            self.changed.clear()
            await self.changed.wait()
        return self.name, str(self.status["podIP"])

    def happened(self, kind: str, found: dict[str, Any]) -> None:
        """Take what the cluster tells of a pod of the hub's."""
        if kind != "DELETED" and not found["metadata"].get("deletionTimestamp"):
            self._pod = found
        elif (self._pod.get("metadata") or {}).get("uid") == found["metadata"].get("uid"):
            self._pod = {}
            self._gone()
        self.changed.set()
        self.look_after()

    def relinked(self) -> None:
        """Take note that the link leads to another hub than before."""
        if self.linked.is_set():
            self.count += 1  # it has begun anew in the pod that it was in
        self.linked.set()
        self.changed.set()

    def _gone(self) -> None:
        self.count += 1
        self.linked.clear()
        self._lost()

    def look_after(self) -> None:
        """Look, where there is no hub, whether there will be one."""
        there = self.status.get("phase") in THERE
        if not there and not self._closed and (self._guard is None or self._guard.done()):
            self._guard = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while self.status.get("phase") not in THERE:
            with contextlib.suppress(FlyteError):
                try:
                    job = await self._job()
                except ApiError as error:
                    if error.status == 404:
                        self._end("it was removed from the namespace")
                        return
                else:
                    for one in (job.get("status") or {}).get("conditions") or ():
                        if one.get("type") in ("Complete", "Failed") and one["status"] == "True":
                            self._end(str(one.get("message") or one["type"]))
                            return
            await asyncio.sleep(LOOK)

    def _end(self, why: str) -> None:
        """Take note that the session has ended in the cluster."""
        if self._away.long:
            end = POD_ENDS["asleep"]
            self.over = TargetError(end.sentence.format(task="what waited"), remedy=end.remedy)
        else:
            self.over = WorkerLostError(
                "The session of this kernel in the cluster has ended.",
                evidence=[why],
                remedy="Run it again: another session begins with that.",
            )
        self.changed.set()
        self._gone()

    def close(self) -> None:
        """Look after it no more."""
        self._closed = True
        if self._guard is not None:
            self._guard.cancel()
