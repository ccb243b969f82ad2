"""Processes of this machine as workers, in virtual environments as images."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from flyte_jupyter.errors import TargetError
from flyte_jupyter.images import VirtualEnvironments
from flyte_jupyter.images.built import BuiltImage
from flyte_jupyter.images.recipe import read_recipe
from flyte_jupyter.spec import Image, Settings
from flyte_jupyter.store.folders import cache_folder
from flyte_jupyter.store.ledger import FileLedger
from flyte_jupyter.targets.local import machine
from flyte_jupyter.targets.local.capabilities import capabilities
from flyte_jupyter.targets.local.supervisor import LocalWorker, Supervisor
from flyte_jupyter.targets.protocol import (
    Capability,
    Inheritance,
    Inventory,
    Leftover,
    Prepared,
    StartRequest,
)
from flyte_jupyter.targets.runtime import guest_runtime

__all__ = ["LocalTarget"]

# What a process of a task keeps of the kernel's environment.
KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "USER",
    "LOGNAME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)


class LocalTarget:
    """The machine that the kernel runs on."""

    name = "local"
    admits = True
    confines = False
    groups = False
    spare = 2
    shared = False

    def __init__(self) -> None:
        self._images = VirtualEnvironments(cache_folder())
        self._supervisors: dict[tuple[str, ...], Supervisor] = {}
        self._lost: list[Supervisor] = []
        self._closed = False
        self._prepared: dict[Image | None, Prepared] = {}
        self._capabilities: dict[Settings, Mapping[str, Capability]] = {}
        self._environ = {k: v for k in KEPT if (v := os.environ.get(k)) is not None}

    @property
    def devices(self) -> Sequence[tuple[str, str]]:
        """(index, type) of each accelerator of this machine."""
        return machine.accelerators()

    def capabilities(self, settings: Settings) -> Mapping[str, Capability]:
        """Return what this target makes of each field that is set."""
        known = self._capabilities.get(settings)
        if known is None:
            known = self._capabilities[settings] = capabilities(settings)
        return known

    def describe(self, settings: Settings) -> list[str]:
        """Say which interpreter and packages stand for the image, and whether they are there."""
        ready, words = self._images.found(settings.image)
        return [f"image: {words}" if ready else f"image: {words}; it is built when it is needed"]

    def python(self, settings: Settings) -> tuple[int, int] | None:
        """Return the Python version of the image, the kernel's where the image names none."""
        return read_recipe(settings.image).python or sys.version_info[:2]

    def meet(self) -> Inventory:
        """Return what there is: the engine counts it."""
        return self.inventory()

    def inventory(self) -> Inventory:
        """Return what this machine has."""
        return machine.inventory()

    def ready_made(self, settings: Settings) -> bool:
        """Say whether the interpreter and the packages are there."""
        return self._images.found(settings.image)[0]

    def prepared(self, settings: Settings) -> Prepared | None:
        """Return the environment if it was prepared before."""
        return self._prepared.get(settings.image)

    async def prepare(self, settings: Settings, progress: Callable[[str], None]) -> Prepared:
        """Make a virtual environment for the image, or find the one that exists.

        Raises:
            ImageBuildError: uv could not install what the image asks for.
        """
        built = await self._images.prepare(settings.image, progress)
        prepared = Prepared(
            key=built.hash,
            command=(built.python, *built.args),
            environ=tuple(sorted(built.env_vars.items())),
            description=built.description,
            files=built.files or "",
        )
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
    ) -> LocalWorker:
        """Start a process for one worker.

        Raises:
            TargetError: the interpreter cannot be started.
        """
        del waits
        environ = {**self._environ, **dict(request.prepared.environ), **dict(request.environ)}
        if request.devices is not None:
            environ["CUDA_VISIBLE_DEVICES"] = ",".join(request.devices)
        config = {
            "environ": environ,
            "concurrency": request.concurrency,
            "preload": list(preload),
            "files": request.prepared.files,
        }
        return self._supervisor(request.prepared.command).spawn(request, config)

    def _supervisor(self, command: tuple[str, ...]) -> Supervisor:
        if self._closed:
            raise TargetError("The engine of this kernel is closed.")
        supervisor = self._supervisors.get(command)
        if supervisor is None or not supervisor.alive:
            if supervisor is not None:
                self._lost.append(supervisor)
            supervisor = Supervisor(command, guest_runtime(), self._environ)
            self._supervisors[command] = supervisor
        return supervisor

    async def adopt(self, labels: Collection[str]) -> Sequence[Inheritance]:
        """Return nothing: what runs here ends with its kernel."""
        del labels
        return ()

    async def sweep(self, remove: Collection[str] = ()) -> list[Leftover]:
        """Return the folders of workers, remove those that are named.

        The workers themselves end with their kernel, whatever ends it.
        """
        from flyte_jupyter.targets.local.leftovers import sweep

        return await asyncio.to_thread(sweep, remove)

    async def images(
        self, wanted: Collection[Image | None] = (), remove: Collection[str] = ()
    ) -> list[BuiltImage]:
        """Return the virtual environments that are kept, or remove those that are named."""
        if remove:
            return await asyncio.to_thread(self._images.remove, remove)
        return await asyncio.to_thread(self._images.listed, wanted)

    def records(self, state: Path) -> FileLedger:
        """Return the deployments to this machine, which lie beside the journal.

        Args:
            state: the state folder.
        """
        return FileLedger(state, self.name)

    async def close(self) -> None:
        """End all workers and their supervisors; none is started any more."""
        self._closed = True
        await asyncio.gather(*(s.close() for s in (*self._supervisors.values(), *self._lost)))
        self._supervisors.clear()
        self._lost.clear()
