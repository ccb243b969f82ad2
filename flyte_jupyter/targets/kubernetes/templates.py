"""Pod templates that lie in the namespace, where whoever runs the cluster has put them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.errors import FlyteError, NotFoundError, TargetError
from flyte_jupyter.spec.naming import did_you_mean, listing
from flyte_jupyter.spec.pod import PodTemplate
from flyte_jupyter.targets.kubernetes.template import PRIMARY
from flyte_jupyter.targets.protocol import StartRequest

__all__ = ["of_object", "read_template", "with_template"]

# a container of this name is the one that runs the task in Flyte's own templates
DEFAULT = "default"
# What the server fills in when a template is made says nothing of who made it.
OF_POD: Mapping[str, Any] = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
OF_CONTAINER = ("imagePullPolicy", "terminationMessagePath", "terminationMessagePolicy")


def with_template(api: Api, namespace: str, request: StartRequest) -> StartRequest:
    """Return a request with the template itself where it names one; blocks.

    Args:
        api: the cluster's.
        namespace: where the template lies.
        request: what a worker needs.

    Raises:
        NotFoundError: there is none of that name.
        TargetError: the cluster does not say.
    """
    named = request.pod_template
    if not isinstance(named, str):
        return request
    return replace(request, pod_template=read_template(api, namespace, named))


def read_template(api: Api, namespace: str, name: str) -> PodTemplate:
    """Return a template by its name; blocks.

    Args:
        api: the cluster's.
        namespace: where it lies.
        name: its name.

    Raises:
        NotFoundError: there is none of that name.
        TargetError: the cluster does not say.
    """
    place = f"/api/v1/namespaces/{namespace}/podtemplates"
    try:
        return of_object(api.call("GET", f"{place}/{name}"))
    except ApiError as error:
        if error.status == 404:
            raise _missing(api, place, namespace, name) from None
        raise TargetError(
            f"The pod template {name!r} of namespace {namespace} cannot be read.",
            evidence=[f"{error.reason}: {error.sentence}"],
            remedy="Ask for the right to get podtemplates there, or give the template itself: "
            "pod_template=PodTemplate(pod_spec={...}).",
        ) from None


def _missing(api: Api, place: str, namespace: str, name: str) -> FlyteError:
    known: list[str] = []
    with contextlib.suppress(ApiError):  # whoever may read one may not always list them
        known = [one["metadata"]["name"] for one in api.call("GET", place)["items"]]
    return NotFoundError(
        f"There is no pod template {name!r} in namespace {namespace}"
        f"{did_you_mean(name, known) or '.'}",
        remedy=f"There are {listing(known[:12], 'and')}."
        if known
        else "Give the template itself: pod_template=PodTemplate(pod_spec={...}).",
    )


def of_object(found: Mapping[str, Any]) -> PodTemplate:
    """Return the template that an object of the cluster describes.

    Args:
        found: a ``PodTemplate`` of the API group ``v1``. Its container ``primary``, or else
            ``default``, is the one that runs the task.
    """
    template = found.get("template") or {}
    metadata = template.get("metadata") or {}
    spec = {
        key: value
        for key, value in (template.get("spec") or {}).items()
        if key not in OF_POD or value != OF_POD[key]
    }
    containers = spec.get("containers") or []
    names = [one.get("name") for one in containers]
    ours = PRIMARY if PRIMARY in names else DEFAULT
    spec["containers"] = [_primary(one) if one.get("name") == ours else one for one in containers]
    return PodTemplate(spec, PRIMARY, metadata.get("labels"), metadata.get("annotations"))


def _primary(given: Mapping[str, Any]) -> dict[str, Any]:
    # an object of the cluster cannot leave the image out
    left = {key: one for key, one in given.items() if key not in (*OF_CONTAINER, "image")}
    return {**left, "name": PRIMARY}
