"""What the engine asks of a place where work runs.

A target knows how to make an environment startable, to start a worker that speaks frames over one
duplex stream, and to say what it has. It knows nothing of runs, of the journal or of notebooks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from flyte_jupyter.diagnose import ExitRecord
from flyte_jupyter.spec import Image, Resources, Settings
from flyte_jupyter.spec.pod import PodTemplate

if TYPE_CHECKING:
    from pathlib import Path

    from flyte_jupyter.images.built import BuiltImage
    from flyte_jupyter.store.ledger import Ledger

__all__ = [
    "Capability",
    "ExitRecord",
    "Honour",
    "Inheritance",
    "Inventory",
    "Leftover",
    "Lender",
    "Prepared",
    "StartRequest",
    "Target",
    "Teller",
    "Worker",
]


class Honour(StrEnum):
    """How far a target does what a field asks."""

    HONOURED = "honoured"
    APPROXIMATED = "approximated"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Capability:
    """What a target makes of one field, with the sentence that is said once if it falls short."""

    honour: Honour
    note: str = ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a target has.

    Args:
        cpu: millicores.
        memory: bytes.
        accelerators: count by type, ``""`` where the type is not known.
        free: what of it nobody has taken, ``None`` where that is not known.
    """

    cpu: int
    memory: int
    accelerators: Mapping[str, int] = field(default_factory=dict)
    free: Inventory | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """An environment made startable; equal values can share standby workers.

    Args:
        key: content hash of what was prepared.
        command: how to start Python there, for targets that start processes.
        environ: variables that the image sets.
        description: a few words for displays.
        files: folder whose content belongs in the working directory, ``""`` for none.
    """

    key: str
    command: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    description: str = ""
    files: str = ""


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What a worker is started with; workers with equal requests can stand in for each other.

    Args:
        prepared: the environment.
        environ: the user's variables, without secrets.
        memory: limit in bytes, ``None`` for no limit.
        cpu: request in millicores.
        devices: indices of the accelerators that the worker may use, ``None`` for all.
        concurrency: how many asynchronous calls share the worker.
        resources: all that was asked for, where the target confines workers.
        network: whether the worker may reach the network, likewise.
        secret_files: whether secrets are laid in files before a call, likewise.
        group: the environment, where its workers share something that others must not.
        queue: where the target itself says who may start, the queue for that; so for the next.
        service_account: account that it runs under.
        pod_template: what its pod has beyond that.
        timeout: seconds for one attempt, 0 for no limit; so that it ends though nobody watches.
    """

    prepared: Prepared
    environ: tuple[tuple[str, str], ...] = ()
    memory: int | None = None
    cpu: int | None = None
    devices: tuple[str, ...] | None = None
    concurrency: int = 1
    resources: Resources | None = None
    network: bool = True
    secret_files: bool = False
    group: str = ""
    queue: str | None = None
    service_account: str | None = None
    pod_template: PodTemplate | str | None = None
    timeout: float = 0.0


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that a kernel made on a target and that is there.

    Args:
        name: names it on the target, for people and to have it removed.
        owner: the kernel, as :func:`flyte_jupyter.store.owners.owner` writes it.
        description: what it is, in a few words.
        kind: ``"container"``, ``"network"``, ``"volume"``, ``"folder"``, ``"session"`` or
            ``"pod"``.
        state: of a container ``"running"`` or how it ended; else empty.
        environment: name of the environment that it serves, if any.
        created: seconds since the epoch, ``None`` if that is not known.
        alive: whether its owner lives, or work that was detached may go on; ``None`` if that
            cannot be told from here.
        memory: bytes that it holds now, ``None`` if that is not known.
    """

    name: str
    owner: str
    description: str
    kind: str = "container"
    state: str = ""
    environment: str = ""
    created: float | None = None
    alive: bool | None = None
    memory: int | None = None


