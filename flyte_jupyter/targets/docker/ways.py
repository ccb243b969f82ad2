"""The two ways in which kernel and container reach each other.

On one machine, a socket in a folder that is mounted into the container: fast, and its end tells at
once that the other side is gone. Between machines, the stream that the engine attaches.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import os
import socket
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from flyte_jupyter.errors import TargetError
from flyte_jupyter.store.folders import cache_folder
from flyte_jupyter.targets.docker import launch
from flyte_jupyter.targets.docker.attached import Attached
from flyte_jupyter.targets.docker.containers import Container
from flyte_jupyter.targets.docker.gate import NAME, Arrival, Gate
from flyte_jupyter.targets.docker.words import Words
from flyte_jupyter.targets.runtime import guest_runtime

if TYPE_CHECKING:
    from flyte_jupyter.images.containers import ContainerImage

__all__ = ["ByAttachment", "ByGate", "Ticket", "Way"]

# A container that has started and is not heard of is given up after so many seconds.
ARRIVAL = 60.0
LAST_WORDS = 2.0


class Ticket(Protocol):
    """What one container is started with to be reached."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments of its first program."""

    async def meet(self, container: Container, stream: socket.socket) -> Arrival:
        """Return the control socket of the first process, and what it has said already.

        Args:
            container: that has started.
            stream: what the engine has attached.

        Raises:
            TargetError: it ended before.
        """

    def drop(self) -> None:
        """Let go of what waits for a container that never started."""


class Way(Protocol):
    """How containers are reached.

    Attributes:
        with_input: whether the stream that the engine attaches carries the input too.
        module: of the guest, whose ``main`` their first process runs.
        waiting: program of one that only waits.
        folders: what is on the disk for them.
    """

    with_input: bool
    module: str
    waiting: str
    folders: tuple[str, ...]

    def binds(self, image: ContainerImage) -> list[str]:
        """Return what is mounted."""

    def archive(self) -> bytes | None:
        """Return what is unpacked into a worker's container before it starts."""

    def ticket(self) -> Ticket:
        """Return what the next container is reached with."""

    def close(self) -> None:
        """Leave nothing."""


class ByGate:
    """Over a socket of this machine."""

    with_input = False
    module = "container"
    waiting = launch.WAIT_AT_GATE

    def __init__(self) -> None:
        self._gate = Gate(cache_folder() / "gates")
        self.folders: tuple[str, ...] = (str(self._gate.home),)

    def binds(self, image: ContainerImage) -> list[str]:
        """Return what is mounted: the guest's rooms, the socket, what lies beside the image."""
        pairs = [(guest_runtime(), launch.RUNTIME), (str(self._gate.folder), launch.GATE)]
        if image.packages:
            pairs.append((image.packages, launch.PACKAGES))
        if image.files:
            pairs.append((image.files, launch.FILES))
        return [f"{here}:{there}:ro" for here, there in pairs]

    def archive(self) -> bytes | None:
        """Return nothing: all is mounted."""
        return None

    def ticket(self) -> Ticket:
        """Return a token that the gate waits for."""
        return _Token(*self._gate.expect())

    def close(self) -> None:
        """Let nobody in any more."""
        self._gate.close()


class _Token:
    def __init__(self, token: str, arrived: asyncio.Future[Arrival]) -> None:
        self.arguments = (f"{launch.GATE}/{NAME}", token)
        self._arrived = arrived

    async def meet(self, container: Container, stream: socket.socket) -> Arrival:
        words = Words(stream)
        container.said = words.text
        container.close_with(words.close)
        try:
            await _wait(container, self._arrived, words.ended)
        except asyncio.CancelledError:
            self.drop()
            raise
        if self._arrived.done() and not self._arrived.cancelled():
            return self._arrived.result()
        self._arrived.cancel()
        raise await _never_there(container)

    def drop(self) -> None:
        if not self._arrived.cancel() and not self._arrived.cancelled():
            self._arrived.result()[0].close()


async def _wait(container: Container, *arrived: asyncio.Future[Any]) -> None:
    """Wait until one of some futures is done, or the container has ended, or for long."""
    waiting = [container.died, *arrived]
    await asyncio.wait(waiting, timeout=ARRIVAL, return_when=asyncio.FIRST_COMPLETED)


async def _never_there(container: Container) -> TargetError:
    """Return what there is to say of a container whose first process was not heard of."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(container.died), LAST_WORDS)
    remedy = "Its image may lack what Python needs: try it with docker run."
    if not container.died.done():
        how = "never reached the notebook"
    elif container.died.result() is None:
        how, remedy = "was removed at its start", "Check that the engine runs, and run it again."
    else:
        how = f"ended with status {container.died.result()} at its start"
    return TargetError(
        f"The container {container.label} {how}.",
        evidence=container.said().splitlines()[-5:],
        remedy=remedy,
    )


class ByAttachment:
    """Over the stream that the engine attaches to the container.

    Args:
        lease: seconds without a word of the kernel after which a container ends.
    """

    with_input = True
    module = "attached"
    waiting = launch.WAIT_AT_INPUT
    folders: tuple[str, ...] = ()

    def __init__(self, lease: float) -> None:
        self.arguments = (f"{lease:g}",)
        self._attached: set[Attached] = set()

    def binds(self, image: ContainerImage) -> list[str]:
        """Return nothing: folders of this machine are not there."""
        del image
        return []

    def archive(self) -> bytes | None:
        """Return the guest's rooms."""
        return _rooms(guest_runtime())

    def ticket(self) -> Ticket:
        """Return itself: there is nothing to tell containers apart by."""
        return self

    async def meet(self, container: Container, stream: socket.socket) -> Arrival:
        """Return a socket that stands for the one in the container."""
        attached = Attached(stream)
        self._attached.add(attached)
        attached.ended.add_done_callback(lambda _: self._attached.discard(attached))
        container.reached_over(attached)
        container.close_with(attached.close)
        try:
            await _wait(container, attached.begun, attached.ended)
            if not attached.begun.done():
                raise await _never_there(container)
        except BaseException:
            attached.close()
            raise
        return attached.take_control(), b""

    def drop(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Let go of the streams of containers that have not ended."""
        for attached in list(self._attached):
            attached.close()


@functools.cache
def _rooms(folder: str) -> bytes:
    """Return the guest's rooms as an archive, with all that leads to their place."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for parent in reversed(Path(launch.RUNTIME).parents[:-1]):
            archive.addfile(_folder(str(parent)))
        archive.addfile(_folder(launch.RUNTIME))
        for path in sorted(Path(folder).rglob("*")):
            name = os.path.join(launch.RUNTIME, path.relative_to(folder)).lstrip("/")
            if path.is_dir():
                archive.addfile(_folder(name))
            elif path.suffix in (".py", ".pyc"):
                entry = archive.gettarinfo(str(path), arcname=name)
                entry.uid = entry.gid = 0
                entry.mode = 0o644
                with path.open("rb") as file:
                    archive.addfile(entry, file)
    return buffer.getvalue()


def _folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.type = tarfile.DIRTYPE
    entry.mode = 0o755
    return entry
