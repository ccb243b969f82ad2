"""The same values under other Pythons, and with packages that the tests' own one lacks."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from values_cases import CASES, packed, same, unpacked

import flyte_jupyter

HERE = Path(__file__).parent
ROOT = Path(flyte_jupyter.__file__).parents[1]
PACKAGES = ["numpy", "pandas", "polars", "pyarrow", "tzdata"]


def run(python, *arguments, **options):
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}", "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [python, "-W", "error", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        **options,
    )


@pytest.mark.parametrize("version", ["3.9", "3.12", "3.13"])
def test_another_python_reads_what_this_one_writes_and_back(version, needs_python):
    # The names of classes must be those of a module that both sides have.
    names = [name for name in CASES if name != "not implemented"]
    lines = "\n".join(packed(CASES[name]) for name in names)
    done = run(needs_python(version), str(HERE / "values_cases.py"), input=lines)
    assert done.stderr == ""
    back = [unpacked(line) for line in done.stdout.splitlines()]
    assert [
        name for name, value in zip(names, back, strict=True) if not same(CASES[name], value)
    ] == []


@pytest.fixture(scope="module")
def python_with_frames():
    """An interpreter that has pandas, polars and Arrow, made once and kept for later sessions."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        pytest.skip("needs uv")
    version = ".".join(map(str, sys.version_info[:2]))
    key = hashlib.sha256(json.dumps([version, PACKAGES]).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "flyte-jupyter-tests" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            python = folder / "bin" / "python"
            for command in (
                [uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)],
                [uv, "pip", "install", "-q", "--python", str(python), *PACKAGES],
            ):
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    pytest.skip(f"needs packages that uv could not install: {done.stderr[-300:]}")
            (folder / "ready").touch()
    return str(folder / "bin" / "python")


def test_frames_and_tables_come_back_as_they_were(python_with_frames):
    done = run(python_with_frames, str(HERE / "frames_check.py"))
    assert done.stderr == ""
    outcomes = dict(map(json.loads, done.stdout.splitlines()))
    assert {name: problem for name, problem in outcomes.items() if problem} == {}
    assert len(outcomes) > 100
