"""The engine found and met: one object that knows what it can do."""

from __future__ import annotations

import errno
import functools
import http.client
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from flyte_jupyter.daemon.endpoints import Endpoint, endpoints
from flyte_jupyter.errors import TargetError

if TYPE_CHECKING:
    import http.client

__all__ = ["Daemon", "connect"]

# how long an engine may take for one answer; who waits for longer work sets no limit of its own
ANSWER_SECONDS = 60.0
KNOCK_SECONDS = 5.0
# the first version of the API that can build with BuildKit
BUILDKIT = (1, 39)
WANTS_TLS = "HTTP request to an HTTPS server"
UNASKED = "1.24"
OTHER_ENGINE = "DOCKER_HOST or 'docker context use' name another engine."


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Daemon:
    """An engine that answers. Its facts are asked for once.

    Args:
        endpoint: where it listens.
        api: a client that has met it.

    Attributes:
        api: the client, for one thread at a time; `fresh` makes one for another thread.
        url: address of the engine.
        endpoint: the address with all that it takes to get in there.
    """

    def __init__(self, endpoint: Endpoint, api: Any) -> None:
        self.api = api
        self.url = endpoint.url
        self.endpoint = self._endpoint = endpoint
        self._folders: bool | None = None

    @property
    def origin(self) -> str:
        """What names this engine, in words; empty for one in a usual place."""
        return self._endpoint.origin

    @property
    def socket_path(self) -> str | None:
        """Path of the socket of an engine of this machine, None for one elsewhere."""
        return self._endpoint.socket

    @functools.cached_property
    def info(self) -> dict[str, Any]:
        """What the engine says of itself and of its machine.

        Raises:
            TargetError: it does not answer any more.
        """
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        from flyte_jupyter.daemon.failures import explained

        try:
            return dict(self.api.info())
        except (DockerException, RequestException) as error:
            raise explained(error) from None

    @property
    def id(self) -> str:
        """What tells this engine from others, over restarts."""
        if self.podman:  # which makes up another one for each question
            return f"{self.info.get('Name')}:{self.info.get('DockerRootDir')}"
        return str(self.info.get("ID") or self.url)

    @property
    def version(self) -> str:
        """The engine's version."""
        return str(self.info.get("ServerVersion", ""))

    @property
    def platform(self) -> str:
        """What its containers are, such as ``linux/amd64``."""
        machine = str(self.info.get("Architecture", ""))
        names = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
        return f"{self.info.get('OSType', 'linux')}/{names.get(machine, machine)}"

    @property
    def cgroup_version(self) -> int:
        """1 or 2."""
        return 2 if str(self.info.get("CgroupVersion", "1")) == "2" else 1

    @property
    def podman(self) -> bool:
        """Whether this is Podman behind Docker's API."""
        components = self.info.get("Components") or ()
        named = str(self.info.get("ServerVersion", "")).lower()
        return (
            "podman" in named
            or "BuildahVersion" in self.info
            or self.url.endswith("podman.sock")
            or any("podman" in str(one).lower() for one in components)
        )

    @property
    def desktop(self) -> bool:
        """Whether the engine lives in a virtual machine of Docker Desktop."""
        return "Docker Desktop" in str(self.info.get("OperatingSystem", ""))

    @property
    def rootless(self) -> bool:
        """Whether root inside a container is the user who runs the engine."""
        options = " ".join(self.info.get("SecurityOptions") or ())
        return "name=rootless" in options or (self.podman and "rootless=true" in options)

    @property
    def remapped(self) -> bool:
        """Whether users inside a container are nobody outside (``userns-remap``)."""
        return "name=userns" in " ".join(self.info.get("SecurityOptions") or ())

    @property
    def buildkit(self) -> bool:
        """Whether it builds with BuildKit."""
        version = tuple(int(part) for part in str(self.api._version).split(".")[:2])
        is_linux = self.info.get("OSType", "linux") == "linux"
        return version >= BUILDKIT and is_linux and not self.podman

    @property
    def local(self) -> bool:
        """Whether folders and sockets of this machine can be mounted into its containers.

        It is what the engine says of itself until `folders_seen` has told what is so: a notebook
        that is in a container itself speaks to the engine through a socket, too.
        """
        if self._endpoint.socket is None or sys.platform != "linux":
            return False
        return not (self.desktop or self.remapped or self._folders is False)

    def folders_seen(self, visible: bool) -> None:
        """Note whether a container saw a folder of this machine."""
        self._folders = visible

    def user(self) -> str:
        """Return ``uid:gid`` to run tasks as, so that what they write belongs to the user."""
        # where root inside is the user outside, any other number would be somebody unknown
        return "0:0" if self.rootless else f"{os.getuid()}:{os.getgid()}"

    def ask(self, path: str) -> tuple[int, Any]:
        """Return status and answer of a ``GET``; what is asked often is asked without detours.

        Args:
            path: such as ``/images/python/json``.

        Raises:
            TargetError: the engine does not answer.
        """
        from flyte_jupyter.daemon.failures import explained

        path = quote(path, safe="/?=&:@%")
        if self._endpoint.socket is None:
            return self._asked(path)
        connection = _Connection(self._endpoint.socket)
        try:
            connection.request("GET", f"/v{self.api._version}{path}")
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException) as error:
            raise explained(error) from None
        finally:
            connection.close()

    def _asked(self, path: str) -> tuple[int, Any]:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        from flyte_jupyter.daemon.failures import explained

        try:
            answer = self.api._get(f"{self.api.base_url}/v{self.api._version}{path}")
            return answer.status_code, answer.json()
        except (DockerException, RequestException) as error:
            raise explained(error) from None

    def fresh(self, seconds: float | None = ANSWER_SECONDS) -> Any:
        """Return another client of the same engine, for another thread.

        Args:
            seconds: how long one answer may take, None for no limit.
        """
        return _client(self._endpoint, str(self.api._version), seconds)

    def attach(self, container: str, *, with_input: bool = False) -> socket.socket:
        """Return the stream that is attached to a container, each piece with the engine's header.

        Args:
            container: name or id.
            with_input: whether what is written to it goes to the container's standard input.

        Raises:
            TargetError: the engine refuses.
            OSError: it does not answer.
        """
        from flyte_jupyter.daemon.dial import dial, open_attached

        connection = dial(self._endpoint, ANSWER_SECONDS)
        version = str(self.api._version)
        open_attached(connection, version, container, with_input=with_input)
        return connection

    def events(
        self, filters: Mapping[str, Sequence[str]]
    ) -> tuple[socket.socket, http.client.HTTPResponse]:
        """Subscribe to the engine's events.

        Args:
            filters: which, as the API takes them.

        Returns:
            The connection, and what gives an event a line, as JSON, until that is shut down.

        Raises:
            TargetError: the engine refuses.
            OSError: it does not answer.
        """
        from flyte_jupyter.daemon.dial import dial, open_events

        connection = dial(self._endpoint, ANSWER_SECONDS)
        return connection, open_events(connection, str(self.api._version), filters)

    def close(self) -> None:
        """Let the connections go."""
        self.api.close()

    def __repr__(self) -> str:
        return f"Daemon({self.url!r})"


