"""Containers of a Docker engine as workers."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.errors import ImageBuildError, TargetError
from flyte_jupyter.images.sharing import silent
from flyte_jupyter.spec import Image, Settings
from flyte_jupyter.store.folders import cache_folder
from flyte_jupyter.store.ledger import FileLedger
from flyte_jupyter.store.owners import REMOTE_LEASE
from flyte_jupyter.targets.docker.capabilities import capabilities
from flyte_jupyter.targets.protocol import (
    Capability,
    Inheritance,
    Inventory,
    Leftover,
    Prepared,
    StartRequest,
)

if TYPE_CHECKING:
    from flyte_jupyter.daemon.connect import Daemon
    from flyte_jupyter.images.built import BuiltImage
    from flyte_jupyter.images.containers import ContainerImage
    from flyte_jupyter.targets.docker.containers import Container
    from flyte_jupyter.targets.docker.fleet import Fleet

__all__ = ["DockerTarget"]


LEASE_ELSEWHERE = (
    "lease= is for an engine on another machine: on this one, containers end with their kernel."
)


class DockerTarget:
    """A Docker engine, here or elsewhere.

    Args:
        options: ``host`` or ``context``, which name the engine; without them it is found as the
            docker command finds it. ``lease`` is for how many seconds work goes on without its
            kernel on an engine elsewhere.
    """

    name = "docker"
    admits = True
    confines = True
    groups = True
    spare = 4
    shared = False

    def __init__(self, options: Mapping[str, Any] = {}) -> None:
        from flyte_jupyter.images.containers import DockerImages

        self.tell: Callable[[str], None] = silent
        self._options = dict(options)
        self._daemon: Daemon | None = None
        self._lock = threading.Lock()
        self._images = DockerImages(self.daemon, cache_folder())
        self._prepared: dict[Image | None, Prepared] = {}
        self._made: dict[str, ContainerImage] = {}
        self._fleet: Fleet | None = None
        self._opening: asyncio.Future[None] | None = None
        self._closed = False

    def daemon(self) -> Daemon:
        """Return the engine, which is met now if it is the first time.

        Raises:
            TargetError: there is none, or it does not let us in.
        """
        from flyte_jupyter.daemon.connect import connect

        with self._lock:
            if self._daemon is None:
                self._daemon = connect(self._options)
            return self._daemon

    @property
    def devices(self) -> Sequence[tuple[str, str]]:
        """(index, type) of each accelerator that the engine can give to a container."""
        from flyte_jupyter.targets.docker.devices import devices

        return devices(self.daemon())

    def capabilities(self, settings: Settings) -> Mapping[str, Capability]:
        """Return what this target makes of each field that is set."""
        from flyte_jupyter.targets.docker.limits import engine_facts

        return capabilities(settings, engine_facts(self._daemon) if self._daemon else None)

    def describe(self, settings: Settings) -> list[str]:
        """Say which image stands for the settings, and whether it is there."""
        ready, words = self._images.found(settings.image)
        rest = "" if ready else "; the first run looks for it, and makes what is not there"
        return [f"image: {words}{rest}"]

    def python(self, settings: Settings) -> tuple[int, int] | None:
        """Return the Python version of the image, ``None`` if it is not known yet."""
        if settings.image is None:
            return sys.version_info[:2]
        return self._images.version(settings.image)

    def meet(self) -> Inventory:
        """Return what there is: the engine counts it."""
        return self.inventory()

    def inventory(self) -> Inventory:
        """Return what the engine's machine has.

        Raises:
            TargetError: there is no engine.
        """
        from flyte_jupyter.targets.docker.devices import inventory

        return inventory(self.daemon())

    def ready_made(self, settings: Settings) -> bool:
        """Say whether the image is there with all its packages."""
        try:
            return self._images.found(settings.image)[0]
        except TargetError:
            return False

    def prepared(self, settings: Settings) -> Prepared | None:
        """Return the environment if it was prepared before."""
        return self._prepared.get(settings.image)

    async def prepare(self, settings: Settings, progress: Callable[[str], None]) -> Prepared:
        """Find, pull or build the image, and lay its packages beside it.

        Raises:
            ImageBuildError: the image cannot be had or does not fit.
            TargetError: there is no engine.
        """
        made = await self._images.prepare(settings.image, progress)
        (await self._met_fleet()).take_in(made)
        prepared = Prepared(
            key=made.hash,
            command=made.python,
            environ=made.environ,
            description=made.description,
            files=made.files or "",
        )
        self._made[made.hash] = made
        self._prepared[settings.image] = prepared
        return prepared

    def manifest(self, settings: Settings, request: StartRequest) -> None:
        """Return nothing: nobody reads one here."""
        del settings, request

    def judge(self, settings: Settings, request: StartRequest, what: str) -> str:
        """Return nothing: what does not fit is known without asking."""
        del settings, request, what
        return ""

    def may_idle(self, request: StartRequest) -> bool:
        """Say whether a worker may wait for its call: not while it holds an accelerator."""
        return not request.devices

    async def start(
        self,
        request: StartRequest,
        preload: tuple[str, ...] = (),
        waits: Callable[[str], None] = lambda _: None,
    ) -> Container:
        """Start a container for one worker.

        Raises:
            TargetError: it cannot be started.
        """
        del waits
        fleet = await self._met_fleet()
        try:
            return await fleet.start(self._made[request.prepared.key], request, preload)
        except ImageBuildError:
            # the image was removed meanwhile: the next run makes or pulls it again
            for image, prepared in list(self._prepared.items()):
                if prepared.key == request.prepared.key:
                    del self._prepared[image]
                    self._images.forget(image)
            raise

    async def _met_fleet(self) -> Fleet:
        if self._closed:
            raise TargetError("The engine of this kernel is closed.")
        if self._fleet is None:
            from flyte_jupyter.targets.docker.fleet import Fleet

            lease = self._lease()
            fleet = self._fleet = Fleet(self.daemon(), lease)
            self._opening = asyncio.ensure_future(fleet.open())
        assert self._opening is not None
        if not self._opening.done():
            await asyncio.shield(self._opening)
        return self._fleet

    def _lease(self) -> float:
        given = self._options.get("lease")
        if given is not None and self.daemon().local:
            self.tell(LEASE_ELSEWHERE)
        return REMOTE_LEASE if given is None else float(given)

    async def adopt(self, labels: Collection[str]) -> Sequence[Inheritance]:
        """Return nothing: what runs here ends with its kernel."""
        del labels
        return ()

    async def sweep(self, remove: Collection[str] = ()) -> list[Leftover]:
        """Return what kernels have made in this engine and is there.

        Args:
            remove: names of what to remove instead: then that is returned which was removed.

        Raises:
            TargetError: the engine cannot be asked.
        """
        from flyte_jupyter.targets.docker.leftovers import sweep

        return await asyncio.to_thread(sweep, self.daemon(), remove)

    async def images(
        self, wanted: Collection[Image | None] = (), remove: Collection[str] = ()
    ) -> list[BuiltImage]:
        """Return what was built or installed for this engine, or remove what is named.

        Args:
            wanted: images that are needed, whether something that runs uses them or not.
            remove: names of what to remove instead: then that is returned which was removed.

        Raises:
            TargetError: the engine cannot be asked, or something is in use.
        """
        if remove:
            return await asyncio.to_thread(self._images.remove, remove)
        return await asyncio.to_thread(self._images.listed, wanted)

    def records(self, state: Path) -> FileLedger:
        """Return the deployments to this engine, which lie beside the journal.

        Args:
            state: the state folder.
        """
        return FileLedger(state, " ".join((self.name, *self._options.values())))

    async def close(self) -> None:
        """End all containers; none is started any more."""
        self._closed = True
        if self._fleet is not None:
            await self._fleet.close()
            self._fleet = None
        if self._daemon is not None:
            self._daemon.close()
