"""Kueue's queues: what goes through them, what waits in them and why, and where there are none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte

from .conftest import PROGRAM, found, until

GROUP, VERSION = "kueue.x-k8s.io", "v1beta2"
QUEUE = f"{GROUP}/queue-name"
NAMED = """
    import os, time

    @env.task
    def fine() -> int:
        return 1

    queued = flyte.TaskEnvironment(
        "queued", task_queue="gpus", resources=flyte.Resources(cpu="600m", memory="128Mi")
    )

    @queued.task
    def holds() -> str:
        print("here", flush=True)
        time.sleep(600)

    @queued.task
    def says() -> str:
        return "done"

    @queued.task
    def calls() -> str:
        return says()
"""


def has_kueue(core: Any) -> bool:
    from kubernetes import client

    groups = client.ApisApi(core.api_client).get_api_versions().groups
    return GROUP in [group.name for group in groups]


def test_without_kueue_the_queue_is_said_to_be_a_label_once(
    book: Callable[[str], Any], core: Any
) -> None:
    if has_kueue(core):
        pytest.skip("needs a cluster without Kueue")
    there = book(NAMED)
    notes = []
    for _ in range(2):
        run = flyte.run(there.fine, task_queue="gpus")
        run.subscribe(lambda event: event.kind == "note" and notes.append(event.data["text"]))
        assert run.result() == 1
    assert notes == ["env: queue: this cluster has no Kueue; 'gpus' is only a label of its pods"]


@pytest.fixture(scope="module")
def kueue(core: Any) -> Iterator[Any]:
    """The API of Kueue's objects; a cluster of ours that has no Kueue has it for these tests."""
    from kubernetes import client

    place = Path(os.environ["KUBECONFIG"]).parent
    ours = (place / "control.sock").exists()
    if not ours and not has_kueue(core):
        pytest.skip("needs Kueue: install it in the cluster, or take the one of .ci/cluster.py")
    brought = ours and not has_kueue(core)
    command = [sys.executable, PROGRAM, "--place", place, "kueue"]
    if brought:
        subprocess.run([*command, "up"], check=True)
    yield client.CustomObjectsApi(core.api_client)
    if brought:
        subprocess.run([*command, "down"], check=True)


@pytest.fixture
def make_queue(kueue: Any, namespace: str) -> Iterator[Callable[..., str]]:
    """A function that makes a LocalQueue with a quota of its own."""
    made: list[tuple[str, str]] = []

    def make(name: str, cpu: str = "1", check: str = "", **spec: Any) -> str:
        unique = f"{name}-{uuid.uuid4().hex[:8]}"
        quotas = [
            {"name": "cpu", "nominalQuota": cpu},
            {"name": "memory", "nominalQuota": "8Gi"},
        ]
        offered = {
            "coveredResources": ["cpu", "memory"],
            "flavors": [{"name": unique, "resources": quotas}],
        }
        has: dict[str, Any] = {"namespaceSelector": {}, "resourceGroups": [offered]}
        if check:
            has["admissionChecksStrategy"] = {"admissionChecks": [{"name": check}]}
            create("admissionchecks", "AdmissionCheck", check, controllerName="test/nobody")
            active = {"type": "Active", "status": "True", "reason": "Test", "message": ""}
            active["lastTransitionTime"] = "2026-01-01T00:00:00Z"
            kueue.patch_cluster_custom_object_status(
                GROUP, VERSION, "admissionchecks", check, {"status": {"conditions": [active]}}
            )
        create("resourceflavors", "ResourceFlavor", unique)
        create("clusterqueues", "ClusterQueue", unique, **has)
        local = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "LocalQueue",
            "metadata": {"name": name},
            "spec": {"clusterQueue": unique, **spec},
        }
        kueue.create_namespaced_custom_object(GROUP, VERSION, namespace, "localqueues", local)
        own.append(name)
        until(lambda: ready(name) or spec)
        return unique

    own: list[str] = []

    def create(kind: str, word: str, name: str, **spec: Any) -> None:
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": word, "metadata": {"name": name}}
        kueue.create_cluster_custom_object(GROUP, VERSION, kind, {**body, "spec": spec})
        made.append((kind, name))

    def ready(name: str) -> bool:
        queue = kueue.get_namespaced_custom_object(GROUP, VERSION, namespace, "localqueues", name)
        conditions = queue.get("status", {}).get("conditions", ())
        return any(one["type"] == "Active" and one["status"] == "True" for one in conditions)

    yield make
    for name in own:
        kueue.delete_namespaced_custom_object(GROUP, VERSION, namespace, "localqueues", name)
    for kind, name in reversed(made):
        kueue.delete_cluster_custom_object(GROUP, VERSION, kind, name)
    until(
        lambda: (
            not any(found(kueue.get_cluster_custom_object, GROUP, VERSION, *each) for each in made)
        )
    )


