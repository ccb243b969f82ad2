"""Kueue's queues: which there are in a namespace, and what something in one of them waits for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError, Watch
from flyte_jupyter.errors import FlyteError, TargetError
from flyte_jupyter.spec.naming import did_you_mean
from flyte_jupyter.targets.kubernetes.manifest import QUEUE

__all__ = ["Place", "Queues", "ending", "find_kueue", "words"]

GROUP = "kueue.x-k8s.io"
# A queue that was there is not asked for again within so many seconds: calls come by the thousand.
KNOWN_SECONDS = 60.0
# Nothing is heard of workloads any more when nobody has waited for so many seconds.
LINGER = 30.0
PAUSE = 1.0
# What Kueue says of every pod, which has only one set.
USELESS = "couldn't assign flavors to pod set main: "
# What Kueue says of a request that no end of other work would make room for.
TOO_MUCH = "> maximum capacity"
INACTIVE = "is inactive"


def find_kueue(api: Api) -> str | None:
    """Return the path of Kueue's API; blocks.

    Args:
        api: the cluster's.

    Returns:
        ``""`` where the cluster has no Kueue, ``None`` where it does not say.
    """
    try:
        found = api.call("GET", f"/apis/{GROUP}")
    except ApiError as error:
        return "" if error.status == 404 else None
    except FlyteError:
        return None
    return f"/apis/{found['preferredVersion']['groupVersion']}"


class Place:
    """The place of one pod or job in a queue, or outside of all.

    Args:
        made: what the cluster has made of it: its queue may be given by the cluster.
        changed: called when there is something new to say.
        closed: why queues let nothing in, by their names.
    """

    def __init__(
        self,
        made: Mapping[str, Any],
        changed: Callable[[], None],
        closed: Mapping[str, str] = {},
    ) -> None:
        metadata, spec = made["metadata"], made["spec"]
        gates = [gate["name"] for gate in spec.get("schedulingGates") or ()]
        held = bool(spec.get("suspend")) or any(name.startswith(GROUP) for name in gates)
        self.uid = str(metadata["uid"])
        self.changed = changed
        self.queue: str | None = (metadata.get("labels") or {}).get(QUEUE, "") if held else None
        self._namespace = metadata["namespace"]
        self._closed = closed
        self._workload: Mapping[str, Any] | None = None
        self._deaf = False

    def happened(self, workload: Mapping[str, Any]) -> None:
        """Take what Kueue tells of it."""
        self._workload = workload
        self.changed()

    def deaf(self) -> None:
        """Know that nothing will be told."""
        self._deaf = True
        self.changed()

    def why(self, status: Mapping[str, Any]) -> str:
        """Return what it waits for, ``""`` where that is not its queue.

        Args:
            status: what the cluster tells of the pod, empty where there is none yet.
        """
        if self.queue is None:
            return ""
        if self._workload is not None:
            text, reason = words(self._workload), self._closed.get(self.queue)
            if not text and _gated(status):
                return f"was let in by queue {self.queue}"
            return f"{text} ({reason})" if reason and text.endswith(INACTIVE) else text
        if status and not _gated(status):
            return ""
        rest = "; why is not known, as one may not list workloads here" if self._deaf else ""
        return f"waits in queue {self.queue}{rest}"

    def trouble(self, what: str) -> TargetError | None:
        """Return why it will never leave its queue, ``None`` where it may.

        Args:
            what: it is, in words that begin a sentence.
        """
        if self.queue == "":
            return TargetError(
                f"{what} would wait for ever: Kueue lets nothing start in namespace "
                f"{self._namespace} without a queue.",
                remedy="Name one: task_queue=... What has no settings of its own, such as the hub "
                "of the session, takes the LocalQueue 'default' where there is one.",
            )
        workload = self._workload
        if workload is None or workload["spec"].get("active", True):
            return None
        refused = [
            f"{one['name']}: {one.get('message') or one['state']}"
            for one in _checks(workload)
            if one["state"] == "Rejected"
        ]
        said = _said(workload, "DeactivationTarget", "Evicted")
        return TargetError(
            f"{what} was taken out of queue {self.queue} for good by Kueue.",
            evidence=[*([said] if said else ()), *refused],
            remedy="Run it again once what the message names is different.",
        )


class Queues:
    """What is known of the queues of one namespace.

    Args:
        api: the cluster's.
        namespace: the namespace.
        tell: has the engine's loop call a function, from any thread.
    """

    def __init__(self, api: Api, namespace: str, tell: Callable[..., None]) -> None:
        self._api = api
        self._namespace = namespace
        self._tell = tell
        self._path: str | None = None
        self._known: dict[str, float] = {}
        self._shut: dict[str, str] = {}
        self._places: dict[str, Place] = {}
        self._pending: dict[str, Mapping[str, Any]] = {}
        self._ear: _Ear | None = None
        self._rest: asyncio.TimerHandle | None = None

    def check(self, queue: str) -> None:
        """See to it that there is such a queue, as far as one may ask; blocks.

        Raises:
            TargetError: there is none.
        """
        if time.monotonic() - self._known.get(queue, -KNOWN_SECONDS) < KNOWN_SECONDS:
            return
        path = self._at("localqueues")
        if path is None:
            return
        try:
            found = self._api.call("GET", path)
        except (ApiError, FlyteError):
            return  # what becomes of the pod will tell
        names = [str(one["metadata"]["name"]) for one in found["items"]]
        self._shut.clear()
        self._shut.update(zip(names, map(_shut, found["items"]), strict=True))
        open_ones = [name for name in names if not self._shut[name]]
        self._known = dict.fromkeys(open_ones, time.monotonic())
        if queue not in names:
            hint = did_you_mean(queue, names) or "."
            raise TargetError(
                f"There is no LocalQueue {queue!r} in namespace {self._namespace}{hint}",
                remedy=f"LocalQueues: {', '.join(sorted(names)) or 'none'}. Whoever runs the "
                "cluster can make more; without task_queue= it goes to none.",
            )

    def _at(self, kind: str) -> str | None:
        """Return where objects of Kueue's are, ``None`` where there is no Kueue; blocks."""
        if not self._path:
            self._path = find_kueue(self._api)
        return f"{self._path}/namespaces/{self._namespace}/{kind}" if self._path else None

    @contextlib.contextmanager
    def place(self, made: Mapping[str, Any], changed: Callable[[], None]) -> Iterator[Place]:
        """Follow something to the end of its wait.

        Args:
            made: what the cluster has made of it.
            changed: called when there is something new to say.
        """
        place = Place(made, changed, self._shut)
        if place.queue is None:
            yield place
            return
        self._places[place.uid] = place
        if place.uid in self._pending:
            place.happened(self._pending[place.uid])
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._ear is None:
            self._ear = _Ear(self._api, lambda: self._at("workloads"), self._tell, self)
        elif self._ear.refused:
            place.deaf()
        try:
            yield place
        finally:
            del self._places[place.uid]
            if not self._places and self._ear is not None:
                loop = asyncio.get_running_loop()
                self._rest = loop.call_later(LINGER, self.close)

    def listed(self, workloads: list[dict[str, Any]]) -> None:
        """Take all workloads that there are."""
        self._pending.clear()
        for one in workloads:
            self.happened("ADDED", one)

    def happened(self, kind: str, workload: dict[str, Any]) -> None:
        """Take what is told of one workload."""
        for owner in workload["metadata"].get("ownerReferences") or ():
            if kind == "DELETED" or _condition(workload, "Finished"):
                self._pending.pop(owner["uid"], None)
                continue
            self._pending[owner["uid"]] = workload
            if owner["uid"] in self._places:
                self._places[owner["uid"]].happened(workload)

    def deaf(self) -> None:
        """Know that nothing will be told."""
        for place in self._places.values():
            place.deaf()

    def close(self) -> None:
        """Hear of nothing any more."""
        self._pending.clear()
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._ear is not None:
            self._ear.close()
            self._ear = None


