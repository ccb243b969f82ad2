"""A session in a cluster: what is made before any pod of it, and removed after all of them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.cluster.connect import Cluster
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.store.owners import REMOTE_LEASE, owner
from flyte_jupyter.targets.janitor import Janitor
from flyte_jupyter.targets.kubernetes import estate, manifest
from flyte_jupyter.targets.kubernetes.calls import Calls
from flyte_jupyter.targets.kubernetes.preflight import Preflight
from flyte_jupyter.targets.kubernetes.security import user_of
from flyte_jupyter.targets.kubernetes.trust import Trust

__all__ = ["SOON", "Session"]

HOW = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
#: How a pod is removed.
SOON = {"gracePeriodSeconds": 1}
# A cluster that was never reached has so many seconds to answer.
FIRST = 5.0
# Removes what is left of a session when this process ends before it could.
TIDY = """\
from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.cluster.connect import connect

until = time.monotonic() + 60
while told["places"] and time.monotonic() < until:
    try:
        Api(connect(told["options"])).call("DELETE", told["places"][0], told["how"])
        del told["places"][0]
        continue
    except ApiError as error:
        if error.status < 500:
            del told["places"][0]
            continue
    except Exception:
        pass  # the cluster may be away for a moment, and nobody is there to be told
    time.sleep(1)
"""


class Session:
    """A session: its job, whose pod is the hub and which owns all else, and its secret.

    Args:
        cluster: where.
        api: the cluster's.
        calls: ask it.
        trust: what the session is let in by.
        options: what the cluster was found by.

    Attributes:
        name: of the job, of the secret, and the beginning of the names of all pods.
        pods: path of the pods in the API.
        user: who pods run as, ``None`` where the namespace says that.
        trust: as given.
        lease: seconds that it goes on without its kernel.
    """

    def __init__(
        self,
        cluster: Cluster,
        api: Api,
        calls: Calls,
        trust: Trust,
        options: Mapping[str, Any],
    ) -> None:
        self._cluster = cluster
        self._api = api
        self._calls = calls
        self._options = options
        self.lease = float(options.get("lease", REMOTE_LEASE))
        self._janitor: Janitor | None = None
        self._uid = ""
        namespace = cluster.namespace
        self.name = f"flyte-{secrets.token_hex(4)}"
        self.trust = trust
        self.user: int | None = None
        self.pods = f"/api/v1/namespaces/{namespace}/pods"
        self._secrets = f"/api/v1/namespaces/{namespace}/secrets"
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._places = [f"{self._jobs}/{self.name}", f"{self._secrets}/{self.name}"]

    @property
    def reference(self) -> dict[str, str]:
        """``name`` and ``uid`` of the job."""
        return {"name": self.name, "uid": self._uid}

    async def job(self) -> dict[str, Any]:
        """Return the job as the cluster has it.

        Raises:
            ApiError: the cluster refuses, or has none.
        """
        return await self._calls.call("GET", self._places[0])

    async def make(self, image: str, look: Preflight, say: Callable[[str], None]) -> dict[str, Any]:
        """Make the secret and the job, and return the job.

        Args:
            image: of the hub.
            look: names the rights that are missing where that fails.
            say: called with what it waits for, each time that this changes.

        Raises:
            TargetError: the cluster refuses.
        """
        self._janitor = self._new_janitor()
        self.user = await self._calls.run(user_of, self._api, self._cluster.namespace)
        secret = manifest.hub_secret(self.name, self.trust)
        job = manifest.hub_job(self.name, image, owner(), self.user, self.lease)
        async with look.names_what_is_missing():
            what = "the secret of the session"
            await self._calls.make(what, self._secrets, secret, say, FIRST)
            made = await self._calls.make("the hub of the session", self._jobs, job, say, FIRST)
            made = made or await self.job()
        self._uid = str(made["metadata"]["uid"])
        estate.keep(
            estate.Estate(self.name, self._cluster.namespace, self._options, owner(), self.trust)
        )
        return made

    async def settle(self) -> None:
        """Leave the end of the session to the hub, which is reached: it knows what is waited for.

        The secret, which could not be made after the job, ends with it from now on.
        """
        body = {"metadata": {"ownerReferences": [manifest.job_reference(self.reference)]}}
        with contextlib.suppress(FlyteError, ApiError):  # it is removed by name, too
            await self._calls.call("PATCH", self._places[1], body)
        janitor, self._janitor = self._janitor, None
        if janitor is not None:
            await asyncio.to_thread(janitor.dismiss, True)

    async def remove(self, pods: Iterable[str]) -> bool:
        """Remove all that there is, each of it by its name; say whether the cluster agreed.

        Args:
            pods: names of those that may be there.
        """
        done = [await self._calls.remove(self._places[0], HOW)]
        # the job's end would remove them too, whenever the cluster comes to that
        others = [*(f"{self.pods}/{name}" for name in pods), self._places[1]]
        done += await asyncio.gather(*(self._calls.remove(place, SOON) for place in others))
        return all(done)

    async def forget(self, *, clean: bool) -> None:
        """Know of it no more.

        Args:
            clean: whether nothing is left of it.
        """
        estate.forget(self.name)
        if not clean:
            # it removes the rest when the cluster answers, and nobody waits for that
            janitor = self._janitor or self._new_janitor()
            threading.Thread(target=janitor.dismiss, args=(False,), daemon=True).start()
        elif self._janitor is not None:
            await asyncio.to_thread(self._janitor.dismiss, True)

    def _new_janitor(self) -> Janitor:
        return Janitor(TIDY, {"options": self._options, "places": self._places, "how": HOW})
