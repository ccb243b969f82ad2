"""What a dead kernel has left in a cluster, taken over: its pods go on, and are heard here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.cluster.connect import Cluster
from flyte_jupyter.errors import FlyteError, TargetError
from flyte_jupyter.targets.kubernetes import manifest
from flyte_jupyter.targets.kubernetes.estate import Estate, forget
from flyte_jupyter.targets.kubernetes.link import Link, Stream
from flyte_jupyter.targets.kubernetes.pod import Pod
from flyte_jupyter.targets.kubernetes.speaker import Speaker
from flyte_jupyter.targets.protocol import Worker
from flyte_jupyter.wire.link import proof

__all__ = ["Heir", "HeirLink"]

# A hub that is there is reached within so many seconds.
SECONDS = 60.0
AT_ONCE = 4


class Heir:
    """The session of a dead kernel, in the hands of this one.

    Args:
        cluster: where it is.
        estate: what it is let in by.
    """

    def __init__(self, cluster: Cluster, estate: Estate) -> None:
        self._loop = asyncio.get_running_loop()
        self._estate = estate
        self._api = Api(cluster)
        self._calls = ThreadPoolExecutor(AT_ONCE, "flyte-kubernetes-heir")
        core = f"/api/v1/namespaces/{cluster.namespace}"
        self._pods = f"{core}/pods"
        self._secret = f"{core}/secrets/{estate.session}"
        self._job = f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs/{estate.session}"
        self._link = HeirLink(cluster, estate.trust, self._hub, self._arrived, lambda: None)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._held: list[Pod] = []
        self.workers: dict[str, Worker] = {}

    async def open(self) -> None:
        """Take over.

        Raises:
            TargetError: there is nothing left of the session, or it is not reached.
        """
        try:
            await self._hub()
            self._link.begin()
            async with asyncio.timeout(SECONDS):
                await self._link.handed_over
        except TimeoutError:
            await self.close()
            raise TargetError(
                f"The hub of the session {self._estate.session} is not reached.",
                evidence=[str(self._link.refusal)] if self._link.refusal else (),
            ) from None
        except BaseException:
            await self.close()
            raise

    async def _hub(self) -> tuple[str, str]:
        """Return the name of the hub's pod and its address.

        Raises:
            TargetError: it is no more.
        """
        selector = f"{manifest.SESSION}={self._estate.session},{manifest.KIND}=hub"
        found = await self._call("GET", self._pods, labelSelector=selector)
        for pod in found["items"]:
            status = pod.get("status") or {}
            if status.get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp"):
                return str(pod["metadata"]["name"]), str(status["podIP"])
        raise TargetError(f"Nothing is left of the session {self._estate.session} in the cluster.")

    def _arrived(self, name: str, stream: Stream) -> None:
        pod = Pod(name, lambda: self._spawn(self._removed(name)))
        pod.go_on(stream)
        self._held.append(pod)
        self.workers[name] = pod

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _removed(self, name: str) -> None:
        with contextlib.suppress(FlyteError):
            await self._call("DELETE", f"{self._pods}/{name}", gracePeriodSeconds="1")

    async def _call(self, method: str, path: str, **query: str) -> dict[str, Any]:
        call = partial(self._api.call, method, path, None, **query)
        try:
            return await self._loop.run_in_executor(self._calls, call)
        except ApiError as error:
            raise TargetError(
                "The cluster does not tell what is left of a session.",
                evidence=[f"{error.reason}: {error.sentence}"],
            ) from None

    async def close(self) -> None:
        """End the session, with all that is left of it."""
        await self._link.close()
        for pod in self._held:
            pod.leave()
        places = (self._job, self._secret, *(f"{self._pods}/{name}" for name in self.workers))
        removals = (self._gone(place) for place in places)
        if all(await asyncio.gather(*removals)):
            forget(self._estate.session)
        await asyncio.to_thread(self._calls.shutdown)
        self._api.close()

    async def _gone(self, place: str) -> bool:
        call = partial(self._api.call, "DELETE", place, {"propagationPolicy": "Background"})
        try:
            await self._loop.run_in_executor(self._calls, call)
        except ApiError as error:
            return error.status == 404
        except FlyteError:
            return False
        return True


class HeirLink(Link):
    """The link of an heir, who has taken nothing yet."""

    async def _introduce(self, speaker: Speaker, instance: str, nonce: str) -> Iterable[bytes]:
        if self._instance:
            return await super()._introduce(speaker, instance, nonce)
        speaker.write(f"heir {proof(self._key, 'heir', nonce)}\n".encode())
        answer, *rest = (await speaker.line()).split()
        if answer != "heir":
            raise TargetError("The hub of the session has nothing to hand over.")
        self._instance = rest[0]
        return ()
