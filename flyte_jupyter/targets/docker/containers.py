"""One container as a worker: how it is started, what is heard of it, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flyte_jupyter.diagnose import ContainerEnd, ExitRecord
from flyte_jupyter.store.streams import SocketTransport
from flyte_jupyter.targets.control import Control

if TYPE_CHECKING:
    from flyte_jupyter.targets.docker.attached import Attached

__all__ = ["Container"]

# What is left unsaid after a container was lost is asked of the engine after so many seconds.
PATIENCE = 3.0
LAST_DEEDS = 2.0
# A first process that has not ended its container after so many seconds does not listen.
DEAF = 1.5
BODY = 1


class Container:
    """A container with one body.

    Args:
        name: the container's.
        kill: ends the container at once; may be called more than once.
        state: asks the engine what it knows of the container, ``None`` where it knows nothing.
        engine_lost: gives a future that is done once the engine is not heard of any more.

    Attributes:
        started: whether the engine has started it.
    """

    def __init__(
        self,
        name: str,
        kill: Callable[[], None],
        state: Callable[[], asyncio.Future[Mapping[str, Any] | None]],
        engine_lost: Callable[[], asyncio.Future[None]],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._name = name
        self._kill = kill
        self.state = state
        self._engine_lost = engine_lost
        self._control: Control | None = None
        self._stream: socket.socket | None = None
        self._attached: Attached | None = None
        self._killed = False
        self.started = False
        self._events: list[str] = []
        self.said: Callable[[], str] = str
        self._closing: list[Callable[[], None]] = []
        self.exited: asyncio.Future[ExitRecord] = self._loop.create_future()
        self.died: asyncio.Future[int | None] = self._loop.create_future()
        self.gone: asyncio.Future[None] = self._loop.create_future()

    @property
    def label(self) -> str:
        """Name for messages and the journal."""
        return self._name

    def begin(self, connection: socket.socket, said: bytes, config: Mapping[str, Any]) -> None:
        """Have the first process, which is connected now, start its body.

        Args:
            connection: its control socket.
            said: what came from it already.
            config: the body's; see :mod:`flyte_jupyter.worker.body`.
        """
        self._control = Control(connection, self._told, self._control_lost, said)
        line = {"op": "spawn", "id": BODY, "config": dict(config), "memory": None}
        if self._attached is not None:
            self._control.say(line)
            return
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._stream = ours
        self._control.say(line, theirs.detach())

    def reached_over(self, attached: Attached) -> None:
        """Note that frames go over the stream that the engine attaches, as all else does."""
        self._attached = attached
        self.said = attached.text

    def close_with(self, close: Callable[[], None]) -> None:
        """Have something closed once the container is gone, or this is done with it."""
        self._closing.append(close)

    def _close(self) -> None:
        closing, self._closing = self._closing, []
        for close in closing:
            close()

    def keep(self, connection: socket.socket) -> None:
        """Keep a container that only waits: it ends when this lets go of it.

        Args:
            connection: its control socket.
        """
        self._stream = connection
        self.died.add_done_callback(lambda _: self._let_go())

    def _let_go(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def connect(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Attach the stream of frames to a protocol."""
        if self._attached is not None:
            return self._attached.connect(protocol)
        stream, self._stream = self._stream, None
        assert stream is not None
        return SocketTransport(self._loop, stream, protocol, descriptors=True)

    def deadline(self, seconds: float | None) -> None:
        """Have the first process end the body after so many seconds."""
        if self._control is not None:
            self._control.say({"op": "deadline", "id": BODY, "seconds": seconds})

    def kill(self) -> None:
        """End the container with all that runs in it, at once."""
        if self._killed or self.died.done():
            return
        self._killed = True
        if self._control is None:
            self._let_go()
        elif self._control.open:
            # the first process is quicker than the engine, and tells what was used
            self._control.say({"op": "kill", "id": BODY})
        self._loop.call_later(DEAF, self._kill_if_there)

    def _kill_if_there(self) -> None:
        if not self.died.done():
            self._kill()

    # what is heard of it

    def _told(self, line: dict[str, Any]) -> None:
        if line["op"] == "exit" and not self.exited.done():
            record = {k: v for k, v in line.items() if k not in ("op", "id")}
            self.exited.set_result(ExitRecord(**record))
            if self._control is not None:
                self._control.hang_up()

    def _control_lost(self) -> None:
        if not self.exited.done():
            self._loop.create_task(self._find_out())

    def happened(self, action: str, attributes: Mapping[str, str]) -> None:
        """Take an event of the engine."""
        if action == "destroy":
            if not self.gone.done():
                self.gone.set_result(None)
            if not self.died.done():
                self.died.set_result(None)
            self._close()
        elif action == "die":
            text = attributes.get("exitCode", "")
            code = int(text) if text.isdigit() else None
            self._events.append(f"die {text}")
            if not self.died.done():
                self.died.set_result(code)
        elif action != "kill":
            self._events.append(action)
        elif not self._killed:  # what was asked for from here is no news
            self._events.append(f"kill {attributes.get('signal', '')}")

    async def _find_out(self) -> None:
        """Say how the container ended though its first process could not."""
        lost = self._engine_lost()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.died), PATIENCE)
        if any(event.startswith("kill") for event in self._events):
            # an engine that is stopped ends its containers before it ends itself
            await asyncio.wait([lost], timeout=LAST_DEEDS)
        record = await self._record()
        # what was removed and not heard to end has ended while the engine was away
        if lost.done() or (self.died.done() and self.died.result() is None):
            record = replace(record, cause="engine")
        if not self.exited.done():
            self.exited.set_result(record)

    async def _record(self) -> ExitRecord:
        words = self.said()
        if self.died.done():
            end = ContainerEnd(
                self._name, self.died.result(), "oom" in self._events, "", tuple(self._events)
            )
        else:
            state = await self.state()
            if state is None:
                return ExitRecord(cause="engine", words=words)
            end = ContainerEnd(
                self._name,
                state.get("ExitCode"),
                bool(state.get("OOMKilled")),
                str(state.get("Error") or ""),
                tuple(self._events),
            )
            if state.get("Running"):
                self.kill()
                return ExitRecord(cause="stream", words=words, container=end)
        if end.oom_killed:
            return ExitRecord(signal=9, cause="memory", words=words, container=end)
        if end.code is not None and end.code > 128:
            return ExitRecord(signal=end.code - 128, words=words, container=end)
        return ExitRecord(code=end.code, words=words, container=end)

    def leave(self) -> None:
        """Let go of what ties the kernel to it; a container that still runs ends by that."""
        if self._control is not None:
            self._control.end()
        self._let_go()
        self._close()
        if not self.exited.done():
            self.exited.set_result(ExitRecord(cause="engine"))
