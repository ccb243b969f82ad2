"""A port of a pod, reached through the API server: bytes in WebSocket frames, on an event loop.

The Kubernetes client has a thread and a copy of everything for each connection; this has neither.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import struct
from collections.abc import Mapping
from typing import Any, cast

from flyte_jupyter.cluster.connect import Access, Cluster, NotLetInError
from flyte_jupyter.cluster.proxy import tunnel
from flyte_jupyter.errors import TargetError

__all__ = ["Forward", "forward"]

PROTOCOL = "v4.channel.k8s.io"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SECONDS = 20.0
# Servers ping seldom and proxies end what is silent.
PING_SECONDS = 15.0
MOST = 64 << 20
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
DATA, ERROR = 0, 1
REMEDIES = {
    101: "Try it: kubectl port-forward.",
    403: "It takes the verbs create and get on pods/portforward.",
}


class Forward(asyncio.Protocol):
    """The connection, as a transport for the protocol that speaks over it.

    Args:
        cluster: where.
        path: of the API, with its query.
        credentials: headers that show who one is.
        protocol: is told of what comes.
    """

    def __init__(
        self,
        cluster: Cluster,
        path: str,
        credentials: Mapping[str, str],
        protocol: asyncio.Protocol,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._cluster = cluster
        self._path = path
        self._credentials = credentials
        self._protocol = protocol
        self._transport: asyncio.Transport | None = None
        self._text = bytearray()
        self._begun = False
        self._ports = 0
        self._over = False
        self._said = ""
        self.status = 101
        self._ping: asyncio.TimerHandle | None = None
        self._key = base64.b64encode(os.urandom(16)).decode()
        self.open: asyncio.Future[None] = self._loop.create_future()

    # from the server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the port."""
        self._transport = cast("asyncio.Transport", transport)
        cluster = self._cluster
        headers = {
            "Host": f"{cluster.host}:{cluster.port}",
            **self._credentials,
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": self._key,
            "Sec-WebSocket-Protocol": PROTOCOL,
        }
        lines = [f"GET {cluster.path}{self._path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._transport.write("\r\n".join((*lines, "", "")).encode("latin-1"))

    def data_received(self, data: bytes) -> None:
        """Take apart what comes."""
        self._text += data
        if not self._begun and not self._answered():
            return
        while not self._over and self._frame():
            pass

    def _answered(self) -> bool:
        head, mark, rest = bytes(self._text).partition(b"\r\n\r\n")
        if not mark:
            return False
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        wanted = base64.b64encode(hashlib.sha1((self._key + GUID).encode()).digest()).decode()
        if " 101 " not in status + " " or headers.get("sec-websocket-accept") != wanted:
            self.status = int(status.split()[1]) if status[9:12].isdigit() else 0
            self._said = f"{status}: {rest.decode('utf-8', 'replace').strip()[:500]}"
            self._end(None)
            return False
        self._text = bytearray(rest)
        self._begun = True
        self._ping = self._loop.call_later(PING_SECONDS, self._live)
        return True

    def _frame(self) -> bool:
        """Take one frame; say whether there was one."""
        text = self._text
        if len(text) < 2:
            return False
        kind, size, at = text[0] & 15, text[1] & 127, 2
        if size == 126:
            if len(text) < 4:
                return False
            (size,), at = struct.unpack_from(">H", text, 2), 4
        elif size == 127:
            if len(text) < 10:
                return False
            (size,), at = struct.unpack_from(">Q", text, 2), 10
        if size > MOST:
            self._end(ConnectionError(f"a frame of {size} bytes"))
            return False
        if len(text) < at + size:
            return False
        payload = bytes(memoryview(text)[at : at + size])
        del text[: at + size]
        if kind == PING:
            self._send(PONG, payload)
        elif kind == CLOSE:
            self._end(None)
        elif kind != PONG and payload:
            self._take(payload[0], payload)
        return True

    def _take(self, channel: int, payload: bytes) -> None:
        if self._ports < 2:
            # the first of each channel repeats the port
            self._ports += 1
            if self._ports == 2:
                self._protocol.connection_made(_Bytes(self))
                self.open.set_result(None)
        elif channel == DATA:
            self._protocol.data_received(memoryview(payload)[1:])  # type: ignore[arg-type]
        elif channel == ERROR:
            self._said = payload[1:].decode("utf-8", "replace")
            self._end(ConnectionError(self._said))

    def _live(self) -> None:
        self._send(PING, b"")
        self._ping = self._loop.call_later(PING_SECONDS, self._live)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that it has ended."""
        self._end(exc)

    def _end(self, error: Exception | None) -> None:
        if self._over:
            return
        self._over = True
        if self._ping is not None:
            self._ping.cancel()
        if self._transport is not None:
            self._transport.abort()
        if not self.open.done():
            self.open.set_exception(
                TargetError(
                    "The cluster does not forward a port of the session's hub.",
                    evidence=[self._said or str(error or "the connection ended")],
                    remedy=REMEDIES.get(self.status, ""),
                )
            )
        elif not self.open.cancelled():
            self._loop.call_soon(self._protocol.connection_lost, error)

    # to the server

    def send(self, data: Any) -> None:
        """Send bytes to the port."""
        if len(data):
            self._send(BINARY, bytes((DATA,)) + bytes(data))

    def _send(self, kind: int, payload: bytes) -> None:
        if self._over or self._transport is None:
            return
        size = len(payload)
        head = bytes((0x80 | kind,))
        if size < 126:
            head += bytes((0x80 | size,))
        elif size < 1 << 16:
            head += bytes((0x80 | 126,)) + struct.pack(">H", size)
        else:
            head += bytes((0x80 | 127,)) + struct.pack(">Q", size)
        # masked with nothing: the mask guards old proxies against hostile pages, there is none here
        self._transport.write(head + b"\0\0\0\0" + payload)

    def close(self) -> None:
        """End it."""
        self._send(CLOSE, b"\x03\xe8")
        self._end(None)


class _Bytes(asyncio.Transport):
    """The port, as the protocol writes to it."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self._forward = forward

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes."""
        self._forward.send(data)

    def close(self) -> None:
        """End the connection."""
        self._forward.close()

    def abort(self) -> None:
        """End the connection."""
        self._forward.close()


async def forward(
    cluster: Cluster, namespace: str, pod: str, port: int, protocol: asyncio.Protocol
) -> Forward:
    """Reach a port of a pod.

    Args:
        cluster: where.
        namespace: the pod's.
        pod: its name.
        port: a port that something listens on there.
        protocol: speaks over the connection.

    Raises:
        TargetError: it cannot be reached.
        OSError: the API server cannot be reached.
    """
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward?ports={port}"
    for first in (True, False):
        # a program may be run to be let in
        shown = await asyncio.to_thread(cluster.access)
        made = await _connected(cluster, shown, path, protocol)
        try:
            return await _opened(made)
        except TargetError as error:
            if made.status != 401:
                raise
            why = await asyncio.to_thread(cluster.renew, shown) if first else ""
            if why is not None:
                raise NotLetInError(*error.evidence, why) from None
    raise AssertionError("the second time is the last")


async def _connected(
    cluster: Cluster,
    shown: tuple[Access, Mapping[str, str]],
    path: str,
    protocol: asyncio.Protocol,
) -> Forward:
    access, credentials = shown
    made = Forward(cluster, path, credentials, protocol)
    where = cluster.host, cluster.port
    if cluster.proxy is not None:
        await tunnel(cluster.proxy, *where, made, access.trust, cluster.server_name)
        return made
    name = cluster.server_name if access.trust is not None else None
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: made, *where, ssl=access.trust, server_hostname=name)
    return made


async def _opened(made: Forward) -> Forward:
    try:
        async with asyncio.timeout(SECONDS):
            await asyncio.shield(made.open)
    except TimeoutError:
        made.close()
        raise TargetError("The API server does not answer a request for a port.") from None
    except asyncio.CancelledError:
        made.close()
        raise
    return made