def connect(options: Mapping[str, Any] = {}) -> Daemon:
    """Find the engine as the docker command does, and meet it.

    Args:
        options: ``host`` (an address) or ``context`` (a name), which come before everything else.

    Raises:
        TargetError: there is none, it does not run, or it may not be used.
    """
    places = endpoints(options)
    named = places[0] if places[0].origin else None
    if named is None:
        places = [place for place in places if os.path.exists(place.socket or "")]
        if not places:
            raise _nothing()
    first: TargetError | None = None
    for place in places:
        try:
            _knock(place)
            return Daemon(place, _client(place, None, ANSWER_SECONDS))
        except TargetError as error:
            # the first place is the one a user knows of
            first = first or error
    assert first is not None
    raise first


def _client(place: Endpoint, version: str | None, seconds: float | None) -> Any:
    from docker import APIClient
    from docker.errors import DockerException
    from docker.tls import TLSConfig
    from requests.exceptions import RequestException

    from flyte_jupyter.daemon.failures import explained

    # a version that is known is not asked for
    given: dict[str, Any] = {"timeout": seconds, "version": version or UNASKED}
    by_ssh = place.url.startswith("ssh://")
    try:
        if place.ca or place.cert:
            pair = (place.cert, place.key) if place.cert and place.key else None
            given["tls"] = TLSConfig(client_cert=pair, ca_cert=place.ca, verify=place.verify)
        if by_ssh:
            from flyte_jupyter.daemon.by_ssh import client_by_ssh

            client = client_by_ssh(place, given["version"], seconds)
        else:
            client = APIClient(place.url, **given)
            _keep_one_connection(client)
        # certificates and proxies that are meant for the web do not lead to an engine
        client.trust_env = False
        if version is None:
            client._version = client.version(api_version=False)["ApiVersion"]
        return client
    except (DockerException, RequestException, OSError, ValueError, LookupError) as error:
        cause = explained(error)
        evidence = cause.evidence or (cause.sentence,)
        if by_ssh:
            from flyte_jupyter.daemon.dial import ssh_says

            evidence = ssh_says(place) or evidence
        if any(WANTS_TLS in line for line in evidence):
            raise TargetError(
                f"The Docker engine at {place.url}{_named(place)} lets in only who has its "
                "certificates.",
                evidence=evidence,
                remedy="Set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to the folder of ca.pem, "
                "cert.pem and key.pem, or make a context of them: docker context create.",
            ) from None
        raise TargetError(
            f"The Docker engine at {place.url}{_named(place)} does not answer as one.",
            evidence=evidence,
            remedy=f"Check it with 'docker version'; {OTHER_ENGINE}",
        ) from None


