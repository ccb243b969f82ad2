"""The numbers of the target `local`, beside its peers in the same run.

    python benchmarks/local.py > benchmarks/local.md

Needs the `test` extra. The peers are installed by flyte_jupyter itself, into virtual environments
of their own; without a package index they are left out.
"""

from __future__ import annotations

import asyncio
import linecache
import sys
import tempfile
import time
import types

from subjects import (
    HEAD,
    Row,
    alone,
    first_runs,
    numpy_image,
    thousand,
    warm_arrays,
    warm_calls,
)
from timing import kernel, machine, quiet, ratio, shown, table, times

import flyte_jupyter as flyte
from flyte_jupyter.capsule import CapsuleCache, build_capsule
from flyte_jupyter.images import VirtualEnvironments
from flyte_jupyter.store.folders import cache_folder


def calls() -> list[Row]:
    """P4 and the throughput behind it."""
    flyte.run(alone, 1).result()
    quiet()
    own = times(lambda: flyte.run(alone, 1).result(), 40, pause=0.1)
    goals = {"process pool": "≤ 1.5"}
    rows, _ = warm_calls("P4 warm call, journal on", "≤ 0.27", goals)
    rows += thousand("1,000 no-ops at once, 2 warm workers", "", {})
    quiet()
    many = times(lambda: list(flyte.map(alone, range(200))), 3)
    return [
        ("P4 own process for each call, standby ready", shown(own), "≤ 2", "", "", ""),
        *rows,
        ("200 no-ops at once, a process for each", shown(many), "", "", "", ""),
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
            "≤ 0.5",
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
        ("P8 `prepare`, unchanged, first in a kernel", shown(first), "≤ 3", "", "", ""),
        ("P8 `prepare`, unchanged, again", shown(again), "≤ 0.1", "", "", ""),
    ]


CELLS = """
def h0(x):
    return x
""" + "".join(f"def h{n}(x):\n    return h{n - 1}(x)\n" for n in range(1, 9))


def capsules() -> list[Row]:
    """What it costs to ship a task with nine helpers: built, and found unchanged."""
    module = types.ModuleType("__main__")
    linecache.cache["<cells>"] = (len(CELLS), None, CELLS.splitlines(keepends=True), "<cells>")
    exec(compile(CELLS, "<cells>", "exec"), module.__dict__)
    before, sys.modules["__main__"] = sys.modules["__main__"], module
    try:
        task = flyte.TaskEnvironment("capsules").task(module.__dict__["h8"])
        build_capsule(task)
        cache = CapsuleCache()
        cache.get(task)
        quiet()
        built = times(lambda: build_capsule(task), 50)
        found = times(lambda: cache.get(task), 1000)
    finally:
        sys.modules["__main__"] = before
    return [
        ("the code of a task with nine helpers, built", shown(built), "", "", "", ""),
        ("the same, found unchanged", shown(found), "", "", "", ""),
    ]


def main() -> None:
    """Measure everything and print the table."""
    flyte.init(target="local")
    rows = [
        *calls(),
        *warm_arrays(),
        *loading(),
        *capsules(),
        *preparing(),
        *first_runs("local", "≤ 100"),
    ]
    print("# Target `local`\n")
    print(f"Medians / minima in ms on {machine()}.")
    print("Made by `python benchmarks/local.py`. What is compared took turns.\n")
    print(table(rows, HEAD))
    flyte.shut_down()


if __name__ == "__main__":
    main()
