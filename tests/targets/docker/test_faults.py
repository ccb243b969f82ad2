"""What goes wrong in containers is told as what it is, and nothing is left of it."""

from __future__ import annotations

import gc
import linecache
import os
import shutil
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fault_table import FAULTS, READY, Fault, Scene
from second_engine import SecondEngine

import flyte_jupyter as flyte
from flyte_jupyter.daemon import Daemon
from flyte_jupyter.session import history, session

PATIENCE = 60.0
BASE = "python:{}.{}-slim".format(*sys.version_info)

_numbers = count(1)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A function that executes a cell of one notebook and returns its namespace."""
    module = types.ModuleType("__main__")
    module.__dict__.update(flyte=flyte)
    monkeypatch.setitem(sys.modules, "__main__", module)

    def execute(source: str) -> Any:
        name = f"<fault {next(_numbers)}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
        return module

    return execute


@pytest.fixture(scope="module")
def engines(docker_engine: Daemon) -> Iterator[Callable[[str], SecondEngine | None]]:
    """A function that gives an engine that may be ended or filled; None for the machine's own."""
    made: dict[str, SecondEngine] = {}

    def engine(kind: str) -> SecondEngine | None:
        if not kind:
            return None
        if os.getuid() != 0 or shutil.which("dockerd") is None:
            pytest.skip("needs a second Docker engine: install docker.io and run this as root")
        if kind not in made:
            made[kind] = SecondEngine("400m" if kind == "small" else "")
            made[kind].load(BASE)
        return made[kind]

    yield engine
    for one in made.values():
        one.close()


@pytest.fixture
def init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[SecondEngine | None], None]]:
    """A function that sets the session's engine; what was started in it is ended afterwards."""
    monkeypatch.setattr(session, "_config", session.config())  # later tests have their own

    def configure(engine: SecondEngine | None) -> None:
        flyte.init(target="docker", state=tmp_path, host=None if engine is None else engine.url)

    yield configure
    flyte.shut_down()
    gc.collect()  # what was left open is this test's to answer for


def parameter(fault: Fault) -> Any:
    # the docker package lets a socket go unclosed when nobody listens at its other end
    quiet = pytest.mark.filterwarnings("ignore:.*<socket:pytest.PytestUnraisableExceptionWarning")
    marks = [quiet] if fault.engine == "own" else []
    return pytest.param(fault, marks=marks, id=fault.name.replace(" ", "-"))


@pytest.mark.parametrize("fault", [parameter(fault) for fault in FAULTS])
def test_a_fault_is_told_as_what_it_is(
    fault: Fault,
    docker_engine: Daemon,
    needs_image: Callable[[str], str],
    nothing_left: None,
    engines: Callable[[str], SecondEngine | None],
    init: Callable[[SecondEngine | None], None],
    cell: Callable[[str], Any],
) -> None:
    for image in ("nopython:latest", "otherarch:latest"):
        if image in fault.source:
            needs_image(image)
    second = engines(fault.engine)
    init(second)
    run = flyte.run(cell(fault.cell).task)
    if fault.strike is not None:
        wait_for(run, READY)
        fault.strike(scene_of(run, docker_engine, second))
    run.wait()
    error = run.error
    assert error is not None
    told = (type(error).__name__, getattr(error, "code", ""))
    assert told == (fault.type, fault.code), str(error)
    assert fault.says in str(error)
    assert fault.advises in getattr(error, "remedy", ""), str(error)


def scene_of(run: flyte.Run, daemon: Daemon, second: SecondEngine | None) -> Scene:
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


def wait_for(run: flyte.Run, text: str) -> None:
    """Wait until a run has printed something."""
    arrived = threading.Event()

    def look(event: Any) -> None:
        if event.kind == "end" or (event.kind == "log" and text in event.data["text"]):
            arrived.set()

    run.subscribe(look)
    assert arrived.wait(PATIENCE), f"{text!r} was not printed"
    assert text in run.logs()
