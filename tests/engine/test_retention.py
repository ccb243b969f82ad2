"""The disk is not filled with values of runs that nobody remembers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flyte_jupyter.engine.retention import Retention


@pytest.fixture
def values(tmp_path: Path) -> Path:
    """A folder of values: ten runs, of 100 bytes each, the first is the oldest."""
    for number in range(10):
        run = tmp_path / f"run-{number}"
        run.mkdir()
        for name in ("a0.inputs.value", "a0.output.value"):
            (run / name).write_bytes(bytes(50))
            os.utime(run / name, (number, number))
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(run.name for run in folder.iterdir())


def test_nothing_is_removed_while_there_is_room(values: Path) -> None:
    assert Retention(values, 1100).make_room(100) == 0
    assert len(names(values)) == 10


def test_the_oldest_make_room_and_leave_some(values: Path) -> None:
    assert Retention(values, 1000).make_room(100) == 3
    assert names(values)[0] == "run-3"


def test_what_other_kernels_have_written_counts_once_it_is_full(values: Path) -> None:
    retention = Retention(values, 1250)
    assert retention.make_room(100) == 0
    (values / "of-another").mkdir()
    (values / "of-another" / "value").write_bytes(bytes(400))
    assert retention.make_room(100) == 0
    assert retention.make_room(100) == 5
    assert "of-another" in names(values)


def test_what_can_have_no_room_removes_nothing(values: Path) -> None:
    assert Retention(values, 1000).make_room(1001) is None
    assert len(names(values)) == 10


def test_a_folder_that_is_not_there_yet_has_room(tmp_path: Path) -> None:
    assert Retention(tmp_path / "none", 1000).make_room(1000) == 0
