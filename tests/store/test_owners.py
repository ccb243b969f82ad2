"""Who made something is told by host, process and start, and dead ones are told from living."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from flyte_jupyter.store.owners import is_alive, owner, process_of
from flyte_jupyter.store.scratch import scratch_folder, scratch_folders

ASK = "from flyte_jupyter.store.owners import owner; print(owner())"


def test_this_process_lives() -> None:
    assert process_of(owner()) == os.getpid()
    assert is_alive(owner()) is True


def test_a_process_that_has_ended_is_dead() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert is_alive(done.stdout.strip()) is False


def test_a_zombie_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        name = child.stdout.read().strip()
        # its output has ended, so has it; nobody has asked how until the block ends
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_alive(name) is False


def test_a_number_that_was_given_again_is_another_process() -> None:
    host, pid, start = owner().split(":")
    assert is_alive(f"{host}:{pid}:1{start}") is False


@pytest.mark.parametrize("name", ["elsewhere:1:2-3", "", "kernel", "{host}:{pid}:5-6"])
def test_of_what_cannot_be_seen_from_here_nothing_is_assumed(name: str) -> None:
    host, pid, _ = owner().split(":")
    assert is_alive(name.format(host=host, pid=pid)) is None


def test_a_scratch_folder_names_its_maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "flyte-jupyter-tests").mkdir()
    folder = scratch_folder()
    assert list(scratch_folders()) == [(Path(folder), owner())]
