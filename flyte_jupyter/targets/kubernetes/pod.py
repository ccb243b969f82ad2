"""One pod as a worker: how it is reached, what is heard of it, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from flyte_jupyter.diagnose import ContainerEnd, ExitRecord
from flyte_jupyter.targets.control import Control
from flyte_jupyter.targets.kubernetes.link import Stream
from flyte_jupyter.targets.kubernetes.queues import ending
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
    """

    def __init__(self, name: str, remove: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._name = name
        self._remove = remove
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

    def kill(self) -> None:
        """End the pod with all that runs in it, at once."""
        if self._killed or self.ended.done():
            return
        self._killed = True
        if self._control is None:
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
        self._leaving = bool(pod["metadata"].get("deletionTimestamp")) and not self._killed
        self.changed.set()
        over = self._status.get("phase") in ("Succeeded", "Failed") or self._terminated()
        if (over or kind == "DELETED") and not self.ended.done():
            self.ended.set_result(None)
        if kind == "DELETED" and not self.gone.done():
            self.gone.set_result(None)

    def _terminated(self) -> Mapping[str, Any]:
        for one in self._status.get("containerStatuses") or ():
            found: Mapping[str, Any] = (one.get("state") or {}).get("terminated") or {}
            if found:
                return found
        return {}

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
        words = "" if self._stream is None else self._stream.text()
        if self._stream is not None and self._stream.orphaned:
            return ExitRecord(cause="hub", words=words)
        if not self.ended.done():
            return ExitRecord(cause="stream", words=words)
        end = self._terminated()
        code = end.get("exitCode")
        reason = str(end.get("reason") or self._status.get("reason") or "")
        words = "\n".join(filter(None, (words, str(end.get("message") or ""))))
        said = str(self._status.get("message") or "") or ending(self._status)
        container = ContainerEnd(self._name, code, reason == "OOMKilled", said, ())
        if reason == "OOMKilled":
            return ExitRecord(signal=9, cause="memory", words=words, container=container)
        if code is None or (self.gone.done() and not self._killed) or self._leaving:
            return ExitRecord(cause="removed", words=words, container=container)
        if code > 128:
            return ExitRecord(signal=code - 128, words=words, container=container)
        return ExitRecord(code=code, words=words, container=container)

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
