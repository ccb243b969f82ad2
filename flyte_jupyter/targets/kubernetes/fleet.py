"""All that one kernel has in one cluster: the session's hub, and a pod for each worker."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError, Watch
from flyte_jupyter.cluster.connect import Cluster
from flyte_jupyter.errors import FlyteError, TargetError
from flyte_jupyter.images.probe import QUESTION, Probe, read_answer
from flyte_jupyter.images.sharing import silent
from flyte_jupyter.store.owners import owner
from flyte_jupyter.targets.janitor import Janitor
from flyte_jupyter.targets.kubernetes import estate, manifest
from flyte_jupyter.targets.kubernetes.boot import FILES
from flyte_jupyter.targets.kubernetes.images import ClusterImage, packed
from flyte_jupyter.targets.kubernetes.link import Link, Stream
from flyte_jupyter.targets.kubernetes.nodes import Nodes, read_nodes
from flyte_jupyter.targets.kubernetes.pod import Pod
from flyte_jupyter.targets.kubernetes.preflight import Preflight
from flyte_jupyter.targets.kubernetes.security import user_of
from flyte_jupyter.targets.kubernetes.standing import Standing
from flyte_jupyter.targets.kubernetes.templates import with_template
from flyte_jupyter.targets.kubernetes.trouble import refused, trouble, waits_for
from flyte_jupyter.targets.kubernetes.trust import Trust
from flyte_jupyter.targets.kubernetes.waiting import either
from flyte_jupyter.targets.protocol import StartRequest
from flyte_jupyter.wire.link import proof

__all__ = ["Fleet"]

SCRATCH = "/tmp/task"
AT_ONCE = 8
# Removes the session of a killed kernel sooner than the cluster would.
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
HOW = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
SOON = {"gracePeriodSeconds": 1}
LEAVING = 8.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
# Clusters grow and shrink: what the nodes have is asked for again after so many seconds.
NODES_SECONDS = 60.0
# A hub that runs is reached within so many seconds, or there is a reason.
REACHED = 30.0


class Fleet:
    """The pods of one kernel.

    Args:
        cluster: where.
        image: of the hub.
        trust: what the session is let in by.
        options: what the cluster was found by.
        tell: called with what concerns all that runs.
    """

    def __init__(
        self,
        cluster: Cluster,
        image: str,
        trust: Trust,
        options: Mapping[str, Any],
        tell: Callable[[str], None] = silent,
    ) -> None:
        self._standing = Standing(tell)
        self._options = options
        self._janitor: Janitor | None = None
        self._loop = asyncio.get_running_loop()
        self._cluster = cluster
        self._image = image
        self._api = Api(cluster)
        self._calls = ThreadPoolExecutor(AT_ONCE, "flyte-kubernetes")
        self._trust = trust
        self._session = {"name": f"flyte-{secrets.token_hex(4)}", "uid": ""}
        self._base = f"/api/v1/namespaces/{cluster.namespace}/pods"
        self._jobs = f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs"
        self._secrets = f"/api/v1/namespaces/{cluster.namespace}/secrets"
        self._pods: dict[str, Pod] = {}
        self._numbers = count(1)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._has: Nodes | None = None
        self._seen = -NODES_SECONDS
        self._hub: dict[str, Any] = {}
        self._hub_changed = asyncio.Event()
        self._link = Link(
            cluster, trust, self._hub_pod, self._arrived, self._hub_lost, self._standing.heard
        )
        self._brought: dict[str, asyncio.Task[None]] = {}
        self._watch: Watch | None = None
        self._user: int | None = None
        self._closed = False

    # the session

    async def open(self, say: Callable[[str], None]) -> None:
        """Make the hub, and wait until it is reached.

        Args:
            say: called with what it waits for, each time that this changes.

        Raises:
            TargetError: the cluster refuses, or the hub does not run there.
        """
        began, said = time.monotonic(), ""
        name = self._session["name"]
        self._janitor = self._new_janitor()
        secret = manifest.hub_secret(name, self._trust)
        look = Preflight(self._api, self._cluster, self._hub_changed)
        user = partial(user_of, self._api, self._cluster.namespace)
        self._user = await self._loop.run_in_executor(self._calls, user)
        job = manifest.hub_job(name, self._image, owner(), self._user)
        try:
            async with look.names_what_is_missing():
                await self._asked("the secret of the session", "POST", self._secrets, secret)
                made = await self._asked("the hub of the session", "POST", self._jobs, job)
        except BaseException:
            await self.close()
            raise
        self._session["uid"] = made["metadata"]["uid"]
        self._spawn(self._give_to_job(f"{self._secrets}/{name}"))
        threading.Thread(target=self._listen, name="flyte-kubernetes-watch", daemon=True).start()
        estate.keep(
            estate.Estate(name, self._cluster.namespace, self._options, owner(), self._trust)
        )
        self._link.begin()
        try:
            while not self._link.open.done():
                look.check(say)
                problem = self._hub_trouble(began)
                if problem is not None:
                    raise problem
                why = waits_for(self._hub.get("status") or {})
                if why not in ("", said):
                    said = why
                    say(f"The hub of the session {why}")
                await either(self._link.open, self._hub_changed)
        except BaseException:
            await self.close()
            raise
        # from here on the hub itself ends when nothing is waited for any more
        await asyncio.to_thread(self._janitor.dismiss, True)
        self._janitor = None

    def _new_janitor(self) -> Janitor:
        name = self._session["name"]
        places = [f"{self._jobs}/{name}", f"{self._secrets}/{name}"]
        return Janitor(TIDY, {"options": self._options, "places": places, "how": HOW})

    async def _give_to_job(self, place: str) -> None:
        """Have the secret end with the job, which could not be made before it."""
        body = {"metadata": {"ownerReferences": [manifest.job_reference(self._session)]}}
        with contextlib.suppress(FlyteError, ApiError):  # it is removed by name, too
            await self._call("PATCH", place, body)

    def _hub_trouble(self, began: float) -> FlyteError | None:
        """Return why the hub will not be reached, ``None`` where it may."""
        problem = trouble("The hub of the session", self._hub.get("status") or {}, began)
        refusal = self._link.refusal
        if problem is not None or refusal is None or time.monotonic() - began < REACHED:
            return problem
        if isinstance(refusal, FlyteError):
            return refusal
        return TargetError(
            "The hub of the session cannot be reached.",
            evidence=[f"{type(refusal).__name__}: {refusal}"],
            remedy="Check that this machine reaches the cluster: kubectl port-forward.",
        )

    async def _hub_pod(self) -> tuple[str, str]:
        """Return the name of the hub's pod and its address, once it runs."""
        while (self._hub.get("status") or {}).get("phase") != "Running":
            self._hub_changed.clear()
            await self._hub_changed.wait()
        return str(self._hub["metadata"]["name"]), str(self._hub["status"]["podIP"])

    # workers

    async def start(
        self,
        image: ClusterImage,
        request: StartRequest,
        preload: tuple[str, ...],
        waits: Callable[[str], None],
    ) -> Pod:
        """Make a pod and wait until its first process is there.

        Args:
            image: what it runs.
            request: what it needs.
            preload: modules to import while it waits.
            waits: called with what it waits for, each time that this changes.

        Raises:
            TargetError: the cluster refuses it, or it will never run.
        """
        if isinstance(request.pod_template, str):
            look = partial(with_template, self._api, self._cluster.namespace, request)
            request = await self._loop.run_in_executor(self._calls, look)
        name = manifest.pod_name(self._session["name"], request.group, next(self._numbers))
        _, hub = await self._hub_pod()
        for blob in image.blobs:
            await self._bring(*blob)
        body = manifest.worker_pod(
            name,
            self._session,
            image.reference,
            hub,
            proof(self._trust.key, "pod", name),
            self._trust.certificate,
            request,
            [name for name, _, _ in image.blobs],
            await self._nodes(request),
            self._user,
        )
        began = time.monotonic()
        pod = await self._made(name, body)
        try:
            stream = await self._arrival(pod, began, waits)
        except BaseException:
            pod.kill()
            raise
        pod.begin(
            stream,
            {
                "folder": image.workdir or SCRATCH,
                "environ": None,
                "concurrency": request.concurrency,
                "preload": list(preload),
                "files": FILES if image.files else "",
                "ahead": True,
            },
        )
        return pod

    async def _made(self, name: str, body: Mapping[str, Any]) -> Pod:
        """Return a pod that the cluster has been asked for, and is heard of from now on.

        Raises:
            TargetError: the cluster refuses it.
        """
        pod = self._pods[name] = Pod(name, lambda: self._spawn(self._remove(name)))
        try:
            await self._asked(f"the pod {name}", "POST", self._base, body)
        except BaseException:
            del self._pods[name]
            pod.kill()  # that nothing was heard of it does not mean that it is not there
            raise
        return pod

    async def _nodes(self, request: StartRequest) -> Nodes | None:
        """Return what the cluster has, for pods that ask for accelerators."""
        if request.resources is None or request.resources.device is None:
            return None
        if time.monotonic() - self._seen > NODES_SECONDS:
            self._has = await self._loop.run_in_executor(self._calls, read_nodes, self._api)
            self._seen = time.monotonic()
        return self._has

    async def _bring(self, name: str, folder: Path, place: str) -> None:
        """Have the hub hold what pods fetch, once."""

        async def bring() -> None:
            with contextlib.ExitStack() as stack:
                archive = packed(folder, place)
                path = await asyncio.to_thread(stack.enter_context, archive)
                await self._link.put(name, path)

        known = self._brought.get(name)
        if known is None or (known.done() and (known.cancelled() or known.exception())):
            known = self._brought[name] = self._loop.create_task(bring())
        await asyncio.shield(known)

    async def probe(self, image: str, say: Callable[[str], None]) -> Probe:
        """Find out what an image has: a pod of it tells.

        Args:
            image: the image's reference.
            say: called with what is done.

        Raises:
            ImageBuildError: the cluster cannot pull it, or no task can run in it.
        """
        say(f"Looking for Python in {image}")
        name = f"{self._session['name']}-probe-{next(self._numbers)}"
        body = manifest.probe_pod(name, self._session, image, QUESTION, self._user)
        began = time.monotonic()
        pod = await self._made(name, body)
        try:
            while not pod.ended.done():
                problem = trouble(name, pod.status, began)
                if problem is not None:
                    raise problem
                await either(pod.ended, pod.changed)
            if pod.status.get("phase") == "Failed":
                raise trouble(name, pod.status, began) or TargetError(f"{name} has failed.")
            text = await self._loop.run_in_executor(
                self._calls, self._api.text, f"{self._base}/{name}/log"
            )
        finally:
            self._spawn(self._remove(name))
        return read_answer(text, image)

    def _hub_lost(self) -> None:
        self._brought.clear()

    async def _arrival(self, pod: Pod, began: float, waits: Callable[[str], None]) -> Stream:
        """Wait until a pod has reached the hub, however long it is queued."""
        said = ""
        while not pod.arrived.done():
            if pod.gone.done():
                raise TargetError(f"The pod {pod.label} was removed before it began.")
            problem = trouble(pod.label, pod.status, began)
            if problem is not None:
                raise problem
            why = self._standing.why or waits_for(pod.status)
            if why != said:
                said = why
                waits(why)
            await either(pod.arrived, pod.changed)
        return pod.arrived.result()

    def _arrived(self, name: str, stream: Stream) -> None:
        pod = self._pods.get(name)
        if pod is None or pod.arrived.done():
            stream.close()
        else:
            self._spawn(self._begun(pod, stream))

    async def _begun(self, pod: Pod, stream: Stream) -> None:
        await asyncio.wait([stream.begun, stream.ended], return_when=asyncio.FIRST_COMPLETED)
        if stream.begun.done() and not pod.arrived.done():
            pod.arrived.set_result(stream)

    async def _remove(self, name: str) -> None:
        with contextlib.suppress(FlyteError, ApiError):
            await self._call("DELETE", f"{self._base}/{name}", gracePeriodSeconds="1")

    # what is heard

    def _listen(self) -> None:
        """Hear of the session's pods, on a thread of its own, for as long as there is a session."""
        pause = FIRST_PAUSE
        selector = f"{manifest.SESSION}={self._session['name']}"
        while not self._closed:
            try:
                found = self._api.call("GET", self._base, labelSelector=selector)
                self._tell(self._standing.heard, None)
                self._tell(self._listed, found["items"])
                version = found["metadata"]["resourceVersion"]
                while not self._closed:
                    watch = self._watch = self._api.watch(
                        self._base, labelSelector=selector, resourceVersion=version
                    )
                    with contextlib.closing(watch):
                        for event in watch:
                            if event["type"] == "ERROR":
                                raise ApiError(410, "Expired", "")
                            version = event["object"]["metadata"]["resourceVersion"]
                            self._tell(self._happened, event["type"], event["object"])
                    pause = FIRST_PAUSE
            except (FlyteError, ApiError, OSError) as error:
                self._tell(self._standing.heard, error)
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _tell(self, function: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the engine has been closed
            self._loop.call_soon_threadsafe(function, *args)

    def _listed(self, pods: list[dict[str, Any]]) -> None:
        names = {pod["metadata"]["name"] for pod in pods}
        for one in pods:
            self._happened("ADDED", one)
        for name, pod in list(self._pods.items()):
            if name not in names and pod.status:
                self._happened("DELETED", {"metadata": {"name": name}, "status": pod.status})

    def _happened(self, kind: str, found: dict[str, Any]) -> None:
        name = found["metadata"]["name"]
        if (found["metadata"].get("labels") or {}).get(manifest.KIND) == "hub":
            self._hub_happened(kind, found)
            return
        pod = self._pods.get(name)
        if pod is not None:
            pod.happened(kind, found)
            if kind == "DELETED":
                del self._pods[name]

    def _hub_happened(self, kind: str, found: dict[str, Any]) -> None:
        """Know the hub's pod; the job makes another where one is lost."""
        if kind != "DELETED" and not found["metadata"].get("deletionTimestamp"):
            self._hub = found
        elif self._hub.get("metadata", {}).get("uid") == found["metadata"].get("uid"):
            self._hub = {}
        self._hub_changed.set()

    # calls

    async def _asked(
        self, what: str, method: str, path: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        try:
            return await self._call(method, path, body, fieldValidation="Strict")
        except ApiError as error:
            raise refused(what, error.status, error.reason, error.sentence) from None

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: str
    ) -> dict[str, Any]:
        return await self._loop.run_in_executor(
            self._calls, lambda: self._api.call(method, path, body, **query)
        )

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End the session: every pod, then the hub."""
        self._closed = True
        await self._link.close()
        for pod in list(self._pods.values()):
            pod.leave()
        clean = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVING):
                clean = await self._gone()
        if self._watch is not None:
            self._watch.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self._calls.shutdown)
        estate.forget(self._session["name"])
        if not clean:
            # it removes the rest when the cluster answers, and nobody waits for that
            janitor = self._janitor or self._new_janitor()
            threading.Thread(target=janitor.dismiss, args=(False,), daemon=True).start()
        elif self._janitor is not None:
            await asyncio.to_thread(self._janitor.dismiss, True)
        self._api.close()

    async def _gone(self) -> bool:
        """Remove all that there is, each of it by its name; say whether the cluster agreed."""
        places = [f"{self._base}/{name}" for name in self._pods]
        if self._hub:
            # the job's end would remove it too, whenever the cluster comes to that
            places.append(f"{self._base}/{self._hub['metadata']['name']}")
        name = self._session["name"]
        done = [await self._removed(f"{self._jobs}/{name}", HOW)]
        places.append(f"{self._secrets}/{name}")
        done += await asyncio.gather(*(self._removed(place, SOON) for place in places))
        return all(done)

    async def _removed(self, place: str, how: Mapping[str, Any]) -> bool:
        """Have something removed; say whether it is, or was not there."""
        try:
            await self._call("DELETE", place, how)
        except ApiError as error:
            return error.status == 404
        except FlyteError:
            return False
        return True
