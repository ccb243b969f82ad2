"""A cluster looked at closely: who one is there, what one may do, whether a task's way works."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.cluster.connect import Cluster, NotLetInError, connect
from flyte_jupyter.doctor.finding import Finding
from flyte_jupyter.errors import FlyteError, TargetError
from flyte_jupyter.images.sharing import silent
from flyte_jupyter.images.stack import python_image
from flyte_jupyter.spec.naming import listing
from flyte_jupyter.store.folders import cache_folder
from flyte_jupyter.targets.kubernetes.delivery import Delivery
from flyte_jupyter.targets.kubernetes.fleet import Fleet
from flyte_jupyter.targets.kubernetes.nodes import read_inventory
from flyte_jupyter.targets.kubernetes.rights import (
    IN_CLUSTER,
    ask_for,
    has_group,
    in_namespace,
    lacking,
)
from flyte_jupyter.targets.kubernetes.trust import new_trust
from flyte_jupyter.targets.protocol import Inventory

__all__ = ["examine_cluster"]

TARGET = "kubernetes"
WHO = ("v1", "v1beta1")
# The hub is a pod whose image a node may have to pull first.
SECONDS = 120.0
SECURITY = "pod-security.kubernetes.io/enforce"


def examine_cluster(
    options: Mapping[str, Any], say: Callable[[str], None] = silent
) -> Iterator[Finding]:
    """Yield what is found out of a cluster, each step only where those before it allow it.

    Args:
        options: ``context``, ``namespace`` and ``kubeconfig``, all of them optional.
        say: called with what is waited for.
    """
    try:
        cluster = connect(options)
    except TargetError as error:
        yield _problem("context", error)
        return
    named = f"{cluster.context}, " if cluster.context else "the cluster that this runs in, "
    through = (f"through the proxy {cluster.proxy}",) if cluster.proxy else ()
    sentence = f"{named}server {cluster.url}, namespace {cluster.namespace}."
    yield Finding("context", True, sentence, through)
    api = Api(cluster)
    try:
        yield from _of_cluster(cluster, api, options, say)
    except TargetError as error:
        yield _problem("server", error)
    finally:
        api.close()


def _of_cluster(
    cluster: Cluster, api: Api, options: Mapping[str, Any], say: Callable[[str], None]
) -> Iterator[Finding]:
    try:
        version = str(api.call("GET", "/version").get("gitVersion") or "of some version")
        yield Finding("server", True, f"Kubernetes {version} answers.")
    except ApiError as error:
        if error.stranger:
            yield _problem("server", NotLetInError(error.sentence))
            return
        if error.status != 403:
            words = f"it answers, but not as a cluster does: {error.sentence}"
            yield Finding("server", False, f"{words} Check its address: {cluster.url}")
            return
        yield Finding("server", True, "it answers, and does not tell you its version.")
    try:
        yield _who(api)
        yield (place := _namespace(api, cluster.namespace))
        if not place.usable:
            return
        yield (rights := _rights(api, cluster))
    except ApiError as error:
        yield _problem("you", NotLetInError(error.sentence))
        return
    yield _queues(api)
    yield _nodes(api)
    if rights.usable:
        yield _tried(cluster, options, say)


def _who(api: Api) -> Finding:

    for version in WHO:
        group = f"authentication.k8s.io/{version}"
        body = {"apiVersion": group, "kind": "SelfSubjectReview"}
        try:
            user = api.call("POST", f"/apis/{group}/selfsubjectreviews", body)["status"]["userInfo"]
        except ApiError as error:
            if error.stranger:
                raise
            continue
        name = str(user.get("username"))
        groups = (f"of {', '.join(user['groups'])}",) if user.get("groups") else ()
        return Finding("you", True, f"the cluster knows you as {name}.", groups)
    return Finding("you", True, "the cluster does not tell as whom it knows you.")


def _namespace(api: Api, name: str) -> Finding:

    try:
        found = api.call("GET", f"/api/v1/namespaces/{name}")
    except ApiError as error:
        if error.status == 404:
            remedy = f"kubectl create namespace {name}, or name another one with --namespace."
            return Finding("namespace", False, f"there is no namespace {name}. {remedy}")
        if error.stranger:
            raise
        return Finding("namespace", True, f"{name}; you may not see more of it.")
    if (found.get("status") or {}).get("phase") == "Terminating":
        remedy = "Name another one with --namespace."
        return Finding("namespace", False, f"{name} is being deleted. {remedy}")
    level = (found["metadata"].get("labels") or {}).get(SECURITY)
    rule = f"Pod Security lets in what is {level}" if level else "no rule of Pod Security"
    return Finding("namespace", True, f"{name} is there; {rule}.")


def _rights(api: Api, cluster: Cluster) -> Finding:

    namespace, wanted = cluster.namespace, in_namespace(cluster.inside)
    missing = lacking(api, namespace, wanted)
    lines = []
    for right in wanted:
        if right not in missing:
            lines.append(f"✓ {right}: {right.purpose}")
            continue
        what = f"{listing(missing[right], 'and')} {right.resource}: {right.purpose}"
        lines.append(f"- {what}. {right.without}" if right.without else f"✗ {what}")
    for right in IN_CLUSTER:
        if right in lacking(api, "", [right]):
            lines.append(f"- {right} of the cluster: {right.purpose}. {right.without}")
    if any(not right.without for right in missing):
        sentence = f"you lack some that running tasks takes. {ask_for(namespace)}"
        return Finding("rights", False, sentence, tuple(lines))
    if missing:
        sentence = f"tasks run; what is marked with - is missing for the rest. {ask_for(namespace)}"
        return Finding("rights", True, sentence, tuple(lines))
    return Finding("rights", True, "you have all that running tasks takes.", tuple(lines))


def _queues(api: Api) -> Finding:

    if has_group(api, "kueue.x-k8s.io"):
        return Finding("queues", True, "Kueue is there: task_queue names one of its LocalQueues.")
    return Finding("queues", True, "there is no Kueue: the cluster's scheduler admits each task.")


def _nodes(api: Api) -> Finding:

    has = read_inventory(api)
    if has is None:
        return Finding("nodes", True, "you may not see them, so what they have is not known here.")
    sentence = f"{has.cpu / 1000:g} processors, {has.memory / (1 << 30):.1f} GiB of memory"
    if has.free is not None:
        sentence += (
            f"; free {has.free.cpu / 1000:g} processors, {has.free.memory / (1 << 30):.1f} GiB"
        )
    return Finding("nodes", True, f"{sentence}.", tuple(_accelerators(has)))


def _accelerators(has: Inventory) -> Iterator[str]:
    if not has.accelerators:
        yield "no accelerators; one that grows on demand may have some when they are asked for"
    for kind, count in sorted(has.accelerators.items()):
        free = f", {has.free.accelerators.get(kind, 0)} free" if has.free is not None else ""
        yield f"{count} × {kind or 'accelerators of a type that no label tells'}{free}"


def _tried(cluster: Cluster, options: Mapping[str, Any], say: Callable[[str], None]) -> Finding:
    """Make what a session makes, reach it, and remove it."""

    async def reach() -> None:
        image = python_image(sys.version_info[:2])
        delivery = Delivery(cache_folder(), options, lambda: cluster)
        trust = await asyncio.to_thread(new_trust)
        fleet = Fleet(cluster, image, trust, options, delivery, say)
        async with asyncio.timeout(SECONDS):
            await fleet.open(say)
        await fleet.close()
        delivery.close()

    began = time.monotonic()
    try:
        asyncio.run(reach())
    except FlyteError as error:
        return _problem(TARGET, error)
    except TimeoutError:
        sentence = f"the hub of a session was not reached within {SECONDS:g} s."
        return Finding(TARGET, False, sentence, is_target=True)
    took = time.monotonic() - began
    sentence = f"the hub of a session was made, reached and removed in {took:.1f} s: tasks run."
    return Finding(TARGET, True, sentence, is_target=True)


def _problem(subject: str, error: FlyteError) -> Finding:
    words = f"{error.sentence} {error.remedy}".rstrip()
    return Finding(subject, False, words, tuple(error.evidence), is_target=subject == TARGET)
