"""What both targets are measured with: the same tasks, and the same questions to the same peers."""

from __future__ import annotations

import linecache
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from peers import peers
from timing import alternately, kernel, quiet, ratio, shown, times

import __main__
import flyte_jupyter as flyte

Row = tuple[str, ...]
Goals = dict[str, str]
HEAD = ("what", "ours", "target", "beside it in the same run", "ratio", "target")
SIZE = 256 << 20
NAMES = ("process pool", "loky", "Dask", "Ray", "Flyte")


def declared() -> dict[str, flyte.Task]:
    """Execute `tasks.py` as a cell of this program: a task of a module would travel with it."""
    path = Path(__file__).with_name("tasks.py")
    source, name = path.read_text(), "<tasks>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec", dont_inherit=True), vars(__main__))
    return vars(__main__)


alone, warm, paired, same, more, made, last = (
    declared()[name] for name in ("alone", "warm", "paired", "same", "more", "made", "last")
)
numpy_image: flyte.Image = vars(__main__)["numpy_image"]


def compared(
    what: str, ours: list[float], target: str, others: dict[str, list[float]], goals: dict[str, str]
) -> list[Row]:
    """Return a row for each peer, the first with what is measured."""
    rows, first = [], (what, shown(ours), target)
    for name, theirs in others.items():
        rows.append((*first, f"{name} {shown(theirs)}", ratio(ours, theirs), goals.get(name, "")))
        first = ("", "", "")
    return rows or [(*first, "", "", "")]


def warm_calls(what: str, goal: str, goals: Goals) -> tuple[list[Row], dict[str, list[float]]]:
    """One warm call after the other; the rows, and what the peers took."""
    flyte.run(warm, 1).result()
    with peers(*NAMES) as found:
        cases: dict[str, Callable[[], list[float]]] = {
            "warm": lambda: times(lambda: flyte.run(warm, 1).result(), 200)
        }
        for name, peer in found.items():
            cases[name] = lambda peer=peer: peer.times("calls", 50)
        row = alternately(cases, 5)
    ours = row.pop("warm")
    return compared(what, ours, goal, row, goals), row


def thousand(what: str, goal: str, goals: Goals) -> list[Row]:
    """1,000 calls at once on two warm workers."""
    list(flyte.map(paired, range(8)))
    with peers(*NAMES) as found:
        cases: dict[str, Callable[[], list[float]]] = {
            "ours": lambda: times(lambda: list(flyte.map(paired, range(1000))), 1)
        }
        for name, peer in found.items():
            cases[name] = lambda peer=peer: peer.times("many", 1, 1000)
        row = alternately(cases, 5)
    return compared(what, row.pop("ours"), goal, row, goals)


def there_and_back(task: flyte.Task) -> list[float]:
    """An array that has not been sent before, as a new argument is, four times."""
    row = []
    for _ in range(4):
        array = np.arange(SIZE // 8, dtype="f8")
        start = time.perf_counter()
        back = flyte.run(task, array).result()
        row.append(time.perf_counter() - start)
        assert back.nbytes == SIZE
        del back
    return row


def warm_arrays() -> list[Row]:
    """256 MiB there and back, and passed on."""
    flyte.run(same, 1).result()
    kept = flyte.run(made, SIZE // 8).result()
    flyte.run(last, kept).result()
    with peers("loky", "Dask", "Ray") as found:
        cases: dict[str, Callable[[], list[float]]] = {
            "ours": lambda: there_and_back(same),
            "computed": lambda: there_and_back(more),
        }
        for name, peer in found.items():
            cases[name] = lambda peer=peer: peer.times("arrays", 4)
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
        *compared("P6 passed on by reference", referred, "≤ 2", by_reference, {}),
    ]


def first_runs(target: str, goal: str) -> list[Row]:
    """The first run of a fresh kernel, at once and a second after the declaration."""
    rows = []
    with peers("Dask", "loky", "Ray") as found:
        ready = {f"{name}, engine start": peer.ready for name, peer in found.items()}
    for pause, label in ((1.0, "a second after the declaration"), (0.0, "at once")):
        row = []
        for _ in range(7):
            with kernel(FLYTE_JUPYTER_TARGET=target) as execute:
                execute("%load_ext flyte_jupyter")
                execute("%%flyte_env e\ndef noop(x: int) -> int:\n    return x")
                quiet()
                time.sleep(pause)
                row.append(execute("%flyte_run noop(x=1)"))
        goals = {"Dask, engine start": "≤ 1"}
        rows += compared(f"P14 first `%flyte_run`, {label}", row, goal, ready, goals)
        ready = {name: took for name, took in ready.items() if name.startswith("Dask")}
    return rows
