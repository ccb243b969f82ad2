"""What the journal tells of runs, of this kernel and of earlier ones: read beside the engine."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flyte_jupyter.engine.events import TERMINAL, Phase
from flyte_jupyter.errors import NotFoundError
from flyte_jupyter.session import session
from flyte_jupyter.spec.naming import did_you_mean, listing
from flyte_jupyter.store.folders import state_folder

__all__ = [
    "AttemptRecord",
    "RunRecord",
    "find_run",
    "has_journal",
    "names_of",
    "reading",
    "recent_runs",
]

NAMED = 500
OFFERED = 20
NO_RUN = "Nothing has been run yet."


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt of an action.

    Args:
        action: name of the action within its run.
        task: full name of its task.
        number: of the attempt, from 1.
        phase: how it ended, or that it runs.
        started: seconds since the epoch.
        ended: seconds since the epoch, ``None`` while it runs.
        peak_memory: bytes that its worker used at most, ``None`` where that is not known.
        cpu_seconds: processor time of its worker.
        oom_kills: processes of its worker that the system ended for lack of memory.
        worker: label of the worker.
        log: file of all that it wrote.
        errors: file of what it wrote to standard error.
    """

    action: str
    task: str
    number: int
    phase: Phase
    started: float | None
    ended: float | None
    peak_memory: int | None
    cpu_seconds: float | None
    oom_kills: int
    worker: str
    log: Path
    errors: Path

    @property
    def seconds(self) -> float | None:
        """How long it ran, ``None`` before its end."""
        if self.started is None or self.ended is None:
            return None
        return self.ended - self.started


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run.

    Args:
        name: its name.
        task: full name of the root task.
        target: where it ran.
        phase: where it stands.
        lost: whether its kernel ended before it did.
        created: seconds since the epoch.
        ended: seconds since the epoch, ``None`` before its end.
        attempts: every attempt of every action, in the order of the actions.
        error: what the root failed with: its type and sentence, empty if it did not.
        remedy: what to do about it.
    """

    name: str
    task: str
    target: str
    phase: Phase
    lost: bool
    created: float
    ended: float | None
    attempts: tuple[AttemptRecord, ...]
    error: str = ""
    remedy: str = ""


def find_run(words: tuple[str, ...] = ()) -> tuple[RunRecord, str]:
    """Return the run that is meant, and the action or task of it, empty for all.

    Args:
        words: nothing for the last run of this kernel, or of this folder; else the name of a run or
            the beginning of one, and an action (``a0``) or a task. A task alone means the last run
            that called it.

    Raises:
        NotFoundError: there is no such run, or it has no such action or task.
    """
    folder = session.config().state or state_folder()
    session.keep()
    if not has_journal(folder):
        raise NotFoundError(NO_RUN)
    with reading(folder) as db:
        if not words:
            return _run(db, folder, _last(db)), ""
        name = _named(db, words[0])
        if name is not None:
            run = _run(db, folder, name)
            return run, _part(run, words[1]) if len(words) > 1 else ""
        if len(words) == 1 and (found := _with_part(db, folder, words[0])) is not None:
            return found
        raise _unknown(db, words[0])


def recent_runs() -> list[str]:
    """Return the names of the last runs, the newest first."""
    folder = session.config().state or state_folder()
    if not has_journal(folder):
        return []
    with reading(folder) as db:
        statement = "SELECT name FROM runs ORDER BY created DESC LIMIT ?"
        return [str(name) for (name,) in db.execute(statement, (OFFERED,))]


def has_journal(folder: Path) -> bool:
    """Say whether a state folder has a journal; one that is just being made has nothing in it."""
    if not (folder / "journal.sqlite").exists():
        return False
    with reading(folder) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
    return bool(version)


@contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open the journal of a state folder for reading, beside whoever writes it."""
    path = (folder / "journal.sqlite").resolve()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as db:
        yield db


def _last(db: sqlite3.Connection) -> str:
    """Return the name of this kernel's last run, else of this folder's, else of all."""
    mine = (socket.gethostname(), os.getpid())
    choices = (
        ("JOIN owners ON owners.id = runs.owner WHERE owners.host = ? AND owners.pid = ?", mine),
        ("WHERE project = ?", (session.config().project,)),
        ("", ()),
    )
    for condition, values in choices:
        statement = f"SELECT runs.name FROM runs {condition} ORDER BY created DESC LIMIT 1"
        row = db.execute(statement, values).fetchone()
        if row is not None:
            return str(row[0])
    raise NotFoundError(NO_RUN)


def _named(db: sqlite3.Connection, word: str) -> str | None:
    """Return the run of a name, or the last of those whose names begin so."""
    if db.execute("SELECT 1 FROM runs WHERE name = ?", (word,)).fetchone():
        return word
    # the digits that tell runs of one task apart: what is shorter names a task
    statement = (
        "SELECT name FROM runs WHERE substr(name, 1, ?) = ? "
        "AND length(?) > length(name) - 9 ORDER BY created DESC LIMIT 1"
    )
    row = db.execute(statement, (len(word), word, word)).fetchone()
    return None if row is None else str(row[0])