def _keep_one_connection(client: Any) -> None:
    """Have a client use one connection for all that it asks over a socket of this machine.

    By itself it keeps one for each address that it has asked for: many of them, never used again.
    """
    adapter = getattr(client, "_custom_adapter", None)
    if adapter is not None and hasattr(adapter, "socket_path"):
        pool = adapter.get_connection(client.base_url)
        adapter.get_connection = lambda *_, **__: pool


def _knock(place: Endpoint) -> None:
    """Raise if nobody listens there, in words; a client would wait and say less."""
    if place.socket is not None:
        knocker, address = socket.socket(socket.AF_UNIX), place.socket
        with knocker:
            knocker.settimeout(KNOCK_SECONDS)
            try:
                knocker.connect(address)
            except OSError as error:
                raise _shut(place, error) from None
        return
    split = urlsplit(place.url)
    if split.scheme == "ssh":
        return  # ssh itself says what is wrong
    try:
        port = split.port or (2376 if place.cert else 2375)
        socket.create_connection((split.hostname or "localhost", port), KNOCK_SECONDS).close()
    except (OSError, ValueError) as error:
        raise TargetError(
            f"No Docker engine answers at {place.url}{_named(place)}: {_reason(error)}.",
            remedy=f"Check that it runs and can be reached from here; {OTHER_ENGINE}",
        ) from None


def _shut(place: Endpoint, error: OSError) -> TargetError:
    path = place.socket or ""
    if isinstance(error, PermissionError):
        return TargetError(
            f"You may not use the Docker engine at {path}{_named(place)}: permission denied.",
            remedy="Add yourself to the group of the socket (sudo usermod -aG docker $USER, then "
            "log in again), or use a rootless engine.",
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return TargetError(
            f"There is no Docker engine at {path}{_named(place)}: the socket does not exist.",
            remedy=_start() + f" {OTHER_ENGINE}",
        )
    return TargetError(
        f"The Docker engine at {path}{_named(place)} is not running: {_reason(error)}.",
        remedy=_start(),
    )


def _nothing() -> TargetError:
    import shutil

    if shutil.which("docker") or shutil.which("dockerd") or shutil.which("podman"):
        return TargetError(
            "The Docker engine is not running: none of its sockets is there.",
            remedy=f"{_start()} {OTHER_ENGINE}",
        )
    return TargetError(
        "There is no Docker engine on this machine.",
        remedy="Install Docker (https://docs.docker.com/get-docker/) or Podman, or name an engine "
        "elsewhere with DOCKER_HOST.",
    )


def _start() -> str:
    if sys.platform == "darwin":
        return "Start Docker Desktop."
    if os.path.isdir("/run/systemd/system"):
        return "Start it: sudo systemctl start docker."
    return "Start it: sudo dockerd, or Docker Desktop."


def _named(place: Endpoint) -> str:
    return f" (from {place.origin})" if place.origin else ""


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]
