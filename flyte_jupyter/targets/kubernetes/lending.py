"""Processors that tasks hold while they wait for what they have called, lent to who lacks them.

A node or a quota counts what a pod requests, whether it is used or not. Where nothing else is free,
the pods that wait for others are made smaller in place, and get their own back when they go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from flyte_jupyter.cluster.api import ApiError
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.spec.quantity import parse_cpu
from flyte_jupyter.targets.kubernetes.calls import Calls
from flyte_jupyter.targets.kubernetes.pod import Pod
from flyte_jupyter.targets.kubernetes.template import DEFAULT_CONTAINER

__all__ = ["Lending"]

# How the scheduler and a quota say that there are no processors left.
SHORT = ("Insufficient cpu", "requests.cpu", "limited: cpu")
# What a pod keeps that has lent its processors; less is not a request any more.
KEPT = "1m"
AGAIN_SECONDS = 1.0
# It is not allowed, or this cluster does not know how.
FOR_GOOD = (403, 404, 405, 422)
KEEPS = "A task that waits for what it has called keeps its processors meanwhile: "


class Lending:
    """Lends and gives back.

    Args:
        calls: ask the cluster.
        base: path of the pods in the API.
        pods: those of the session.
        tell: called with why nothing can be lent.
    """

    def __init__(
        self, calls: Calls, base: str, pods: Mapping[str, Pod], tell: Callable[[str], None]
    ) -> None:
        self._calls = calls
        self._base = base
        self._pods = pods
        self._tell = tell
        self._lent: dict[Pod, asyncio.Task[None]] = {}
        self._possible = True

    def notice(self, why: str) -> None:
        """Lend what pods hold that wait for others, where something waits for processors.

        Args:
            why: what something waits for, in the words of the cluster.
        """
        if not any(word in why for word in SHORT):
            return
        for pod in self._pods.values():
            if self._possible and pod.awaits_calls and pod not in self._lent:
                self._lend(pod)

    def noticing(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """Return a function that says what something waits for, which is noticed here."""

        def hear(why: str) -> None:
            self.notice(why)
            say(why)

        return hear

    def _lend(self, pod: Pod) -> None:
        place, cpu = _held(pod)
        if not cpu or parse_cpu(cpu) <= parse_cpu(KEPT):
            return
        if pod.status.get("qosClass") == "Guaranteed":
            self._tell(f"{KEEPS}Kubernetes does not let a pod of fixed resources become smaller.")
            return
        path = f"{self._base}/{pod.label}/resize"
        self._lent[pod] = asyncio.get_running_loop().create_task(self._loan(pod, path, place, cpu))

    async def _loan(self, pod: Pod, path: str, place: str, cpu: str) -> None:
        """Make a pod smaller until it goes on or ends."""
        try:
            if not await self._set(path, place, KEPT) or not self._possible:
                return
            self._calls.room.set()
            await pod.goes_on()
            while not (pod.ended.done() or await self._set(path, place, cpu)):
                await asyncio.sleep(AGAIN_SECONDS)
        finally:
            del self._lent[pod]

    async def _set(self, path: str, place: str, cpu: str) -> bool:
        change = [{"op": "replace", "path": place, "value": cpu}]
        try:
            await self._calls.call("PATCH", path, change)
        except ApiError as error:
            if error.status not in FOR_GOOD:
                return False
            if self._possible and f'{path.split("/")[-2]}" not found' not in error.sentence:
                self._possible = False
                self._tell(KEEPS + error.sentence)
            return True
        except FlyteError:
            return False
        return True

    def close(self) -> None:
        """Lend nothing more."""
        for task in self._lent.values():
            task.cancel()


def _held(pod: Pod) -> tuple[str, str]:
    """Return where the processors of a pod's task stand in it, and how many it requests."""
    main = (pod.made_of.get("metadata", {}).get("annotations") or {}).get(DEFAULT_CONTAINER)
    for number, one in enumerate(pod.made_of.get("spec", {}).get("containers") or ()):
        if one["name"] == main:
            requests = (one.get("resources") or {}).get("requests") or {}
            return f"/spec/containers/{number}/resources/requests/cpu", requests.get("cpu", "")
    return "", ""
