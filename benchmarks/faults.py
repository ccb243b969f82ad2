"""Faults that are really injected into containers, and what a notebook is told of each.

    python benchmarks/faults.py > benchmarks/faults.md

Needs a Docker engine with the images of the tests, and, for the faults of an engine that ends or
fills up, root and `dockerd`. The tests walk the same table.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "targets" / "docker"))

from fault_table import FAULTS, Fault
from injecting import inject, notebook
from second_engine import SecondEngine

import flyte_jupyter as flyte
from flyte_jupyter.daemon import Daemon, connect
from flyte_jupyter.spec.amounts import readable_seconds

BASE = "python:{}.{}-slim".format(*sys.version_info)
HEADS = ("fault", "how", "what was reported", "what to do", "left", "until told")
LONGEST = 240


def main() -> None:
    """Do every fault of the table and print what was reported."""
    daemon = connect()
    print("# Faults in containers\n")
    version = f"Docker Engine {daemon.version}, cgroup v{daemon.cgroup_version}"
    print(f"{version}, Python {sys.version.split()[0]}. Made by `python benchmarks/faults.py`.\n")
    print("| " + " | ".join(HEADS) + " |")
    print("| " + " | ".join("---" for _ in HEADS) + " |")
    engines: dict[str, SecondEngine] = {}
    try:
        with tempfile.TemporaryDirectory() as state:
            for fault in FAULTS:
                print(row(fault, daemon, second(fault.engine, engines), Path(state)), flush=True)
    finally:
        for engine in engines.values():
            engine.close()


def second(kind: str, engines: dict[str, SecondEngine]) -> SecondEngine | None:
    """Return the engine that a fault is done in, None for the machine's own."""
    if kind and kind not in engines:
        engines[kind] = SecondEngine("400m" if kind == "small" else "")
        engines[kind].load(BASE)
    return engines.get(kind)


def row(fault: Fault, daemon: Daemon, engine: SecondEngine | None, state: Path) -> str:
    """Do a fault and return its row."""
    flyte.init(target="docker", state=state, host=engine.url if engine else None)
    module = sys.modules["__main__"] = notebook()
    began = time.perf_counter()
    error = inject(fault, module, daemon, engine).error
    seconds = time.perf_counter() - began
    flyte.shut_down()
    assert error is not None, fault.name
    code = getattr(error, "code", "") or type(error).__name__
    name = type(error).__name__
    head = name if code == name else f"{name}, {code}"
    remedy = getattr(error, "remedy", "")
    sentence = str(error).removesuffix(remedy).strip().partition("\n")[0]
    left = leftovers(daemon)
    cells = (
        fault.name,
        fault.how,
        f"`{head}`: {shortened(sentence)}",
        shortened(remedy),
        str(left) if left else "nothing",
        readable_seconds(seconds),
    )
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def leftovers(daemon: Daemon) -> int:
    """Return how many things of this process are left in the engine."""
    from flyte_jupyter.store.owners import owner
    from flyte_jupyter.targets.docker.leftovers import sweep

    return sum(each.owner == owner() for each in sweep(daemon))


def shortened(text: str) -> str:
    """Return a text that a table bears."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


if __name__ == "__main__":
    main()
