"""The numbers of the target `local`, beside their peers in the same run.

    python benchmarks/local.py > benchmarks/local.md

Needs the `test` extra. The peers Dask and Ray are installed by flyte_jupyter itself, into a
virtual environment of their own; without a package index their rows are left out and said so.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from timing import kernel, machine, ratio, shown, table, times

import flyte_jupyter as flyte
from flyte_jupyter.images import VirtualEnvironments
from flyte_jupyter.store.folders import cache_folder

fresh_env = flyte.TaskEnvironment(name="fresh")
warm_env = flyte.TaskEnvironment(name="warm", reusable=flyte.ReusePolicy(replicas=1))
pair_env = flyte.TaskEnvironment(name="pair", reusable=flyte.ReusePolicy(replicas=2))
numpy_image = flyte.Image.from_debian_base().with_pip_packages(f"numpy=={np.__version__}")
array_env = flyte.TaskEnvironment(
    name="array", image=numpy_image, reusable=flyte.ReusePolicy(replicas=1)
)


@fresh_env.task
def alone(x: int) -> int:
    return x


@warm_env.task
def warm(x: int) -> int:
    return x


@pair_env.task
def paired(x: int) -> int:
    return x


@array_env.task
def same(x):
    return x


@array_env.task
def length(x) -> int:
    return len(x)


PEER = """
import json, sys, time
which = sys.argv[1]
if which == "dask":
    from dask.distributed import Client, LocalCluster
    start = time.perf_counter()
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    client = Client(cluster)
    client.submit(abs, 1).result()
    ready = time.perf_counter() - start
    call = lambda i: client.submit(abs, i, pure=False).result()
    many = lambda n: client.gather(client.map(abs, range(n), pure=False))
else:
    import ray
    start = time.perf_counter()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    noop = ray.remote(lambda x: x)
    ray.get(noop.remote(1))
    ready = time.perf_counter() - start
    call = lambda i: ray.get(noop.remote(i))
    many = lambda n: ray.get([noop.remote(i) for i in range(n)])
def timed(work, count):
    row = []
    for i in range(count):
        start = time.perf_counter(); work(i); row.append(time.perf_counter() - start)
    return row
if __name__ == "__main__":
    timed(call, 20)
    result = {"ready": ready, "call": timed(call, 200), "many": timed(lambda _: many(1000), 3)}
    print("RESULT" + json.dumps(result))
