"""All that one kernel has in one cluster: the session's hub, and a pod for each worker."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from flyte_jupyter.cluster.api import Api
from flyte_jupyter.cluster.connect import Cluster
from flyte_jupyter.errors import FlyteError, TargetError, WorkerLostError
from flyte_jupyter.images.probe import QUESTION, Probe, read_answer
from flyte_jupyter.targets.kubernetes import manifest
from flyte_jupyter.targets.kubernetes.away import Away
from flyte_jupyter.targets.kubernetes.boot import FILES
from flyte_jupyter.targets.kubernetes.bringing import Bringing
from flyte_jupyter.targets.kubernetes.calls import Calls
from flyte_jupyter.targets.kubernetes.delivery import Delivery
from flyte_jupyter.targets.kubernetes.happenings import Happenings
from flyte_jupyter.targets.kubernetes.hubs import HubPod
from flyte_jupyter.targets.kubernetes.images import ClusterImage
from flyte_jupyter.targets.kubernetes.lending import Lending
from flyte_jupyter.targets.kubernetes.link import Link, Stream
from flyte_jupyter.targets.kubernetes.listening import Listener
from flyte_jupyter.targets.kubernetes.outlook import Outlook
from flyte_jupyter.targets.kubernetes.pod import Pod
from flyte_jupyter.targets.kubernetes.preflight import Preflight
from flyte_jupyter.targets.kubernetes.queues import Place, Queues, ending
from flyte_jupyter.targets.kubernetes.scheduling import Asked, asked_for
from flyte_jupyter.targets.kubernetes.session import SOON, Session
from flyte_jupyter.targets.kubernetes.standing import Standing
from flyte_jupyter.targets.kubernetes.templates import with_template
from flyte_jupyter.targets.kubernetes.trouble import trouble, waits_for
from flyte_jupyter.targets.kubernetes.trust import Trust
from flyte_jupyter.targets.kubernetes.waiting import about, until
from flyte_jupyter.targets.protocol import StartRequest
from flyte_jupyter.wire.link import proof

__all__ = ["Fleet"]

SCRATCH = "/tmp/task"
LEAVING = 8.0
# A hub that runs is reached within so many seconds, or there is a reason.
REACHED = 30.0


class Fleet:
    """The pods of one kernel.

    Args:
        cluster: where.
        image: of the hub.
        trust: what the session is let in by.
        options: what the cluster was found by.
        delivery: brings images of this machine.
        tell: called with what concerns all that runs.

    Attributes:
        queued: whether all in this namespace goes through a queue, whatever it asks for.
    """

    def __init__(
        self,
        cluster: Cluster,
        image: str,
        trust: Trust,
        options: Mapping[str, Any],
        delivery: Delivery,
        tell: Callable[[str], None],
    ) -> None:
        self.queued = False
        self._delivery = delivery
        self._standing = Standing(tell)
        self._loop = asyncio.get_running_loop()
        self._cluster = cluster
        self._image = image
        self._api = Api(cluster)
        self._calls = Calls(self._api)
        self._session = Session(cluster, self._api, self._calls, trust, options)
        self._base = self._session.pods
        self._queues = Queues(self._api, cluster.namespace, self._tell)
        self._pods: dict[str, Pod] = {}
        self._numbers = count(1)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._away = Away(self._session.lease)
        self._hub = HubPod(self._session.job, self._away, self._lose_streams)
        self._link = Link(
            cluster,
            trust,
            self._hub.address,
            self._arrived,
            self._relinked,
            self._standing.heard,
        )
        self._bringing = Bringing(self._link)
        self._listener = Listener(
            self._api,
            self._base,
            f"{manifest.SESSION}={self._session.name}",
            lambda *found: self._tell(self._listed, *found),
            lambda *found: self._tell(self._happened, *found),
            lambda error: self._tell(self._standing.heard, error),
        )
        self._happenings = Happenings(
            self._api,
            cluster.namespace,
            self._session.name,
            lambda name: self._tell(self._news, name),
        )
        self._lending = Lending(self._calls, self._base, self._pods, tell)
        self._outlook = Outlook(
            self._api, self._calls, self._happenings, self._standing, delivery, self._lending
        )

    @property
    def over(self) -> bool:
        """Whether no pod can be had of it any more, as the session has ended in the cluster."""
        return self._hub.over is not None or self._link.over

    # the session

    async def open(self, say: Callable[[str], None]) -> None:
        """Make the hub, and wait until it is reached.

        Args:
            say: called with what it waits for, each time that this changes.

        Raises:
            TargetError: the cluster refuses, or the hub does not run there.
        """
        began = time.monotonic()
        look = Preflight(self._api, self._cluster, self._hub.changed)
        try:
            made = await self._session.make(self._image, look, say)
            for heard in (self._listener, self._happenings):
                name = f"flyte-kubernetes-{type(heard).__name__.lower()}"
                threading.Thread(target=heard.listen, name=name, daemon=True).start()
            self._link.begin()
            with self._queues.place(made, self._hub.changed.set) as place:
                self.queued = place.queue is not None

                def problem() -> Exception | None:
                    look.check(say)
                    return place.trouble("The hub of the session") or self._hub_trouble(began)

                await until(
                    self._link.open,
                    self._hub.changed,
                    problem,
                    lambda: place.why(self._hub.status) or self._hub_waits(),
                    about("The hub of the session", say),
                )
        except BaseException:
            await self.close()
            raise
        self._spawn(self._session.settle())

    def _hub_trouble(self, began: float) -> Exception | None:
        """Return why the hub will not be reached, ``None`` where it may."""
        if self._hub.over is not None:
            return self._hub.over
        lacks = self._delivery.lacking(self._image, self._hub.status, began)
        if lacks is not None:
            return lacks
        happening = self._happenings.of(self._hub.name)
        placed = began if self._hub.placed else None
        problem = trouble("The hub of the session", self._hub.status, placed, happening)
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

    def _hub_waits(self) -> str:
        return waits_for(self._hub.status, self._happenings.of(self._hub.name))

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
            namespace = self._cluster.namespace
            request = await self._calls.run(with_template, self._api, namespace, request)
        name = manifest.pod_name(self._session.name, request.group, next(self._numbers))
        await self._wait_for_hub(waits)
        _, hub = await self._hub.address()
        await self._bringing.bring(image.blobs)
        body = manifest.worker_pod(
            name,
            self._session.reference,
            image.reference,
            hub,
            proof(self._session.trust.key, "pod", name),
            self._session.trust.certificate,
            request,
            [name for name, _, _ in image.blobs],
            await self._outlook.nodes_for(request),
            self._session.user,
            image.pull_secrets,
            image.made_folder,
            self._session.lease,
        )
        if request.queue:
            await self._calls.run(self._queues.check, request.queue)
        hubs = self._hub.count
        pod, made = await self._made(name, body, waits)
        try:
            with self._queues.place(made, pod.changed.set) as place:
                asked = asked_for(body, request)
                stream = await self._arrival(pod, hubs, place, image.reference, waits, asked)
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

    async def _wait_for_hub(self, waits: Callable[[str], None]) -> None:
        if self._hub.ready:
            return
        ready = self._loop.create_future()

        def look() -> None:
            if self._hub.ready and not ready.done():
                ready.set_result(None)

        def why() -> str:
            look()
            return f"waits for the hub of the session, which {self._hub_waits() or 'is starting'}"

        await until(ready, self._hub.changed, lambda: None, why, waits)
        waits("")

    async def _made(
        self, name: str, body: Mapping[str, Any], say: Callable[[str], None]
    ) -> tuple[Pod, dict[str, Any]]:
        """Return a pod that is heard of from now on, and what the cluster has made of it.

        Raises:
            TargetError: the cluster refuses it.
        """
        pod = self._pods[name] = Pod(
            name,
            lambda: self._spawn(self._calls.remove(f"{self._base}/{name}", SOON)),
            lambda: self._away.long,
        )

        try:
            made = await self._calls.make(
                f"the pod {name}", self._base, body, self._lending.noticing(say)
            )
            made = made or await self._calls.call("GET", f"{self._base}/{name}")
            pod.made = time.monotonic()
        except BaseException:
            del self._pods[name]
            pod.kill()  # that nothing was heard of it does not mean that it is not there
            raise
        return pod, made

    async def probe(
        self, image: str, pull_secrets: Sequence[str], say: Callable[[str], None]
    ) -> Probe:
        """Find out what an image has: a pod of it tells.

        Args:
            image: the image's reference.
            pull_secrets: names of the secrets that open its registry.
            say: called with what is done.

        Raises:
            ImageBuildError: the cluster cannot pull it, or no task can run in it.
        """
        say(f"Looking for Python in {image}")
        name = f"{self._session.name}-probe-{next(self._numbers)}"
        session, user = self._session.reference, self._session.user
        body = manifest.probe_pod(name, session, image, QUESTION, user, pull_secrets)
        began = time.monotonic()
        pod, made = await self._made(name, body, say)
        try:
            with self._queues.place(made, pod.changed.set) as place:
                await until(
                    pod.ended,
                    pod.changed,
                    lambda: self._outlook.trouble(pod, place, image, began),
                    lambda: self._outlook.why(pod, place, asked_for(body)),
                    about(name, say),
                )
            if pod.status.get("phase") == "Failed":
                raise self._outlook.lasting(pod) or TargetError(f"{name} has failed.")
            if pod.gone.done():
                raise WorkerLostError(f"The pod {name} was removed before it had told anything.")
            text = await self._calls.run(self._api.text, f"{self._base}/{name}/log")
        finally:
            self._spawn(self._calls.remove(f"{self._base}/{name}", SOON))
        return read_answer(text, image)

    def _relinked(self) -> None:
        self._bringing.forget()
        self._hub.relinked()
        for pod in self._pods.values():
            pod.changed.set()

    def _lose_streams(self) -> None:
        """Let go of what came over a hub that is no more."""
        for pod in list(self._pods.values()):
            pod.orphan()

    async def _arrival(
        self,
        pod: Pod,
        hubs: int,
        place: Place,
        image: str,
        waits: Callable[[str], None],
        asked: Asked,
    ) -> Stream:
        """Wait until a pod has reached the hub, however long it is queued."""
        began = time.monotonic()

        def problem() -> Exception | None:
            if self._hub.count != hubs or self._hub.over is not None:
                # it asks for one that is no more, or for what that one had
                return WorkerLostError(
                    f"The hub of the session was lost before the pod {pod.label} had reached it."
                )
            if pod.gone.done():
                said = ending(pod.status)
                return WorkerLostError(
                    f"The pod {pod.label} was removed before it began.",
                    evidence=[said] if said else (),
                )
            return self._outlook.trouble(pod, place, image, began)

        await until(
            pod.arrived, pod.changed, problem, lambda: self._outlook.why(pod, place, asked), waits
        )
        return pod.arrived.result()

    def _arrived(self, name: str, stream: Stream) -> None:
        pod = self._pods.get(name)
        if pod is None or not pod.expected:
            stream.close()  # nobody waits for it any more, whatever it has done meanwhile
        else:
            self._spawn(self._begun(pod, stream))

    async def _begun(self, pod: Pod, stream: Stream) -> None:
        await asyncio.wait([stream.begun, stream.ended], return_when=asyncio.FIRST_COMPLETED)
        if stream.begun.done() and pod.expected:
            pod.arrived.set_result(stream)
        else:
            stream.close()

    # what is heard

    def _tell(self, function: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the engine has been closed
            self._loop.call_soon_threadsafe(function, *args)

    def _news(self, name: str) -> None:
        changed = self._pods[name].changed if name in self._pods else self._hub.changed
        changed.set()

    def _listed(self, pods: list[dict[str, Any]], asked: float) -> None:
        names = {pod["metadata"]["name"] for pod in pods}
        for one in pods:
            self._happened("ADDED", one)
        for name, pod in list(self._pods.items()):
            known = pod.status or (pod.made is not None and pod.made < asked)
            if name not in names and known:
                self._happened("DELETED", {"metadata": {"name": name}, "status": pod.status})
        self._hub.look_after()

    def _happened(self, kind: str, found: dict[str, Any]) -> None:
        name = found["metadata"]["name"]
        if (found["metadata"].get("labels") or {}).get(manifest.KIND) == "hub":
            self._hub.happened(kind, found)
            return
        pod = self._pods.get(name)
        if pod is not None:
            pod.happened(kind, found)
            if pod.ended.done():
                self._calls.room.set()
            if kind == "DELETED":
                del self._pods[name]
                self._happenings.forget(name)

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End the session: every pod, then the hub."""
        await self._link.close()
        for pod in list(self._pods.values()):
            pod.leave()
        clean = False
        names = [*self._pods, *filter(None, [self._hub.name])]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVING):
                clean = await self._session.remove(names)
        self._listener.close()
        self._happenings.close()
        self._outlook.close()
        self._lending.close()
        self._queues.close()
        self._away.end()
        self._hub.close()
        for task in self._tasks:
            task.cancel()
        await self._calls.close()
        await self._session.forget(clean=clean)
        self._api.close()
