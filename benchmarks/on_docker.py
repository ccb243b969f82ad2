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
from peers import PACKAGES
from subjects import (
    HEAD,
    SIZE,
    Row,
    alone,
    compared,
    first_runs,
    numpy_image,
    thousand,
    warm,
    warm_arrays,
    warm_calls,
)
from timing import alternately, kernel, machine, quiet, shown, table, times

import flyte_jupyter as flyte
from flyte_jupyter.daemon import Daemon, connect
from flyte_jupyter.images.containers import DockerImages
from flyte_jupyter.store.folders import cache_folder

BASE = "python:{}.{}-slim".format(*sys.version_info)
RUN = ["docker", "run", "--rm", BASE, "python3", "-c", "pass"]


def docker_run(count: int) -> list[float]:
    return times(lambda: subprocess.run(RUN, check=True), count)


# P1, P2, P3


def calls() -> list[Row]:
    """One call after the other."""
    counter = iter(range(1_000_000))

    def cold() -> int:
        # a variable of its own: no standby container has it
        task = alone.override(env_vars={"NUMBER": str(next(counter))})
        return flyte.run(task, 1).result()

    flyte.run(alone, 1).result()
    cold()
    goals = {"Ray": "≤ 0.33"}
    rows, row = warm_calls("P1 warm call, local socket", "≤ 0.25", goals)
    stream = attached_calls()
    rows += compared("P1 warm call, attach stream", stream, "≤ 0.5", row, goals)[:1]
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
    list(flyte.map(alone, range(2)))
    rows = thousand("P5 1,000 no-ops, 2 warm containers", "≤ 150", {"Ray": "≤ 0.33"})
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
    image=flyte.Image.from_debian_base().with_pip_packages("numpy"),
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
    return [*warm_arrays(), ("P6 the first call of a kernel", shown(first), "≤ 450", "", "", "")]


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


PARTS: dict[str, Callable[[], list[Row]]] = {
    "calls": calls,
    "many": many,
    "arrays": arrays,
    "preparing": preparing,
    "editing": editing,
    "ending": docker_ends.rows,
    "packages": lambda: docker_packages.rows(BASE),
    "first": lambda: first_runs("docker", "≤ 300"),
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
