"""What happened, kept: a SQLite file beside the logs, written by the engine's thread alone.

What is known of a row is gathered and written with one statement, and rows are committed together,
so a short call costs one commit and a thousand of them a handful. A value of at most
:data:`KEPT_AT_ONCE` bytes is committed before it is shown; a larger one is written to a file
behind the result.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flyte_jupyter.errors import EngineError
from flyte_jupyter.wire.exchange import Packed
from flyte_jupyter.wire.segments import process_segments

__all__ = ["KEPT_AT_ONCE", "Journal", "dump_value", "load_value", "write_value"]

VERSION = 2
KEPT_AT_ONCE = 1 << 20
LEASE = 15.0
# Commits after which the log is moved into the file, in the background, and pages of the log from
# which on the one who commits does it.
CHECKPOINT = 200
WAL_PAGES = 20_000
# of a large value, what is written with one call
PIECE = 16 << 20
# What began is committed after this many seconds at the latest; what ended, before it is shown.
PATIENCE = 0.01
# Seconds that another process may hold the file, and until it is tried again where it cannot be
# written: meanwhile runs go on without it. So much may wait for that.
BUSY = 2.0
RETRY = 2.0
MOST_ROWS = 10_000
MOST_BYTES = 64 << 20
REMOTE_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "lustre", "gpfs", "ceph", "afs")

SCHEMA = """
CREATE TABLE owners (
    id TEXT PRIMARY KEY, host TEXT, pid INTEGER, started REAL, lease REAL
) WITHOUT ROWID;
CREATE TABLE runs (
    name TEXT PRIMARY KEY, owner TEXT, project TEXT, task TEXT, target TEXT,
    phase TEXT, created REAL, ended REAL, options TEXT
) WITHOUT ROWID;
CREATE INDEX runs_by_time ON runs (created);
CREATE TABLE actions (
    run TEXT, name TEXT, identity TEXT, parent TEXT, task TEXT, environment TEXT,
    spec TEXT, capsule TEXT, image TEXT, phase TEXT, created REAL, ended REAL,
    inputs BLOB, output BLOB, output_file TEXT, error TEXT,
    PRIMARY KEY (run, name)
) WITHOUT ROWID;
CREATE TABLE attempts (
    run TEXT, action TEXT, number INTEGER, phase TEXT, worker TEXT, started REAL, ended REAL,
    peak_memory INTEGER, cpu_seconds REAL, exit TEXT, call INTEGER,
    PRIMARY KEY (run, action, number)
) WITHOUT ROWID;
CREATE TABLE specs (hash TEXT PRIMARY KEY, settings TEXT) WITHOUT ROWID;
"""

KEYS = {
    "owners": ("id",),
    "runs": ("name",),
    "actions": ("run", "name"),
    "attempts": ("run", "action", "number"),
    "specs": ("hash",),
}


class Journal:
    """The journal of one engine.

    Args:
        folder: the state folder; the file, the logs and the large values lie there.
        loop: the engine's loop.
        troubled: called with a sentence when something cannot be written.

    Raises:
        EngineError: the file was written by a newer version of the package.
    """

    def __init__(
        self,
        folder: Path,
        loop: asyncio.AbstractEventLoop,
        troubled: Callable[[str], None],
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._loop = loop
        self.troubled = troubled
        self._resting = False
        self._rows: dict[tuple[str, tuple[Any, ...]], dict[str, Any]] = {}
        self._kept: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._known_specs: set[str] = set()
        self._turn = False
        self._commits = 0
        self._path = path = folder / "journal.sqlite"
        self._db = sqlite3.connect(path, isolation_level=None, timeout=BUSY)
        mode = "DELETE" if _is_remote(folder) else "WAL"
        self._db.execute(f"PRAGMA journal_mode={mode}")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        self._open_schema(path)
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{time.time():.3f}"
        now = time.time()
        host, pid = socket.gethostname(), os.getpid()
        self.put("owners", (self.owner,), host=host, pid=pid, started=now, lease=now + LEASE)

    def _open_schema(self, path: Path) -> None:
        db = self._db
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == VERSION:
            return
        if version > VERSION:
            raise EngineError(
                f"The journal {path} was written by a newer version of flyte_jupyter.",
                remedy="Update flyte_jupyter, or set FLYTE_JUPYTER_HOME to another folder.",
            )
        db.execute("BEGIN EXCLUSIVE")
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in SCHEMA.split(";"):
                    db.execute(statement)
            elif version == 1:
                db.execute("ALTER TABLE attempts ADD COLUMN call INTEGER")
            db.execute(f"PRAGMA user_version={VERSION}")
            db.execute("COMMIT")
        except sqlite3.Error:
            db.execute("ROLLBACK")
            raise

    def put(self, table: str, key: tuple[Any, ...], **columns: Any) -> None:
        """Set columns of a row, which is made if it is not there.

        What is put for one row before it is committed becomes one statement.

        Args:
            table: name of the table.
            key: values of its primary key, in the order of the schema.
            columns: the columns to set.
        """
        row = self._rows.get((table, key))
        if row is None:
            self._rows[table, key] = columns
            if self._timer is None:
                self._timer = self._loop.call_later(PATIENCE, self._in_time)
        else:
            row.update(columns)

    def _in_time(self) -> None:
        self._timer = None
        self.flush()

    def when_kept(self, callback: Callable[[], None]) -> None:
        """Call back once everything put so far is committed: at the end of this turn."""
        if not self._kept and not self._turn:
            self._loop.call_soon(self.flush)
        self._kept.append(callback)

    def __enter__(self) -> None:
        """Begin a turn: what somebody waits for is committed at its end."""
        self._turn = True

    def __exit__(self, *_: object) -> None:
        """End a turn."""
        self._turn = False
        if self._kept:
            self.flush()

    def flush(self) -> None:
        """Commit what was put, then tell those who wait for it.

        They are told, too, when it cannot be written: a result is worth more than its record.
        """
        kept, self._kept = self._kept, []
        if self._rows and not self._resting:
            rows, self._rows = self._rows, {}
            try:
                self._commit(rows)
            except sqlite3.Error as error:
                self._put_off(rows, error)
        for callback in kept:
            callback()

    def _commit(self, rows: dict[tuple[str, tuple[Any, ...]], dict[str, Any]]) -> None:
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        for (table, key), columns in rows.items():
            execute(_upsert(table, tuple(columns)), (*key, *columns.values()))
        execute("COMMIT")
        self._commits += 1
        if self._commits % CHECKPOINT == 0 and self._loop.is_running():
            self._loop.run_in_executor(None, _checkpoint, self._path)

    def _put_off(
        self, rows: dict[tuple[str, tuple[Any, ...]], dict[str, Any]], error: sqlite3.Error
    ) -> None:
        """Keep rows for a later commit, as far as there is room for them."""
        if self._db.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
        size = sum(len(v) for row in rows.values() for v in row.values() if isinstance(v, bytes))
        if len(rows) <= MOST_ROWS and size <= MOST_BYTES:
            self._rows = rows
        self._resting = True
        if self._loop.is_running():
            self._loop.call_later(RETRY, self._resume)
        self.troubled(
            f"The journal {self._path} cannot be written ({error}): runs go on, but what happens "
            "until it can is perhaps not kept there."
        )

    def _resume(self) -> None:
        self._resting = False
        self.flush()

    def spec(self, digest: str, settings: Callable[[], Any]) -> None:
        """Keep the settings behind a hash, once."""
        if digest not in self._known_specs:
            self._known_specs.add(digest)
            self.put("specs", (digest,), settings=json.dumps(settings()))

    def renew_lease(self) -> None:
        """Say that this engine still lives."""
        self.put("owners", (self.owner,), lease=time.time() + LEASE)

    def log_file(self, run: str, action: str, attempt: int, stream: str = "") -> Path:
        """Return the path of an attempt's log, or of one stream of it; the folder exists."""
        folder = self.folder / "logs" / run
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{action}.{attempt}.{stream}" if stream else f"{action}.{attempt}"
        return folder / f"{name}.log"

    def value_file(self, run: str, action: str) -> Path:
        """Return the path of a large value; the folder exists."""
        folder = self.folder / "values" / run
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{action}.value"

    def close(self) -> None:
        """Commit and close."""
        self._resting = False
        self.flush()
        self._db.close()


