"""What is kept of deployments: versions, which one counts, and the blobs that they need."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from flyte_jupyter.errors import EngineError
from flyte_jupyter.store.ledger import FileLedger, Row


def put(ledger: FileLedger, name: str, version: str, at: float, *digests: str) -> None:
    row = Row(ledger.place, "/project", name, version, f"content of {version}", at, True)
    blobs = {digest: digest.encode() for digest in digests}
    ledger.put(row, {"name": name, "version": version}, blobs, digests)


def test_the_last_version_is_the_current_one_until_another_is_made_so(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path, "here")
    assert ledger.rows() == []
    assert ledger.read("/project", "a") is None
    put(ledger, "a", "1", 1.0)
    put(ledger, "a", "2", 2.0)
    assert [(row.version, row.current) for row in ledger.rows()] == [("2", True), ("1", False)]
    ledger.make_current("/project", "a", "1", 3.0)
    assert [(row.version, row.current) for row in ledger.rows()] == [("1", True), ("2", False)]
    assert ledger.read("/project", "a") == {"name": "a", "version": "1"}
    assert ledger.read("/project", "a", "2") == {"name": "a", "version": "2"}
    assert ledger.read("/project", "a", "3") is None


def test_places_and_projects_do_not_see_each_other(tmp_path: Path) -> None:
    put(FileLedger(tmp_path, "here"), "a", "1", 1.0)
    there = FileLedger(tmp_path, "there")
    assert there.rows() == []
    put(there, "a", "2", 2.0)
    assert [row.version for row in FileLedger(tmp_path, "here").rows()] == ["1"]
    assert there.rows("/another") == []


def test_blobs_stay_as_long_as_a_version_needs_them(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path, "here")
    put(ledger, "a", "1", 1.0, "shared", "own")
    put(ledger, "b", "1", 1.0, "shared")
    assert ledger.blob("own") == b"own"
    assert ledger.remove("/project", "a") == 1
    assert ledger.blob("own") is None
    assert ledger.blob("shared") == b"shared"
    put(ledger, "b", "1", 2.0)  # the same version, which needs nothing now
    assert ledger.blob("shared") is None


def test_several_write_at_once(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path, "here")

    def write(name: str) -> None:
        for number in range(10):
            put(ledger, name, str(number), float(number), name, f"{name}{number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.rows()) == 40
    assert sorted(row.name for row in ledger.rows() if row.current) == list("abcd")


def test_a_file_of_a_newer_version_is_told(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path, "here")
    put(ledger, "a", "1", 1.0)
    with sqlite3.connect(tmp_path / "deployments.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(EngineError, match="newer version"):
        ledger.rows()
    with pytest.raises(EngineError, match="newer version"):
        put(ledger, "a", "2", 2.0)
