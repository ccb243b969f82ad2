"""What kubectl reads, read as it does: contexts, and what lets one in by each of them."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.errors import TargetError
from flyte_jupyter.spec.naming import did_you_mean

__all__ = ["Context", "find_context", "read", "unheard"]

NO_CLUSTER = (
    "Name one in ~/.kube/config or KUBECONFIG, or start one: kind create cluster, or minikube "
    "start. %flyte_run --on docker needs none."
)

# The client remembers the file of a certificate before it has written it: another thread that asks
# for the same one meanwhile would read less. Nor should a program ask twice for a password.
_alone = threading.Lock()


@dataclass(frozen=True, slots=True)
class Context:
    """A context, with what not every version of the client makes of it.

    Args:
        file: the kubeconfig, ``None`` for kubectl's own.
        name: of the context.
        namespace: that it names.
        proxy: that leads to its cluster.
    """

    file: str | None
    name: str
    namespace: str | None
    proxy: str | None


def find_context(options: Mapping[str, Any]) -> Context:
    """Return the context that is meant; nobody is logged in for that.

    Args:
        options: ``context`` and ``kubeconfig``, both of them optional.

    Raises:
        TargetError: there is none, or it cannot be read.
    """
    import yaml
    from kubernetes.config import kube_config
    from kubernetes.config.config_exception import ConfigException

    wanted = options.get("context")
    file = options.get("kubeconfig") or os.environ.get("KUBECONFIG")
    try:
        whole = kube_config.KubeConfigMerger(file or "~/.kube/config").config
        if whole is None:
            raise TargetError(
                "There is no Kubernetes cluster to run on.",
                evidence=[f"There is no file {file or '~/.kube/config'}."],
                remedy=NO_CLUSTER,
            )
        contexts = {str(one["name"]): one["context"] for one in whole.value.get("contexts") or ()}
        name = wanted or whole.safe_get("current-context")
        if name not in contexts:
            hint = did_you_mean(name, contexts) if name else None
            raise TargetError(
                f"There is no context {name!r} in {file or '~/.kube/config'}{hint or '.'}"
                if name
                else f"No context of {file or '~/.kube/config'} is the current one.",
                remedy=f"Contexts: {', '.join(contexts) or 'none'}. "
                "flyte.init(target='kubernetes', context=...) names one.",
            )
        found = contexts[name]
        cluster = whole["clusters"].get_with_name(found["cluster"])["cluster"]
        proxy = cluster.safe_get("proxy-url")
        return Context(file, name, found.safe_get("namespace"), proxy or None)
    except (ConfigException, OSError, yaml.YAMLError, TypeError, AttributeError) as error:
        ours = isinstance(error, (TypeError, AttributeError))
        raise TargetError(
            f"{file or '~/.kube/config'} is no kubeconfig.",
            evidence=["It is no table of contexts."] if ours else str(error).splitlines(),
            remedy="Correct it until this shows your contexts: kubectl config get-contexts",
        ) from None


def read(file: str | None, name: str) -> Any:
    """Return what a context says, with what a program or a file gives to be let in by.

    Raises:
        TargetError: it cannot be used.
    """
    from kubernetes import config
    from kubernetes.client.configuration import Configuration

    configuration = Configuration()
    with _alone, unheard() as said:
        _forget_swept()
        try:
            config.load_kube_config(file, context=name, client_configuration=configuration)
        except Exception as error:  # of many kinds, as there are many ways to be let in
            said.append(str(error) or type(error).__name__)
    if said:
        raise TargetError(
            f"The context {name!r} cannot be used: what it takes to be let in cannot be had.",
            evidence=[line for text in said for line in text.splitlines() if line.strip()],
            remedy=f"Log in again as you do for kubectl; try: kubectl --context {name} get pods",
        )
    return configuration


def _forget_swept() -> None:
    """Have the client write anew what it had in temporary files that the system has removed."""
    from kubernetes.config import kube_config

    written = getattr(kube_config, "_temp_files", {})
    for content, place in list(written.items()):
        if not os.path.exists(place):
            del written[content]


@contextlib.contextmanager
def unheard() -> Iterator[list[str]]:
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
