import sys
from pathlib import Path

import pytest

from flyte_jupyter.errors import TargetError
from flyte_jupyter.store.folders import cache_folder, runtime_folder, state_folder


def test_one_variable_moves_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYTE_JUPYTER_HOME", str(tmp_path))
    folders = [state_folder(), cache_folder(), runtime_folder()]
    assert folders == [tmp_path / "state", tmp_path / "cache", tmp_path / "cache" / "runtime"]
    assert all(folder.is_dir() for folder in folders)


@pytest.mark.skipif(sys.platform == "darwin", reason="XDG folders are Linux's")
def test_the_xdg_folders_are_the_default(tmp_path, monkeypatch):
    monkeypatch.delenv("FLYTE_JUPYTER_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder() == tmp_path / "s" / "flyte_jupyter"
    assert cache_folder() == tmp_path / ".cache" / "flyte_jupyter"


def test_nobody_else_may_read_them(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYTE_JUPYTER_HOME", str(tmp_path))
    assert state_folder().stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    Path(tmp_path / "file").write_text("")
    monkeypatch.setenv("FLYTE_JUPYTER_HOME", str(tmp_path / "file"))
    with pytest.raises(TargetError) as caught:
        state_folder()
    assert str(caught.value) == (
        f"The folder {str(tmp_path / 'file' / 'state')!r} cannot be made: Not a directory.\n"
        "Set FLYTE_JUPYTER_HOME to a folder that can be written."
    )
