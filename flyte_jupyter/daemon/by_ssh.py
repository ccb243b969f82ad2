"""A client of an engine behind ssh, with nothing but the ssh program.

The docker package would ask for another package first.
"""

from __future__ import annotations

from typing import Any

from docker import APIClient
from docker.transport.unixconn import (
    UnixHTTPAdapter,
    UnixHTTPConnection,
    UnixHTTPConnectionPool,
)

from flyte_jupyter.daemon.dial import dial
from flyte_jupyter.daemon.endpoints import Endpoint

__all__ = ["client_by_ssh"]


def client_by_ssh(place: Endpoint, version: str, seconds: float | None) -> Any:
    """Return a client.

    Args:
        place: where the engine is.
        version: of its API.
        seconds: how long one answer may take, None for no limit.
    """
    client = APIClient("unix:///ssh", version=version, timeout=seconds)
    adapter = _Adapter(place, seconds)
    client.mount("http+docker://", adapter)
    client._custom_adapter = adapter
    return client


class _Connection(UnixHTTPConnection):  # type: ignore[misc]
    def __init__(self, place: Endpoint, url: str, seconds: float | None) -> None:
        super().__init__(url, "", seconds)
        self._place = place

    def connect(self) -> None:
        self.sock = dial(self._place, self.timeout)


class _Pool(UnixHTTPConnectionPool):  # type: ignore[misc]
    def __init__(self, place: Endpoint, url: str, seconds: float | None) -> None:
        super().__init__(url, "", seconds)
        self._place = place

    def _new_conn(self) -> _Connection:
        return _Connection(self._place, self.base_url, self.timeout)


class _Adapter(UnixHTTPAdapter):  # type: ignore[misc]
    def __init__(self, place: Endpoint, seconds: float | None) -> None:
        super().__init__("http+unix:///ssh", seconds)
        self._place = place

    def get_connection(self, url: str, proxies: Any = None) -> _Pool:
        del proxies
        with self.pools.lock:
            if url not in self.pools:
                self.pools[url] = _Pool(self._place, url, self.timeout)
            pool: _Pool = self.pools[url]
            return pool
