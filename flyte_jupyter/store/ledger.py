"""Deployments as they are kept: versions of named records, and the blobs that they need.

A name belongs to a project and a place. Every version that was deployed is kept until it is taken
away; one of them is the current one. Several kernels may write at once. A place without a keeping
of its own is kept in a file beside the journal.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from flyte_jupyter.errors import EngineError

__all__ = ["FileLedger", "Ledger", "Row"]

FILE = "deployments.sqlite"
FORMAT = 1
PATIENCE = 15.0

SCHEMA = """
CREATE TABLE versions (
    place TEXT, project TEXT, name TEXT, version TEXT, content TEXT, deployed REAL,
    current INTEGER, record TEXT, PRIMARY KEY (place, project, name, version)
) WITHOUT ROWID;
CREATE INDEX versions_by_name ON versions (name);
CREATE TABLE needs (
    place TEXT, project TEXT, name TEXT, version TEXT, digest TEXT,
    PRIMARY KEY (place, project, name, version, digest)
) WITHOUT ROWID;
CREATE INDEX needs_by_digest ON needs (digest);
CREATE TABLE blobs (digest TEXT PRIMARY KEY, content BLOB);
"""
COLUMNS = "place, project, name, version, content, deployed, current"


@dataclass(frozen=True, slots=True)
class Row:
    """One version, without its record.

    Args:
        place: where it was deployed to.
        project: the folder that its name belongs to.
        name: name of the environment.
        version: name of the version.
        content: hash of what makes a difference.
        deployed: when, in seconds since the epoch.
        current: whether it is the one that calls by name get.
    """

    place: str
    project: str
    name: str
    version: str
    content: str
    deployed: float
    current: bool


class Ledger(Protocol):
    """The deployments of one place."""

    @property
    def place(self) -> str:
        """Name of the place, which no other one has."""

    def put(
        self,
        row: Row,
        record: Mapping[str, Any],
        blobs: Mapping[str, bytes],
        needed: Iterable[str],
    ) -> None:
        """Write a version and make it the current one of its name.

        Args:
            row: what it is; a version of the same name is replaced.
            record: what is kept of it, as JSON values.
            blobs: content by digest, of those that may not be there yet.
            needed: digests of all blobs that it needs.

        Raises:
            EngineError: what is there was written by a newer version of the package.
            TargetError: the place cannot be reached, or does not take it.
        """

    def rows(self, project: str | None = None, name: str | None = None) -> list[Row]:
        """Return the versions, by project and name, the newest of a name first.

        Args:
            project: only of this one.
            name: only of this one.
        """

    def read(self, project: str, name: str, version: str | None = None) -> dict[str, Any] | None:
        """Return the record of a version, the current one if none is named; None without one."""

    def blob(self, digest: str) -> bytes | None:
        """Return a blob, None if it is not there."""

    def make_current(self, project: str, name: str, version: str, deployed: float) -> None:
        """Make a version that is there the current one of its name."""

    def remove(self, project: str, name: str) -> int:
        """Take away every version of a name, and the blobs that only these needed; say how many."""


class FileLedger:
    """The deployments of one place, in a file.

    Args:
        folder: the state folder; the file lies there.
        place: name of the place: one file holds several.
    """

    def __init__(self, folder: Path, place: str) -> None:
        self._path = folder / FILE
        self._place = place

    @property
    def place(self) -> str:
        """Name of the place."""
        return self._place

    def put(
        self,
        row: Row,
        record: Mapping[str, Any],
        blobs: Mapping[str, bytes],
        needed: Iterable[str],
    ) -> None:
        """Write a version and make it the current one of its name; see :class:`Ledger`."""
        key = (self.place, row.project, row.name, row.version)
        text = json.dumps(record, separators=(",", ":"), sort_keys=True)
        with self._writing() as db:
            insert = "INSERT INTO blobs VALUES (?, ?) ON CONFLICT DO NOTHING"
            db.executemany(insert, blobs.items())
            self._unset(db, row.project, row.name)
            db.execute("DELETE FROM needs WHERE " + _KEY, key)
            db.execute(
                "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?, ?, 1, ?)",
                (*key, row.content, row.deployed, text),
            )
            needs = [(*key, digest) for digest in needed]
            db.executemany("INSERT INTO needs VALUES (?, ?, ?, ?, ?)", needs)
            _drop_unneeded(db)

    def rows(self, project: str | None = None, name: str | None = None) -> list[Row]:
        """Return the versions, by project and name, the newest of a name first.

        Args:
            project: only of this one.
            name: only of this one.
        """
        wanted = {"place": self.place, "project": project, "name": name}
        given = {key: value for key, value in wanted.items() if value is not None}
        where = " AND ".join(f"{key} = ?" for key in given)
        statement = (
            f"SELECT {COLUMNS} FROM versions WHERE {where} ORDER BY project, name, deployed DESC"
        )
        with self._reading() as db:
            rows = db.execute(statement, tuple(given.values())).fetchall() if db else []
        return [Row(*row[:6], bool(row[6])) for row in rows]  # type: ignore[call-arg]

    def read(self, project: str, name: str, version: str | None = None) -> dict[str, Any] | None:
        """Return the record of a version, the current one if none is named; None without one."""
        which = "version = ?" if version is not None else "current = 1"
        statement = (
            f"SELECT record FROM versions WHERE place = ? AND project = ? AND name = ? AND {which}"
        )
        values = (self.place, project, name, *(() if version is None else (version,)))
        with self._reading() as db:
            found = db.execute(statement, values).fetchone() if db else None
        return None if found is None else dict(json.loads(found[0]))

    def blob(self, digest: str) -> bytes | None:
        """Return a blob, None if it is not there."""
        with self._reading() as db:
            statement = "SELECT content FROM blobs WHERE digest = ?"
            found = db.execute(statement, (digest,)).fetchone() if db else None
        return None if found is None else bytes(found[0])

    def make_current(self, project: str, name: str, version: str, deployed: float) -> None:
        """Make a version that is there the current one of its name."""
        with self._writing() as db:
            self._unset(db, project, name)
            db.execute(
                f"UPDATE versions SET current = 1, deployed = ? WHERE {_KEY}",
                (deployed, self.place, project, name, version),
            )

    def remove(self, project: str, name: str) -> int:
        """Take away every version of a name, and the blobs that only these needed; say how many."""
        values = (self.place, project, name)
        with self._writing() as db:
            db.execute("DELETE FROM needs WHERE place = ? AND project = ? AND name = ?", values)
            done = db.execute(
                "DELETE FROM versions WHERE place = ? AND project = ? AND name = ?", values
            )
            _drop_unneeded(db)
            return done.rowcount

    def _unset(self, db: sqlite3.Connection, project: str, name: str) -> None:
        db.execute(
            "UPDATE versions SET current = 0 WHERE place = ? AND project = ? AND name = ?",
            (self.place, project, name),
        )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=PATIENCE)) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                _open_schema(db, self._path)
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """Give the file to read, None while nothing was ever deployed."""
        if not self._path.exists():
            yield None
            return
        uri = f"{self._path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as db:
            # another kernel may be about to make its first entry
            yield db if _check_format(db, self._path) else None


_KEY = "place = ? AND project = ? AND name = ? AND version = ?"


def _open_schema(db: sqlite3.Connection, path: Path) -> None:
    if _check_format(db, path) == 0:
        for statement in SCHEMA.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version={FORMAT}")


def _check_format(db: sqlite3.Connection, path: Path) -> int:
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found > FORMAT:
        raise EngineError(
            f"The deployments in {path} were written by a newer version of flyte_jupyter.",
            remedy="Update flyte_jupyter, or set FLYTE_JUPYTER_HOME to another folder.",
        )
    return int(found)


def _drop_unneeded(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM blobs WHERE digest NOT IN (SELECT digest FROM needs)")
