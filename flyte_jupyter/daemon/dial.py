"""A connection to the engine of our own, for a stream that is no answer to a request."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import weakref
from collections.abc import Mapping, Sequence
from http.client import HTTPException, HTTPResponse
from urllib.parse import quote, urlencode, urlsplit

from flyte_jupyter.daemon.endpoints import Endpoint
from flyte_jupyter.errors import TargetError

__all__ = ["dial", "open_attached", "open_events", "ssh_says"]

MOST_HEAD = 64 * 1024
SSH_SECONDS = 15.0
# Seconds without a word until a sign of life is asked for, between two such, and how many of them
# may stay without an answer.
KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 8}


def dial(endpoint: Endpoint, seconds: float | None) -> socket.socket:
    """Connect to an engine.

    Args:
        endpoint: where it listens.
        seconds: how long that, and each answer, may take, None for no limit.

    Raises:
        OSError: it does not answer.
    """
    if endpoint.socket is not None:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(seconds)
        try:
            connection.connect(endpoint.socket)
        except OSError:
            connection.close()
            raise
        return connection
    split = urlsplit(endpoint.url)
    if split.scheme == "ssh":
        connection = _by_ssh(endpoint)
        connection.settimeout(seconds)
        return connection
    encrypted = bool(endpoint.ca or endpoint.cert)
    plain = socket.create_connection(
        (split.hostname or "localhost", split.port or (2376 if encrypted else 2375)), seconds
    )
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _keep_alive(plain)
    return _encrypted(plain, endpoint, split.hostname) if encrypted else plain


def _keep_alive(connection: socket.socket) -> None:
    """Have a machine that is gone noticed, and one between us remember an idle connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _encrypted(plain: socket.socket, endpoint: Endpoint, host: str | None) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=endpoint.ca or None)
    if not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if endpoint.cert and endpoint.key:
        context.load_cert_chain(endpoint.cert, endpoint.key)
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except OSError:
        plain.close()
        raise


def _by_ssh(endpoint: Endpoint) -> socket.socket:
    """Let the docker command of the other machine connect us, as the one here does it."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [*_ssh(endpoint), "docker", "system", "dial-stdio"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt in the terminal is not for it
        )
    weakref.finalize(ours, _reap, process)
    return ours


def _ssh(endpoint: Endpoint) -> list[str]:
    split = urlsplit(endpoint.url)
    host = f"{split.username}@{split.hostname}" if split.username else split.hostname or ""
    port = ["-p", str(split.port)] if split.port else []
    return ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", *port, host]


def ssh_says(endpoint: Endpoint) -> tuple[str, ...]:
    """Return what is said, a line each, of an engine that cannot be reached by ssh.

    Args:
        endpoint: where it is.
    """
    command = [*_ssh(endpoint), "docker", "version"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SSH_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return (str(error),)
    return tuple(done.stderr.decode("utf-8", "replace").splitlines()[-5:])


def _reap(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def open_attached(
    connection: socket.socket, version: str, container: str, *, with_input: bool
) -> None:
    """Turn a connection into the stream that is attached to a container.

    Args:
        connection: one that was dialled; it is closed if this fails.
        version: of the engine's API.
        container: name or id.
        with_input: whether the standard input is attached as well as the outputs.

    Raises:
        TargetError: the engine refuses.
        OSError: it does not answer.
    """
    query = {"stream": 1, "stdout": 1, "stderr": 1, "stdin": int(with_input)}
    head = (
        f"POST /v{version}/containers/{quote(container)}/attach?{urlencode(query)} HTTP/1.1\r\n"
        "Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    )
    try:
        connection.sendall(head.encode("ascii"))
        answer = bytearray()
        while not answer.endswith(b"\r\n\r\n"):
            # a byte at a time: what follows the head is the stream's
            byte = connection.recv(1)
            if not byte or len(answer) > MOST_HEAD:
                raise TargetError("The Docker engine ended a connection in the middle of a word.")
            answer += byte
        line = answer.split(b"\r\n", 1)[0].decode("latin-1")
        if line.split(" ", 2)[1] not in ("101", "200"):
            words = _refusal(connection, bytes(answer)) or line.split(" ", 1)[1]
            raise TargetError(f"The Docker engine does not attach to a container: {words}.")
        connection.settimeout(None)
    except BaseException:
        connection.close()
        raise


def _refusal(connection: socket.socket, head: bytes) -> str:
    """Return what an engine says in an answer whose head was read, ``""`` if it says nothing."""
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    left = min(int(length[1]), MOST_HEAD) if length else 0
    body = b""
    while len(body) < left:
        data = connection.recv(left - len(body))
        if not data:
            break
        body += data
    try:
        said = json.loads(body)["message"]
    except (ValueError, LookupError, TypeError):
        said = body.decode("utf-8", "replace")
    return str(said).strip().rstrip(".")


def open_events(
    connection: socket.socket, version: str, filters: Mapping[str, Sequence[str]]
) -> HTTPResponse:
    """Subscribe to the engine's events; each is a line of JSON.

    Args:
        connection: one that was dialled; it is closed if this fails.
        version: of the engine's API.
        filters: which events, as the API takes them.

    Raises:
        TargetError: the engine refuses.
        OSError: it does not answer.
    """
    query = urlencode({"filters": json.dumps(filters)})
    head = f"GET /v{version}/events?{query} HTTP/1.1\r\nHost: docker\r\n\r\n"
    try:
        connection.sendall(head.encode("ascii"))
        answer = HTTPResponse(connection)
        answer.begin()
        if answer.status != 200:
            raise TargetError(f"The Docker engine tells no events: {answer.reason}.")
        connection.settimeout(None)
    except HTTPException as error:
        connection.close()
        raise TargetError(f"The Docker engine tells no events: {error}.") from None
    except BaseException:
        connection.close()
        raise
    return answer
