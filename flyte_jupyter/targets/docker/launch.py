"""What a container of ours is created with, and the calls that create, attach and start it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from flyte_jupyter.daemon.labels import OWNER
from flyte_jupyter.images.packages import PACKAGES
from flyte_jupyter.wire.relay import CONTROL, MARK

if TYPE_CHECKING:
    from flyte_jupyter.daemon.connect import Daemon

__all__ = [
    "FILES",
    "GATE",
    "PACKAGES",
    "RUNTIME",
    "SCRATCH",
    "WAIT_AT_GATE",
    "WAIT_AT_INPUT",
    "Launcher",
    "bootstrap",
    "request_body",
]

HOME = "/opt/flyte_jupyter"
RUNTIME = f"{HOME}/runtime"
FILES = f"{HOME}/files"
GATE = f"{HOME}/gate"
SCRATCH = "/tmp/task"
# A container that was created so many seconds ago, whoever did it, is not started any more.
UNSTARTED = 3600

# The current folder is no place to import from. The packages of the environment come after the
# standard library and before what the image has of its own, and their .pth files are read.
BOOT = """\
import os, sys
home = {packages!r}
sys.path[:] = [p for p in sys.path if p and p != home]
if os.path.isdir(home):
    import site
    own = list(sys.path)
    site.addsitedir(home, set())
    new = sys.path[len(own):]
    at = [i for i, p in enumerate(own) if p.endswith("-packages")] or [len(own)]
    sys.path[:] = own[:at[0]] + new + own[at[0]:]
sys.path.insert(0, {runtime!r})
from flyte_jupyter.worker.{module} import main
main(*sys.argv[1:])
"""
# These only wait until the kernel lets go of them.
WAIT_AT_GATE = """\
import socket, sys
kernel = socket.socket(socket.AF_UNIX)
kernel.connect(sys.argv[1])
kernel.sendall(sys.argv[2].encode() + b"\\n")
while kernel.recv(1024):
    pass
"""
WAIT_AT_INPUT = f"""\
import os, select, sys
os.write(1, {MARK!r})
while select.select([0], [], [], float(sys.argv[1]))[0]:
    data = os.read(0, 1024)
    if not data or {CONTROL!r} in data:
        break
"""


def bootstrap(module: str) -> str:
    """Return the program that the first process of a worker's container runs.

    Args:
        module: ``"container"`` or ``"attached"``.
    """
    return BOOT.format(packages=PACKAGES, runtime=RUNTIME, module=module)


class Launcher:
    """Makes calls to the engine on threads of its own, each with a client of its own.

    Args:
        daemon: the engine.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._own = threading.local()
        self._clients: list[Any] = []
        # more starts at a time than twice the processors only wait for each other
        at_once = max(2, 2 * (daemon.info.get("NCPU") or os.cpu_count() or 1))
        self.starts = ThreadPoolExecutor(at_once, "flyte-docker-start")
        # to end something must never wait for starts
        self.calls = ThreadPoolExecutor(4, "flyte-docker-call")

    def api(self) -> Any:
        """Return the client of this thread."""
        client = getattr(self._own, "client", None)
        if client is None:
            client = self._own.client = self._daemon.fresh()
            self._clients.append(client)
        return client

    def start(
        self, name: str, body: Mapping[str, Any], archive: bytes | None = None
    ) -> socket.socket:
        """Create, attach and start a container.

        Args:
            name: its name.
            body: what the engine is sent.
            archive: unpacked into it before it starts.

        Returns:
            The attached stream, with the container's input if it has one.

        Raises:
            docker.errors.APIError: the engine refuses.
            TargetError: it does not attach to the container.
            OSError: it does not answer.
        """
        api = self.api()
        created = api._post_json(api._url("/containers/create"), data=body, params={"name": name})
        container = api._result(created, True)["Id"]
        try:
            if archive is not None:
                api.put_archive(container, "/", archive)
            stream = self._daemon.attach(container, with_input=bool(body.get("OpenStdin")))
            try:
                api.start(container)
            except BaseException:
                stream.close()
                raise
            return stream
        except BaseException:
            self.remove(name)
            raise

    def kill(self, name: str) -> None:
        """End a container; nothing happens if it has ended."""
        from docker.errors import APIError

        try:
            self.api().kill(name)
        except APIError as error:
            if error.status_code not in (404, 409):
                raise

    def remove(self, name: str) -> None:
        """Remove a container; nothing happens if it is gone or going."""
        from docker.errors import APIError

        try:
            self.api().remove_container(name, force=True, v=True)
        except APIError as error:
            if error.status_code not in (404, 409):
                raise

    def clear(self) -> None:
        """Remove what kernels have created and not come to start, on whatever machine."""
        created = {"label": OWNER, "status": "created"}
        for each in self.api().containers(all=True, filters=created):
            if each["Created"] <= time.time() - UNSTARTED:
                self.remove(each["Id"])

    def state(self, name: str) -> Mapping[str, Any] | None:
        """Return what the engine knows of a container, ``None`` if it has or is none."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            state: Mapping[str, Any] = self.api().inspect_container(name)["State"]
        except (DockerException, RequestException):
            return None
        return state

    def close(self) -> None:
        """Let the threads and their connections go."""
        self.starts.shutdown(wait=False, cancel_futures=True)
        self.calls.shutdown(wait=True)
        for client in self._clients:
            client.close()


def request_body(
    image: str,
    command: Sequence[str],
    environ: Mapping[str, str],
    labels: Mapping[str, str],
    host: Mapping[str, Any],
    user: str,
    *,
    with_input: bool,
) -> dict[str, Any]:
    """Return what the engine is sent to create a container.

    Args:
        image: id of the image.
        command: what its first process runs.
        environ: variables beside the image's own.
        labels: its labels.
        host: limits, mounts and the like.
        user: whom it runs as.
        with_input: whether it reads its standard input; when that is let go of, it ends.
    """
    return {
        "Image": image,
        "Entrypoint": list(command),
        "Cmd": [],
        "Env": [f"{name}={value}" for name, value in environ.items()],
        "Labels": dict(labels),
        "User": user,
        "OpenStdin": with_input,
        "StdinOnce": with_input,
        "AttachStdin": with_input,
        "AttachStdout": True,
        "AttachStderr": True,
        "WorkingDir": "/",
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGKILL",
        "HostConfig": {"AutoRemove": True, "LogConfig": {"Type": "none"}, **host},
    }
