"""Secrets as files."""

from __future__ import annotations

from pathlib import Path

from flyte_jupyter.worker.secret import lay_secrets


def test_a_secret_is_laid_for_its_user_alone_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "team" / "key"
    lay_secrets({str(path): "first, and longer"})
    with path.open() as before:
        lay_secrets({str(path): "second"})
        assert before.read() == "first, and longer"
    assert path.read_text() == "second"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["key"]
