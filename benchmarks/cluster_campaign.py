"""Faults in a cluster, round after round: is each outlived or told, and is the namespace empty?

    export KUBECONFIG=$(python .ci/cluster.py up)
    python benchmarks/cluster_campaign.py 20 > benchmarks/cluster_campaign.md

Needs a cluster of `.ci/cluster.py`, whose programs it kills, and root. Ends with 1 if a run ended
otherwise than it had to, or if something was left in the namespace after its stated time. Words
behind the number of rounds name the faults to cause, by what their names contain.
"""

from __future__ import annotations

import hashlib
import itertools
import linecache
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import types
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import flyte_jupyter as flyte
from flyte_jupyter.targets.kubernetes import manifest
from tests.cluster.faulting import (
    KERNEL,
    SLEEPER,
    TASKS,
    begun,
    pod_of,
    proxied,
    pull_the_cable,
    ready,
    said_of,
)

ROOT = Path(__file__).parent.parent
HEADS = ("fault", "has to", "right", "took", "at worst", "until empty", "at worst", "stated")
# seconds after the end of a session until nothing of it is left, and after a kernel's death
LEFT_BY_A_SESSION = 10.0
# its patience of 5 s, what is left of it for 1 s, and what the cluster takes for its own part
LEFT_TO_THE_CLUSTER = 45.0
LONGEST = 180.0
DOUBLES = """
    import hashlib, os

    @env.task(max_inline_io_bytes=1 << 28)
    def doubles(data: bytes) -> tuple[str, bytes]:
        data += os.urandom(len(data))
        return hashlib.sha256(data).hexdigest(), data

    @env.task
    def ends() -> int:
        import signal, time
        if not flyte.ctx().attempt_number:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        return flyte.ctx().attempt_number
"""


class Wrong(Exception):
    """Something ended otherwise than it had to."""


@dataclass
class Stage:
    """Where a fault is caused: a cluster, a namespace, and a folder.

    Args:
        core: the core of the cluster's API.
        namespace: its name.
        folder: for what lies on this machine.
    """

    core: Any
    namespace: str
    folder: Path

    def order(self, *words: str) -> None:
        """Order something of a program of the cluster's."""
        place = Path(os.environ["KUBECONFIG"]).parent
        program = [sys.executable, str(ROOT / ".ci" / "cluster.py"), "--place", str(place)]
        subprocess.run([*program, *words], check=True, stdout=subprocess.DEVNULL)

    def notebook(self, **options: Any) -> Any:
        """Return a notebook with the tasks of the tests."""
        flyte.init(
            target="kubernetes", namespace=self.namespace, state=self.folder / "state", **options
        )
        module = types.ModuleType("__main__")
        module.__dict__.update(flyte=flyte, env=flyte.TaskEnvironment(name="env"))
        sys.modules["__main__"] = module
        for number, source in enumerate((TASKS, DOUBLES)):
            text, name = textwrap.dedent(source), f"<cell {number}>"
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            exec(compile(text, name, "exec", dont_inherit=True), module.__dict__)
        return module

    def kernel(self, source: str) -> subprocess.Popen[str]:
        """Run a program as a kernel of its own."""
        program = self.folder / f"kernel_{uuid.uuid4().hex[:8]}.py"
        head = "import flyte_jupyter as flyte\nenv = flyte.TaskEnvironment(name='env')\n"
        program.write_text(head + textwrap.dedent(source))
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [sys.executable, str(program)], stdout=subprocess.PIPE, text=True, env=environ
        )
        assert process.stdout is not None
        right(process.stdout.readline() == "begun\n", "the kernel did not begin")
        return process

    def running(self, task: Any, *inputs: Any) -> flyte.Run:
        """Return a run whose task has begun."""
        run = flyte.run(task, *inputs)
        begun(run)
        return run

    def empty(self) -> bool:
        """Say whether nothing is left in the namespace."""
        from kubernetes import client

        jobs = client.BatchV1Api(self.core.api_client).list_namespaced_job(self.namespace)
        return not (jobs.items or self.core.list_namespaced_pod(self.namespace).items)