class Worker(Protocol):
    """A started worker."""

    @property
    def label(self) -> str:
        """Name for messages and the journal."""

    @property
    def exited(self) -> asyncio.Future[ExitRecord]:
        """Done when nothing of the worker is left."""

    async def connect(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Attach the stream of frames to a protocol."""

    def deadline(self, seconds: float | None) -> None:
        """Have the worker ended after so many seconds, even if the kernel cannot act then."""

    def kill(self) -> None:
        """End the worker and all that it started, at once."""


@runtime_checkable
class Lender(Protocol):
    """A worker that holds processors which others may have while it waits."""

    def awaits(self, calls: bool) -> None:
        """Take note of whether its task does nothing but wait for what it has called."""


class Inheritance(Protocol):
    """What a dead kernel has left on a target, taken over.

    Attributes:
        workers: those that there are, by their labels; their answers come again where a kernel may
            not have heard them, and the last of their logs likewise.
    """

    workers: dict[str, Worker]

    async def close(self) -> None:
        """End all of it that is still there."""


@runtime_checkable
class Teller(Protocol):
    """A target that has something to say at any time, not only of one call.

    Attributes:
        tell: called with a fact that concerns all that runs there.
    """

    tell: Callable[[str], None]


class Target(Protocol):
    """A place where work runs.

    Attributes:
        name: what users call it.
        admits: whether the engine counts what it has and says who may start.
        confines: whether a worker is held to all of its resources and to its network; workers that
            differ in these cannot stand in for each other then.
        groups: whether the workers of one environment share something, such as a network, that
            those of another environment have no part in.
        spare: how many workers may wait ahead of the calls of one environment.
        shared: whether it keeps itself what is deployed to it, for other machines too; it is asked
            for that only where it is in use then.
    """

    name: str
    admits: bool
    confines: bool
    groups: bool
    spare: int
    shared: bool

    @property
    def devices(self) -> Sequence[tuple[str, str]]:
        """(index, type) of each accelerator that the engine hands out; empty where it does not."""

    def capabilities(self, settings: Settings) -> Mapping[str, Capability]:
        """Return what the target makes of each field that is set; the source of all notes."""

    def describe(self, settings: Settings) -> list[str]:
        """Say what stands for the settings here, a line each; nothing is started or built."""

    def python(self, settings: Settings) -> tuple[int, int] | None:
        """Return the Python version that tasks find there, ``None`` if it is not known yet."""

    def meet(self) -> Inventory:
        """Find out what is to be known before the first run, and return what the engine counts.

        Blocks. A target that admits itself returns nothing.
        """

    def inventory(self) -> Inventory:
        """Return what the target has, used or not."""

    def ready_made(self, settings: Settings) -> bool:
        """Say whether the environment is startable as it is, with nothing to build or fetch."""

    def prepared(self, settings: Settings) -> Prepared | None:
        """Return the prepared environment if there is nothing to do for it."""

    async def prepare(self, settings: Settings, progress: Callable[[str], None]) -> Prepared:
        """Make an environment startable.

        Raises:
            ImageBuildError: it cannot be made so; the message says why and what to do.
        """

    def manifest(self, settings: Settings, request: StartRequest) -> dict[str, Any] | None:
        """Return what declares a worker, None where no one reads such a thing; nothing is asked.

        Args:
            settings: what is in force.
            request: what the worker needs; its environment need not be prepared.
        """

    def judge(self, settings: Settings, request: StartRequest, what: str) -> str:
        """Have the place say whether it would take such a worker, with nothing made; blocks.

        Args:
            settings: what is in force.
            request: what the worker needs; its environment need not be prepared.
            what: names the environment or task in messages.

        Returns:
            What stands in its way now and may be otherwise later, or nothing.

        Raises:
            TargetError: it would not, or cannot be asked.
        """

    def may_idle(self, request: StartRequest) -> bool:
        """Say whether a worker may be started ahead of its call: it holds what it asks for."""

    async def start(
        self,
        request: StartRequest,
        preload: tuple[str, ...] = (),
        waits: Callable[[str], None] = lambda _: None,
    ) -> Worker:
        """Start a worker.

        Args:
            request: what it needs.
            preload: modules that it may import while it waits for work.
            waits: called with what it waits for before it can start, each time that this changes.

        Raises:
            TargetError: it cannot be started.
        """

    async def adopt(self, labels: Collection[str]) -> Sequence[Inheritance]:
        """Take over the workers of a dead kernel, where work outlives its kernel.

        Args:
            labels: those of the workers that are looked for; who comes with them is taken over too.

        Raises:
            TargetError: the target cannot be asked.
        """

    async def sweep(self, remove: Collection[str] = ()) -> list[Leftover]:
        """Return what kernels, living and dead ones, have made here and is there.

        Args:
            remove: names of what to remove instead: then that is returned which was removed.

        Raises:
            TargetError: the target cannot be asked.
        """

    async def images(
        self, wanted: Collection[Image | None] = (), remove: Collection[str] = ()
    ) -> list[BuiltImage]:
        """Return what was built or installed for this target and takes room.

        Args:
            wanted: images that are needed, whether something that runs uses them or not.
            remove: names of what to remove instead: then that is returned which was removed.

        Raises:
            TargetError: the target cannot be asked, or something is in use.
        """

    def records(self, state: Path) -> Ledger:
        """Return where this target keeps what was deployed to it.

        Args:
            state: the state folder of this machine, for targets that have no place of their own.
        """

    async def close(self) -> None:
        """End all workers and what serves them."""
