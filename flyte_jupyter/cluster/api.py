"""Calls of a cluster's API: plain JSON in and out, over connections that threads share.

The models of the Kubernetes client refuse fields that its version does not know; what a user
writes in a pod template is for the cluster to judge.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from flyte_jupyter.cluster.connect import Access, Cluster
from flyte_jupyter.errors import TargetError

__all__ = ["Api", "ApiError", "Body", "Unanswered", "Watch"]

Body = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None

SECONDS = 30.0
CONNECT = 10.0
# A server ends a watch after so many seconds at the latest; one that is silent for longer is gone.
WATCH_SECONDS = 240
AT_ONCE = 16
ANONYMOUS = "system:anonymous"


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

    @property
    def stranger(self) -> bool:
        """Whether the cluster does not know who one is."""
        return self.status == 401 or (self.status == 403 and ANONYMOUS in self.sentence)


class Unanswered(TargetError):
    """The cluster does not answer a call: whether it has done what was asked is not known."""


class Api:
    """A cluster's API; safe from any thread.

    Args:
        cluster: the cluster.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._pool: tuple[Access, Any] | None = None

    def _connections(self, access: Access) -> Any:
        """Return the connections of one access: a certificate is shown once for each of them."""
        with self._lock:
            if self._pool is None or self._pool[0] is not access:
                self._pool = access, _pool(self._cluster, access)
            return self._pool[1]

    def call(
        self,
        method: str,
        path: str,
        body: Body = None,
        **query: str,
    ) -> dict[str, Any]:
        """Return what the cluster answers.

        Args:
            method: of HTTP.
            path: of the API, such as ``/api/v1/nodes``.
            body: what is sent; to change something, its new fields or a list of operations.
            **query: parameters of the path.

        Raises:
            ApiError: it refuses.
            TargetError: it does not answer.
        """
        with self._asked(method, path, body, query, preload=True) as answer:
            text = answer.data
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:
            raise TargetError(
                f"What answers at {self._cluster.url} is no cluster.",
                evidence=text.decode("utf-8", "replace").splitlines()[:3],
                remedy="Check its address, and that no proxy answers in its place: "
                "kubectl cluster-info",
            ) from None
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
        body: Body,
        query: Mapping[str, str],
        *,
        preload: bool = False,
    ) -> Iterator[Any]:
        import urllib3

        headers = {"Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = _kind(method, body)
        url = self._cluster.url + path + (f"?{urlencode(query)}" if query else "")
        given: dict[str, Any] = {"preload_content": preload}
        if body is not None:
            given["body"] = json.dumps(body).encode()
        if not preload:
            given["timeout"] = urllib3.Timeout(connect=CONNECT, read=WATCH_SECONDS + SECONDS)
        shown = self._cluster.access()
        answer = self._answer(method, url, shown, headers, given)
        if answer.status == 401:
            data = answer.data
            answer.release_conn()
            why = self._cluster.renew(shown)
            if why is not None:
                raise _refused(401, data, None, why)
            answer = self._answer(method, url, self._cluster.access(), headers, given)
        try:
            if answer.status >= 400:
                raise _refused(answer.status, answer.data, answer.headers.get("Retry-After"))
            yield answer
        finally:
            answer.release_conn()

    def _answer(
        self,
        method: str,
        url: str,
        shown: tuple[Access, Mapping[str, str]],
        headers: Mapping[str, str],
        given: Mapping[str, Any],
    ) -> Any:
        import urllib3

        access, credentials = shown
        pool = self._connections(access)
        try:
            return pool.request(method, url, headers={**headers, **credentials}, **given)
        except urllib3.exceptions.HTTPError as error:
            raise _unanswered(self._cluster, str(error)) from None

    def close(self) -> None:
        """Let the connections go."""
        if self._pool is not None:
            self._pool[1].clear()


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
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError):
            return  # the last where it was closed while it was read

    def close(self) -> None:
        """End it, from any thread: who waits for an event waits no longer."""
        with contextlib.suppress(Exception):
            self._answer.shutdown()
        self._held.close()


def _kind(method: str, body: Body) -> str:
    if method != "PATCH":
        return "application/json"
    fields = isinstance(body, Mapping)
    return "application/merge-patch+json" if fields else "application/json-patch+json"


def _pool(cluster: Cluster, access: Access) -> Any:
    import urllib3

    given: dict[str, Any] = {
        "maxsize": AT_ONCE,
        "retries": False,
        "timeout": urllib3.Timeout(connect=CONNECT, read=SECONDS),
    }
    if access.trust is not None:
        given["ssl_context"] = access.trust
        given["server_hostname"] = cluster.server_name
        if not access.trust.check_hostname:
            given["assert_hostname"] = False
    if cluster.proxy is None:
        return urllib3.PoolManager(**given)
    return urllib3.ProxyManager(cluster.proxy.url, proxy_headers=cluster.proxy.headers, **given)


def _unanswered(cluster: Cluster, said: str) -> TargetError:
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return TargetError(
            f"The cluster at {cluster.url} shows a certificate that is not trusted.",
            evidence=[said],
            remedy="Check certificate-authority and tls-server-name of the cluster in the "
            "kubeconfig: kubectl cluster-info",
        )
    through = f" through the proxy {cluster.proxy}" if cluster.proxy else ""
    return Unanswered(
        f"The cluster at {cluster.url} does not answer{through}.",
        evidence=[said],
        remedy="Check that it runs and that this machine reaches it: kubectl cluster-info",
    )


def _refused(status: int, data: bytes, later: str | None, why: str = "") -> ApiError:
    try:
        said = json.loads(data)
        reason, sentence = str(said.get("reason") or ""), str(said.get("message") or "")
    except (ValueError, AttributeError):
        reason, sentence = "", data.decode("utf-8", "replace").strip()[:500]
    after = float(later) if later and later.isdigit() else None
    return ApiError(status, reason, f"{sentence}: {why}" if why else sentence, after)