class Waits:
    """What a run's tasks wait for, as it is said."""

    def __init__(self, run: flyte.Run) -> None:
        self.lines: list[str] = []
        self._news = threading.Condition()
        run.subscribe(self._take)

    def _take(self, event: Any) -> None:
        if event.kind in ("phase", "log", "end", "prepare"):
            with self._news:
                why = event.data.get("why") or event.data.get("text") or ""
                self.lines.append(str(why))
                self._news.notify_all()

    def hear(self, *parts: str) -> str:
        """Return the first line with all of certain words in it, once it is said."""
        with self._news:
            said = self._news.wait_for(
                lambda: [x for x in self.lines if all(p in x for p in parts)], timeout=90
            )
        assert said, [line for line in self.lines if line]
        return str(said[0])


def pods(core: Any, namespace: str) -> list[Any]:
    listed = core.list_namespaced_pod(namespace, label_selector="flyte-jupyter/kind=worker")
    return list(listed.items)


def raise_quota(kueue: Any, name: str) -> None:
    """Give a queue a quota of one processor."""
    place = (GROUP, VERSION, "clusterqueues", name)
    queue = kueue.get_cluster_custom_object(*place)
    queue["spec"]["resourceGroups"][0]["flavors"][0]["resources"][0]["nominalQuota"] = "1"
    kueue.replace_cluster_custom_object(*place, queue)


