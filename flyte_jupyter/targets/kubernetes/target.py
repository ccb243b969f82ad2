"""Pods of a Kubernetes cluster as workers."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.errors import FlyteError, TargetError
from flyte_jupyter.images.containers import describe
from flyte_jupyter.images.recipe import python_of
from flyte_jupyter.images.sharing import silent
from flyte_jupyter.images.stack import python_image
from flyte_jupyter.spec import Image, Settings
from flyte_jupyter.store.folders import cache_folder
from flyte_jupyter.store.owners import REMOTE_LEASE
from flyte_jupyter.targets.kubernetes.capabilities import capabilities
from flyte_jupyter.targets.kubernetes.delivery import Delivery, LocalImageError, unseen
from flyte_jupyter.targets.kubernetes.images import ClusterImages
from flyte_jupyter.targets.kubernetes.sketch import judge, sketch_pod
from flyte_jupyter.targets.protocol import (
    Capability,
    Inheritance,
    Inventory,
    Leftover,
    Prepared,
    StartRequest,
)

if TYPE_CHECKING:
    from flyte_jupyter.cluster.api import Api
    from flyte_jupyter.cluster.connect import Cluster
    from flyte_jupyter.images.built import BuiltImage
    from flyte_jupyter.images.probe import Probe
    from flyte_jupyter.targets.kubernetes.fleet import Fleet
    from flyte_jupyter.targets.kubernetes.images import ClusterImage
    from flyte_jupyter.targets.kubernetes.pod import Pod
    from flyte_jupyter.targets.kubernetes.records import NamespaceLedger

__all__ = ["KubernetesTarget"]


class KubernetesTarget:
    """A namespace of a Kubernetes cluster.

    Args:
        options: ``context``, ``namespace`` and ``kubeconfig``; without them, those that kubectl
            would take. ``registry``, ``registry_secret`` and ``containerd`` say how images of this
            machine come there, ``lease`` for how many seconds work goes on without its kernel.
    """

    name = "kubernetes"
    admits = False
    confines = True
    groups = True
    spare = 1
    shared = True

    def __init__(self, options: Mapping[str, Any] = {}) -> None:
        self.tell: Callable[[str], None] = silent
        self._options = dict(options)
        self._cluster: Cluster | None = None
        self._delivery = Delivery(cache_folder(), self._options, self.cluster)
        self._images = ClusterImages(cache_folder(), self._probe, self._delivery)
        self._prepared: dict[Image | None, Prepared] = {}
        self._made: dict[str, ClusterImage] = {}
        self._fleet: asyncio.Task[Fleet] | None = None
        self._asking: Api | None = None
        self._ledger: NamespaceLedger | None = None
        self._queues: bool | None = None
        self._all_queued = False
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
        return capabilities(settings, self._queues)

    def describe(self, settings: Settings) -> list[str]:
        """Say which image stands for the settings, and how the cluster gets it."""
        words = describe(settings.image)
        try:
            plan = self._images.plan(settings.image)
        except FlyteError as error:  # without a cluster there is no way to it
            return [f"image: {words}; {error.sentence}"]
        return [f"image: {words}" + (f"; {plan}" if plan else "")]

    def python(self, settings: Settings) -> tuple[int, int] | None:
        """Return the Python version that the image says it has, ``None`` if it says nothing."""
        known = self._images.version(settings.image)
        if known is not None or settings.image is None:
            return known or sys.version_info[:2]
        return python_of(settings.image.base)

    def inventory(self) -> Inventory:
        """Return what the nodes have and what of it is free, nothing where one may not ask.

        It is to be shown: who may start is for the cluster's scheduler to say.

        Raises:
            TargetError: there is no cluster.
        """
        from flyte_jupyter.cluster.api import Api
        from flyte_jupyter.targets.kubernetes.nodes import read_inventory

        api = Api(self.cluster())
        try:
            return read_inventory(api) or Inventory(0, 0)
        finally:
            api.close()

    def meet(self) -> Inventory:
        """Find out whether there are queues: what is not honoured is said at the start of a run."""
        from flyte_jupyter.cluster.api import Api
        from flyte_jupyter.targets.kubernetes.queues import find_kueue

        # where there is no cluster, that is told by what needs it
        with contextlib.suppress(TargetError), contextlib.closing(Api(self.cluster())) as api:
            found = find_kueue(api)
            self._queues = None if found is None else bool(found)
        return Inventory(0, 0)

    def ready_made(self, settings: Settings) -> bool:
        """Say whether the environment was prepared before."""
        return settings.image in self._prepared

    def prepared(self, settings: Settings) -> Prepared | None:
        """Return the environment if it was prepared before."""
        return self._prepared.get(settings.image)

    async def prepare(self, settings: Settings, progress: Callable[[str], None]) -> Prepared:
        """Find, or build and bring, what the pods will run; install beside it what it lacks.

        Raises:
            ImageBuildError: it cannot be built or brought, or its packages cannot be had.
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

    def manifest(self, settings: Settings, request: StartRequest) -> dict[str, Any]:
        """Return the pod of a worker, with words for what differs from pod to pod."""
        lease = self._options.get("lease", REMOTE_LEASE)
        return sketch_pod(request, self._image_of(settings), lease)

    def judge(self, settings: Settings, request: StartRequest, what: str) -> str:
        """Have the cluster say whether it would take such a pod.

        Raises:
            TargetError: it would not, or there is none.
            NotFoundError: there is no template of that name.
        """
        cluster = self.cluster()
        image = self._image_of(settings)
        return judge(self._api(), cluster.namespace, request, image, what)

    def _image_of(self, settings: Settings) -> ClusterImage:
        prepared = self._prepared.get(settings.image)
        return self._images.sketch(settings.image) if prepared is None else self._made[prepared.key]

    def _api(self) -> Api:
        if self._asking is None:
            from flyte_jupyter.cluster.api import Api

            self._asking = Api(self.cluster())
        return self._asking

    def may_idle(self, request: StartRequest) -> bool:
        """Say whether a pod may wait for its call: not where it keeps a part of a node from others.

        Nor where a queue counts it.
        """
        queued = bool(request.queue) or self._all_queued
        return request.resources is None and not queued and request.pod_template is None

    async def start(
        self,
        request: StartRequest,
        preload: tuple[str, ...] = (),
        waits: Callable[[str], None] = lambda _: None,
    ) -> Pod:
        """Start a pod for one worker.

        Raises:
            TargetError: the cluster refuses it, or it will never run.
            ImageBuildError: it cannot have its image.
        """
        fleet = await self._met()
        key = request.prepared.key
        try:
            return await fleet.start(self._made[key], request, preload, waits)
        except LocalImageError as lost:
            reference = await self._images.fetch(lost, waits)
            self._made[key] = replace(self._made[key], reference=reference)
        try:
            return await fleet.start(self._made[key], request, preload, waits)
        except LocalImageError as lost:
            raise unseen(lost.image, lost.words) from None

    async def _probe(self, image: str, secrets: Sequence[str], say: Callable[[str], None]) -> Probe:
        return await (await self._met()).probe(image, secrets, say)

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
        cluster = await asyncio.to_thread(self.cluster)
        image = python_image(sys.version_info[:2])
        try:
            fleet = await self._opened(cluster, image, say)
        except LocalImageError as lost:
            image = await self._images.fetch(lost, say)
            try:
                fleet = await self._opened(cluster, image, say)
            except LocalImageError as again:
                raise unseen(again.image, again.words) from None
        self._all_queued = fleet.queued
        return fleet

    async def _opened(self, cluster: Cluster, image: str, say: Callable[[str], None]) -> Fleet:
        from flyte_jupyter.targets.kubernetes.fleet import Fleet
        from flyte_jupyter.targets.kubernetes.trust import new_trust

        trust = await asyncio.to_thread(new_trust)
        fleet = Fleet(cluster, image, trust, self._options, self._delivery, self.tell)
        await fleet.open(say)
        return fleet

    async def adopt(self, labels: Collection[str]) -> Sequence[Inheritance]:
        """Take over the sessions of dead kernels that these pods belong to.

        Raises:
            TargetError: a cluster does not answer.
        """
        from flyte_jupyter.cluster.connect import connect
        from flyte_jupyter.targets.kubernetes.estate import estates
        from flyte_jupyter.targets.kubernetes.heir import Heir

        heirs = []
        for estate in estates():
            if not any(label.startswith(f"{estate.session}-") for label in labels):
                continue
            options = {**estate.options, "namespace": estate.namespace}
            heir = Heir(await asyncio.to_thread(connect, options), estate)
            await heir.open()
            heirs.append(heir)
        return heirs

    async def sweep(self, remove: Collection[str] = ()) -> list[Leftover]:
        """Return the sessions and pods of this machine's kernels, in all clusters they have met.

        Raises:
            TargetError: a cluster does not answer, or does not let something be removed.
        """
        from flyte_jupyter.targets.kubernetes import leftovers

        return await asyncio.to_thread(leftovers.sweep, remove)

    async def images(
        self, wanted: Collection[Image | None] = (), remove: Collection[str] = ()
    ) -> list[BuiltImage]:
        """Return nothing: nothing is built here."""
        del wanted, remove
        return []

    def records(self, state: Path) -> NamespaceLedger:
        """Return the deployments to this namespace, which lie in it.

        Raises:
            TargetError: there is no cluster.
        """
        del state
        if self._ledger is None:
            from flyte_jupyter.targets.kubernetes.configmaps import ConfigMaps
            from flyte_jupyter.targets.kubernetes.records import NamespaceLedger

            cluster = self.cluster()
            place = f"{self.name} {cluster.url} {cluster.namespace}"
            self._ledger = NamespaceLedger(ConfigMaps(self._api(), cluster.namespace), place)
        return self._ledger

    async def close(self) -> None:
        """End all pods; none is started any more."""
        self._closed = True
        self._delivery.close()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        if self._fleet is None:
            return
        if not self._fleet.done():
            self._fleet.cancel()  # it takes back what it has made
        (found,) = await asyncio.gather(self._fleet, return_exceptions=True)
        if not isinstance(found, BaseException):  # whoever asked for it was told
            await found.close()
