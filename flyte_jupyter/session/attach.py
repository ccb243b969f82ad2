"""Runs of other kernels, taken up in this one: what they did, what they do, what they left."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path

from flyte_jupyter.engine.events import TERMINAL
from flyte_jupyter.engine.failures import failure_of
from flyte_jupyter.engine.run import Outcome, RunState
from flyte_jupyter.errors import RuntimeSystemError
from flyte_jupyter.session import session
from flyte_jupyter.session.history import find_run
from flyte_jupyter.session.past import Past
from flyte_jupyter.session.run import Run
from flyte_jupyter.session.submit import open_for
from flyte_jupyter.store.folders import state_folder

__all__ = ["attach"]

# Another kernel tells nothing: its journal is looked at so often.
LOOK = 0.2


def attach(name: str = "") -> Run:
    """Take up a run of another kernel, or of an earlier one: phase, result and logs.

    A run that has ended is read from the journal. One whose kernel lives is followed there. One
    whose kernel has died is taken over, where its work outlives it: what runs in a cluster goes on
    for ten minutes, and what it returns comes here.

    Args:
        name: name of the run, or the beginning of one; without it, the last run of this folder.

    Raises:
        NotFoundError: there is no such run.
    """
    record, _ = find_run((name,) if name else ())
    engine = session.engine()
    mine = engine.state_of(record.name)
    opener = open_for({"output": {}})
    if mine is not None:
        return Run(engine, mine, opener)
    folder = session.config().state or state_folder()
    path = (folder / "journal.sqlite").resolve()
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10, check_same_thread=False)
    past = Past(db, folder, record.name)
    state = past.state()
    past.tell(state)
    if past.phase in TERMINAL:
        with closing(db):
            state.end(past.outcome())
    elif _lives(db, record.name):
        engine.follow(state, partial(_look, db, past, state), LOOK)
    else:
        with closing(db):
            _take_over(db, folder, past, state)
    return Run(engine, state, opener)


def _look(db: sqlite3.Connection, past: Past, state: RunState) -> Outcome | None:
    """Tell what another kernel has written down of its run; return how it has ended, if it has."""
    over, lives = past.phase in TERMINAL, _lives(db, past.name)
    past.tell(state)
    if not over and lives:
        return None
    with closing(db):
        return past.outcome() if over else _left_behind(past)


def _left_behind(past: Past) -> Outcome:
    failure = failure_of(
        RuntimeSystemError(
            "",
            f"The kernel of {past.name} has ended.",
            remedy=f"%flyte_attach {past.name} takes over what it has left.",
        )
    )
    return Outcome(failure.phase, failure=failure)


def _take_over(db: sqlite3.Connection, folder: Path, past: Past, state: RunState) -> None:
    """Have this kernel's engine go on with all that the run's kernel has left on its target."""
    rows = db.execute(
        "SELECT name FROM runs WHERE target = ? AND phase NOT IN (?, ?, ?, ?) "
        "AND owner = (SELECT owner FROM runs WHERE name = ?)",
        (past.target, *TERMINAL, past.name),
    ).fetchall()
    runs, attempts = {past.name: state}, list(past.running())
    for (name,) in rows:
        if name != past.name:
            other = Past(db, folder, name)
            runs[name] = other.state()
            other.tell(runs[name])
            attempts += other.running()
    session.engine().adopt(past.target, runs, attempts)


def _lives(db: sqlite3.Connection, run: str) -> bool:
    """Say whether the kernel of a run lives, as far as can be told from here."""
    row = db.execute(
        "SELECT host, pid, lease FROM runs JOIN owners ON owners.id = runs.owner "
        "WHERE runs.name = ?",
        (run,),
    ).fetchone()
    if row is None or (row[2] or 0) < time.time():
        return False
    host, pid, _ = row
    return bool(host != socket.gethostname() or _runs(pid))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
