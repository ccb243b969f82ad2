"""The last runs at a glance, of this kernel and of others, as the journal has them now."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from flyte_jupyter.engine.events import TERMINAL, Phase
from flyte_jupyter.session import session
from flyte_jupyter.session.history import has_journal
from flyte_jupyter.store.folders import state_folder

__all__ = ["Glance", "glances", "stamp"]

FILE = "journal.sqlite"


@dataclass(frozen=True, slots=True)
class Glance:
    """One run at a glance.

    Args:
        name: its name.
        task: full name of the root task.
        target: where it runs.
        phase: where it stands.
        mine: whether this kernel runs it.
        lost: whether its kernel ended before it did.
        created: seconds since the epoch.
        ended: seconds since the epoch, ``None`` before its end.
        calls: phase → how many calls of tasks stand there, before its end.
        error: what the root failed with, in a sentence.
    """

    name: str
    task: str
    target: str
    phase: Phase
    mine: bool
    lost: bool
    created: float
    ended: float | None
    calls: Mapping[str, int] = field(default_factory=dict)
    error: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether something of it may still happen."""
        return self.phase not in TERMINAL and not self.lost


def stamp() -> tuple[tuple[int, int], ...]:
    """Return what changes when something is written into the journal: cheap enough to ask often."""
    folder = _folder()
    found = []
    for name in (FILE, f"{FILE}-wal"):
        try:
            said = os.stat(folder / name)
        except OSError:
            continue
        found.append((said.st_mtime_ns, said.st_size))
    return tuple(found)


def glances(most: int) -> list[Glance]:
    """Return the last runs of this session's project, the newest first.

    Args:
        most: so many at most.
    """
    path = (_folder() / FILE).resolve()
    if not has_journal(_folder()):
        return []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2)) as db:
        rows = db.execute(
            "SELECT runs.name, runs.task, runs.target, runs.phase, runs.created, runs.ended, "
            "owners.host, owners.pid, owners.lease, actions.error FROM runs "
            "LEFT JOIN owners ON owners.id = runs.owner "
            "LEFT JOIN actions ON actions.run = runs.name AND actions.name = 'a0' "
            "WHERE runs.project = ? ORDER BY runs.created DESC LIMIT ?",
            (session.config().project, most),
        ).fetchall()
        return [_glance(db, *row) for row in rows]


def _glance(
    db: sqlite3.Connection,
    name: str,
    task: str,
    target: str,
    phase: str,
    created: float,
    ended: float | None,
    host: str | None,
    pid: int | None,
    lease: float | None,
    error: str | None,
) -> Glance:
    over = Phase(phase) in TERMINAL
    calls = {}
    if not over:
        statement = "SELECT phase, count(*) FROM actions WHERE run = ? GROUP BY phase"
        calls = dict(db.execute(statement, (name,)).fetchall())
    said = json.loads(error) if error else {}
    return Glance(
        name,
        task,
        target,
        Phase(phase),
        mine=(host, pid) == (socket.gethostname(), os.getpid()),
        lost=not over and (lease or 0) < time.time(),
        created=created,
        ended=ended,
        calls=calls,
        error=": ".join(filter(None, (said.get("type"), said.get("sentence")))),
    )


def _folder() -> Path:
    return session.config().state or state_folder()
