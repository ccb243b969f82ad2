"""The pod of an environment before it is made: to be shown, and to be judged by the cluster.

It is built as every other pod is; what differs from pod to pod, and what is known only when its
image is made ready, is a word in angle brackets.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.store.owners import REMOTE_LEASE
from flyte_jupyter.targets.kubernetes.images import ClusterImage
from flyte_jupyter.targets.kubernetes.manifest import pod_name, worker_pod
from flyte_jupyter.targets.kubernetes.nodes import Nodes, read_nodes
from flyte_jupyter.targets.kubernetes.refusals import refused
from flyte_jupyter.targets.kubernetes.security import NOBODY, user_of
from flyte_jupyter.targets.kubernetes.templates import with_template
from flyte_jupyter.targets.protocol import Prepared, StartRequest

__all__ = ["judge", "sketch_pod"]

HUB, KEY = "<address of the hub>", "<key of this pod>"
CERTIFICATE = "<certificate of the hub>"


def sketch_pod(request: StartRequest, image: ClusterImage, lease: float) -> dict[str, Any]:
    """Return the pod of a request for people to read; the cluster is not asked for anything.

    Args:
        request: what a worker needs.
        image: what it runs.
        lease: seconds that it goes on without its kernel.
    """
    name = pod_name("<session>", request.group, 0).removesuffix("0") + "<number>"
    session = {"name": "<session>", "uid": "<uid of the session's job>"}
    return _pod(name, session, request, image, lease=lease)


def judge(api: Api, namespace: str, request: StartRequest, image: ClusterImage, what: str) -> str:
    """Have the cluster say whether it would take a pod, with nothing made; blocks.

    Args:
        api: the cluster's.
        namespace: where it would be.
        request: what the worker needs.
        image: what it runs.
        what: names the environment or task in messages.

    Returns:
        What stands in its way now and may be otherwise later, or nothing.

    Raises:
        TargetError: it would not, or cannot be asked.
        NotFoundError: there is no template of the name.
    """
    request = with_template(api, namespace, request)
    session = {"name": f"flyte-{secrets.token_hex(4)}", "uid": str(uuid.uuid4())}
    name = pod_name(session["name"], request.group, 1)
    wanted = None if request.resources is None else request.resources.device
    nodes = None if wanted is None else read_nodes(api)
    body = _pod(name, session, request, image, nodes, user_of(api, namespace))
    path = f"/api/v1/namespaces/{namespace}/pods"
    try:
        api.call("POST", path, body, dryRun="All", fieldValidation="Strict")
    except ApiError as error:
        if "exceeded quota" in error.sentence:
            return f"its pods would wait now: {error.sentence.partition('forbidden: ')[2]}"
        raise refused(what, error) from None
    return ""


def _pod(
    name: str,
    session: Mapping[str, str],
    request: StartRequest,
    image: ClusterImage,
    nodes: Nodes | None = None,
    user: int | None = NOBODY,
    lease: float = REMOTE_LEASE,
) -> dict[str, Any]:
    made = replace(request, prepared=Prepared(image.key, environ=image.environ))
    return worker_pod(
        name,
        session,
        image.reference,
        HUB,
        KEY,
        CERTIFICATE,
        made,
        [one for one, _, _ in image.blobs],
        nodes,
        user,
        image.pull_secrets,
        image.made_folder,
        lease,
    )