def _with_part(db: sqlite3.Connection, folder: Path, word: str) -> tuple[RunRecord, str] | None:
    """Return the last run that has an action of that name, or that called such a task."""
    last = _run(db, folder, _last(db))
    if word in _parts(last):
        return last, word
    statement = (
        "SELECT runs.name FROM actions JOIN runs ON runs.name = actions.run "
        f"WHERE ? IN (actions.task, {_SHORT}, {_PLAIN}, {_SHORT_PLAIN}) "
        "ORDER BY runs.created DESC LIMIT 1"
    )
    row = db.execute(statement, (word,)).fetchone()
    return None if row is None else (_run(db, folder, str(row[0])), word)


def _unknown(db: sqlite3.Connection, word: str) -> NotFoundError:
    recent = "SELECT name, task FROM runs ORDER BY created DESC LIMIT ?"
    rows = db.execute(recent, (NAMED,)).fetchall()
    names = [name for name, _ in rows]
    tasks = list(dict.fromkeys(short for _, task in rows for short in (task, _short(task))))
    hint = did_you_mean(word, [*names, *tasks]) or "."
    return NotFoundError(
        f"there is no run and no task {word!r}{hint}",
        remedy=f"The last runs are {listing(names[:3], 'and')}." if names else NO_RUN,
    )


def _part(run: RunRecord, word: str) -> str:
    known = _parts(run)
    if word not in known:
        tasks = list(dict.fromkeys(_short(one.task) for one in run.attempts))
        raise NotFoundError(
            f"{run.name} has no action and no task {word!r}{did_you_mean(word, known) or '.'}",
            remedy=f"It called {listing(tasks[:10], 'and')}." if tasks else "Nothing of it ran.",
        )
    return word


def _parts(run: RunRecord) -> set[str]:
    return {part for one in run.attempts for part in (one.action, *names_of(one.task))}


# the names of `names_of`, for a query
_SHORT = "substr(actions.task, instr(actions.task, '.') + 1)"
_PLAIN = "substr(actions.task, 1, instr(actions.task || '@', '@') - 1)"
_SHORT_PLAIN = f"substr({_PLAIN}, instr({_PLAIN}, '.') + 1)"


def names_of(task: str) -> tuple[str, ...]:
    """Return what a task of a run may be called: in full or not, a deployed one without its hash.

    Args:
        task: full name, ``environment.function``, of a deployed one followed by ``@`` and a hash.
    """
    plain = task.partition("@")[0]
    return task, _short(task), plain, _short(plain)


def _short(task: str) -> str:
    return task.rpartition(".")[2]


def _run(db: sqlite3.Connection, folder: Path, name: str) -> RunRecord:
    statement = (
        "SELECT task, target, phase, created, ended, lease FROM runs "
        "LEFT JOIN owners ON owners.id = runs.owner WHERE name = ?"
    )
    task, target, phase, created, ended, lease = db.execute(statement, (name,)).fetchone()
    root = db.execute("SELECT error FROM actions WHERE run = ? AND name = 'a0'", (name,)).fetchone()
    error = json.loads(root[0]) if root and root[0] else {}
    open_ = Phase(phase) not in TERMINAL
    return RunRecord(
        name=name,
        task=task,
        target=target,
        phase=Phase(phase),
        lost=open_ and (lease or 0) < time.time(),
        created=created,
        ended=ended,
        attempts=tuple(_attempts(db, folder, name)),
        error=": ".join(filter(None, (error.get("type"), error.get("sentence")))),
        remedy=error.get("remedy", ""),
    )


def _attempts(db: sqlite3.Connection, folder: Path, run: str) -> Iterator[AttemptRecord]:
    statement = (
        "SELECT actions.name, task, actions.phase, number, attempts.started, attempts.ended, "
        "peak_memory, cpu_seconds, worker, exit FROM actions "
        "JOIN attempts ON attempts.run = actions.run AND attempts.action = actions.name "
        "WHERE actions.run = ? ORDER BY length(actions.name), actions.name, number"
    )
    rows = db.execute(statement, (run,)).fetchall()
    last = {row[0]: row[3] for row in rows}
    for name, task, phase, number, started, ended, peak, cpu, worker, exit_ in rows:
        exit_record: dict[str, Any] = json.loads(exit_) if exit_ else {}
        logs = folder / "logs" / run
        yield AttemptRecord(
            action=name,
            task=task,
            number=number,
            # what another attempt followed has failed
            phase=Phase(phase) if number == last[name] else Phase.FAILED,
            started=started,
            ended=ended,
            peak_memory=peak,
            cpu_seconds=cpu,
            oom_kills=exit_record.get("oom_kills") or 0,
            worker=worker or "",
            log=logs / f"{name}.{number}.log",
            errors=logs / f"{name}.{number}.stderr.log",
        )
