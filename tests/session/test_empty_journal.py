"""A journal is made in steps, and somebody may look at it in between: a panel, a side bar."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.session.history import find_run, recent_runs
from flyte_jupyter.session.recent import glances
from flyte_jupyter.steering.usage import uses_of


def test_a_journal_that_is_just_being_made_has_no_runs(tmp_path: Path) -> None:
    flyte.init(target="local", state=tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        db.execute("PRAGMA journal_mode=WAL")
        assert recent_runs() == []
        assert glances(5) == []
        assert uses_of("env.one") == []
        with pytest.raises(flyte.errors.NotFoundError, match="Nothing has been run yet"):
            find_run(())