def right(holds: object, otherwise: str) -> None:
    """Go on if something is as it has to be."""
    if not holds:
        raise Wrong(otherwise)


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + LONGEST
    while not holds():
        right(time.monotonic() < limit, f"not within {LONGEST:g} s")
        time.sleep(0.05)


def again(run: flyte.Run) -> None:
    """See that a run was tried again, and was right then."""
    right(run.result() >= 1, "it was not tried again")
    right(said_of(run, "sentence"), "nothing was said of the first attempt")


# The faults


def api_server_killed(stage: Stage) -> None:
    run = stage.running(stage.notebook().counts, 4.0)
    stage.order("kill", "kube-apiserver")
    stage.order("start", "kube-apiserver")
    lines = run.result()
    wanted = [f"line {number}" for number in range(lines)]
    right(run.logs().splitlines() == wanted, "lines of its log are missing")
    right(not said_of(run, "sentence"), "it was tried again")


def hub_removed(stage: Stage) -> None:
    run = stage.running(stage.notebook().lasts)
    hub = pod_of(stage.core, stage.namespace, "hub")
    stage.core.delete_namespaced_pod(hub, stage.namespace, grace_period_seconds=0)
    again(run)


def pod_removed(stage: Stage) -> None:
    run = stage.running(stage.notebook().lasts)
    pod = pod_of(stage.core, stage.namespace, "worker")
    stage.core.delete_namespaced_pod(pod, stage.namespace)
    again(run)


def pod_evicted(stage: Stage) -> None:
    run = stage.running(stage.notebook().lasts)
    pod = pod_of(stage.core, stage.namespace, "worker")
    stage.core.create_namespaced_pod_eviction(pod, stage.namespace, {"metadata": {"name": pod}})
    again(run)


def pod_preempted(stage: Stage) -> None:
    from kubernetes import client

    classes, name = client.SchedulingV1Api(stage.core.api_client), "flyte-jupyter-campaign"
    classes.create_priority_class({"metadata": {"name": name}, "value": 1000})
    cpu = int(stage.core.list_node().items[0].status.allocatable["cpu"])
    asked = f"{cpu * 600}m"
    important = {
        "name": "main",
        "image": "python:3.11-slim",
        "command": ["sleep", "600"],
        "resources": {"requests": {"cpu": asked}},
    }
    pod = {
        "metadata": {"name": "important"},
        "spec": {
            "priorityClassName": name,
            "terminationGracePeriodSeconds": 0,
            "containers": [important],
        },
    }
    try:
        task = stage.notebook().lasts.override(resources=flyte.Resources(cpu=asked))
        run = stage.running(task)
        stage.core.create_namespaced_pod(stage.namespace, pod)
        until(lambda: any("none has" in why for why in said_of(run, "why")))
        stage.core.delete_namespaced_pod("important", stage.namespace)
        again(run)
    finally:
        classes.delete_priority_class(name)


def process_killed(stage: Stage) -> None:
    again(flyte.run(stage.notebook().ends))


def node_drained(stage: Stage) -> None:
    run = stage.running(stage.notebook().lasts)
    node = stage.core.list_node().items[0].metadata.name
    taint = {"key": "flyte-jupyter.test/leave", "effect": "NoExecute"}
    stage.core.patch_node(node, {"spec": {"taints": [taint]}})
    try:
        until(lambda: said_of(run, "sentence"))
    finally:
        stage.core.patch_node(node, {"spec": {"taints": []}})
    again(run)


def node_not_ready(stage: Stage) -> None:
    run = stage.running(stage.notebook().counts, 10.0)
    stage.order("kill", "kubelet")
    try:
        until(lambda: not ready(stage.core))
    finally:
        stage.order("start", "kubelet")
    lines = run.result()
    right(len(run.logs().splitlines()) == lines, "lines of its log are missing")
    right(not said_of(run, "sentence"), "it was tried again")
    until(lambda: ready(stage.core))


