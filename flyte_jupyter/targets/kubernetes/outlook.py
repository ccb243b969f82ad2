"""What is to be said of a pod that does not run yet, by what is known of it and of the nodes."""

from __future__ import annotations

import asyncio
import time

from flyte_jupyter.cluster.api import Api
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.targets.kubernetes.calls import Calls
from flyte_jupyter.targets.kubernetes.delivery import Delivery
from flyte_jupyter.targets.kubernetes.happenings import Happenings
from flyte_jupyter.targets.kubernetes.lending import Lending
from flyte_jupyter.targets.kubernetes.nodes import Nodes, read_nodes
from flyte_jupyter.targets.kubernetes.pod import Pod
from flyte_jupyter.targets.kubernetes.queues import Place
from flyte_jupyter.targets.kubernetes.scheduling import Asked, no_node, unschedulable
from flyte_jupyter.targets.kubernetes.standing import Standing
from flyte_jupyter.targets.kubernetes.trouble import trouble, waits_for
from flyte_jupyter.targets.protocol import StartRequest

__all__ = ["Outlook"]

# Clusters grow and shrink: what the nodes have is asked for again after so many seconds.
NODES_SECONDS = 60.0


class Outlook:
    """Says what pods wait for, and why they will never run.

    Args:
        api: the cluster's.
        calls: ask it.
        happenings: its events.
        standing: whether it knows who one is.
        delivery: brings images of this machine.
        lending: is told of what lacks processors.
    """

    def __init__(
        self,
        api: Api,
        calls: Calls,
        happenings: Happenings,
        standing: Standing,
        delivery: Delivery,
        lending: Lending,
    ) -> None:
        self._standing = standing
        self._delivery = delivery
        self._lending = lending
        self._api = api
        self._calls = calls
        self._happenings = happenings
        self._nodes: Nodes | None = None
        self._read = -NODES_SECONDS
        self._reading: asyncio.Task[None] | None = None

    async def nodes(self) -> Nodes | None:
        """Return what the cluster's nodes have, ``None`` where one may not ask."""
        if time.monotonic() - self._read > NODES_SECONDS:
            self._read = time.monotonic()
            self._nodes = await self._calls.run(read_nodes, self._api)
        return self._nodes

    async def nodes_for(self, request: StartRequest) -> Nodes | None:
        """Return what the nodes have, where a pod asks for accelerators."""
        if request.resources is None or request.resources.device is None:
            return None
        return await self.nodes()

    def trouble(self, pod: Pod, place: Place, image: str, began: float) -> Exception | None:
        """Return why a pod will never run, ``None`` where it may.

        Args:
            pod: the pod.
            place: where it stands in its queue.
            image: reference of its image.
            began: when it was asked for, as ``time.monotonic`` tells it.
        """
        return (
            place.trouble(pod.label)
            or self._delivery.lacking(image, pod.status, began)
            or self.lasting(pod)
        )

    def lasting(self, pod: Pod) -> FlyteError | None:
        """Return what is wrong with a pod for good, by what the cluster tells of it alone."""
        return trouble(pod.label, pod.status, pod.placed, self._happenings.of(pod.label))

    def why(self, pod: Pod, place: Place, asked: Asked) -> str:
        """Return what a pod waits for, ``""`` where nothing is known.

        It is to be let in, then in its queue, then for a node.

        Args:
            pod: the pod.
            place: where it stands in its queue.
            asked: what it asks of a node.
        """
        self._lending.notice(unschedulable(pod.status))
        return self._standing.why or place.why(pod.status) or self._why(pod, asked)

    def _why(self, pod: Pod, asked: Asked) -> str:
        why = waits_for(pod.status, self._happenings.of(pod.label))
        said = unschedulable(pod.status)
        if said and said in why:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.get_running_loop().create_task(self._look(pod))
            return why.replace(f"waits for a node: {said}", no_node(said, asked, self._nodes))
        if not why and pod.placed is not None and self._happenings.refusal:
            return "waits for its container; what for is in events, which may not be read here"
        return why

    async def _look(self, pod: Pod) -> None:
        before = self._nodes
        if await self.nodes() is not before:
            pod.changed.set()

    def close(self) -> None:
        """Look no more."""
        if self._reading is not None:
            self._reading.cancel()
