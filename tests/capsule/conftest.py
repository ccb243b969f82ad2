"""A notebook without a kernel, and containers without an image: other Python processes."""

from __future__ import annotations

import base64
import functools
import json
import linecache
import os
import shutil
import subprocess
import sys
import tempfile
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flyte_jupyter.capsule import Capsule, build_capsule
from flyte_jupyter.spec import TaskEnvironment
from flyte_jupyter.targets.runtime import guest_runtime
from flyte_jupyter.wire.values import Encoded, decode, encode

VERSIONS = ("3.9", "3.11", "3.13")
GUEST = Path(__file__).with_name("guest.py")


@functools.cache
def interpreter(version: str) -> str | None:
    """Find a Python of a version: this one, on PATH, or among pyenv's."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    found = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [found] if found else []
    candidates += [str(path / "bin" / "python") for path in sorted(pyenv.glob(f"{version}.*"))]
    for one in candidates:
        shown = subprocess.run([one, "-I", "-S", "-c", "pass"], capture_output=True, check=False)
        if shown.returncode == 0:
            return one
    return None


@dataclass
class Outcome:
    """What a container gave back."""

    value: Any = None
    error: str = ""
    traceback: str = ""
    calls: tuple[Any, ...] = ()


def run_elsewhere(
    capsule: Capsule, *args: Any, version: str = "", classes: Any = None, site: bool = False
) -> Outcome:
    """Load a capsule in another process and call it."""
    python = interpreter(version) if version else sys.executable
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    inputs = encode(args)
    job = {
        "runtime": guest_runtime(),
        "payload": capsule.payload,
        "buffers": [base64.b64encode(one).decode() for one in capsule.buffers],
        "args": inputs.tree,
        "arg_buffers": [base64.b64encode(one).decode() for one in inputs.buffers],
    }
    flags = ["-I"] if site else ["-I", "-S"]
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(
            [python, *flags, str(GUEST)],
            input=json.dumps({**job, "place": place}),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    if "error" in answer:
        return Outcome(error=answer["error"], traceback=answer["traceback"])
    buffers = [base64.b64decode(one) for one in answer["buffers"]]
    value = decode(Encoded(answer["value"], buffers), classes=classes)
    return Outcome(value, calls=tuple(answer["calls"]))


class Notebook:
    """Cells that are executed in one namespace, as IPython does."""

    def __init__(self, start: int = 1) -> None:
        self.module = types.ModuleType("__main__")
        self.names = self.module.__dict__
        self.names["__builtins__"] = __builtins__
        self.names["env"] = TaskEnvironment(name="env")
        self.number = start

    def cell(self, source: str, future: int = 0) -> str:
        name = f"<cell {self.number}>"
        self.number += 1
        lines = [line + "\n" for line in source.splitlines()]
        linecache.cache[name] = (len(source), None, lines, name)
        exec(compile(source, name, "exec", future, dont_inherit=True), self.names)
        return name

    def capsule(self, name: str = "f") -> Capsule:
        return build_capsule(self.names[name])

    def run(self, *args: Any, name: str = "f", version: str = "", site: bool = False) -> Any:
        """Return what the task gives in another process."""
        outcome = run_elsewhere(
            self.capsule(name), *args, version=version, classes=self._find, site=site
        )
        assert not outcome.error, outcome.traceback
        return outcome.value

    def fail(self, *args: Any, name: str = "f", version: str = "") -> Outcome:
        """Return how the task fails in another process."""
        outcome = run_elsewhere(self.capsule(name), *args, version=version, classes=self._find)
        assert outcome.error
        return outcome

    def _find(self, module: str, qualname: str, *_: Any) -> Any:
        found: Any = self.module if module == "__main__" else None
        for part in qualname.split("."):
            found = getattr(found, part, None)
        return found


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    # a class is looked for in all cells, and every notebook counts its own from 1
    others = {name: one for name, one in linecache.cache.items() if not name.startswith("<cell ")}
    monkeypatch.setattr(linecache, "cache", others)
    made = Notebook()
    monkeypatch.setitem(sys.modules, "__main__", made.module)
    return made


@pytest.fixture
def elsewhere():
    """Load a capsule in another process and call it."""
    return run_elsewhere


@pytest.fixture
def fresh_notebook(monkeypatch: pytest.MonkeyPatch):
    """Open another notebook, in the place of the one before."""

    def fresh(start: int) -> Notebook:
        made = Notebook(start)
        monkeypatch.setitem(sys.modules, "__main__", made.module)
        return made

    return fresh


@pytest.fixture
def newer_python() -> str:
    """A Python 3.13."""
    found = interpreter("3.13")
    if found is None:
        pytest.skip("there is no Python 3.13 on this machine")
    return found


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    if interpreter(request.param) is None:
        pytest.skip(f"there is no Python {request.param} on this machine")
    return str(request.param)
