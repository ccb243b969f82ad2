"""What the view of a run costs: the same runs with a view open and with none, in one kernel.

    python benchmarks/view.py > benchmarks/view.md

Needs the `test` extra. The runs take turns, so that all meet the same machine; their seconds are
measured inside the kernel, and this process stands for the server that takes the view's messages.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from timing import kernel, machine, quiet, ratio, shown, table

from flyte_jupyter.engine.events import Event
from flyte_jupyter.notebook.state import RunState
from flyte_jupyter.notebook.view import html, plain

HERE = Path(__file__).parent
ROUNDS = 15
SETUP = f"""
import os, sys, json, time
sys.path.insert(0, {str(HERE)!r})
%load_ext flyte_jupyter
import flyte_jupyter as flyte
from tasks import alone, paired
flyte.init(target="local")

def taken(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start

def measured(work, rounds, pause):
    rows = {{"open": [], "none": []}}
    for turn in range(2 * rounds):
        case = ("none", "open")[(turn + turn // 2) % 2]
        os.environ["FLYTE_JUPYTER_INTERACTIVE"] = "01"[case == "open"]
        time.sleep(pause)
        rows[case].append(taken(work))
    os.environ["FLYTE_JUPYTER_INTERACTIVE"] = "0"
    return rows
"""
CASES = {
    "2,000 no-ops at once, 2 warm workers": ("list(flyte.map(paired, range(2000)))", ROUNDS),
    "200 no-ops at once, a process for each": ("list(flyte.map(alone, range(200)))", 7),
}
HEAD = ("what", "view open", "no view", "ratio", "target")


def engine() -> list[tuple[str, ...]]:
    """How fast runs are with a view open, beside the same with none."""
    rows = []
    with kernel() as execute, tempfile.NamedTemporaryFile("r") as file:
        execute(SETUP)
        for name, (work, rounds) in CASES.items():
            execute(work)
            quiet()
            call = f"measured(lambda: {work}, {rounds}, 0.3)"
            execute(f"open({file.name!r}, 'w').write(json.dumps({call}))")
            file.seek(0)
            found = json.load(file)
            opened, none = found["open"], found["none"]
            rows.append((name, shown(opened), shown(none), ratio(opened, none), "≤ 1.05"))
    return rows


def story(count: int) -> list[Event]:
    """Return the events of a run of so many calls, one in a hundred of which fails."""
    events: list[Event] = []

    def tell(kind: str, action: str | None, **data: object) -> None:
        events.append(Event("map-1", len(events), 1000 + len(events) / 1e4, kind, action, data))

    tell("run", None, name="map-1", task="pair.paired", target="local")
    tell("action", "a0", parent=None, task="pair.whole", environment="pair", target="local",
         resources="cpu 1", cpu=1000, memory=None, depth=0)  # fmt: skip
    tell("phase", "a0", attempt=1, phase="running", why="")
    for n in range(1, count + 1):
        tell("action", f"a{n}", parent="a0", task="pair.paired", environment="pair",
             target="local", resources="cpu 1", cpu=1000, memory=1 << 30, depth=1)  # fmt: skip
    for n in range(1, count + 1):
        tell("phase", f"a{n}", attempt=1, phase="running", why="")
        tell("log", f"a{n}", attempt=1, stream="stdout", text=f"call {n}\n")
        tell("stats", f"a{n}", attempt=1, peak_memory=1 << 25, cpu_seconds=0.01)
        if n % 100:
            tell("result", f"a{n}", type="int", size=1, preview="1")
        else:
            tell("error", f"a{n}", attempt=1, type="ValueError", sentence=f"{n} is even",
                 traceback="", remedy="", evidence="", final=True)  # fmt: skip
        tell("phase", f"a{n}", attempt=1, phase="succeeded" if n % 100 else "failed", why="")
    return events


def drawing() -> list[tuple[str, ...]]:
    """What is folded and drawn for it, in this process."""
    rows = []
    for count in (20, 2_000, 20_000):
        events = story(count)
        folds, draws = [], []
        for _ in range(7):
            state = RunState()
            start = time.perf_counter()
            state.feed(events)
            folds.append((time.perf_counter() - start) / len(events))
            start = time.perf_counter()
            bundle = html(state, now=2000.0), plain(state, log_lines=12)
            draws.append(time.perf_counter() - start)
        size = sum(len(text.encode()) for text in bundle)
        each = f"{min(folds) * 1e6:.2f}"
        rows.append((f"{count:,} calls", f"{len(events):,}", each, shown(draws), f"{size:,}"))
    return rows


def main() -> None:
    """Measure everything and print the tables."""
    print("# The view of a run\n")
    print(f"Medians / minima in ms on {machine()}.")
    print("Made by `python benchmarks/view.py`. What is compared took turns.\n")
    print(table(engine(), HEAD))
    print("\n| run of | events | µs an event, folded | ms to draw | bytes drawn |")
    print("| --- | --- | --- | --- | --- |")
    for row in drawing():
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    sys.exit(main())
