"""Which cluster is meant, and how one is let in: what ``kubectl`` would do."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flyte_jupyter.cluster.proxy import find_proxy
from flyte_jupyter.errors import TargetError
from flyte_jupyter.spec.naming import did_you_mean

__all__ = ["Access", "Cluster", "NotLetInError", "connect", "namespace_of"]

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# What has credentials made may take a second, and what fails to may ask somebody: both are left
# alone for so many seconds.
PAUSE = 10.0
NO_CLUSTER = (
    "Name one in ~/.kube/config or KUBECONFIG, or start one: kind create cluster, or minikube "
    "start. %flyte_run --on docker needs none."
)


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
                with _unheard():  # what is shown for too long is refused, and told then
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
            except OSError as error:
                self._why = str(error)
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
    file, found = _context(options)
    name = str(found["name"])
    namespace = options.get("namespace") or found["context"].get("namespace") or "default"
    proxy = _proxy(file, str(found["context"]["cluster"]))
    return Cluster(lambda: _read(file, name), name, str(namespace), proxy=proxy)


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
    return str(_context(options)[1]["context"].get("namespace") or "default")


def _context(options: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return the kubeconfig that is meant, and the context in it."""
    import yaml  # type: ignore[import-untyped]
    from kubernetes import config
    from kubernetes.config.config_exception import ConfigException

    wanted = options.get("context")
    file = options.get("kubeconfig") or os.environ.get("KUBECONFIG")
    try:
        contexts, active = config.list_kube_config_contexts(file)
    except (ConfigException, OSError) as error:
        raise TargetError(
            "There is no Kubernetes cluster to run on.",
            evidence=[str(error)],
            remedy=NO_CLUSTER,
        ) from None
    except (yaml.YAMLError, TypeError, AttributeError) as error:
        said = str(error) if isinstance(error, yaml.YAMLError) else "It is no table of contexts."
        raise TargetError(
            f"{file or '~/.kube/config'} is no kubeconfig.",
            evidence=said.splitlines(),
            remedy="Correct it until this shows your contexts: kubectl config get-contexts",
        ) from None
    names = [str(one["name"]) for one in contexts]
    name = wanted or (active or {}).get("name")
    if name not in names:
        hint = did_you_mean(name, names) if name else None
        raise TargetError(
            f"There is no context {name!r} in {file or '~/.kube/config'}{hint or '.'}",
            remedy=f"Contexts: {', '.join(names) or 'none'}.",
        )
    return file, next(one for one in contexts if one["name"] == name)


def _proxy(file: str | None, cluster: str) -> str | None:
    """Return the proxy that a kubeconfig names; not every version of the client reads that."""
    from kubernetes.config import kube_config
    from kubernetes.config.config_exception import ConfigException

    merged = kube_config.KubeConfigMerger(file or kube_config.KUBE_CONFIG_DEFAULT_LOCATION).config
    with contextlib.suppress(ConfigException):  # whoever reads the whole of it tells
        named: str | None = (
            merged["clusters"].get_with_name(cluster)["cluster"].safe_get("proxy-url")
        )
        return named
    return None


def _read(file: str | None, name: str) -> Any:
    """Return what a context says, with what a program or a file gives to be let in by.

    Raises:
        TargetError: it cannot be used.
    """
    from kubernetes import config
    from kubernetes.config.config_exception import ConfigException

    configuration = _configuration()
    with _unheard() as said:
        try:
            config.load_kube_config(file, context=name, client_configuration=configuration)
        except (ConfigException, OSError, ValueError) as error:
            said.append(str(error))
    if said:
        raise TargetError(
            f"The context {name!r} cannot be used: what it takes to be let in cannot be had.",
            evidence=[line for text in said for line in text.splitlines() if line.strip()],
            remedy=f"Log in again as you do for kubectl; try: kubectl --context {name} get pods",
        )
    return configuration


@contextlib.contextmanager
def _unheard() -> Iterator[list[str]]:
    """Collect what the client would only write to its log: a program that fails, for one."""
    said: list[str] = []
    thread = threading.get_ident()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread and record.levelno >= logging.ERROR:
                said.append(record.getMessage())

    ear = Ear()
    logging.getLogger().addHandler(ear)
    try:
        yield said
    finally:
        logging.getLogger().removeHandler(ear)


def _may_be_inside(options: Mapping[str, Any]) -> bool:
    """Say whether nothing names a cluster, as on a laptop that has some."""
    if options.get("context") or options.get("kubeconfig") or os.environ.get("KUBECONFIG"):
        return False
    return not Path.home().joinpath(".kube", "config").exists()


def _inside(options: Mapping[str, Any]) -> Cluster | None:
    """Return the cluster that this process runs in, if it runs in one."""
    from kubernetes import config
    from kubernetes.config.config_exception import ConfigException

    def read() -> Any:
        configuration = _configuration()
        config.load_incluster_config(client_configuration=configuration)
        return configuration

    namespace = options.get("namespace")
    with contextlib.suppress(OSError):
        namespace = namespace or (ACCOUNT / "namespace").read_text().strip()
    try:
        return Cluster(read, "", str(namespace or "default"), inside=True)
    except ConfigException:
        return None


def _configuration() -> Any:
    from kubernetes.client.configuration import Configuration

    return Configuration()


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
