"""How an image of this machine's Docker engine comes to the cluster, by what the cluster is."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.errors import FlyteError, ImageBuildError
from flyte_jupyter.images.layering import REPOSITORY
from flyte_jupyter.images.locking import exclusive
from flyte_jupyter.images.references import Inspected, inspect
from flyte_jupyter.images.sharing import WAITING, Progress, Shared
from flyte_jupyter.images.threads import Ends, from_thread, in_thread
from flyte_jupyter.spec import Image
from flyte_jupyter.spec.hashing import digest
from flyte_jupyter.spec.imagenames import check_reference
from flyte_jupyter.targets.kubernetes.trouble import DENIED, GRACE, OPENED, unpulled
from flyte_jupyter.targets.kubernetes.ways import Loader, Registry, SharedEngine, Way

if TYPE_CHECKING:
    from flyte_jupyter.cluster.connect import Cluster
    from flyte_jupyter.daemon import Daemon

__all__ = ["Delivery", "LocalImageError", "unseen"]

# by the names that these tools give to their contexts: the name of the cluster, what loads there
LOADERS: tuple[tuple[str, str], ...] = (
    (r"kind-(.+)", "kind load image-archive {archive} --name {name}"),
    (r"k3d-(.+)", "k3d image import {archive} --cluster {name}"),
    (r"(minikube)", "minikube image load {archive} --profile {name}"),
)
# what pods run there are containers of the engine that this machine uses
SHARED = re.compile(r"docker-desktop|docker-for-desktop|orbstack|rancher-desktop|colima(?:-.+)?")
CTR = "ctr --address {name} --namespace k8s.io images import -"
MINIKUBE = "minikube.sigs.k8s.io"
REMEDY = (
    "Name a registry that both reach: flyte.init(target='kubernetes', registry='ghcr.io/you'), or "
    "an image's own registry=. Clusters of kind, k3d and minikube need none; for a node that is "
    "this machine, containerd= of flyte.init names the socket of its containerd."
)


class LocalImageError(Exception):
    """The cluster lacks an image that this machine's engine has.

    Args:
        image: its name.
        words: what the cluster says.
    """

    def __init__(self, image: str, words: str) -> None:
        super().__init__(image)
        self.image = image
        self.words = words


class Delivery:
    """Brings images of the engine to one cluster, each once.

    Args:
        home: the cache folder, where what was brought is remembered.
        options: of the target: ``registry``, ``registry_secret`` and ``containerd`` say how.
        cluster: returns the cluster.
    """

    def __init__(
        self, home: Path, options: Mapping[str, Any], cluster: Callable[[], Cluster]
    ) -> None:
        self._home = home / "clusters"
        self._options = options
        self._cluster = cluster
        self._daemon: Daemon | None = None
        self._pushed: set[str] = set()
        self._asked: dict[tuple[str, float], asyncio.Task[bool]] = {}
        self._lock = threading.Lock()
        self._shared = Shared()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the cluster's secrets that open registries, where an image names none."""
        name = self._options.get("registry_secret")
        return (str(name),) if name else ()

    def daemon(self) -> Daemon:
        """Return this machine's engine, which is met now if it is the first time; blocks.

        Raises:
            TargetError: there is none, or it does not let us in.
        """
        from flyte_jupyter.daemon.connect import connect

        with self._lock:
            if self._daemon is None:
                self._daemon = connect()
            return self._daemon

    def close(self) -> None:
        """Let the engine go."""
        for asked in self._asked.values():
            asked.cancel()
        with self._lock:
            if self._daemon is not None:
                self._daemon.close()
                self._daemon = None

    def way(self, image: Image | None) -> Way | None:
        """Return how an image comes to the cluster, ``None`` where the cluster sees none of ours.

        Args:
            image: the image; None for the default one.

        Raises:
            SpecError: the registry that ``flyte.init`` was given is no name of one.
            TargetError: there is no cluster.
        """
        registry = image.registry if image is not None and image.registry else None
        named = self._options.get("registry")
        if registry is None and named:
            registry = check_reference("registry", named)
        if registry is not None:
            name = image.name if image is not None and image.name else REPOSITORY
            return Registry(registry.rstrip("/"), name)
        cluster = self._cluster()
        socket = self._options.get("containerd")
        if socket:
            return self._loader("this machine's node", CTR, str(socket))
        for pattern, command in LOADERS:
            match = re.fullmatch(pattern, cluster.context)
            if match:
                return self._loader(cluster.context, command, match[1])
        if SHARED.fullmatch(cluster.context):
            return SharedEngine(cluster.context)
        if self._is_minikube(cluster.context):
            return self._loader(cluster.context, LOADERS[-1][1], cluster.context)
        return None

    def _loader(self, place: str, command: str, name: str) -> Loader:
        here = digest("loader", self._cluster().url, command, name)[:12]
        return Loader(place, command, name, self._home / here)

    def _is_minikube(self, context: str) -> bool:
        """Say whether minikube has made a context, which any profile of it may be called by."""
        from kubernetes import config
        from kubernetes.config.config_exception import ConfigException

        try:
            known, _ = config.list_kube_config_contexts(self._options.get("kubeconfig"))
        except ConfigException:
            return False
        for one in known:
            if one["name"] == context:
                told = [each.get("extension") for each in one["context"].get("extensions") or ()]
                return any(each.get("provider") == MINIKUBE for each in told if each)
        return False

    def lacking(self, image: str, status: Mapping[str, Any], since: float) -> Exception | None:
        """Return what is wrong where a pod waits for an image that is from this machine.

        Where it can be loaded that is told at once; elsewhere the cluster may have it in a moment.
        To be asked again: what the engine has is not known the first time.

        Args:
            image: the image that the pod was told to run.
            status: the pod's.
            since: when it was made, as ``time.monotonic`` tells it.

        Returns:
            A `LocalImageError` where this machine's engine has it; an `ImageBuildError` where it
            was pushed to where the cluster is not let in.
        """
        lacks, words = unpulled(status)
        if lacks != image or not image:
            return None
        if image in self._pushed:
            return not_let_in(image, words) if DENIED.search(words) else None
        asked = self._asked.get((image, since))
        if asked is None:
            work = asyncio.get_running_loop().create_task(self._has(image))
            self._asked[(image, since)] = work
            return None
        waits = not isinstance(self.way(None), Loader) and time.monotonic() - since < GRACE
        return (
            LocalImageError(image, words) if not waits and asked.done() and asked.result() else None
        )

    async def _has(self, image: str) -> bool:
        try:
            return await self.found(image) is not None
        except FlyteError:  # without an engine it has none
            return False

    async def found(self, image: str) -> Inspected | None:
        """Return an image of this machine's engine.

        Raises:
            TargetError: the engine does not answer.
        """
        return await in_thread(lambda: inspect(self.daemon(), image))

    async def bring(self, way: Way, image: Inspected, say: Progress) -> str:
        """Bring an image to the cluster, and return the name that pods have it by.

        Args:
            way: how.
            image: the image.
            say: called with each step that there is to do.

        Raises:
            ImageBuildError: it did not come there.
            TargetError: the engine does not answer.
        """

        async def work(tell: Progress) -> str:
            self._home.mkdir(parents=True, exist_ok=True)
            stop = Ends()
            async with exclusive(str(self._home / f"{key}.lock"), lambda: tell(WAITING)):
                return await in_thread(
                    way.bring, self.daemon(), image, from_thread(tell), stop, stop=stop
                )

        key = digest("delivery", way.place, image.id)[:20]
        name = await self._shared.run(key, work, say)
        if isinstance(way, Registry):
            self._pushed.add(name)
        return name


def unseen(image: str, words: str = "") -> ImageBuildError:
    """Return what there is to say of an image of this machine that the cluster does not get.

    Args:
        image: what names it.
        words: of the cluster.
    """
    return ImageBuildError(
        f"The cluster cannot see your local image {image!r}.",
        evidence=[words] if words else (),
        remedy=REMEDY,
    )


def not_let_in(image: str, words: str) -> ImageBuildError:
    """Return what there is to say of an image that was pushed to where the cluster may not pull.

    Args:
        image: its name there.
        words: of the cluster.
    """
    return ImageBuildError(
        f"The cluster may not pull {image!r}, which was pushed for it.",
        evidence=[words],
        remedy=OPENED,
    )