"""


def peer(name: str, package: str) -> dict | None:
    """Measure a peer in an environment of its own."""
    image = flyte.Image.from_debian_base().with_pip_packages(package)
    try:
        built = asyncio.run(VirtualEnvironments(cache_folder()).prepare(image))
    except flyte.errors.ImageBuildError:
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(
            "if __name__ == '__main__':\n" + "".join(f"    {x}\n" for x in PEER.split("\n"))
        )
        script.flush()
        done = subprocess.run(
            [built.python, script.name, name], capture_output=True, text=True, timeout=300
        )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT"):
            return json.loads(line[6:])
    print(done.stderr[-2000:], file=sys.stderr)
    return None


def calls() -> list[tuple[str, ...]]:
    """P4 and the throughput behind it."""
    flyte.run(alone, 1).result()
    flyte.run(warm, 1).result()
    list(flyte.map(paired, range(4)))
    time.sleep(1)
    own = times(lambda: flyte.run(alone, 1).result(), 40, pause=0.1)
    warm_row = times(lambda: flyte.run(warm, 1).result(), 1000)
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(abs, range(4)))
        pool_row = times(lambda: pool.submit(abs, 1).result(), 1000)
        pool_many = times(
            lambda: [f.result() for f in [pool.submit(abs, i) for i in range(1000)]], 5
        )
    many = times(lambda: list(flyte.map(paired, range(1000))), 5)
    many_fresh = times(lambda: list(flyte.map(alone, range(200))), 3)
    ray, dask = peer("ray", "ray"), peer("dask", "distributed")
    rows = [
        ("P4 own process for each call, standby ready", shown(own), "≤ 2", "", ""),
        (
            "P4 warm call, journal on",
            shown(warm_row),
            "≤ 0.27",
            f"process pool {shown(pool_row)}",
            ratio(warm_row, pool_row),
        ),
        (
            "1,000 no-ops at once, 2 warm workers",
            shown(many),
            "",
            f"process pool {shown(pool_many)}",
            ratio(many, pool_many),
        ),
        ("200 no-ops at once, a process for each", shown(many_fresh), "", "", ""),
    ]
    for name, found in (("Ray", ray), ("Dask", dask)):
        if found is None:
            rows.append((f"{name} could not be installed", "", "", "", ""))
            continue
        one, all_ = found["call"], found["many"]
        rows.append(
            (
                f"warm call beside {name}",
                shown(warm_row),
                "",
                f"{name} {shown(one)}",
                ratio(warm_row, one),
            )
        )
        rows.append(
            (
                f"1,000 no-ops beside {name}",
                shown(many),
                "",
                f"{name} {shown(all_)}",
                ratio(many, all_),
            )
        )
    global dask_ready
    dask_ready = [dask["ready"]] if dask else []
    return rows


dask_ready: list[float] = []


def arrays() -> list[tuple[str, ...]]:
    """P6: a large array there and back, and one that is passed on."""
    array = np.ones(256 << 20, dtype="u1")
    flyte.run(same, array[:10]).result()
    first = times(lambda: flyte.run(same, array).result(), 1)
    # memory that is new to the machine, and what waits for the journal, cost only the first calls
    times(lambda: flyte.run(same, array).result(), 6)
    row = times(lambda: flyte.run(same, array).result(), 15)
    result = flyte.run(same, array).result()
    passed = times(lambda: flyte.run(length, result).result(), 15)
    return [
        ("P6 256 MiB array in and out, warm", shown(row), "≤ 60", "", ""),
        ("P6 256 MiB array in and out, first call", shown(first), "≤ 450", "", ""),
        ("P6 256 MiB result passed on to another call", shown(passed), "≤ 2", "", ""),
    ]


def loading() -> list[tuple[str, ...]]:
    """P7: measured inside fresh kernels."""
    cell = "start = time.perf_counter(); {}; took = time.perf_counter() - start"
    ours, docker = [], []
    for _ in range(7):
        for statement, row in (
            ("get_ipython().extension_manager.load_extension('flyte_jupyter')", ours),
            ("import docker", docker),
        ):
            with kernel() as execute, tempfile.NamedTemporaryFile("r") as file:
                execute(cell.format(statement))
                execute(f"open({file.name!r}, 'w').write(str(took))")
                row.append(float(file.read()))
    return [
        (
            "P7 `%load_ext` in a running kernel",
            shown(ours),
            "≤ 25",
            f"import docker {shown(docker)}",
            ratio(ours, docker),
        )
    ]


def preparing() -> list[tuple[str, ...]]:
    """P8: an environment that is built already."""

    async def measure(image: flyte.Image) -> tuple[list[float], list[float]]:
        first, again = [], []
        await VirtualEnvironments(cache_folder()).prepare(image)
        for _ in range(50):
            environments = VirtualEnvironments(cache_folder())
            for row in (first, again):
                start = time.perf_counter()
                await environments.prepare(image)
                row.append(time.perf_counter() - start)
        return first, again

    first, again = asyncio.run(measure(numpy_image))
    return [
        ("P8 `prepare`, unchanged, first in a kernel", shown(first), "≤ 3", "", ""),
        ("P8 `prepare`, unchanged, again", shown(again), "≤ 0.1", "", ""),
    ]


def first_runs() -> list[tuple[str, ...]]:
    """P14: the first run of a fresh kernel, at once and a second after the declaration."""
    rows = []
    for pause, label in ((1.0, "a second after the declaration"), (0.0, "at once")):
        row = []
        for _ in range(5):
            with kernel() as execute:
                execute("%load_ext flyte_jupyter")
                execute("%%flyte_env e\ndef noop(x: int) -> int:\n    return x")
                time.sleep(pause)
                row.append(execute("%flyte_run noop(x=1)"))
        peer_text = f"Dask LocalCluster {shown(dask_ready)}" if dask_ready else ""
        compared = ratio(row, dask_ready) if dask_ready else ""
        rows.append((f"P14 first `%flyte_run`, {label}", shown(row), "≤ 100", peer_text, compared))
    return rows


def main() -> None:
    """Measure everything and print the table."""
    rows = [*calls(), *arrays(), *loading(), *preparing(), *first_runs()]
    print("# Target `local`\n")
    print(f"Medians / minima in ms on {machine()}. Made by `python benchmarks/local.py`.\n")
    print(table(rows, ("what", "ours", "target", "peer in the same run", "ratio")))
    flyte.shut_down()


if __name__ == "__main__":
    main()
