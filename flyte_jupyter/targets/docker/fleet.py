"""All containers of one kernel in one engine: their start, their end, what is heard of them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from flyte_jupyter.daemon.labels import labels
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.targets.docker import launch
from flyte_jupyter.targets.docker.containers import Container
from flyte_jupyter.targets.docker.events import Events
from flyte_jupyter.targets.docker.gate import Arrival
from flyte_jupyter.targets.docker.janitor import janitor
from flyte_jupyter.targets.docker.network import Holder, Namespaces
from flyte_jupyter.targets.docker.ways import ByAttachment, ByGate, Ticket, Way
from flyte_jupyter.targets.janitor import Janitor
from flyte_jupyter.targets.protocol import StartRequest
from flyte_jupyter.targets.runtime import guest_runtime, is_compiled, note_compiled

if TYPE_CHECKING:
    import socket

    from flyte_jupyter.daemon.connect import Daemon
    from flyte_jupyter.images.containers import ContainerImage

__all__ = ["Fleet"]

LEAVING = 4.0
# Between tries to hear of an engine that has ended.
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
# Of containers that run nothing of the user's.
HOLDER = {
    "Memory": 64 << 20,
    "PidsLimit": 16,
    "CapDrop": ["ALL"],
    "SecurityOpt": ["no-new-privileges"],
}


class Fleet:
    """The containers of one kernel.

    Args:
        daemon: the engine.
        lease: seconds that containers of an engine elsewhere go on without this kernel.
    """

    def __init__(self, daemon: Daemon, lease: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._daemon = daemon
        self._launcher = launch.Launcher(daemon)
        self._way: Way = ByGate() if daemon.local else ByAttachment(lease)
        self._events = Events(daemon, self._happened, self._events_lost)
        self._engine_lost: asyncio.Future[None] = self._loop.create_future()
        self._network = Namespaces(self._hold)
        self._containers: dict[str, Container] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._compiled: set[tuple[int, int]] = set()
        self._names = count(1)
        self._closed = False
        self._janitor: Janitor | None = None
        self._prefix = f"flyte-{secrets.token_hex(3)}"

    async def open(self) -> None:
        """Begin to hear of the containers.

        Raises:
            TargetError: the engine does not answer any more.
        """
        try:
            await asyncio.to_thread(self._events.listen)
        except OSError as error:
            raise self._explained(error, "") from None
        self._janitor = janitor(self._daemon.endpoint, self._way.folders)
        self._spawn(self._call(self._launcher.clear))

    def take_in(self, image: ContainerImage) -> None:
        """Have what every worker imports compiled for the Python of an image, once and behind."""
        if self._daemon.local and image.version not in self._compiled:
            self._compiled.add(image.version)
            if not is_compiled(image.version):
                self._spawn(self._compile(image))

    async def _compile(self, image: ContainerImage) -> None:
        name = f"{self._prefix}-{next(self._names)}"
        command = (*image.python, "-I", "-S", "-m", "compileall", "-q", launch.RUNTIME)
        host = {**HOLDER, "NetworkMode": "none", "Binds": [f"{guest_runtime()}:{launch.RUNTIME}"]}
        body = launch.request_body(
            image.image,
            command,
            {},
            labels("build"),
            host,
            self._daemon.user(),
            with_input=False,
        )
        container = self._known(name)
        stream = await self._call(self._launcher.start, name, body)
        if stream is None:
            self._containers.pop(name, None)
            return
        container.started = True
        stream.close()
        if await container.died == 0:
            note_compiled(image.version)

    async def start(
        self, image: ContainerImage, request: StartRequest, preload: tuple[str, ...]
    ) -> Container:
        """Start a container and wait until its first process is there.

        Args:
            image: what it is made from.
            request: what it needs.
            preload: modules to import while it waits.

        Raises:
            TargetError: it cannot be started.
        """
        from flyte_jupyter.targets.docker import limits

        group, network = request.group, request.network
        host = limits.host_config(request, self._daemon)
        host["NetworkMode"] = self._network.join(group, network, image)
        boot = launch.bootstrap(self._way.module)
        environ = {**dict(image.environ), **limits.environ(request, self._daemon)}
        environ.update(request.environ)
        try:
            container, arrival = await self._launch(
                image,
                ("-c", boot),
                environ,
                labels("worker", group, image.description),
                host,
                self._way.archive(),
            )
        except BaseException:
            self._network.leave(group, network)
            raise
        container.gone.add_done_callback(lambda _: self._network.leave(group, network))
        config = {
            "folder": image.workdir or launch.SCRATCH,
            "environ": None,
            "concurrency": request.concurrency,
            "preload": list(preload),
            "files": launch.FILES if image.files else "",
            "ahead": True,
        }
        container.begin(*arrival, config)
        return container

    async def _hold(self, group: str, network: bool, image: ContainerImage) -> Holder:
        """Start a container that holds a network namespace for others."""
        host = {**HOLDER, "NetworkMode": "bridge" if network else "none"}
        program = ("-I", "-S", "-c", self._way.waiting)
        container, (connection, _) = await self._launch(
            image, program, {}, labels("network", group, image.description), host, None
        )
        container.keep(connection)
        return Holder(container.label, container.kill)

    async def _launch(
        self,
        image: ContainerImage,
        program: tuple[str, ...],
        environ: Mapping[str, str],
        marks: Mapping[str, str],
        host: dict[str, Any],
        archive: bytes | None,
    ) -> tuple[Container, Arrival]:
        """Start a container; return it with the control socket of its first process."""
        name = f"{self._prefix}-{next(self._names)}"
        ticket = self._way.ticket()
        host["Binds"] = self._way.binds(image)
        body = launch.request_body(
            image.image,
            (*image.python, *program, *ticket.arguments),
            environ,
            marks,
            host,
            self._daemon.user(),
            with_input=self._way.with_input,
        )
        container = self._known(name)
        start = self._loop.run_in_executor(
            self._launcher.starts, self._launcher.start, name, body, archive
        )
        try:
            stream = await asyncio.shield(start)
        except asyncio.CancelledError:
            self._spawn(self._undo(start, container, ticket))
            raise
        except Exception as error:
            self._containers.pop(name, None)
            ticket.drop()
            raise self._explained(error, image.reference) from None
        container.started = True
        try:
            return container, await ticket.meet(container, stream)
        except BaseException:
            container.kill()
            raise

    async def _undo(
        self, start: asyncio.Future[socket.socket], container: Container, ticket: Ticket
    ) -> None:
        """End a container that nobody waits for any more, once its start has come to an end."""
        # until then the engine would make the folders that it mounts, where they are gone
        await asyncio.wait([start])
        ticket.drop()
        try:
            (await start).close()
        except Exception as error:
            del error  # it has not started
            self._containers.pop(container.label, None)
        else:
            await self._call(self._launcher.remove, container.label)

    def _known(self, name: str) -> Container:
        """Return a container that is about to be, whose events are heard from now on."""
        launcher = self._launcher
        container = self._containers[name] = Container(
            name,
            kill=lambda: self._spawn(self._call(launcher.kill, name)),
            state=lambda: self._loop.run_in_executor(launcher.calls, launcher.state, name),
            engine_lost=lambda: self._engine_lost,
        )
        return container

    def _explained(self, error: Exception, reference: str) -> Exception:
        from flyte_jupyter.daemon.failures import explained

        if isinstance(error, FlyteError):
            return error
        from docker.errors import ImageNotFound

        # the image was there a moment ago; what else is refused is not the image's doing
        return explained(error, image=reference if isinstance(error, ImageNotFound) else "")

    # what is heard

    def _happened(self, name: str, action: str, attributes: Mapping[str, str]) -> None:
        container = self._containers.get(name)
        if container is None:
            return
        container.happened(action, attributes)
        if action == "destroy":
            self._containers.pop(name, None)
            self._network.lost(name)

    def _events_lost(self) -> None:
        """Listen anew: the engine has ended, and most often its containers with it."""
        self._engine_lost.set_result(None)
        self._engine_lost = self._loop.create_future()
        self._network.end_holders()
        self._spawn(self._listen_anew())

    async def _listen_anew(self) -> None:
        pause = FIRST_PAUSE
        while not self._closed:
            await asyncio.sleep(pause)
            try:
                await asyncio.to_thread(self._events.listen)
                break
            except (FlyteError, OSError):
                pause = min(2 * pause, LONGEST_PAUSE)
        for name, container in list(self._containers.items()):
            # what is being created now is not there yet
            if container.started and await container.state() is None:
                self._happened(name, "destroy", {})

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, function: Any, *args: Any) -> Any:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        # what cannot be ended because the engine is gone ends by itself
        with contextlib.suppress(DockerException, RequestException, FlyteError, OSError):
            return await self._loop.run_in_executor(self._launcher.calls, function, *args)

    async def close(self) -> None:
        """End every container, and wait until nothing of them is left."""
        self._closed = True
        containers = list(self._containers.values())
        if self._daemon.podman:
            # which removes nothing whose network another container is in
            await self._leave([c for c in containers if not self._network.held_by(c.label)])
        self._network.close()
        await self._leave(containers)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LEAVING)
        for task in self._tasks:
            task.cancel()
        self._events.close()
        self._way.close()
        await asyncio.to_thread(self._launcher.close)
        if self._janitor is not None:
            clean = all(container.gone.done() for container in containers)
            await asyncio.to_thread(self._janitor.dismiss, clean)

    async def _leave(self, containers: Sequence[Container]) -> None:
        # what loses its kernel ends by itself, which needs no call and no thread
        for container in containers:
            container.leave()
        if containers and self._events.open:
            await asyncio.wait([container.gone for container in containers], timeout=LEAVING)