def _checkpoint(path: Path) -> None:
    """Move what is in the log into the file, on another thread: the disk is waited for."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")


@functools.cache
def _upsert(table: str, columns: tuple[str, ...]) -> str:
    keys = KEYS[table]
    names = ", ".join((*keys, *columns))
    marks = ", ".join("?" * (len(keys) + len(columns)))
    changes = ", ".join(f"{name}=excluded.{name}" for name in columns)
    return (
        f"INSERT INTO {table} ({names}) VALUES ({marks}) "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"
    )


def dump_value(packed: Packed) -> bytes:
    """Return a value as one block of bytes: the lengths of its parts as JSON, then the parts."""
    if not packed.buffers and type(packed.tree) is bytes:
        head = b"[%d]" % len(packed.tree)
        return b"".join((len(head).to_bytes(4, "little"), head, packed.tree))
    parts = [bytes(part) for part in (packed.tree, *packed.buffers)]  # type: ignore[arg-type]
    head = json.dumps([len(p) for p in parts]).encode()
    return b"".join([len(head).to_bytes(4, "little"), head, *parts])


def write_value(packed: Packed, fd: int) -> None:
    """Write a value to a file, in the form of :func:`dump_value`; what was sent, not what is now.

    Args:
        packed: the value; the user may be changing what was decoded from it.
        fd: descriptor of the file.
    """
    segments = process_segments()
    parts = [packed.tree, *packed.buffers]
    head = json.dumps([memoryview(p).nbytes for p in parts]).encode()  # type: ignore[arg-type]
    _write(fd, len(head).to_bytes(4, "little") + head)
    for part in parts:
        if segments is None or not segments.write_to(fd, part):
            _write(fd, part)


def _write(fd: int, data: Any) -> None:
    view = memoryview(data).cast("B") if len(data) else memoryview(b"")
    while view:
        view = view[os.write(fd, view[:PIECE]) :]


def load_value(block: bytes) -> Packed:
    """Return the value of a block that :func:`dump_value` made."""
    at = 4 + int.from_bytes(block[:4], "little")
    parts: list[Any] = []
    for length in json.loads(block[4:at]):
        parts.append(bytearray(block[at : at + length]))
        at += length
    return Packed(bytes(parts[0]), tuple(parts[1:]))


def _is_remote(folder: Path) -> bool:
    """True on a file system of another machine, where shared-memory journals corrupt."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return False
    best, kind = "", ""
    real = os.path.realpath(folder)
    for line in lines:
        _, mount, name, *_ = line.split()
        inside = real == mount or real.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, name
    return kind.startswith(REMOTE_FILE_SYSTEMS)
