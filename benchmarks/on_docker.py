"""The numbers of the target `docker`, beside `docker run` and its peers in the same run.

    python benchmarks/on_docker.py > benchmarks/docker.md

Needs the `test` extra, a Docker engine with the default base image, and its command. The peers are
installed by flyte_jupyter itself; without a package index they are left out. With arguments only
the parts of these names are measured: calls many arrays preparing editing ending packages first.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import docker_ends
import docker_packages
import numpy as np
from peers import PACKAGES, Peer, peers
from timing import alternately, kernel, machine, quiet, ratio, shown, table, times

import flyte_jupyter as flyte
from flyte_jupyter.daemon import Daemon, connect
from flyte_jupyter.images.containers import DockerImages
from flyte_jupyter.store.folders import cache_folder

BASE = "python:{}.{}-slim".format(*sys.version_info)
RUN = ["docker", "run", "--rm", BASE, "python3", "-c", "pass"]
Row = tuple[str, ...]
HEAD = ("what", "ours", "target", "beside it in the same run", "ratio", "target")
SIZE = 256 << 20

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
def more(x):
    return x + 1


@array_env.task
def made(count: int):
    import numpy

    return numpy.arange(count, dtype="f8")


@array_env.task
def last(x) -> float:
    return float(x[-1])


def docker_run(count: int) -> list[float]:
    return times(lambda: subprocess.run(RUN, check=True), count)


def compared(
    what: str, ours: list[float], target: str, others: dict[str, list[float]], goals: dict[str, str]
) -> list[Row]:
    """Return a row for each peer, the first with what is measured."""
    rows, first = [], (what, shown(ours), target)
    for name, theirs in others.items():
        rows.append((*first, f"{name} {shown(theirs)}", ratio(ours, theirs), goals.get(name, "")))
        first = ("", "", "")
    return rows or [(*first, "", "", "")]


# P1, P2, P3


def calls() -> list[Row]:
    """One call after the other."""
    counter = iter(range(1_000_000))

    def cold() -> int:
        # a variable of its own: no standby container has it
        task = alone.override(env_vars={"NUMBER": str(next(counter))})
        return flyte.run(task, 1).result()

    flyte.run(alone, 1).result()
    flyte.run(warm, 1).result()
    cold()
    with peers("process pool", "loky", "Dask", "Ray", "Flyte") as found:
        cases: dict[str, Callable[[], list[float]]] = {
            "warm": lambda: times(lambda: flyte.run(warm, 1).result(), 200)
        }
        for name, peer in found.items():
            cases[name] = lambda peer=peer: peer.times("calls", 50)
        row = alternately(cases, 5)
    warm_row = row.pop("warm")
    rows = compared("P1 warm call, local socket", warm_row, "≤ 0.25", row, {"Ray": "≤ 0.33"})
    stream = attached_calls()
    rows += compared("P1 warm call, attach stream", stream, "≤ 0.5", row, {"Ray": "≤ 0.33"})[:1]
    row = alternately(
        {
            "standby": lambda: times(lambda: flyte.run(alone, 1).result(), 6, pause=1.5),
            "cold": lambda: times(cold, 5, pause=1.5),
            "docker run": lambda: docker_run(4),
        },
        5,
    )
    run = {"`docker run --rm`": row["docker run"]}
    rows += compared("P2 own container, standby ready", row["standby"], "≤ 2.5", run,
                     {"`docker run --rm`": "≤ 0.0125"})  # fmt: skip
    rows += compared("P3 own container, nothing ready", row["cold"], "≤ 130", run,
                     {"`docker run --rm`": "≤ 0.55"})  # fmt: skip
    return rows


def attached_calls() -> list[float]:
    """The way to an engine on another machine, without the network between."""
    local = Daemon.local
    Daemon.local = property(lambda _: False)  # type: ignore[assignment,method-assign]
    try:
        flyte.shut_down()
        flyte.init(target="docker")
        flyte.run(warm, 1).result()
        quiet()
        return times(lambda: flyte.run(warm, 1).result(), 500)
    finally:
        Daemon.local = local  # type: ignore[method-assign]
        flyte.shut_down()
        flyte.init(target="docker")


# P5


def many() -> list[Row]:
    """Many calls at once."""
    list(flyte.map(paired, range(8)))
    list(flyte.map(alone, range(2)))
    with peers("process pool", "loky", "Dask", "Ray", "Flyte") as found:
        cases: dict[str, Callable[[], list[float]]] = {
            "ours": lambda: times(lambda: list(flyte.map(paired, range(1000))), 1)
        }
        for name, peer in found.items():
            cases[name] = lambda peer=peer: peer.times("many", 1, 1000)
        row = alternately(cases, 5)
    ours = row.pop("ours")
    rows = compared("P5 1,000 no-ops, 2 warm containers", ours, "≤ 150", row, {"Ray": "≤ 0.33"})
    for size, goal in ((100, "≤ 10,000"), (1000, "≤ 100,000")):
        quiet()
        took = times(lambda size=size: list(flyte.map(alone, range(size))), 1)
        quiet()
        one = docker_run(8)
        rows.append(
            (
                f"P5 {size:,} no-ops, a container each",
                f"{took[0] * 1e3:,.0f}",
                goal,
                f"`docker run --rm` {size:,} times, from {len(one)}: "
                f"{statistics.median(one) * size * 1e3:,.0f}",
                f"{took[0] / statistics.median(one) / size:.2f}",
                "",
            )
        )
    return rows


# P6


FIRST = """
import numpy as np
import flyte_jupyter as flyte

