"""What this machine has of kernels, and what was built for it: listed, removed, offered."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.notebook.tables import Table, age
from flyte_jupyter.session import session
from flyte_jupyter.spec import Settings

HEADS = ["name", "target", "kind", "size", "last use", "in use", "what"]
MAKE = "from flyte_jupyter.store.scratch import scratch_folder; print(scratch_folder())"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made, by this process and those it starts."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # what a container engine has is not this test's
    monkeypatch.setattr(session, "TARGETS", {"local": session.TARGETS["local"]})
    return tmp_path


def left_behind(folders: Path) -> Path:
    """Return a folder of a process that has ended."""
    command = [sys.executable, "-c", MAKE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def test_what_dead_kernels_left_is_listed_and_cleaned_up(cell: Any, folders: Path) -> None:
    folder = left_behind(folders)
    (folder / "1").mkdir()
    listed = repr(cell("%flyte_ps").result)
    assert str(folder) in listed
    assert "(ended)" in listed
    dry = repr(cell("%flyte_clean --dry-run").result)
    assert dry.startswith("1 thing would be removed:")
    assert folder.exists()
    assert repr(cell("%flyte clean").result).startswith("1 thing removed:")
    assert not folder.exists()
    assert repr(cell("%flyte_clean").result) == (
        "Nothing is left over from kernels that have ended."
    )


def test_what_a_living_kernel_has_is_removed_only_by_name(cell: Any, folders: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAKE + "; input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        folder = Path(other.stdout.readline().strip())
        assert "1 thing of other kernels: %flyte_ps --all" in repr(cell("%flyte_ps").result)
        assert f"kernel {other.pid}" in repr(cell("%flyte_ps --all").result)
        cell("%flyte_clean")
        assert folder.exists()
        error = cell(f"%flyte_clean {folder}x").error
        assert str(error).startswith(f"there is nothing of ours called '{folder}x'; did you mean")
        cell(f"%flyte_clean {folder}")
        assert not folder.exists()
        other.stdin.close()


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A function that makes the virtual environment of an image, without any package."""
    monkeypatch.setenv("FLYTE_JUPYTER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(session, "TARGETS", {"local": session.TARGETS["local"]})
    monkeypatch.setattr(session, "_asked", {})
    (tmp_path / "file.txt").write_text("here")

    def make(name: str) -> Any:
        image = flyte.Image.from_debian_base().with_source_file(tmp_path / "file.txt", name)
        target = session.make_target("local")
        asyncio.run(target.prepare(Settings(image=image), lambda _: None))
        return image

    return make


def test_what_was_built_is_listed_and_what_is_unused_removed(
    cell: Any, shell: Any, environments: Any
) -> None:
    assert repr(cell("%flyte_images").result) == "Nothing was built yet."
    wanted, _unused = environments("wanted"), environments("unused")
    shell.user_ns["image"] = wanted
    cell("%%flyte_env wanted --image {image}\ndef f(): ...\n")
    listed = repr(cell("%flyte_images").result).splitlines()
    assert re.split("  +", listed[0]) == HEADS
    assert [" yes " in line for line in listed[1:3]].count(True) == 1
    assert "are unused: %flyte_images --remove-unused removes 1 of 2" in listed[3]
    assert "would be freed:" in repr(cell("%flyte_images --remove-unused --dry-run").result)
    assert "freed:" in repr(cell("%flyte_images --remove-unused").result)
    left = repr(cell("%flyte images").result).splitlines()
    assert len(left) == 2
    name = left[1].split()[0]
    assert str(cell("%flyte_images --remove nothing").error).startswith(
        "nothing that was built is called 'nothing'"
    )
    cell(f"%flyte_images --remove {name[:6]}")
    assert repr(cell("%flyte_images").result) == "Nothing was built yet."


def test_cleaning_all_removes_what_was_built_too(cell: Any, environments: Any) -> None:
    environments("unused")
    assert "freed:" in repr(cell("%flyte_clean --all").result)
    assert "There was nothing to remove." in cell("%flyte_clean --all").result._repr_html_()
    assert repr(cell("%flyte_images").result) == "Nothing was built yet."


def test_wrong_lines_are_said_in_one_sentence(cell: Any) -> None:
    for line, sentence in {
        "%flyte_ps now": "ps takes no 'now'",
        "%flyte_images all": "images takes no 'all'",
        "%flyte_images --remove a --remove-unused": "--remove and --remove-unused were both given; "
        "give one of them",
        "%flyte_clean --al": "there is no option '--al'; did you mean '--all'?",
    }.items():
        assert cell(line).error.sentence == sentence, line


def test_a_table_is_text_and_html() -> None:
    table = Table(("a", "b"), (("1", "<x>"), ("22", "")), "Title:", ("note",), "empty")
    assert repr(table) == "Title:\na   b\n1   <x>\n22\nnote"
    assert "&lt;x&gt;" in table._repr_html_()
    assert repr(Table(("a",), (), "Title:", ("note",), "empty")) == "Title:\nempty\nnote"


def test_ages_are_said_in_their_largest_unit() -> None:
    said = [age(seconds) for seconds in (-1, 59, 61, 3600, 86_400, 200_000)]
    assert said == ["0 s", "59 s", "1 min", "1 h", "1 day", "2 days"]