class _Ear:
    """Hears of workloads, on a thread of its own, until it is closed.

    Args:
        api: the cluster's.
        path: returns where the workloads are, ``None`` where there are none.
        tell: has the engine's loop call a function.
        queues: what is told.
    """

    def __init__(
        self,
        api: Api,
        path: Callable[[], str | None],
        tell: Callable[..., None],
        queues: Queues,
    ) -> None:
        self._api = api
        self._path = path
        self._tell = tell
        self._queues = queues
        self._closed = threading.Event()
        self._watch: Watch | None = None
        self.refused = False
        threading.Thread(target=self._hear, name="flyte-kubernetes-queues", daemon=True).start()

    def _hear(self) -> None:
        while not self._closed.is_set():
            try:
                path = self._path()
                if path is None:
                    raise OSError("Kueue, which holds something back, was not found")
                found = self._api.call("GET", path)
                self._tell(self._queues.listed, found["items"])
                self._follow(path, found["metadata"]["resourceVersion"])
            except ApiError as error:
                if error.status in (403, 404):
                    self.refused = True
                    self._tell(self._queues.deaf)
                    return
            except (FlyteError, OSError):
                pass  # the cluster may be away for a moment, and what is heard of pods tells that
            self._closed.wait(PAUSE)

    def _follow(self, path: str, version: str) -> None:
        while not self._closed.is_set():
            watch = self._watch = self._api.watch(path, resourceVersion=version)
            with contextlib.closing(watch):
                for event in () if self._closed.is_set() else watch:
                    if event["type"] == "ERROR":
                        return
                    version = event["object"]["metadata"]["resourceVersion"]
                    self._tell(self._queues.happened, event["type"], event["object"])

    def close(self) -> None:
        self._closed.set()
        if self._watch is not None:
            self._watch.close()


