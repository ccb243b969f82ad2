"""The kernel's end of the first process that serves the local workers of one interpreter."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from flyte_jupyter.errors import TargetError
from flyte_jupyter.store.scratch import scratch_folder
from flyte_jupyter.store.streams import SocketTransport
from flyte_jupyter.targets.control import Control
from flyte_jupyter.targets.protocol import ExitRecord, StartRequest

__all__ = ["LocalWorker", "Supervisor"]


class LocalWorker:
    """A body on this machine."""

    def __init__(self, supervisor: Supervisor, key: int, stream: socket.socket) -> None:
        self._supervisor = supervisor
        self._key = key
        self._stream = stream
        self.pid: int | None = None
        self.exited: asyncio.Future[ExitRecord] = asyncio.get_running_loop().create_future()

    @property
    def label(self) -> str:
        """Name for messages and the journal."""
        return f"local-{self.pid or self._key}"

    async def connect(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Attach the stream of frames to a protocol."""
        loop = asyncio.get_running_loop()
        return SocketTransport(loop, self._stream, protocol, descriptors=True)

    def deadline(self, seconds: float | None) -> None:
        """Have the supervisor end the worker after so many seconds."""
        self._supervisor.say({"op": "deadline", "id": self._key, "seconds": seconds})

    def kill(self) -> None:
        """End the worker and all that it started, at once."""
        self._supervisor.say({"op": "kill", "id": self._key})


class Supervisor:
    """Starts one interpreter's supervisor process and talks to it.

    Args:
        command: Python with its options.
        runtime: folder with the guest's rooms, for ``sys.path``.
        environ: variables of the supervisor process itself.
    """

    def __init__(self, command: Sequence[str], runtime: str, environ: Mapping[str, str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ids = count(1)
        self._workers: dict[int, LocalWorker] = {}
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self.folder = scratch_folder()
        ours, theirs = socket.socketpair()
        code = (
            f"import sys; sys.path.insert(0, {runtime!r}); "
            f"from flyte_jupyter.worker.init import main; main({theirs.fileno()})"
        )
        self._errors = open(os.path.join(self.folder, "supervisor.err"), "w+b")  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [*command, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                cwd=self.folder,
                env=dict(environ),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            self._errors.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise TargetError(f"{command[0]} cannot be started: {error}.") from None
        finally:
            theirs.close()
        self._control = Control(ours, self._told, self._lost)

    @property
    def alive(self) -> bool:
        """True while the supervisor answers."""
        return not self._closed.done()

    def spawn(self, request: StartRequest, config: dict[str, Any]) -> LocalWorker:
        """Start a body; its stream works from the moment this returns."""
        key = next(self._ids)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        place = os.path.join(self.folder, str(key))
        config = dict(config, folder=place, modules=f"{place}.modules")
        worker = LocalWorker(self, key, ours)
        self._workers[key] = worker
        line = {"op": "spawn", "id": key, "config": config, "memory": request.memory}
        self.say(line, theirs.detach())
        return worker

    def say(self, line: dict[str, Any], fd: int | None = None) -> None:
        """Send a line, with a descriptor beside it if there is one to pass on."""
        self._control.say(line, fd)

    def _told(self, line: dict[str, Any]) -> None:
        if line["op"] == "started":
            self._workers[line["id"]].pid = line["pid"]
        elif line["op"] == "exit":
            worker = self._workers.pop(line.pop("id"))
            del line["op"]
            if not worker.exited.done():
                worker.exited.set_result(ExitRecord(**line))

    def _lost(self) -> None:
        """The supervisor has ended: by our wish, or because something killed it."""
        if self._closed.done():
            return
        self._closed.set_result(None)
        words = self._last_words()
        for worker in self._workers.values():
            _kill(worker.pid)
            if not worker.exited.done():
                worker.exited.set_result(ExitRecord(cause="supervisor", words=words))
        self._workers.clear()

    def _last_words(self) -> str:
        """Return what the supervisor wrote before it ended, if anything went wrong."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()

    async def close(self) -> None:
        """End the supervisor with all its bodies and remove its folder."""
        if self.alive:
            self._control.hang_up()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._closed), 5)
        self._control.end()
        for _ in range(500):
            if self._process.poll() is not None:
                break
            await asyncio.sleep(0.01)
        else:
            self._process.kill()
            self._process.wait()
        self._errors.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _kill(pid: int | None) -> None:
    if pid:
        with contextlib.suppress(OSError):
            os.killpg(pid, 9)
