"""Which cluster is meant, and how one is let in: what ``kubectl`` would do."""

from __future__ import annotations

import contextlib
import functools
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flyte_jupyter.cluster.kubeconfig import find_context, read, unheard
from flyte_jupyter.cluster.proxy import find_proxy
from flyte_jupyter.errors import TargetError

__all__ = ["Access", "Cluster", "NotLetInError", "connect", "namespace_of"]

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# What has credentials made may take a second, and what fails to may ask somebody: both are left
# alone for so many seconds.
PAUSE = 10.0


class Access:
    """What is shown to a cluster, and what is trusted of it, from one reading of credentials.

    Args:
        configuration: of the Kubernetes client.
    """

    def __init__(self, configuration: Any) -> None:
        self._configuration = configuration
        self.trust = _trusted(configuration) if str(configuration.host)[:5] == "https" else None
        certificate = configuration.cert_file
        self.certificate = Path(certificate).read_bytes() if certificate else b""

    def headers(self) -> dict[str, str]:
        """Return what shows who one is; credentials that have expired are had anew."""
        settings = self._configuration.auth_settings()
        return {
            one["key"]: one["value"]
            for one in settings.values()
            if one["in"] == "header" and one["value"]
        }


class Cluster:
    """A cluster, with the namespace to work in.

    Args:
        read: reads the configuration of the Kubernetes client: the address, what is trusted, who
            one is. What lets one in is read again when it is refused.
        context: name of the context, ``""`` inside a cluster.
        namespace: where everything is made.
        proxy: address of the proxy that leads there, ``None`` for that of the environment.
        inside: whether this process runs in the cluster itself.

    Raises:
        TargetError: it cannot be read.
    """

    def __init__(
        self,
        read: Callable[[], Any],
        context: str,
        namespace: str,
        *,
        proxy: str | None = None,
        inside: bool = False,
    ) -> None:
        self._read = read
        self._lock = threading.Lock()
        self.context = context
        self.namespace = namespace
        self.inside = inside
        configuration = read()
        self._access = Access(configuration)
        self._known = self._access, self._access.headers()
        self._rest = time.monotonic() + PAUSE
        self._vain, self._why = 0.0, ""
        self.url = str(configuration.host).rstrip("/")
        place = urlsplit(self.url)
        self.encrypted = place.scheme == "https"
        self.host = place.hostname or "localhost"
        self.port = place.port or (443 if self.encrypted else 80)
        self.path = place.path
        self.server_name = getattr(configuration, "tls_server_name", None) or self.host
        self.proxy = find_proxy(self.url, proxy)

    def access(self) -> tuple[Access, dict[str, str]]:
        """Return what one is let in by now, with the headers that show it; may block.

        Credentials that are known to have expired are had anew, by a program if that is how.
        """
        with self._lock:  # what has credentials made is run once
            if time.monotonic() >= self._rest:
                # what cannot be had anew is shown until it is refused, and told then
                with unheard(), contextlib.suppress(Exception):
                    headers = self._access.headers()
                    if self._known[1] != headers:
                        self._known = self._access, headers
                self._rest = time.monotonic() + PAUSE
            return self._known

    def renew(self, refused: tuple[Access, dict[str, str]]) -> str | None:
        """Read anew what lets one in, after the cluster has refused it; may block.

        Args:
            refused: what :meth:`access` has returned.

        Returns:
            ``None`` if there is something else to show now, or why there is not.
        """
        with self._lock:
            if self._known is not refused:
                return None
            if time.monotonic() < self._vain:
                return self._why
            try:
                access = Access(self._read())
                known = access, access.headers()
            except TargetError as error:
                self._why = " ".join((error.sentence, *error.evidence))
            else:
                if (access.certificate, known[1]) != (refused[0].certificate, refused[1]):
                    self._access, self._known = known[0], known
                    return None
                self._why = "What lets you in was read again, and it is the same."
            self._vain = time.monotonic() + PAUSE
            return self._why

    def __repr__(self) -> str:
        return f"<Cluster {self.url}, context {self.context!r}, namespace {self.namespace!r}>"


class NotLetInError(TargetError):
    """The cluster does not know who one is.

    Args:
        *said: what was heard of it.
    """

    def __init__(self, *said: str) -> None:
        super().__init__(
            "The cluster does not know who you are.",
            evidence=filter(None, said),
            remedy="Log in again as you do for kubectl; what waits goes on then.",
        )


def connect(options: Mapping[str, Any] = {}) -> Cluster:
    """Find the cluster that is meant; it is not asked for anything yet.

    Args:
        options: ``context``, ``namespace`` and ``kubeconfig``, all of them optional.

    Raises:
        TargetError: there is none, no such context, or what logs one in fails.
    """
    if _may_be_inside(options):
        inside = _inside(options)
        if inside is not None:
            return inside
    found = find_context(options)
    namespace = options.get("namespace") or found.namespace or "default"
    again = functools.partial(read, found.file, found.name)
    return Cluster(again, found.name, str(namespace), proxy=found.proxy)


def namespace_of(options: Mapping[str, Any] = {}) -> str:
    """Return the namespace that is meant, where a cluster is; nobody is logged in for that.

    Args:
        options: as those of :func:`connect`.

    Raises:
        TargetError: there is no such context.
    """
    if options.get("namespace"):
        return str(options["namespace"])
    with contextlib.suppress(OSError):
        if _may_be_inside(options):
            return (ACCOUNT / "namespace").read_text().strip()
    return find_context(options).namespace or "default"


def _may_be_inside(options: Mapping[str, Any]) -> bool:
    """Say whether nothing names a cluster, as on a laptop that has some."""
    if options.get("context") or options.get("kubeconfig") or os.environ.get("KUBECONFIG"):
        return False
    return not Path.home().joinpath(".kube", "config").exists()


def _inside(options: Mapping[str, Any]) -> Cluster | None:
    """Return the cluster that this process runs in, if it runs in one."""
    from kubernetes import config
    from kubernetes.client.configuration import Configuration
    from kubernetes.config.config_exception import ConfigException

    def own() -> Any:
        configuration = Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)
        except (ConfigException, OSError) as error:
            raise TargetError(
                "The account of this pod cannot be read.", evidence=[str(error)]
            ) from None
        return configuration

    namespace = options.get("namespace")
    with contextlib.suppress(OSError):
        namespace = namespace or (ACCOUNT / "namespace").read_text().strip()
    try:
        return Cluster(own, "", str(namespace or "default"), inside=True)
    except TargetError:
        return None


def _trusted(configuration: Any) -> ssl.SSLContext:
    """Return what is trusted, and shown.

    Raises:
        TargetError: it cannot be read.
    """
    try:
        return _trust(configuration)
    except OSError as error:
        raise TargetError(
            f"A certificate of the cluster at {configuration.host} cannot be read.",
            evidence=[str(error)],
            remedy="Correct certificate-authority, client-certificate and client-key in the "
            "kubeconfig, with -data or without.",
        ) from None


def _trust(configuration: Any) -> ssl.SSLContext:
    trust = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    data = getattr(configuration, "ca_cert_data", None)
    if data:
        trust.load_verify_locations(cadata=data)
    if configuration.cert_file:
        trust.load_cert_chain(configuration.cert_file, configuration.key_file)
    if configuration.assert_hostname is False:
        trust.check_hostname = False
    if not configuration.verify_ssl:
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
    return trust