def words(workload: Mapping[str, Any]) -> str:
    """Return what a workload waits for, ``""`` where it is let in.

    Args:
        workload: what Kueue tells of it.
    """
    if _condition(workload, "Admitted"):
        return ""
    queue = workload["spec"].get("queueName")
    if _condition(workload, "QuotaReserved"):
        open_checks = [
            f"{one['name']} ({one.get('message') or one['state']})"
            for one in _checks(workload)
            if one["state"] != "Ready"
        ]
        rest = f" and waits for {', '.join(open_checks)}" if open_checks else ""
        return f"has its quota of queue {queue}{rest}"
    said = _said(workload, "QuotaReserved", "Evicted", "Requeued")
    if TOO_MUCH in said:
        return f"waits in queue {queue}, whose whole quota is less than it asks for: {said}"
    return f"waits in queue {queue}" + (f": {said}" if said else "")


def ending(status: Mapping[str, Any]) -> str:
    """Return what Kueue or the cluster says of a pod that it ends, ``""`` where nothing.

    Args:
        status: of the pod.
    """
    for one in status.get("conditions") or ():
        if one.get("type") in ("TerminationTarget", "DisruptionTarget"):
            return f"{one.get('reason')}: {one.get('message')}"
    return ""


def _shut(queue: Mapping[str, Any]) -> str:
    """Return why a LocalQueue lets nothing in, ``""`` where it does."""
    policy = queue["spec"].get("stopPolicy") or "None"
    if policy != "None":
        return f"stopPolicy {policy}"
    for one in (queue.get("status") or {}).get("conditions") or ():
        if one["type"] == "Active" and one["status"] == "False":
            return str(one.get("message") or "")
    return ""


def _gated(status: Mapping[str, Any]) -> bool:
    return any(one.get("reason") == "SchedulingGated" for one in status.get("conditions") or ())


def _checks(workload: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (workload.get("status") or {}).get("admissionChecks") or ()


def _condition(workload: Mapping[str, Any], name: str) -> bool:
    conditions = (workload.get("status") or {}).get("conditions") or ()
    return any(one["type"] == name and one["status"] == "True" for one in conditions)


def _said(workload: Mapping[str, Any], *names: str) -> str:
    """Return the first message among conditions, in the order of their names."""
    conditions = (workload.get("status") or {}).get("conditions") or ()
    told = {one["type"]: str(one.get("message") or "") for one in conditions}
    for name in names:
        if told.get(name):
            return told[name].removeprefix(USELESS)
    return ""
