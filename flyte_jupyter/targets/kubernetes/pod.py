"""One pod as a worker: how it is reached, what is heard of it, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from flyte_jupyter.diagnose import ExitRecord
from flyte_jupyter.targets.control import Control
from flyte_jupyter.targets.kubernetes.ends import end_of, terminated
from flyte_jupyter.targets.kubernetes.link import Stream
from flyte_jupyter.targets.kubernetes.template import DEFAULT_CONTAINER

__all__ = ["Pod"]

# The kubelet tells of an end after about a second.
PATIENCE = 10.0
# A first process that has not ended its pod after so many seconds does not listen.
DEAF = 2.0
BODY = 1


class Pod:
    """A pod with one body.

    Args:
        name: the pod's.
        remove: has the cluster remove it; may be called more than once.
        away: says whether this kernel was away for longer than the cluster waits for it.

    Attributes:
        made: when the cluster had agreed to it, ``None`` before, as ``time.monotonic`` tells it.
        placed: when it was heard that it has a node, likewise.
        made_of: the pod as the cluster has told it first.
        awaits_calls: whether its task does nothing but wait for what it has called.
    """

    def __init__(
        self, name: str, remove: Callable[[], None], away: Callable[[], bool] = lambda: False
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._name = name
        self._remove = remove
        self._away = away
        self.made: float | None = None
        self.placed: float | None = None
        self.made_of: Mapping[str, Any] = {}
        self.awaits_calls = False
        self._going_on = asyncio.Event()
        self._control: Control | None = None
        self._stream: Stream | None = None
        self._killed = self._leaving = False
        self._status: Mapping[str, Any] = {}
        self.arrived: asyncio.Future[Stream] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.exited: asyncio.Future[ExitRecord] = self._loop.create_future()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.changed = asyncio.Event()

    @property
    def label(self) -> str:
        """Name for messages and the journal."""
        return self._name

    @property
    def status(self) -> Mapping[str, Any]:
        """What the cluster has told last."""
        return self._status

    @property
    def expected(self) -> bool:
        """Whether it has not reached the hub yet, and is to."""
        return not self.arrived.done() and not self._killed

    def begin(self, stream: Stream, config: Mapping[str, Any]) -> None:
        """Have the first process, which has arrived, start its body.

        Args:
            stream: the pod's.
            config: the body's; see :mod:`flyte_jupyter.worker.body`.
        """
        self.go_on(stream)
        assert self._control is not None
        self._control.say({"op": "spawn", "id": BODY, "config": dict(config), "memory": None})

    def go_on(self, stream: Stream) -> None:
        """Hear of a pod whose first process has begun already.

        Args:
            stream: the pod's.
        """
        self._stream = stream
        self._control = Control(stream.take_control(), self._told, self._control_lost)

    async def connect(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Attach the stream of frames to a protocol."""
        assert self._stream is not None
        return self._stream.connect(protocol)

    def deadline(self, seconds: float | None) -> None:
        """Have the first process end the body after so many seconds."""
        if self._control is not None:
            self._control.say({"op": "deadline", "id": BODY, "seconds": seconds})

    def awaits(self, calls: bool) -> None:
        """Take note of whether its task does nothing but wait for what it has called."""
        self.awaits_calls = calls
        if not calls:
            self._going_on.set()
            self._going_on.clear()

    async def goes_on(self) -> None:
        """Return once its task goes on, or has ended."""
        waiting: asyncio.Future[Any] = asyncio.ensure_future(self._going_on.wait())
        try:
            if self.awaits_calls:
                await asyncio.wait([waiting, self.ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

    def kill(self) -> None:
        """End the pod with all that runs in it, at once."""
        if self._killed or self.ended.done():
            return
        self._killed = True
        if self._control is None:
            if self.arrived.done():
                self.arrived.result().close()
            self._remove()
            return
        # the first process is quicker than the cluster, and tells what was used
        self._control.say({"op": "kill", "id": BODY})
        self._loop.call_later(DEAF, self._remove_if_there)

    def _remove_if_there(self) -> None:
        if not self.ended.done():
            self._remove()

    # what is heard of it

    def happened(self, kind: str, pod: Mapping[str, Any]) -> None:
        """Take what the cluster tells of it."""
        self._status = _of_task(pod)
        self.made_of = self.made_of or pod
        self._leaving = bool(pod["metadata"].get("deletionTimestamp")) and not self._killed
        if self.placed is None and (pod.get("spec") or {}).get("nodeName"):
            self.placed = time.monotonic()
        self.changed.set()
        over = self._status.get("phase") in ("Succeeded", "Failed") or terminated(self._status)
        if (over or kind == "DELETED") and not self.ended.done():
            self.ended.set_result(None)
        if kind == "DELETED" and not self.gone.done():
            self.gone.set_result(None)

    def _told(self, line: dict[str, Any]) -> None:
        if line["op"] == "exit" and not self.exited.done():
            record = {k: v for k, v in line.items() if k not in ("op", "id")}
            self.exited.set_result(ExitRecord(**record))
            if self._control is not None:
                self._control.hang_up()

    def _control_lost(self) -> None:
        if not self.exited.done():
            self._loop.create_task(self._find_out())
        else:
            self._remove()

    async def _find_out(self) -> None:
        """Say how the pod ended though its first process could not."""
        if self._stream is None or not self._stream.orphaned:
            await self._end()
        if not self.exited.done():
            self.exited.set_result(self._record())
        self._remove()

    async def _end(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.ended), PATIENCE)

    def _record(self) -> ExitRecord:
        stream = self._stream
        words = "" if stream is None else stream.text()
        if self._away():
            return ExitRecord(cause="asleep", words=words)
        if stream is not None and stream.orphaned:
            return ExitRecord(cause="hub", words=words, lost=True)
        if not self.ended.done() and not self._leaving:
            return ExitRecord(cause="stream", words=words, lost=True)
        removed = self._leaving or (self.gone.done() and not self._killed)
        return end_of(self._name, self._status, words, removed=removed)

    def orphan(self) -> None:
        """Take note that the session's hub is gone for good."""
        self.changed.set()
        if self._stream is not None:
            self._stream.orphaned = True
            self._stream.close()

    def leave(self) -> None:
        """Let go of it: the engine is closed."""
        if self._control is not None:
            self._control.end()
        if self._stream is not None:
            self._stream.close()
        if not self.exited.done():
            self.exited.set_result(ExitRecord(cause="engine"))


def _of_task(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the status of a pod without the containers that run beside the task's."""
    status: Mapping[str, Any] = pod.get("status") or {}
    primary = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    if primary is None:
        return status
    containers = [one for one in status.get("containerStatuses") or () if one["name"] == primary]
    return {**status, "containerStatuses": containers}
