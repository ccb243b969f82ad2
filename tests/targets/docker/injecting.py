"""A fault of the table, done: its cell is executed, its task is run, and it is struck."""

from __future__ import annotations

import linecache
import signal
import threading
import types
from itertools import count
from typing import Any

from fault_table import READY, Fault, Scene
from second_engine import SecondEngine

import flyte_jupyter as flyte
from flyte_jupyter.daemon import Daemon
from flyte_jupyter.session import history

__all__ = ["inject", "notebook"]

PATIENCE = 60.0
_numbers = count(1)


def notebook() -> types.ModuleType:
    """Return the namespace of a new notebook, to be put in the place of ``__main__``."""
    module = types.ModuleType("__main__")
    module.__dict__.update(flyte=flyte)
    return module


def inject(
    fault: Fault, module: types.ModuleType, daemon: Daemon, second: SecondEngine | None
) -> flyte.Run:
    """Do a fault and return the run that met it, which has ended.

    Args:
        fault: the fault.
        module: the notebook, which is ``__main__`` now.
        daemon: the machine's own engine.
        second: the engine that tasks run in, if it is another one.
    """
    name = f"<fault {next(_numbers)}>"
    linecache.cache[name] = (len(fault.cell), None, fault.cell.splitlines(keepends=True), name)
    exec(compile(fault.cell, name, "exec", dont_inherit=True), module.__dict__)
    run = flyte.run(module.__dict__["task"])
    if fault.strike is not None:
        _wait_for(run, READY)
        fault.strike(_scene(run, daemon, second))
    return run.wait()


def _scene(run: flyte.Run, daemon: Daemon, second: SecondEngine | None) -> Scene:
    record, _ = history.find_run((run.name,))

    def restart(number: signal.Signals) -> None:
        assert second is not None, "the machine's own engine is not ended"
        second.restart(number)

    return Scene(
        api=daemon.api,
        container=record.attempts[-1].worker,
        end_engine=lambda: restart(signal.SIGTERM),
        kill_engine=lambda: restart(signal.SIGKILL),
    )


def _wait_for(run: flyte.Run, text: str) -> None:
    """Wait until a run has printed something."""
    arrived = threading.Event()

    def look(event: Any) -> None:
        if event.kind == "end" or (event.kind == "log" and text in event.data["text"]):
            arrived.set()

    run.subscribe(look)
    assert arrived.wait(PATIENCE), f"{text!r} was not printed"
    assert text in run.logs()
