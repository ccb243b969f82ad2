"""Which cluster is meant, and how one is let in: what ``kubectl`` would do."""

from __future__ import annotations

import contextlib
import os
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flyte_jupyter.errors import TargetError
from flyte_jupyter.spec.naming import did_you_mean

__all__ = ["Cluster", "connect"]

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
NO_CLUSTER = (
    "Name one in ~/.kube/config or KUBECONFIG, or start one: kind create cluster, or minikube "
    "start. %flyte_run --on docker needs none."
)


class Cluster:
    """A cluster, with the namespace to work in.

    Args:
        configuration: of the Kubernetes client: the address, what is trusted, who one is.
        context: name of the context, ``""`` inside a cluster.
        namespace: where everything is made.
        inside: whether this process runs in the cluster itself.
    """

    def __init__(
        self, configuration: Any, context: str, namespace: str, *, inside: bool = False
    ) -> None:
        self._configuration = configuration
        self._lock = threading.Lock()
        self.context = context
        self.namespace = namespace
        self.inside = inside
        self.url = str(configuration.host).rstrip("/")
        place = urlsplit(self.url)
        self.encrypted = place.scheme == "https"
        self.host = place.hostname or "localhost"
        self.port = place.port or (443 if self.encrypted else 80)
        self.path = place.path
        self.server_name = getattr(configuration, "tls_server_name", None) or self.host
        self.trust = _trust(configuration) if self.encrypted else None

    @property
    def proxy(self) -> str | None:
        """Address of the proxy that leads there."""
        proxy: str | None = self._configuration.proxy
        return proxy

    def headers(self) -> dict[str, str]:
        """Return what shows who one is; credentials that have expired are had anew."""
        with self._lock:  # what has credentials made, such as a program, is run once
            settings = self._configuration.auth_settings()
        return {
            one["key"]: one["value"]
            for one in settings.values()
            if one["in"] == "header" and one["value"]
        }

    def __repr__(self) -> str:
        return f"<Cluster {self.url}, context {self.context!r}, namespace {self.namespace!r}>"


def connect(options: Mapping[str, Any] = {}) -> Cluster:
    """Find the cluster that is meant; it is not asked for anything yet.

    Args:
        options: ``context``, ``namespace`` and ``kubeconfig``, all of them optional.

    Raises:
        TargetError: there is none, or no such context.
    """
    from kubernetes import config
    from kubernetes.config.config_exception import ConfigException

    wanted = options.get("context")
    file = options.get("kubeconfig") or os.environ.get("KUBECONFIG")
    if wanted is None and not options.get("kubeconfig"):
        inside = _inside(options)
        if inside is not None:
            return inside
    try:
        contexts, active = config.list_kube_config_contexts(file)
    except ConfigException as error:
        raise TargetError(
            "There is no Kubernetes cluster to run on.",
            evidence=[str(error)],
            remedy=NO_CLUSTER,
        ) from None
    names = [str(one["name"]) for one in contexts]
    name = wanted or (active or {}).get("name")
    if name not in names:
        hint = did_you_mean(name, names) if name else None
        raise TargetError(
            f"There is no context {name!r} in {file or '~/.kube/config'}{hint or '.'}",
            remedy=f"Contexts: {', '.join(names) or 'none'}.",
        )
    found = next(one["context"] for one in contexts if one["name"] == name)
    configuration = _configuration()
    try:
        config.load_kube_config(file, context=name, client_configuration=configuration)
    except ConfigException as error:
        raise TargetError(
            f"The context {name!r} cannot be used.",
            evidence=[str(error)],
            remedy=f"Try it: kubectl --context {name} get pods",
        ) from None
    namespace = options.get("namespace") or found.get("namespace") or "default"
    return Cluster(configuration, str(name), str(namespace))


def _inside(options: Mapping[str, Any]) -> Cluster | None:
    """Return the cluster that this process runs in, if it is no laptop with one of its own."""
    from kubernetes import config
    from kubernetes.config.config_exception import ConfigException

    if os.environ.get("KUBECONFIG") or Path.home().joinpath(".kube", "config").exists():
        return None
    configuration = _configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except ConfigException:
        return None
    namespace = options.get("namespace")
    with contextlib.suppress(OSError):
        namespace = namespace or (ACCOUNT / "namespace").read_text().strip()
    return Cluster(configuration, "", str(namespace or "default"), inside=True)


def _configuration() -> Any:
    from kubernetes.client.configuration import Configuration

    return Configuration()


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
