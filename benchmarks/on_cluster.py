"""The numbers of the target `kubernetes`, beside `kubectl run` in the same run.

    export KUBECONFIG=$(python .ci/cluster.py up)
    python benchmarks/on_cluster.py > benchmarks/cluster.md

Needs the `test` extra, `kubectl`, and a cluster that has the default base image. A namespace is
made and removed. With arguments only the parts of these names are measured: calls steps many
arrays.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from contextlib import closing

from subjects import HEAD, SIZE, Row, alone, compared, last, made, paired, same, warm
from timing import alternately, machine, quiet, shown, table, times

import flyte_jupyter as flyte
from flyte_jupyter.cluster.api import Api
from flyte_jupyter.cluster.connect import connect
from flyte_jupyter.targets.kubernetes.pod import Pod

BASE = "python:{}.{}-slim".format(*sys.version_info)
NAMESPACE = f"flyte-jupyter-bench-{uuid.uuid4().hex[:6]}"
STEPS = ("asked", "scheduled", "begun", "arrived", "answered")
SAID = {
    "asked": "the cluster has taken the pod",
    "scheduled": "it has a node",
    "begun": "the kubelet tells that its container runs",
    "arrived": "its first process has reached the hub",
    "answered": "the result is here",
}
counter = iter(range(1_000_000))


def fresh() -> int:
    """Run a task in a pod that nothing was ready for: no standby pod has that variable."""
    return flyte.run(alone.override(env_vars={"NUMBER": str(next(counter))}), 1).result()


def kubectl_run() -> None:
    """Run a pod as one would by hand."""
    name = f"by-hand-{next(counter)}"
    command = ["kubectl", "run", name, "-n", NAMESPACE, "--rm", "-i", "--restart=Never", "-q"]
    subprocess.run(
        [*command, f"--image={BASE}", "--", "python3", "-c", "pass"],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def calls() -> list[Row]:
    """One call after the other."""
    fresh()
    flyte.run(alone, 1).result()
    flyte.run(warm, 1).result()
    row = alternately(
        {
            "fresh": lambda: times(fresh, 4, pause=1.0),
            "standby": lambda: times(lambda: flyte.run(alone, 1).result(), 4, pause=2.0),
            "warm": lambda: times(lambda: flyte.run(warm, 1).result(), 100),
            "by hand": lambda: times(kubectl_run, 2, pause=1.0),
        },
        5,
    )
    beside, goals = {"`kubectl run --rm -i`": row["by hand"]}, {"`kubectl run --rm -i`": "≤ 1"}
    return [
        *compared("P12 own pod, nothing ready", row["fresh"], "≤ 300", beside, goals),
        *compared("P12 own pod, standby ready", row["standby"], "", beside, {}),
        *compared("P12 warm pod", row["warm"], "≤ 10", beside, {}),
    ]


class Steps:
    """When each step of a pod's way was heard of here.

    Args:
        api: the cluster's.
    """

    def __init__(self, api: Api) -> None:
        self._seen: dict[str, dict[str, float]] = defaultdict(dict)
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        self._watch = api.watch(path, labelSelector="flyte-jupyter/kind=worker")
        threading.Thread(target=self._look, daemon=True).start()
        begin = Pod.begin

        def begun(pod: Pod, *args: object) -> None:
            self._note(pod.label, "arrived")
            begin(pod, *args)  # type: ignore[arg-type]

        Pod.begin = begun  # type: ignore[method-assign]

    def _note(self, pod: str, step: str) -> None:
        self._seen[pod].setdefault(step, time.perf_counter())

    def _look(self) -> None:
        with closing(self._watch):
            for event in self._watch:
                pod, status = event["object"]["metadata"]["name"], event["object"]["status"]
                self._note(pod, "asked")
                if event["object"]["spec"].get("nodeName"):
                    self._note(pod, "scheduled")
                for one in status.get("containerStatuses") or ():
                    if "running" in one["state"]:
                        self._note(pod, "begun")

    def of_one(self) -> dict[str, float]:
        """Return the seconds until each step of one call."""
        known = set(self._seen)
        start = time.perf_counter()
        fresh()
        end = time.perf_counter()
        (pod,) = [
            name for name in self._seen if name not in known and "arrived" in self._seen[name]
        ]
        found = {step: at - start for step, at in self._seen[pod].items()}
        return {**found, "answered": end - start}


def steps() -> list[Row]:
    """The time from a call to its result, split into its parts."""
    fresh()
    found = Steps(Api(connect({"namespace": NAMESPACE})))
    rows: dict[str, list[float]] = {step: [] for step in STEPS}
    for _ in range(15):
        quiet()
        time.sleep(1)
        for step, seconds in found.of_one().items():
            rows[step].append(seconds)
    return [
        (f"from the call until {SAID[step]}", shown(rows[step]), "", "", "", "") for step in STEPS
    ]


def many() -> list[Row]:
    """Many calls at once."""
    list(flyte.map(paired, range(8)))
    row = []
    for _ in range(5):
        quiet()
        row += times(lambda: list(flyte.map(paired, range(1000))), 1)
    rows = [("1,000 no-ops, 2 warm pods", shown(row), "", "", "", "")]
    quiet()
    took = times(lambda: list(flyte.map(alone, range(100))), 1)[0]
    one = statistics.median(times(kubectl_run, 4))
    said = f"`kubectl run` 100 times, from 4: {one * 1e5:,.0f}"
    ours = (f"{took * 1e3:,.0f}", "", said, f"{took / one / 100:.2f}", "")
    return [*rows, ("100 no-ops, a pod each", *ours)]


def arrays() -> list[Row]:
    """256 MiB there and back, and passed on."""
    import numpy as np

    def back_and_forth() -> None:
        array = np.arange(SIZE // 8, dtype="f8")
        assert flyte.run(same, array).result().nbytes == SIZE

    flyte.run(same, 1).result()
    quiet()
    row = times(back_and_forth, 4)
    kept = flyte.run(made, SIZE // 8).result()
    passed = times(lambda: flyte.run(last, kept).result(), 3)
    return [
        ("256 MiB array in and out, warm", shown(row), "", "", "", ""),
        ("256 MiB array that is here already, in", shown(passed), "", "", "", ""),
    ]


PARTS = {"calls": calls, "steps": steps, "many": many, "arrays": arrays}


def main(parts: list[str]) -> None:
    """Measure and print the table."""
    api = Api(connect())
    version = api.call("GET", "/version")["gitVersion"]
    api.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    flyte.init(target="kubernetes", namespace=NAMESPACE)
    rows: list[Row] = []
    try:
        for part in parts or PARTS:
            rows += PARTS[part]()
            print(table(rows[-8:], HEAD), file=sys.stderr, flush=True)
    finally:
        flyte.shut_down()
        api.call("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
    print("# Target `kubernetes`\n")
    print(f"Medians / minima in ms on {machine()}, Kubernetes {version}, image `{BASE}`.")
    print("Made by `python benchmarks/on_cluster.py`. What is compared took turns.\n")
    print(table(rows, HEAD))


if __name__ == "__main__":
    main(sys.argv[1:])