def test_a_task_runs_through_its_queue_however_that_is_named(
    make_queue: Callable[..., str], book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    make_queue("gpus")
    make_queue("other")
    there = book("""
        import socket

        queued = flyte.TaskEnvironment("queued", task_queue="gpus")
        plain = flyte.TaskEnvironment("plain")

        @queued.task
        def where() -> str:
            return socket.gethostname()

        @plain.task
        def calls() -> list[str]:
            return [where.override(task_queue="other")(), where(), socket.gethostname()]
    """)
    labels: dict[str, str | None] = {}

    def look(event: Any) -> None:
        labels.update(
            {p.metadata.name: p.metadata.labels.get(QUEUE) for p in pods(core, namespace)}
        )

    def went(run: flyte.Run) -> list[str | None]:
        run.subscribe(look)
        names = run.result()
        return [labels[name] for name in ([names] if isinstance(names, str) else names)]

    assert went(flyte.run(there.where)) == ["gpus"]
    assert went(flyte.run(there.where.override(queue="other"))) == ["other"]
    assert went(flyte.run(there.where, task_queue="other")) == ["other"]
    assert went(flyte.with_runcontext(queue="other").run(there.where)) == ["other"]
    assert went(flyte.run(there.calls)) == ["other", "gpus", None]


def test_the_second_waits_for_the_quota_of_the_first_and_says_so(
    make_queue: Callable[..., str], book: Callable[[str], Any]
) -> None:
    make_queue("gpus")
    there = book(NAMED)
    first = flyte.run(there.holds)
    Waits(first).hear("here")
    second = flyte.run(there.says)
    line = Waits(second).hear("waits in queue gpus", "insufficient unused quota for cpu")
    assert "200m more needed" in line
    assert second.phase == "waiting"
    first.abort()
    assert second.result() == "done"


def test_a_queue_that_is_not_there_is_told_before_a_pod_is_made(
    make_queue: Callable[..., str], book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    make_queue("gpus")
    make_queue("batch")
    there = book(NAMED)
    with pytest.raises(flyte.errors.TargetError, match=r"no LocalQueue 'gpu'.*'gpus'") as told:
        flyte.run(there.fine, task_queue="gpu").result()
    assert "batch, gpus" in str(told.value)
    assert pods(core, namespace) == []


def test_a_request_above_the_whole_quota_is_said_to_be_and_goes_on_waiting(
    make_queue: Callable[..., str], book: Callable[[str], Any], kueue: Any
) -> None:
    unique = make_queue("gpus", cpu="500m")
    there = book(NAMED)
    run = flyte.run(there.says)
    waits = Waits(run)
    waits.hear("waits in queue gpus, whose whole quota is less than it asks for", "cpu")
    raise_quota(kueue, unique)
    assert run.result() == "done"


def test_a_queue_that_is_stopped_is_said_to_be(
    make_queue: Callable[..., str], book: Callable[[str], Any], kueue: Any, namespace: str
) -> None:
    make_queue("gpus", stopPolicy="Hold")
    run = flyte.run(book(NAMED).says)
    Waits(run).hear("waits in queue gpus: LocalQueue gpus is", "stop")
    go = {"spec": {"stopPolicy": "None"}}
    kueue.patch_namespaced_custom_object(GROUP, VERSION, namespace, "localqueues", "gpus", go)
    assert run.result() == "done"


def test_a_child_is_told_that_its_caller_holds_the_quota(
    make_queue: Callable[..., str], book: Callable[[str], Any]
) -> None:
    make_queue("gpus")
    run = flyte.run(book(NAMED).calls)
    Waits(run).hear("waits in queue gpus: insufficient", "; its caller queued.calls holds a part")
    run.abort()


def test_a_run_that_is_aborted_leaves_nothing_in_the_queue(
    make_queue: Callable[..., str], book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    make_queue("gpus", cpu="100m")
    there = book(NAMED)
    run = flyte.run(there.says)
    Waits(run).hear("waits in queue gpus")
    run.abort()
    until(lambda: not [pod for pod in pods(core, namespace) if QUEUE in pod.metadata.labels])


def test_a_wait_in_a_queue_ends_with_the_time_that_it_may_take(
    make_queue: Callable[..., str], book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    make_queue("gpus", cpu="100m")
    there = book("""
        from datetime import timedelta

        some = flyte.Resources(cpu="600m")
        queued = flyte.TaskEnvironment("queued", task_queue="gpus", resources=some)
        limit = flyte.Timeout(max_queued_time=timedelta(seconds=3))

        @queued.task(timeout=limit)
        def never() -> int:
            return 1
    """)
    with pytest.raises(flyte.errors.MaxQueuedTimeExceededError, match=r"queue gpus.*cpu"):
        flyte.run(there.never).result()
    until(lambda: not [pod for pod in pods(core, namespace) if QUEUE in pod.metadata.labels])


def test_a_task_that_its_queue_puts_out_waits_for_it_again(
    make_queue: Callable[..., str], book: Callable[[str], Any], kueue: Any, namespace: str
) -> None:
    make_queue("gpus")
    run = flyte.run(book(NAMED).holds)
    Waits(run).hear("here")
    drain = {"spec": {"stopPolicy": "HoldAndDrain"}}
    kueue.patch_namespaced_custom_object(GROUP, VERSION, namespace, "localqueues", "gpus", drain)
    Waits(run).hear("tries again")
    told = [event.data["sentence"] for event in run.events() if event.kind == "error"]
    assert len(told) == 1
    assert "LocalQueue is stopped" in told[0]
    run.abort()


def test_where_all_goes_through_a_queue_the_hub_does_as_well(
    make_queue: Callable[..., str],
    book: Callable[[str], Any],
    kueue: Any,
    core: Any,
    namespace: str,
) -> None:
    unique = make_queue("default", cpu="10m")
    there = book(NAMED)
    run = flyte.run(there.fine)
    Waits(run).hear("The hub of the session waits in queue default", "cpu")
    labels = set()
    run.subscribe(lambda _: labels.update(p.metadata.labels[QUEUE] for p in pods(core, namespace)))
    raise_quota(kueue, unique)
    assert run.result() == 1
    assert labels == {"default"}


def test_what_a_check_says_is_told_and_its_refusal_ends_the_run(
    make_queue: Callable[..., str], book: Callable[[str], Any], kueue: Any, namespace: str
) -> None:
    check = f"machines-{uuid.uuid4().hex[:8]}"
    make_queue("gpus", check=check)
    run = flyte.run(book(NAMED).says)
    Waits(run).hear(f"has its quota of queue gpus and waits for {check}")
    place = (GROUP, VERSION, namespace, "workloads")
    (workload,) = kueue.list_namespaced_custom_object(*place)["items"]
    state = {"state": "Rejected", "message": "no such machines here"}
    workload["status"]["admissionChecks"][0] |= state
    kueue.replace_namespaced_custom_object_status(*place, workload["metadata"]["name"], workload)
    with pytest.raises(flyte.errors.TargetError, match="taken out of queue gpus for good") as told:
        run.result()
    assert "no such machines here" in str(told.value)


def test_without_the_rights_to_see_queues_a_task_runs_through_them(
    make_queue: Callable[..., str],
    cell: Callable[[str], Any],
    core: Any,
    namespace: str,
    tmp_path: Path,
) -> None:
    import yaml
    from kubernetes import client

    make_queue("gpus", cpu="100m")
    rules = [
        {
            "apiGroups": ["", "batch"],
            "resources": ["pods", "jobs", "secrets", "pods/portforward"],
            "verbs": ["create", "get", "list", "watch", "patch", "delete"],
        },
    ]
    rights = client.RbacAuthorizationV1Api(core.api_client)
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "poor"}})
    rights.create_namespaced_role(namespace, {"metadata": {"name": "poor"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "poor", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "poor"}
    binding = {"metadata": {"name": "poor"}, "subjects": [subject], "roleRef": role}
    rights.create_namespaced_role_binding(namespace, binding)
    token = core.create_namespaced_service_account_token("poor", namespace, {}).status.token
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    flyte.init(
        target="kubernetes", namespace=namespace, kubeconfig=str(path), state=tmp_path / "state"
    )
    try:
        run = flyte.run(cell(NAMED).says)
        Waits(run).hear("waits in queue gpus; why is not known")
        run.abort()
    finally:
        flyte.shut_down()
        until(lambda: not core.list_namespaced_pod(namespace).items)
