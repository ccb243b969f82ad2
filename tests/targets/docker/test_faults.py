"""What goes wrong in containers is told as what it is, and nothing is left of it."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fault_table import FAULTS, Fault
from injecting import inject, notebook
from second_engine import SecondEngine

import flyte_jupyter as flyte
from flyte_jupyter.daemon import Daemon

BASE = "python:{}.{}-slim".format(*sys.version_info)
IMAGES = ("nopython:latest", "otherarch:latest")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A notebook's namespace in the place of ``__main__``."""
    made = notebook()
    monkeypatch.setitem(sys.modules, "__main__", made)
    return made


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
def init(tmp_path: Path) -> Iterator[Callable[[SecondEngine | None], None]]:
    """A function that sets the session's engine; what was started in it is ended afterwards."""

    def configure(engine: SecondEngine | None) -> None:
        flyte.init(target="docker", state=tmp_path, host=None if engine is None else engine.url)

    yield configure
    flyte.shut_down()
    flyte.init(target=None, state=None)
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
    module: types.ModuleType,
) -> None:
    for image in IMAGES:
        if image in fault.source:
            needs_image(image)
    second = engines(fault.engine)
    init(second)
    error = inject(fault, module, docker_engine, second).error
    assert error is not None
    told = (type(error).__name__, getattr(error, "code", ""))
    assert told == (fault.type, fault.code), str(error)
    assert fault.says in str(error)
    assert fault.advises in getattr(error, "remedy", ""), str(error)