def network_lost(stage: Stage) -> None:
    run = stage.running(stage.notebook().lasts)
    pull_the_cable(pod_of(stage.core, stage.namespace, "worker"))
    again(run)


def connection_cut(stage: Stage) -> None:
    between, kubeconfig = proxied(stage.folder)
    there = stage.notebook(kubeconfig=str(kubeconfig))
    run = flyte.run(there.doubles, bytes(range(256)) * (1 << 16))
    until(lambda: run.phase == "running")
    while not run.done:
        carried = between.carried
        until(lambda before=carried: run.done or between.carried > before + (4 << 20))
        between.cut()
    digest, data = run.result()
    right(hashlib.sha256(data).hexdigest() == digest, "the value is not whole")
    flyte.shut_down()
    between.close()


def kernel_asleep(stage: Stage) -> None:
    process = stage.kernel(SLEEPER.format(namespace=stage.namespace, patience=60, seconds=3))
    process.send_signal(signal.SIGSTOP)
    time.sleep(5)
    process.send_signal(signal.SIGCONT)
    said = process.communicate()[0]
    right(said == "29 30\n", f"it says {said!r}")


def kernel_asleep_for_long(stage: Stage) -> None:
    process = stage.kernel(SLEEPER.format(namespace=stage.namespace, patience=6, seconds=600))
    process.send_signal(signal.SIGSTOP)
    until(stage.empty)
    process.send_signal(signal.SIGCONT)
    said = process.communicate()[0]
    right(said.startswith("This kernel was away"), f"it says {said!r}")


def kernel_killed(stage: Stage) -> None:
    process = stage.kernel(KERNEL.format(namespace=stage.namespace, patience=5))
    process.kill()
    process.communicate()


def quota_hit(stage: Stage) -> None:
    there = stage.notebook()
    first = stage.running(there.counts.override(resources=flyte.Resources(cpu="10m")), 4.0)
    pods = str(len(stage.core.list_namespaced_pod(stage.namespace).items))
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": pods}}}
    stage.core.create_namespaced_resource_quota(stage.namespace, quota)
    try:
        read = stage.core.read_namespaced_resource_quota
        until(lambda: read("few", stage.namespace).status.used)
        second = flyte.run(there.fine.override(resources=flyte.Resources(cpu="20m")))
        until(lambda: any("quota few" in why for why in said_of(second, "why")))
        right(first.result() > 0, "the first was not right")
        right(second.result() == 1, "the second was not right")
    finally:
        stage.core.delete_namespaced_resource_quota("few", stage.namespace)


def namespace_deleted(stage: Stage) -> None:
    with namespace(stage.core) as doomed:
        inside = Stage(stage.core, doomed, stage.folder)
        run = inside.running(inside.notebook().counts, 60.0)
        stage.core.delete_namespace(doomed)
        for one in (run, None):
            try:
                (one or flyte.run(inside.notebook().fine)).result()
            except flyte.errors.TargetError as error:
                right(f"amespace {doomed}" in error.sentence, f"it says {error.sentence}")
            else:
                raise Wrong("a run ended well in a namespace that is being deleted")
        flyte.shut_down()


@dataclass(frozen=True)
class Fault:
    """A fault.

    Args:
        name: in a few words.
        cause: causes it, and looks whether all ends as it has to.
        outcome: how that is.
        stated: seconds until the namespace is empty.
    """

    name: str
    cause: Callable[[Stage], None]
    outcome: str
    stated: float = LEFT_BY_A_SESSION


