"""Calls of a cluster's API: plain JSON in and out, over connections that threads share.

The models of the Kubernetes client refuse fields that its version does not know; what a user
writes in a pod template is for the cluster to judge.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from flyte_jupyter.cluster.connect import Cluster
from flyte_jupyter.errors import TargetError

__all__ = ["Api", "ApiError", "Unanswered", "Watch"]

SECONDS = 30.0
CONNECT = 10.0
# A server ends a watch after so many seconds at the latest; one that is silent for longer is gone.
WATCH_SECONDS = 240
AT_ONCE = 16


class ApiError(Exception):
    """The cluster has refused a call.

    Args:
        status: of HTTP.
        reason: one word, such as ``Forbidden`` or ``AlreadyExists``.
        sentence: what the cluster says.
        after: seconds after which it may be asked again, ``None`` where it does not say.
    """

    def __init__(self, status: int, reason: str, sentence: str, after: float | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason = reason
        self.sentence = sentence
        self.after = after


class Unanswered(TargetError):
    """The cluster does not answer a call: whether it has done what was asked is not known."""


class Api:
    """A cluster's API; safe from any thread.

    Args:
        cluster: the cluster.
    """

    def __init__(self, cluster: Cluster) -> None:
        import urllib3

        self._cluster = cluster
        given: dict[str, Any] = {
            "maxsize": AT_ONCE,
            "retries": False,
            "timeout": urllib3.Timeout(connect=CONNECT, read=SECONDS),
        }
        if cluster.trust is not None:
            given["ssl_context"] = cluster.trust
            given["server_hostname"] = cluster.server_name
            if not cluster.trust.check_hostname:
                given["assert_hostname"] = False
        if cluster.proxy:
            self._pool: Any = urllib3.ProxyManager(cluster.proxy, **given)
        else:
            self._pool = urllib3.PoolManager(**given)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        **query: str,
    ) -> dict[str, Any]:
        """Return what the cluster answers.

        Args:
            method: of HTTP.
            path: of the API, such as ``/api/v1/nodes``.
            body: what is sent.
            **query: parameters of the path.

        Raises:
            ApiError: it refuses.
            TargetError: it does not answer.
        """
        with self._asked(method, path, body, query, preload=True) as answer:
            found: dict[str, Any] = json.loads(answer.data)
        return found

    def text(self, path: str, **query: str) -> str:
        """Return an answer that is plain text, such as a log.

        Raises:
            ApiError: the cluster refuses.
            TargetError: it does not answer.
        """
        with self._asked("GET", path, None, query, preload=True) as answer:
            return bytes(answer.data).decode("utf-8", "replace")

    def watch(self, path: str, **query: str) -> Watch:
        """Return the events of a list, which come until the server ends them.

        Raises:
            ApiError: it refuses.
            TargetError: it does not answer.
        """
        query |= {"watch": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        answer = contextlib.ExitStack()
        return Watch(answer.enter_context(self._asked("GET", path, None, query)), answer)

    @contextlib.contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str],
        *,
        preload: bool = False,
    ) -> Iterator[Any]:
        import urllib3

        headers = {"Accept": "application/json, */*", **self._cluster.headers()}
        if body is not None:
            headers["Content-Type"] = (
                "application/merge-patch+json" if method == "PATCH" else "application/json"
            )
        url = self._cluster.url + path + (f"?{urlencode(query)}" if query else "")
        given: dict[str, Any] = {"headers": headers, "preload_content": preload}
        if body is not None:
            given["body"] = json.dumps(body).encode()
        if not preload:
            given["timeout"] = urllib3.Timeout(connect=CONNECT, read=WATCH_SECONDS + SECONDS)
        try:
            answer = self._pool.request(method, url, **given)
        except urllib3.exceptions.HTTPError as error:
            raise Unanswered(
                f"The cluster at {self._cluster.url} does not answer.",
                evidence=[str(error)],
                remedy="Check that it runs and that this machine reaches it: kubectl cluster-info",
            ) from None
        try:
            if answer.status >= 400:
                raise _refused(answer.status, answer.data, answer.headers.get("Retry-After"))
            yield answer
        finally:
            answer.release_conn()

    def close(self) -> None:
        """Let the connections go."""
        self._pool.clear()


class Watch:
    """Events as they come.

    Args:
        answer: the server's, which goes on.
        held: closed at the end.
    """

    def __init__(self, answer: Any, held: contextlib.ExitStack) -> None:
        self._answer = answer
        self._held = held

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each event; the end is that of the connection, however it came."""
        import urllib3

        text = b""
        try:
            for part in self._answer.stream(None, decode_content=True):
                *lines, text = (text + part).split(b"\n")
                for line in lines:
                    if line:
                        yield json.loads(line)
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            return

    def close(self) -> None:
        """End it, from any thread: who waits for an event waits no longer."""
        with contextlib.suppress(Exception):
            self._answer.shutdown()
        self._held.close()


def _refused(status: int, data: bytes, later: str | None) -> ApiError:
    after = float(later) if later and later.isdigit() else None
    try:
        said = json.loads(data)
        reason, sentence = str(said.get("reason") or ""), str(said.get("message") or "")
        return ApiError(status, reason, sentence, after)
    except (ValueError, AttributeError):
        return ApiError(status, "", data.decode("utf-8", "replace").strip()[:500], after)
