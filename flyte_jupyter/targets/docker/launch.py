"""What a container of ours is created with, and the calls that create, attach and start it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from flyte_jupyter.errors import TargetError
from flyte_jupyter.targets.docker.gate import NAME

if TYPE_CHECKING:
    from flyte_jupyter.daemon.connect import Daemon

__all__ = [
    "FILES",
    "GATE",
    "PACKAGES",
    "RUNTIME",
    "SCRATCH",
    "Launcher",
    "bootstrap",
    "request_body",
    "waiting",
]

HOME = "/opt/flyte_jupyter"
RUNTIME = f"{HOME}/runtime"
PACKAGES = f"{HOME}/packages"
FILES = f"{HOME}/files"
GATE = f"{HOME}/gate"
SCRATCH = "/tmp/task"

# The current folder is no place to import from. Packages that lie beside the image come before
# its own, and what they ask for in .pth files is done.
BOOT = """\
import sys
sys.path[:] = [p for p in sys.path if p]
if {packages!r}:
    import site
    old = set(sys.path)
    site.addsitedir({packages!r})
    sys.path.sort(key=old.__contains__)
sys.path.insert(0, {runtime!r})
from flyte_jupyter.worker.container import main
main({address!r}, sys.argv[1])
"""


def bootstrap(packages: bool) -> str:
    """Return the program that the first process of a container runs; its argument is a token.

    Args:
        packages: whether a folder of packages is mounted.
    """
    return BOOT.format(
        packages=PACKAGES if packages else "", runtime=RUNTIME, address=f"{GATE}/{NAME}"
    )


# It only waits until the kernel lets go of it.
WAIT = """\
import socket, sys
kernel = socket.socket(socket.AF_UNIX)
kernel.connect({address!r})
kernel.sendall(sys.argv[1].encode() + b"\\n")
while kernel.recv(1024):
    pass
"""


def waiting() -> str:
    """Return the program of a container that only holds a namespace; its argument is a token."""
    return WAIT.format(address=f"{GATE}/{NAME}")


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

    def start(self, name: str, body: Mapping[str, Any]) -> socket.socket:
        """Create, attach and start a container.

        Args:
            name: its name.
            body: what the engine is sent.

        Returns:
            The stream of what it writes.

        Raises:
            docker.errors.APIError: the engine refuses.
        """
        api = self.api()
        created = api._result(
            api._post_json(api._url("/containers/create"), data=body, params={"name": name}), True
        )
        try:
            attached = api.attach_socket(
                created["Id"], params={"stdout": 1, "stderr": 1, "stream": 1}
            )
            stream = _own_socket(attached)
            try:
                api.start(created["Id"])
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


def _own_socket(attached: Any) -> socket.socket:
    """Return the socket of an attached stream, apart from the client that opened it."""
    raw = getattr(attached, "_sock", attached)
    try:
        own = socket.socket(fileno=os.dup(raw.fileno()))
    except (OSError, AttributeError) as error:
        raise TargetError(f"The stream of a container cannot be taken: {error}.") from None
    attached.close()
    response = getattr(attached, "_response", None)
    if response is not None:
        with contextlib.suppress(ValueError):  # its file was closed just now
            response.close()
    return own


def request_body(
    image: str,
    command: Sequence[str],
    environ: Sequence[tuple[str, str]],
    labels: Mapping[str, str],
    host: Mapping[str, Any],
    user: str,
) -> dict[str, Any]:
    """Return what the engine is sent to create a container.

    Args:
        image: id of the image.
        command: what its first process runs.
        environ: variables beside the image's own.
        labels: its labels.
        host: limits, mounts and the like.
        user: whom it runs as.
    """
    return {
        "Image": image,
        "Entrypoint": list(command),
        "Cmd": [],
        "Env": [f"{name}={value}" for name, value in environ],
        "Labels": dict(labels),
        "User": user,
        "AttachStdout": True,
        "AttachStderr": True,
        "WorkingDir": "/",
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGKILL",
        "HostConfig": {"AutoRemove": True, "LogConfig": {"Type": "none"}, **host},
    }