FAULTS = (
    Fault("API server killed and back", api_server_killed, "goes on"),
    Fault("hub's pod removed", hub_removed, "second attempt"),
    Fault("pod removed", pod_removed, "second attempt"),
    Fault("pod evicted", pod_evicted, "second attempt"),
    Fault("pod preempted", pod_preempted, "second attempt"),
    Fault("first process killed", process_killed, "second attempt"),
    Fault("node drained, hub and pod", node_drained, "another attempt"),
    Fault("kubelet killed until NotReady, and back", node_not_ready, "goes on"),
    Fault("network of the pod lost", network_lost, "second attempt"),
    Fault("connection cut every 4 MiB", connection_cut, "32 MiB arrive whole"),
    Fault("kernel stopped for 5 s", kernel_asleep, "goes on"),
    Fault("kernel stopped for longer than is waited", kernel_asleep_for_long, "told"),
    Fault("kernel killed", kernel_killed, "all collected", LEFT_TO_THE_CLUSTER),
    Fault("quota has no room", quota_hit, "waits, then goes on"),
    Fault("namespace deleted", namespace_deleted, "told, also by the next run"),
)


@dataclass
class Row:
    """What came of a fault.

    Args:
        right: how often all ended as it had to.
        took: seconds until it had.
        emptied: seconds from then until the namespace was empty.
        late: how often that took longer than stated.
    """

    right: int = 0
    took: list[float] = field(default_factory=list)
    emptied: list[float] = field(default_factory=list)
    late: int = 0


@contextmanager
def namespace(core: Any) -> Iterator[str]:
    """Make a namespace for a while."""
    name = f"flyte-jupyter-campaign-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name}})
    until(lambda: core.list_namespaced_service_account(name).items)
    yield name
    if any(one.metadata.name == name for one in core.list_namespace().items):
        core.delete_namespace(name)


def once(fault: Fault, stage: Stage, row: Row) -> str:
    """Cause a fault, and return what was not as it had to be."""
    began, wrong = time.monotonic(), ""
    try:
        fault.cause(stage)
        row.right += 1
    except (Wrong, flyte.errors.FlyteError, AssertionError) as error:
        wrong = f"{fault.name}: {type(error).__name__}: {error}"
    row.took.append(time.monotonic() - began)
    flyte.shut_down()
    ended = time.monotonic()
    while not stage.empty() and time.monotonic() < ended + fault.stated:
        time.sleep(0.05)
    row.emptied.append(time.monotonic() - ended)
    if not stage.empty():
        row.late += 1
        wrong += f" {fault.name}: something is left after {fault.stated:g} s"
        until(stage.empty)
    return wrong.strip()


def table(rows: dict[Fault, Row], rounds: int) -> str:
    """Return what came of the faults as Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (HEADS, ("---",) * len(HEADS))]
    for fault, row in rows.items():
        times = [
            f"{value:.1f} s"
            for series in (row.took, row.emptied)
            for value in (statistics.median(series), max(series))
        ]
        often = f"{row.right} of {rounds}"
        cells = (fault.name, fault.outcome, often, *times, f"{fault.stated:g} s")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(words: list[str]) -> int:
    """Do the rounds and print their table."""
    from kubernetes import client, config

    rounds, names = int(words[0]) if words else 20, words[1:]
    chosen = [one for one in FAULTS if not names or any(name in one.name for name in names)]
    rows = {fault: Row() for fault in chosen}
    wrong: list[str] = []
    manifest.LEFT = 1
    with (
        config.new_client_from_config() as connection,
        tempfile.TemporaryDirectory() as folder,
        namespace(client.CoreV1Api(connection)) as name,
    ):
        stage = Stage(client.CoreV1Api(connection), name, Path(folder))
        version = client.VersionApi(connection).get_code().git_version
        for number, fault in itertools.product(range(rounds), chosen):
            found = once(fault, stage, rows[fault])
            said = found or f"right after {rows[fault].took[-1]:.1f} s"
            print(f"{number + 1}/{rounds} {fault.name}: {said}", file=sys.stderr, flush=True)
            wrong += filter(None, [found])
    print("# Faults in a cluster\n")
    python = sys.version.split()[0]
    print(f"Kubernetes {version}, one node, Python {python}, {rounds} rounds. ", end="")
    print("Made by `python benchmarks/cluster_campaign.py`. Times are medians.\n")
    print(table(rows, rounds))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
