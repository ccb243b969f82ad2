"""What the benchmarks share: medians, tables, and a kernel to measure in."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager


def times(work: Callable[[], object], count: int, pause: float = 0.0) -> list[float]:
    """Return the seconds of each of so many calls, with a pause before each."""
    row = []
    for _ in range(count):
        if pause:
            time.sleep(pause)
        start = time.perf_counter()
        work()
        row.append(time.perf_counter() - start)
    return row


def shown(row: Iterable[float]) -> str:
    """Return median and minimum in milliseconds."""
    row = list(row)
    return f"{statistics.median(row) * 1e3:.3g} / {min(row) * 1e3:.3g}"


def ratio(ours: Iterable[float], theirs: Iterable[float]) -> str:
    """Return the ratio of two medians."""
    return f"{statistics.median(ours) / statistics.median(theirs):.3g}"


def table(rows: list[tuple[str, ...]], head: tuple[str, ...]) -> str:
    """Return a table in Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """Return what the figures were measured on."""
    return (
        f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def quiet(idle: float = 0.85) -> None:
    """Wait until the processors are idle: other work of this machine is not what is measured.

    ``BENCHMARK_PATIENCE`` says for how many seconds at the most.
    """

    def cpu() -> tuple[int, int]:
        with open("/proc/stat") as file:
            fields = [int(field) for field in file.readline().split()[1:9]]
        return fields[3] + fields[4], sum(fields)

    limit = time.monotonic() + float(os.environ.get("BENCHMARK_PATIENCE", "30"))
    while os.path.exists("/proc/stat") and time.monotonic() < limit:
        before = cpu()
        time.sleep(0.15)
        after = cpu()
        if after[1] > before[1] and (after[0] - before[0]) / (after[1] - before[1]) >= idle:
            return


def alternately(
    cases: Mapping[str, Callable[[], list[float]]], rounds: int
) -> dict[str, list[float]]:
    """Return the seconds of each case; the cases take turns, so that all meet the same machine."""
    rows: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            quiet()
            rows[name] += case()
    return rows


@contextmanager
def kernel(**variables: str):
    """Give a function that executes a cell in a fresh kernel and returns its seconds.

    Args:
        variables: of the kernel's environment, beside those that are there.
    """
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", env={**os.environ, **variables})

    def execute(cell: str) -> float:
        failed: list[str] = []

        def look(message: dict) -> None:
            if message["msg_type"] == "error":
                failed.append("\n".join(message["content"]["traceback"]))

        start = time.perf_counter()
        client.execute_interactive(cell, timeout=120, output_hook=look)
        seconds = time.perf_counter() - start
        if failed:
            raise RuntimeError(failed[0])
        return seconds

    try:
        execute("import time")
        yield execute
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
