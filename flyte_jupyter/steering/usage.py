"""What the attempts of a task have used in its last runs: read from the journal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.session import session
from flyte_jupyter.session.history import has_journal, reading
from flyte_jupyter.spec.settings import Settings
from flyte_jupyter.store.folders import state_folder

__all__ = ["ATTEMPTS", "Use", "uses_of"]

ATTEMPTS = 200
"""How many attempts of a task are looked at, the last ones."""


@dataclass(frozen=True, slots=True)
class Use:
    """What one attempt has used.

    Args:
        run: name of its run.
        seconds: how long it took, ``None`` where that is not known.
        peak_memory: bytes that it used at most, ``None`` where that is not known.
        cpu_seconds: processor time, likewise.
        memory_limit: bytes that it could have, ``None`` for no limit.
        out_of_memory: whether the system ended it, or something in it, for lack of memory.
        succeeded: whether its action has.
    """

    run: str
    seconds: float | None = None
    peak_memory: int | None = None
    cpu_seconds: float | None = None
    memory_limit: int | None = None
    out_of_memory: bool = False
    succeeded: bool = True


def uses_of(task: str) -> list[Use]:
    """Return what the last attempts of a task have used, of this project's runs; the newest first.

    Args:
        task: its full name.
    """
    config = session.config()
    folder = config.state or state_folder()
    session.keep()
    if not has_journal(folder):
        return []
    with reading(folder) as db:
        statement = (
            "SELECT attempts.run, attempts.started, attempts.ended, peak_memory, cpu_seconds, "
            "exit, actions.phase, actions.error, specs.settings, attempts.number = "
            "(SELECT max(number) FROM attempts AS last "
            "WHERE last.run = actions.run AND last.action = actions.name) "
            "FROM attempts JOIN actions ON actions.run = attempts.run "
            "AND actions.name = attempts.action JOIN runs ON runs.name = actions.run "
            "LEFT JOIN specs ON specs.hash = actions.spec "
            "WHERE actions.task = ? AND runs.project = ? AND attempts.ended IS NOT NULL "
            "ORDER BY attempts.started DESC LIMIT ?"
        )
        rows = db.execute(statement, (task, config.project, ATTEMPTS)).fetchall()
    return list(map(_use, rows))


def _use(row: tuple[Any, ...]) -> Use:
    run, started, ended, peak, cpu, exit_, phase, error, spec, last = row
    resources = Settings.from_plain(json.loads(spec)).resources if spec else None
    return Use(
        run,
        ended - started if started is not None else None,
        peak,
        cpu,
        resources.memory_limit if resources else None,
        any(_lacked_memory(exit_, error if last else None)),
        bool(last) and phase == "succeeded",
    )


def _lacked_memory(exit_: str | None, error: str | None) -> Iterator[bool]:
    if exit_:
        end = json.loads(exit_)
        yield bool(end.get("oom_kills")) or end.get("cause") == "memory"
    if error:
        yield json.loads(error).get("type") == "OOMError"
