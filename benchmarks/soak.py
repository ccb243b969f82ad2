"""A cluster at full load for some minutes: what grows in the kernel, and what stays in the cluster.

    export KUBECONFIG=$(python .ci/cluster.py up)
    python benchmarks/soak.py 10 > benchmarks/soak.md

Needs what `on_cluster.py` needs. Ends with 1 if memory, threads or descriptors of the kernel have
grown after the first fifth of the time, or if a pod is left. The minutes can be given.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from subjects import alone, made, paired
from timing import machine, table

import flyte_jupyter as flyte
from flyte_jupyter.cluster.api import Api
from flyte_jupyter.cluster.connect import connect

NAMESPACE = f"flyte-jupyter-soak-{uuid.uuid4().hex[:6]}"
HEAD = ("minute", "calls", "failed", "memory, MiB", "threads", "descriptors", "pods", "hub, MiB")
# What a Python process may gain by how its allocator fills pages, in MiB.
SLACK = 32
ARRAY = 1 << 20


@dataclass
class Load:
    """Calls of three kinds, made by threads that stop when told."""

    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    calls: int = 0
    failed: list[str] = field(default_factory=list)

    def keep(self, *work: object) -> list[threading.Thread]:
        """Do each piece of work again and again, side by side."""
        threads = [threading.Thread(target=self._again, args=(one,)) for one in work]
        for thread in threads:
            thread.start()
        return threads

    def _again(self, work) -> None:
        while not self.over.is_set():
            try:
                made = work()
                with self.lock:
                    self.calls += made
            except Exception as error:
                self.failed.append(f"{type(error).__name__}: {error}")


def mapped() -> int:
    """Call a hundred times, in warm pods."""
    return len(list(flyte.map(paired, range(100))))


def fresh() -> int:
    """Call once, in a pod of its own."""
    assert flyte.run(alone, 1).result() == 1
    return 1


def large() -> int:
    """Have an array of 8 MiB made, and fetch it."""
    assert flyte.run(made, ARRAY).result().size == ARRAY
    return 1


def memory() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def sample(api: Api, load: Load, minute: float) -> tuple[float, ...]:
    """Return what is measured once a minute."""
    found = api.call("GET", f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    descriptors = len(os.listdir("/proc/self/fd"))
    return (
        minute,
        load.calls,
        len(load.failed),
        round(memory(), 1),
        threading.active_count(),
        descriptors,
        len(found),
        round(hub_memory(), 1),
    )


def hub_memory() -> float:
    """Return the resident memory of the hub in MiB where its node is this machine, else 0."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes()
            if b"flyte_jupyter.worker.hub" in words and b"python" in words.split(b"\0")[0]:
                return int((place.parent / "statm").read_text().split()[1]) * 4096 / 2**20
        except OSError:
            continue
    return 0.0


def soak(minutes: float) -> tuple[list[tuple[float, ...]], Load, int]:
    """Load the cluster; return the samples, the load, and how many pods are left."""
    api = Api(connect())
    api.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    flyte.init(target="kubernetes", namespace=NAMESPACE)
    for work in (mapped, fresh, large):
        work()
    load, rows = Load(), []
    threads = load.keep(mapped, fresh, fresh, large)
    begun = time.monotonic()
    try:
        while (passed := time.monotonic() - begun) < minutes * 60:
            load.over.wait(min(30.0, minutes * 60 - passed))
            rows.append(sample(api, load, round((time.monotonic() - begun) / 60, 1)))
            print(*rows[-1], file=sys.stderr, flush=True)
    finally:
        load.over.set()
        for thread in threads:
            thread.join()
        flyte.shut_down()
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    limit = time.monotonic() + 60
    while (left := len(api.call("GET", path)["items"])) and time.monotonic() < limit:
        time.sleep(0.5)
    api.call("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
    return rows, load, left


def main(minutes: float) -> int:
    """Soak, print the table, and return 1 where something has grown."""
    rows, load, left = soak(minutes)
    settled = rows[len(rows) // 5 :]
    grown = [
        name
        for name, column, slack in (("memory", 3, SLACK), ("threads", 4, 2), ("descriptors", 5, 8))
        if settled[-1][column] > max(row[column] for row in settled[: len(settled) // 2]) + slack
    ]
    print("# A cluster at full load\n")
    print(f"{minutes:g} minutes on {machine()}: 100 calls in 2 warm pods again and again, two")
    print("rows of calls with a pod each, and arrays of 8 MiB, all side by side.")
    print(f"Made by `python benchmarks/soak.py {minutes:g}`.\n")
    print(table([tuple(f"{value:g}" for value in row) for row in rows], HEAD))
    print(f"\nGrown: {', '.join(grown) or 'nothing'}. Pods left after the end: {left}.")
    for text in sorted(set(load.failed)):
        print(f"Failed {load.failed.count(text)} times: {text}")
    return 1 if grown or left or load.failed else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
