"""A run of the journal as the values that a living one has: its events so far, and its outcome."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flyte_jupyter.engine.adoption import Adopted
from flyte_jupyter.engine.events import TERMINAL, Phase, asked
from flyte_jupyter.engine.failures import failure_of
from flyte_jupyter.engine.journal import load_value
from flyte_jupyter.engine.request import RunRequest
from flyte_jupyter.engine.run import Failure, Outcome, RunState
from flyte_jupyter.errors import RuntimeSystemError, RuntimeUserError
from flyte_jupyter.spec import Resources
from flyte_jupyter.wire.exchange import pack
from flyte_jupyter.wire.values import encode_exception

__all__ = ["Past"]

ROOT = "a0"


class Past:
    """One run of the journal.

    Args:
        db: the journal, open for reading.
        folder: its folder.
        name: of the run.
    """

    def __init__(self, db: sqlite3.Connection, folder: Path, name: str) -> None:
        self._db = db
        self._folder = folder
        self.name = name
        row = self._row("SELECT task, target, phase, created FROM runs WHERE name = ?", name)
        self.task, self.target = str(row[0]), str(row[1])
        self.created = float(row[3])
        self._told: dict[tuple[str, ...], Any] = {}
        self._logs: dict[tuple[str, int], int] = {}

    def _row(self, statement: str, *values: Any) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._db.execute(statement, values).fetchone()
        return row

    @property
    def phase(self) -> Phase:
        """Where the run stands now."""
        return Phase(self._row("SELECT phase FROM runs WHERE name = ?", self.name)[0])

    def state(self) -> RunState:
        """Return a run that nothing has happened to yet."""
        state = RunState(RunRequest(self.name, self.task, self.target, {}, None))
        state.created = self.created
        state.phase = Phase.RUNNING
        state.emit("run", None, name=self.name, task=self.task, target=self.target)
        return state

    def tell(self, state: RunState) -> None:
        """Emit what has happened and was not told before.

        Args:
            state: the run.
        """
        for name, parent, task, environment, phase, created, ended, error, spec in self._db.execute(
            "SELECT name, parent, task, environment, phase, created, ended, error, spec "
            "FROM actions WHERE run = ? ORDER BY length(name), name",
            (self.name,),
        ).fetchall():
            if ("action", name) not in self._told:
                self._told["action", name] = True
                depth = 0 if parent is None else 1 + self._told["depth", parent]
                self._told["depth", name] = depth
                state.past(
                    created,
                    "action",
                    name,
                    parent=parent,
                    task=task,
                    environment=environment,
                    target=self.target,
                    depth=depth,
                    **asked(self._resources(spec)),
                )
            number = self._tell_attempts(state, name)
            if Phase(phase) in TERMINAL and self._told.get(("phase", name)) != phase:
                self._told["phase", name] = phase
                if error:
                    told = {**json.loads(error), "attempt": number, "final": True}
                    state.past(ended, "error", name, **told)
                state.past(ended, "phase", name, attempt=number, phase=phase, why="")

    def _resources(self, spec: str | None) -> Resources | None:
        """Return what an action with these settings asks for."""
        row = self._db.execute("SELECT settings FROM specs WHERE hash = ?", (spec,)).fetchone()
        plain = json.loads(row[0]).get("resources") if row else None
        return Resources.from_plain(plain) if plain else None

    def _tell_attempts(self, state: RunState, action: str) -> int:
        number = 0
        for number, started, peak, cpu in self._db.execute(
            "SELECT number, started, peak_memory, cpu_seconds FROM attempts "
            "WHERE run = ? AND action = ? ORDER BY number",
            (self.name, action),
        ).fetchall():
            key = ("attempt", action, str(number))
            if key not in self._told:
                self._told[key] = True
                state.past(
                    started, "phase", action, attempt=number, phase=Phase.RUNNING.value, why=""
                )
            self._tell_log(state, action, number, started)
            if cpu is not None and ("stats", *key) not in self._told:
                self._told["stats", *key] = True
                used = {"peak_memory": peak, "cpu_seconds": cpu}
                state.past(started, "stats", action, attempt=number, **used)
        return number

    def _tell_log(self, state: RunState, action: str, number: int, at: float) -> None:
        known = self._logs.get((action, number), 0)
        path = self._log_file(action, number)
        if not path.exists() or path.stat().st_size <= known:
            return
        with path.open("rb") as file:
            file.seek(known)
            text = file.read()
        self._logs[action, number] = known + len(text)
        told = text.decode("utf-8", "surrogateescape")
        state.past(at, "log", action, attempt=number, stream="stdout", text=told)

    def _log_file(self, action: str, number: int) -> Path:
        return self._folder / "logs" / self.name / f"{action}.{number}.log"

    def outcome(self) -> Outcome:
        """Return how the run has ended."""
        row = self._row(
            "SELECT phase, output, output_file, error FROM actions WHERE run = ? AND name = ?",
            self.name,
            ROOT,
        )
        phase, output, file, error = row or (self.phase, None, None, None)
        if error:
            return Outcome(Phase(phase), failure=_failure(Phase(phase), json.loads(error)))
        if Phase(phase) is not Phase.SUCCEEDED:
            return Outcome(self.phase, failure=_lost(f"{self.name} has {self.phase}."))
        if output is None and file:
            path = self._folder / "values" / self.name / file
            output = path.read_bytes() if path.exists() else None
        if output is None:
            return Outcome(
                Phase.FAILED,
                failure=_lost(f"The result of {self.name} is not kept any more.", "Run it again."),
            )
        return Outcome(Phase.SUCCEEDED, load_value(output))

    def running(self) -> Iterator[Adopted]:
        """Yield the attempts that have begun and have not ended."""
        rows = self._db.execute(
            "SELECT action, task, environment, number, worker, call FROM attempts "
            "JOIN actions ON actions.run = attempts.run AND actions.name = attempts.action "
            "WHERE attempts.run = ? AND attempts.phase = 'running'",
            (self.name,),
        ).fetchall()
        for action, task, environment, number, worker, call in rows:
            (children,) = self._row(
                "SELECT count(*) FROM actions WHERE run = ? AND parent = ? AND ended IS NULL",
                self.name,
                action,
            )
            log = self._log_file(action, number)
            yield Adopted(
                self.name,
                action,
                task,
                environment,
                number,
                worker or "",
                call or 1,
                log.stat().st_size if log.exists() else 0,
                children > 0,
            )


def _failure(phase: Phase, error: dict[str, str]) -> Failure:
    exception = RuntimeUserError(error["type"], error["sentence"])
    return Failure(
        error["type"],
        error["sentence"],
        pack(encode_exception(exception)),
        error.get("traceback", ""),
        error.get("remedy", ""),
        phase,
    )


def _lost(sentence: str, remedy: str = "") -> Failure:
    return failure_of(RuntimeSystemError("", sentence, remedy=remedy))
