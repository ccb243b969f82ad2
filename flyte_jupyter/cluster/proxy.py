"""The proxy that leads to a cluster: which one is meant, and a way through it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

from flyte_jupyter.errors import TargetError

__all__ = ["Proxy", "find_proxy", "tunnel"]

SCHEMES = ("http", "https")
HERE = ("localhost", "127.0.0.1", "::1")
MOST = 1 << 16


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy of HTTP.

    Args:
        url: its address, without what one logs in with.
        headers: what one logs in with.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.url


def find_proxy(url: str, named: str | None) -> Proxy | None:
    """Return the proxy that leads to a cluster, ``None`` where it is reached directly.

    Args:
        url: the cluster's.
        named: the proxy that the kubeconfig names, ``None`` for that of the environment.

    Raises:
        TargetError: it speaks what is not spoken here.
    """
    if named is None:
        given = getproxies_environment()
        place = urlsplit(url)
        host = place.hostname or ""
        named = given.get(place.scheme)
        if named is None or host in HERE or _left_out(host, given.get("no", "")):
            return None
    return _read(named)


def _left_out(host: str, text: str) -> bool:
    """Say whether ``NO_PROXY`` names a host: by its name, its domain or its network."""
    for part in text.split(","):
        one = part.strip().lower()
        domain = f".{one.removeprefix('*').lstrip('.')}"
        if one == "*" or (one and f".{host.lower()}".endswith(domain)):
            return True
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(host) in ipaddress.ip_network(one):
                return True
    return False


def _read(text: str) -> Proxy:
    place = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = place.port or (443 if place.scheme == "https" else 80)
    except ValueError:
        port = 0
    if place.scheme not in SCHEMES or not place.hostname or not port:
        shown = f"{place.scheme}://{place.hostname or ''}"
        raise TargetError(
            f"The proxy {shown} that leads to the cluster cannot be used.",
            remedy="Give one that speaks HTTP, in HTTPS_PROXY or as proxy-url of the cluster in "
            "the kubeconfig: http://HOST:PORT.",
        )
    headers = {}
    if place.username is not None:
        login = f"{unquote(place.username)}:{unquote(place.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    host = f"[{place.hostname}]" if ":" in place.hostname else place.hostname
    return Proxy(f"{place.scheme}://{host}:{port}", headers)


class _Tunnel(asyncio.Protocol):
    """The request for a way through, and its answer."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._text = b""
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self._text += data
        if not self.answer.done() and (b"\r\n\r\n" in self._text or len(self._text) > MOST):
            self.answer.set_result(self._text.split(b"\r\n", 1)[0].decode("latin-1"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_result(f"the connection ended: {exc}" if exc else "it hung up")


async def tunnel(
    proxy: Proxy,
    host: str,
    port: int,
    protocol: asyncio.Protocol,
    trust: ssl.SSLContext | None,
    name: str,
) -> None:
    """Connect a protocol to a host behind a proxy.

    Args:
        proxy: which.
        host: the host's name or address.
        port: a port of it.
        protocol: speaks over the connection.
        trust: how it is encrypted from end to end, ``None`` where it is not.
        name: what the host shows to be.

    Raises:
        TargetError: the proxy refuses.
        OSError: it cannot be reached.
    """
    loop = asyncio.get_running_loop()
    place = urlsplit(proxy.url)
    goal = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {goal} HTTP/1.1", f"Host: {goal}"]
    lines += [f"{key}: {value}" for key, value in proxy.headers.items()]
    request = "\r\n".join((*lines, "", "")).encode("latin-1")
    secure = ssl.create_default_context() if place.scheme == "https" else None
    transport, asks = await loop.create_connection(
        lambda: _Tunnel(request), str(place.hostname), place.port or 0, ssl=secure
    )
    through: asyncio.Transport | None = transport
    try:
        answer = await asks.answer
        if " 200" not in answer[:13]:
            raise TargetError(
                f"The proxy {proxy} does not let a connection to the cluster through.",
                evidence=[answer],
                remedy="Check HTTPS_PROXY, or proxy-url of the cluster in the kubeconfig.",
            )
        transport.set_protocol(protocol)
        if trust is not None:
            through = await loop.start_tls(transport, protocol, trust, server_hostname=name)
    except BaseException:
        transport.abort()
        raise
    if through is None:
        raise ConnectionError(f"{proxy} has ended the connection")
    protocol.connection_made(through)