env = flyte.TaskEnvironment(
    name="array",
    image=flyte.Image.from_debian_base().with_pip_packages(f"numpy=={{np.__version__}}"),
    reusable=flyte.ReusePolicy(replicas=1),
)

@env.task
def same(x):
    return x

flyte.run(same, 1).result()
array = np.arange({count}, dtype="f8")
"""
FIRST_CALL = """
start = time.perf_counter()
flyte.run(same, array).result()
took = time.perf_counter() - start
open({file!r}, "w").write(str(took))
"""


def first_arrays(count: int) -> list[float]:
    """Return the seconds of the first array of so many fresh kernels: no memory is shared yet."""
    row = []
    for _ in range(count):
        with (
            kernel(FLYTE_JUPYTER_TARGET="docker") as execute,
            tempfile.NamedTemporaryFile("r") as file,
        ):
            execute(FIRST.format(count=SIZE // 8))
            quiet()
            execute(FIRST_CALL.format(file=file.name))
            row.append(float(file.read()))
    return row


def arrays() -> list[Row]:
    """256 MiB there and back."""
    first = first_arrays(5)
    flyte.run(same, 1).result()
    kept = flyte.run(made, SIZE // 8).result()
    flyte.run(last, kept).result()

    def there_and_back(task: flyte.Task) -> list[float]:
        row = []
        for _ in range(4):
            array = np.arange(SIZE // 8, dtype="f8")
            start = time.perf_counter()
            back = flyte.run(task, array).result()
            row.append(time.perf_counter() - start)
            assert back.nbytes == SIZE
            del back
        return row

    def peer_arrays(peer: Peer) -> list[float]:
        return peer.times("arrays", 4)

    with peers("loky", "Dask", "Ray") as found:
        cases: dict[str, Callable[[], list[float]]] = {
            "ours": lambda: there_and_back(same),
            "computed": lambda: there_and_back(more),
        }
        for name, peer in found.items():
            cases[name] = lambda peer=peer: peer_arrays(peer)
        row = alternately(cases, 4)
        passed: dict[str, Callable[[], list[float]]] = {
            "ours": lambda: times(lambda: flyte.run(last, kept).result(), 20)
        }
        for name in ("Dask", "Ray"):
            if name in found:
                passed[name] = lambda peer=found[name]: peer.times("references", 20)
        by_reference = alternately(passed, 3)
    goals = {"Dask": "≤ 0.2", "Ray": "≤ 1.6"}
    # each started with memory that nobody had used before; then it is used again
    ours, computed = row.pop("ours")[1:], row.pop("computed")
    referred = by_reference.pop("ours")
    return [
        *compared("P6 256 MiB array in and out, warm", ours, "≤ 60", row, goals),
        ("the same, with `x + 1`, a new array out", shown(computed), "", "", "", ""),
        ("P6 the same, first call", shown(first), "≤ 450", "", "", ""),
        *compared("P6 passed on by reference", referred, "≤ 2", by_reference, {}),
    ]


# P8


def preparing() -> list[Row]:
    """An image that is there already."""

    async def measure() -> tuple[list[float], list[float]]:
        first, again = [], []
        daemon = connect()
        await DockerImages(lambda: daemon, cache_folder()).prepare(numpy_image, lambda _: None)
        for _ in range(40):
            images = DockerImages(lambda: daemon, cache_folder())
            for row in (first, again):
                start = time.perf_counter()
                await images.prepare(numpy_image, lambda _: None)
                row.append(time.perf_counter() - start)
        daemon.close()
        return first, again

    quiet()
    first, again = asyncio.run(measure())
    return [
        ("P8 `prepare`, unchanged, first in a kernel", shown(first), "≤ 3", "", "", ""),
        ("P8 `prepare`, unchanged, again", shown(again), "≤ 0.1", "", "", ""),
    ]


# P10


EDIT = """
start = time.perf_counter()
shell = get_ipython()
body = "def noop(x: int) -> int:\\n    return x + {number}"
shell.run_cell_magic("flyte_env", "e {options}", body)
assert shell.run_line_magic("flyte_run", "noop(x=1)") == {number} + 1
took = time.perf_counter() - start
open({file!r}, "w").write(str(took))
"""


def editing() -> list[Row]:
    """A function is edited and run again, in a kernel."""
    rows = []
    with kernel(FLYTE_JUPYTER_TARGET="docker") as execute, tempfile.NamedTemporaryFile("r") as file:
        execute("%load_ext flyte_jupyter")
        for label, goal, options in (
            ("a standby ready", "≤ 10", ""),
            ("nothing ready", "≤ 150", "--env-vars NUMBER={}"),
        ):
            row = []
            for number in range(12):
                quiet()
                time.sleep(1)  # until the standby is there
                given = options.format(number)
                execute(EDIT.format(options=given, number=number, file=file.name))
                file.seek(0)
                row.append(float(file.read()))
            rows.append((f"P10 edit and run again, {label}", shown(row[2:]), goal, "", "", ""))
    return rows


# P14


def first_runs() -> list[Row]:
    """The first run of a fresh kernel, at once and a second after the declaration."""
    rows = []
    with peers("Dask", "loky", "Ray") as found:
        ready = {f"{name}, engine start": peer.ready for name, peer in found.items()}
    for pause, label in ((1.0, "a second after the declaration"), (0.0, "at once")):
        row = []
        for _ in range(7):
            with kernel(FLYTE_JUPYTER_TARGET="docker") as execute:
                execute("%load_ext flyte_jupyter")
                execute("%%flyte_env e\ndef noop(x: int) -> int:\n    return x")
                quiet()
                time.sleep(pause)
                row.append(execute("%flyte_run noop(x=1)"))
        rows += compared(f"P14 first `%flyte_run`, {label}", row, "≤ 300", ready,
                         {"Dask, engine start": "≤ 1"})  # fmt: skip
        ready = {name: took for name, took in ready.items() if name.startswith("Dask")}
    return rows


PARTS: dict[str, Callable[[], list[Row]]] = {
    "calls": calls,
    "many": many,
    "arrays": arrays,
    "preparing": preparing,
    "editing": editing,
    "ending": docker_ends.rows,
    "packages": lambda: docker_packages.rows(BASE),
    "first": first_runs,
}


def main(parts: list[str]) -> None:
    """Measure and print the table."""
    for name in PACKAGES:  # said at once, not in the middle
        print(name, "is measured too", file=sys.stderr)
    daemon = connect()
    engine = f"Docker Engine {daemon.version}, control groups v{daemon.cgroup_version}"
    daemon.close()
    flyte.init(target="docker")
    rows = []
    for part in parts or PARTS:
        rows += PARTS[part]()
        print(table(rows[-12:], HEAD), file=sys.stderr, flush=True)
    print("# Target `docker`\n")
    print(f"Medians / minima in ms on {machine()}, {engine}, image `{BASE}`.")
    print("Made by `python benchmarks/on_docker.py`. What is compared took turns.\n")
    print(table(rows, HEAD))
    flyte.shut_down()


if __name__ == "__main__":
    main(sys.argv[1:])
