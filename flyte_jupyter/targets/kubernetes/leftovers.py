"""What kernels of this machine have in clusters: their sessions, and the pods of these.

Only clusters that one of them has met are asked, and what they were met as is written down in
:mod:`flyte_jupyter.targets.kubernetes.estate`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.cluster.connect import connect
from flyte_jupyter.errors import TargetError
from flyte_jupyter.store.owners import is_alive
from flyte_jupyter.targets.kubernetes import manifest
from flyte_jupyter.targets.kubernetes.estate import Estate, estates, forget
from flyte_jupyter.targets.protocol import Leftover

__all__ = ["sweep"]

PURPOSES = {"hub": "the hub of its session", "worker": "a worker", "probe": "a look at an image"}
HOW = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}


def sweep(remove: Collection[str] = ()) -> list[Leftover]:
    """Return what there is; blocks.

    Args:
        remove: names of what to remove instead: then that is returned which was removed.

    Raises:
        TargetError: a cluster does not answer, or does not let something be removed.
    """
    return [found for estate in estates() for found in _of(estate, remove)]


def _of(estate: Estate, remove: Collection[str]) -> Iterator[Leftover]:
    """Yield what is there of a session, or what was removed of it."""
    cluster = connect({**estate.options, "namespace": estate.namespace})
    api = Api(cluster)
    jobs = f"/apis/batch/v1/namespaces/{estate.namespace}/jobs"
    pods = f"/api/v1/namespaces/{estate.namespace}/pods"
    try:
        job = _found(api, f"{jobs}/{estate.session}")
        if job is None:
            forget(estate.session)
            return
        selector = f"{manifest.SESSION}={estate.session}"
        there = _asked(api, "GET", pods, None, labelSelector=selector)["items"]
        place = f"{cluster.context or 'this cluster'}, namespace {estate.namespace}"
        session = _leftover(estate, job, "session", f"a session in {place}")
        found = [(session, jobs), *((_pod(estate, pod), pods) for pod in there)]
        for one, path in found:
            if not remove:
                yield one
            elif one.name in remove:
                _asked(api, "DELETE", f"{path}/{one.name}", HOW)
                yield one
    finally:
        api.close()


def _pod(estate: Estate, pod: Mapping[str, Any]) -> Leftover:
    labels = pod["metadata"].get("labels") or {}
    kind = str(labels.get(manifest.KIND) or "")
    phase = str((pod.get("status") or {}).get("phase") or "").lower()
    return _leftover(
        estate,
        pod,
        "pod",
        PURPOSES.get(kind, kind),
        state=phase,
        environment=str(labels.get(manifest.ENVIRONMENT) or ""),
    )


def _leftover(
    estate: Estate,
    found: Mapping[str, Any],
    kind: str,
    what: str,
    state: str = "",
    environment: str = "",
) -> Leftover:
    created = str(found["metadata"].get("creationTimestamp") or "")
    return Leftover(
        name=str(found["metadata"]["name"]),
        owner=estate.owner,
        description=what,
        kind=kind,
        created=datetime.fromisoformat(created).timestamp() if created else None,
        alive=is_alive(estate.owner),
        state=state,
        environment=environment,
    )


def _found(api: Api, path: str) -> dict[str, Any] | None:
    try:
        return api.call("GET", path)
    except ApiError as error:
        if error.status == 404:
            return None
        raise _refused(error) from None


def _asked(
    api: Api, method: str, path: str, body: Mapping[str, Any] | None, **query: str
) -> dict[str, Any]:
    try:
        return api.call(method, path, body, **query)
    except ApiError as error:
        if error.status == 404 and method == "DELETE":
            return {}
        raise _refused(error) from None


def _refused(error: ApiError) -> TargetError:
    return TargetError(
        "The cluster does not tell or remove what kernels have there.",
        evidence=[f"{error.reason}: {error.sentence}"],
    )
