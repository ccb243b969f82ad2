"""What the tasks of a run called, read from the journal."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass

from flyte_jupyter.session import session
from flyte_jupyter.session.history import find_run
from flyte_jupyter.store.folders import state_folder

__all__ = ["ActionRecord", "calls_of"]


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """One call of a task.

    Args:
        name: name of the action within its run.
        parent: name of the action that called it; empty for the root.
        task: full name of its task.
        environment: name of the task's environment.
        phase: where it stands.
    """

    name: str
    parent: str
    task: str
    environment: str
    phase: str


def calls_of(run: str) -> list[ActionRecord]:
    """Return every call of a run, the root first.

    Args:
        run: name of the run, or the beginning of one; empty for the last run of this kernel.

    Raises:
        NotFoundError: there is no such run.
    """
    record, _ = find_run((run,) if run else ())
    folder = session.config().state or state_folder()
    path = (folder / "journal.sqlite").resolve()
    statement = (
        "SELECT name, parent, task, environment, phase FROM actions WHERE run = ? "
        "ORDER BY length(name), name"
    )
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as db:
        rows = db.execute(statement, (record.name,)).fetchall()
    return [ActionRecord(*(column or "" for column in row)) for row in rows]
