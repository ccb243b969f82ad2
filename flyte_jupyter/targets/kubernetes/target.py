"""Pods of a Kubernetes cluster as workers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.errors import TargetError
from flyte_jupyter.images.containers import describe
from flyte_jupyter.images.recipe import python_of
from flyte_jupyter.images.sharing import silent
from flyte_jupyter.images.stack import python_image
from flyte_jupyter.spec import Image, Settings
from flyte_jupyter.store.folders import cache_folder
from flyte_jupyter.store.ledger import Ledger
from flyte_jupyter.targets.kubernetes.capabilities import capabilities
from flyte_jupyter.targets.kubernetes.images import ClusterImages
from flyte_jupyter.targets.protocol import (
    Capability,
    Inventory,
    Leftover,
    Prepared,
    StartRequest,
)

if TYPE_CHECKING:
    from flyte_jupyter.cluster.connect import Cluster
    from flyte_jupyter.images.built import BuiltImage
    from flyte_jupyter.images.probe import Probe
    from flyte_jupyter.targets.kubernetes.fleet import Fleet
    from flyte_jupyter.targets.kubernetes.images import ClusterImage
    from flyte_jupyter.targets.kubernetes.pod import Pod

__all__ = ["KubernetesTarget"]


class KubernetesTarget:
    """A namespace of a Kubernetes cluster.

    Args:
        options: ``context``, ``namespace`` and ``kubeconfig``; without them, those that kubectl
            would take.
    """

    name = "kubernetes"
    admits = False
    confines = True
    groups = True
    spare = 1

    def __init__(self, options: Mapping[str, Any] = {}) -> None:
        self._options = dict(options)
        self._cluster: Cluster | None = None
        self._images = ClusterImages(cache_folder(), self._probe)
        self._prepared: dict[Image | None, Prepared] = {}
        self._made: dict[str, ClusterImage] = {}
        self._fleet: asyncio.Task[Fleet] | None = None
        self._leaving: list[asyncio.Task[None]] = []
        self._closed = False

    def cluster(self) -> Cluster:
        """Return the cluster, which is looked for now if it is the first time.

        Raises:
            TargetError: there is none.
        """
        if self._cluster is None:
            from flyte_jupyter.cluster.connect import connect

            self._cluster = connect(self._options)
        return self._cluster

    @property
    def devices(self) -> Sequence[tuple[str, str]]:
        """Nothing: the cluster hands its accelerators out itself."""
        return ()

    def capabilities(self, settings: Settings) -> Mapping[str, Capability]:
        """Return what this target makes of each field that is set."""
        return capabilities(settings)

    def describe(self, settings: Settings) -> list[str]:
        """Say which image stands for the settings."""
        return [f"image: {describe(settings.image)}"]

    def python(self, settings: Settings) -> tuple[int, int] | None:
        """Return the Python version that the image says it has, ``None`` if it says nothing."""
        known = self._images.version(settings.image)
        if known is not None or settings.image is None:
            return known or sys.version_info[:2]
        return python_of(settings.image.base)

    def inventory(self) -> Inventory:
        """Return nothing: what the nodes have is for the cluster's scheduler to say."""
        return Inventory(0, 0)

    def ready_made(self, settings: Settings) -> bool:
        """Say whether the environment was prepared before."""
        return settings.image in self._prepared

    def prepared(self, settings: Settings) -> Prepared | None:
        """Return the environment if it was prepared before."""
        return self._prepared.get(settings.image)

    async def prepare(self, settings: Settings, progress: Callable[[str], None]) -> Prepared:
        """Find what the pods will run, and install beside it what it lacks.

        Raises:
            ImageBuildError: it would have to be built, or its packages cannot be had.
            TargetError: there is no cluster, or it refuses.
        """
        if self._fleet is None:
            place = self.cluster()
            progress(f"Starting a hub in namespace {place.namespace} of {place.context or 'here'}")
        await self._met(progress)
        image = await self._images.prepare(settings.image, progress)
        prepared = Prepared(
            key=image.key, environ=image.environ, description=describe(settings.image)
        )
        self._made[image.key] = image
        self._prepared[settings.image] = prepared
        return prepared

    def may_idle(self, request: StartRequest) -> bool:
        """Say whether a pod may wait for its call: not where it keeps a part of a node from others.

        Nor where a queue counts it.
        """
        return request.resources is None and not request.queue and request.pod_template is None

    async def start(
        self,
        request: StartRequest,
        preload: tuple[str, ...] = (),
        waits: Callable[[str], None] = lambda _: None,
    ) -> Pod:
        """Start a pod for one worker.

        Raises:
            TargetError: the cluster refuses it, or it will never run.
        """
        fleet = await self._met()
        return await fleet.start(self._made[request.prepared.key], request, preload, waits)

    async def _probe(self, image: str, say: Callable[[str], None]) -> Probe:
        return await (await self._met()).probe(image, say)

    async def _met(self, say: Callable[[str], None] = silent) -> Fleet:
        if self._closed:
            raise TargetError("The engine of this kernel is closed.")
        if self._fleet is None or not self._usable(self._fleet):
            self._fleet = asyncio.get_running_loop().create_task(self._open(say))
        return await asyncio.shield(self._fleet)

    def _usable(self, fleet: asyncio.Task[Fleet]) -> bool:
        """Say whether a fleet comes, or is there and has not ended in the cluster."""
        if not fleet.done():
            return True
        if fleet.cancelled() or fleet.exception() is not None:
            return False
        found = fleet.result()
        if found.over:
            self._leaving.append(asyncio.get_running_loop().create_task(found.close()))
        return not found.over

    async def _open(self, say: Callable[[str], None]) -> Fleet:
        from flyte_jupyter.targets.kubernetes.fleet import Fleet

        cluster = await asyncio.to_thread(self.cluster)
        fleet = Fleet(cluster, python_image(sys.version_info[:2]), self._options)
        await fleet.open(say)
        return fleet

    async def sweep(self, remove: Collection[str] = ()) -> list[Leftover]:
        """Return nothing: what a session leaves is the cluster's to remove."""
        del remove
        return []

    async def images(
        self, wanted: Collection[Image | None] = (), remove: Collection[str] = ()
    ) -> list[BuiltImage]:
        """Return nothing: nothing is built here."""
        del wanted, remove
        return []

    def records(self, state: Path) -> Ledger:
        """Return the deployments to this namespace, which lie beside the journal.

        Args:
            state: the state folder.
        """
        return Ledger(state, " ".join((self.name, *map(str, self._options.values()))))

    async def close(self) -> None:
        """End all pods; none is started any more."""
        self._closed = True
        await asyncio.gather(*self._leaving, return_exceptions=True)
        if self._fleet is None:
            return
        if not self._fleet.done():
            self._fleet.cancel()  # it takes back what it has made
        (found,) = await asyncio.gather(self._fleet, return_exceptions=True)
        if not isinstance(found, BaseException):  # whoever asked for it was told
            await found.close()
