"""The config maps of a namespace, with words for what the cluster refuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.errors import TargetError

__all__ = ["ConfigMaps"]

T = TypeVar("T")
VERBS = "create, get, list, patch and delete configmaps"
PAGE = 200
# what a busy server does not take now, it may take then
TRIES, PAUSE = 5, 0.2
BUSY = (429, 500, 503, 504)


class ConfigMaps:
    """The config maps of a namespace.

    Args:
        api: the cluster's.
        namespace: its name.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._base = f"/api/v1/namespaces/{namespace}/configmaps"

    def get(self, name: str) -> dict[str, Any] | None:
        """Return one, None if it is not there.

        Raises:
            TargetError: the cluster refuses, or does not answer; so for the others.
        """
        try:
            return self._asked(lambda: self._api.call("GET", f"{self._base}/{name}"))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, selector: str) -> list[dict[str, Any]]:
        """Return all that a selector of labels names."""
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"labelSelector": selector, "limit": str(PAGE)}
        while True:
            page = self._asked(partial(self._api.call, "GET", self._base, **query))
            found += page["items"]
            following = page["metadata"].get("continue")
            if not following:
                return found
            query["continue"] = following

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make one.

        Raises:
            ApiError: 409, it is there already.
        """
        return self._asked(lambda: self._api.call("POST", self._base, body))

    def patch(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change one.

        Raises:
            ApiError: 404, it is not there; 409, it is not what the change says that it is.
        """
        return self._asked(lambda: self._api.call("PATCH", f"{self._base}/{name}", body))

    def delete(self, name: str, version: str) -> bool:
        """Remove one if it is what it was; say whether it is gone."""
        how = {
            "propagationPolicy": "Background",
            "preconditions": {"resourceVersion": version},
        }
        try:
            self._asked(lambda: self._api.call("DELETE", f"{self._base}/{name}", how))
        except ApiError as error:
            return error.status == 404
        return True

    def _asked(self, call: Callable[[], T]) -> T:
        pause = PAUSE
        for left in reversed(range(TRIES)):
            try:
                return call()
            except ApiError as error:
                if error.status in (404, 409) and "namespaces " not in error.sentence:
                    raise
                if left and error.status in BUSY:
                    time.sleep(pause)
                    pause *= 2
                    continue
                raise self._refused(error) from None
        raise AssertionError

    def _refused(self, error: ApiError) -> TargetError:
        where = f"in namespace {self._namespace}"
        if error.status == 404:
            remedy = "Name a namespace that exists: flyte.init(target='kubernetes', namespace=...)."
        elif "quota" in error.sentence:
            remedy = "Take away what is not needed any more (%flyte_undeploy), or ask for more."
        elif error.status == 401:
            remedy = "Log in again as you do for kubectl."
        elif error.status == 403:
            remedy = f"Ask for the rights to {VERBS} there: flyte-jupyter rbac prints them."
        else:
            remedy = "Try again when the cluster is well."
        return TargetError(
            f"The cluster does not keep deployments {where}.",
            evidence=[f"{error.reason or error.status}: {error.sentence}"],
            remedy=remedy,
        )
