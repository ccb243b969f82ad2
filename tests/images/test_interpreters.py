import os
import subprocess
import sys
from pathlib import Path

import pytest

from flyte_jupyter.images import Interpreters
from flyte_jupyter.images.interpreters import current

VERSION = sys.version_info[:2]


@pytest.fixture
def interpreters(tmp_path, monkeypatch) -> Interpreters:
    monkeypatch.delenv("FLYTE_JUPYTER_PYTHONS", raising=False)
    return Interpreters(tmp_path / "record.json")


def counting_python(folder: Path) -> Path:
    """Return a Python that notes each of its starts beside itself."""
    folder.mkdir()
    program = folder / "python3"
    program.write_text(f'#!/bin/sh\necho x >> {folder}/starts\nexec {current().path} "$@"\n')
    program.chmod(0o755)
    return program


def test_this_python_is_known_without_a_search(interpreters, tmp_path):
    assert interpreters.find(VERSION) == current()
    assert not (tmp_path / "record.json").exists()


def test_the_kernel_is_seen_past_its_virtual_environment():
    assert not os.path.exists(Path(current().path).parent.parent / "pyvenv.cfg")


def test_what_is_named_comes_before_everything_else(tmp_path, monkeypatch):
    program = counting_python(tmp_path / "named")
    for named in (program, program.parent):
        monkeypatch.setenv("FLYTE_JUPYTER_PYTHONS", f"/no/such/python{os.pathsep}{named}")
        assert Interpreters(tmp_path / "record.json").find(VERSION).path == str(program)


def test_the_kernels_python_comes_next(tmp_path, monkeypatch, needs_python):
    monkeypatch.setenv("FLYTE_JUPYTER_PYTHONS", needs_python("3.9"))
    assert Interpreters(tmp_path / "record.json").find(VERSION) == current()


def test_an_interpreter_is_started_once_and_then_remembered(tmp_path, monkeypatch):
    program = counting_python(tmp_path / "named")
    monkeypatch.setenv("FLYTE_JUPYTER_PYTHONS", str(program))
    for _ in range(2):
        Interpreters(tmp_path / "record.json").find(VERSION)
    assert (tmp_path / "named" / "starts").read_text() == "x\n"


def test_an_interpreter_that_changed_is_asked_again(tmp_path, monkeypatch):
    program = counting_python(tmp_path / "named")
    monkeypatch.setenv("FLYTE_JUPYTER_PYTHONS", str(program))
    Interpreters(tmp_path / "record.json").find(VERSION)
    program.write_text(program.read_text() + "\n")
    Interpreters(tmp_path / "record.json").find(VERSION)
    assert (tmp_path / "named" / "starts").read_text() == "x\nx\n"


def test_a_program_that_is_no_python_is_passed_over(interpreters, tmp_path, monkeypatch):
    monkeypatch.setenv("FLYTE_JUPYTER_PYTHONS", "/bin/false")
    assert interpreters.find(VERSION) is not None


def test_a_version_that_is_not_here_is_not_found(interpreters):
    assert interpreters.find((3, 99)) is None


def test_other_versions_are_found(interpreters, needs_python, monkeypatch):
    path = needs_python("3.9")
    monkeypatch.setenv("FLYTE_JUPYTER_PYTHONS", path)
    found = interpreters.find((3, 9))
    assert found.version[:2] == (3, 9)
    told = subprocess.run([found.path, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == f"Python {found.text}\n"
    assert found in interpreters.installed()
    assert current() in interpreters.installed()
