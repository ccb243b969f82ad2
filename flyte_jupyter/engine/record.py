"""What the engine writes down: rows in the journal, logs as they come, large values behind."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, TextIO

from flyte_jupyter.engine.journal import KEPT_AT_ONCE, Journal, dump_value
from flyte_jupyter.engine.keeper import Keeper
from flyte_jupyter.engine.retention import Retention
from flyte_jupyter.engine.run import Action, Outcome
from flyte_jupyter.spec.settings import to_plain
from flyte_jupyter.targets.protocol import ExitRecord
from flyte_jupyter.wire.exchange import Packed
from flyte_jupyter.wire.frames import dump_json

__all__ = ["Recorder"]

# seconds for what waits to be written when the engine closes
LAST_WRITES = 8.0
NOT_KEPT = (
    "Large values come faster than they can be written to the journal: some of them are not kept "
    "there."
)

LAST_ERRORS = 8 * 1024
# what is known of the use of an attempt
STATS = ("peak_memory", "cpu_seconds")


class Recorder:
    """Writes the journal's rows for actions and attempts.

    Args:
        journal: where to.
        loop: the engine's loop, for what is written behind.
    """

    def __init__(self, journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
        self.journal = journal
        self._loop = loop
        self._keeper = Keeper(Retention(journal.folder / "values"), self._say_from_thread)
        self._told = False
        self._logs: dict[tuple[str, str, int], dict[str, TextIO]] = {}

    def action(self, action: Action, plan: str | None) -> None:
        """Record a new action with its inputs, and with its settings if they are known."""
        inputs = self._small(action.inputs)
        if inputs is None:
            self._write_behind(action, action.inputs, "inputs")
        self.journal.put(
            "actions",
            (action.run.name, action.name),
            identity=action.identity,
            parent=action.parent.name if action.parent else None,
            task=action.unit.name,
            environment=action.unit.environment,
            capsule=action.unit.capsule_hash,
            phase=action.phase,
            created=action.created,
            inputs=inputs,
            spec=plan,
        )
        if plan is not None:
            self.journal.spec(plan, lambda: to_plain(action.settings))

    def plan(self, action: Action, digest: str) -> None:
        """Record under which settings an action runs."""
        self.journal.spec(digest, lambda: to_plain(action.settings))
        self.journal.put("actions", (action.run.name, action.name), spec=digest)

    def attempt(self, action: Action, worker: str, call: int) -> None:
        """Record that an attempt has started.

        Args:
            action: what is tried.
            worker: label of the worker.
            call: number of the call there.
        """
        key = _key(action)
        now = time.time()
        self.journal.put("attempts", key, phase="running", worker=worker, started=now, call=call)

    def attempt_ended(self, action: Action, used: dict[str, Any]) -> None:
        """Record that an attempt has ended, and close its log.

        Args:
            action: what was tried.
            used: ``cpu_seconds`` and ``peak_memory`` (bytes, ``None`` if unknown) of the attempt,
                nothing where its worker does not tell them.
        """
        key = _key(action)
        _close(self._logs.pop(key, {}))
        stats = {name: used.get(name) for name in STATS} if "cpu_seconds" in used else {}
        if stats:
            action.run.emit("stats", action.name, attempt=action.attempt, **stats)
        self.journal.put("attempts", key, phase="ended", ended=time.time(), **stats)

    def usage(self, action: Action, number: int, record: ExitRecord) -> None:
        """Record what the worker of an attempt used."""
        if not record.peak_memory:
            return
        action.run.emit(
            "stats",
            action.name,
            attempt=number,
            peak_memory=record.peak_memory,
            cpu_seconds=record.cpu_seconds,
        )
        self.journal.put(
            "attempts",
            (action.run.name, action.name, number),
            peak_memory=record.peak_memory,
            cpu_seconds=record.cpu_seconds,
            exit=dump_json(
                {
                    "code": record.code,
                    "signal": record.signal,
                    "cause": record.cause,
                    "oom_kills": record.oom_kills,
                }
            ),
        )

    def outcome(self, action: Action, outcome: Outcome) -> None:
        """Record how an action ended, with its output or its error."""
        output = error = None
        if outcome.output is not None:
            output = self._small(outcome.output)
            if output is None:
                self._write_behind(action, outcome.output, "output")
        if outcome.failure is not None:
            failure = outcome.failure
            error = dump_json(
                {
                    "type": failure.type,
                    "sentence": failure.sentence,
                    "traceback": failure.traceback,
                    "remedy": failure.remedy,
                }
            )
        self.journal.put(
            "actions",
            (action.run.name, action.name),
            phase=outcome.phase,
            ended=time.time(),
            output=output,
            error=error,
        )

    def log(self, action: Action, stream: str, text: str) -> None:
        """Keep a piece of an attempt's log and say it; standard error is kept twice."""
        try:
            for name in ("", stream) if stream == "stderr" else ("",):
                log = self._log(action, name)
                log.write(text)
                log.flush()
        except OSError as error:
            self.journal.troubled(
                f"Logs cannot be written to {self.journal.folder} ({error.strerror}): what is "
                "printed is shown, but not kept there."
            )
        action.run.emit("log", action.name, attempt=action.attempt, stream=stream, text=text)

    def _log(self, action: Action, stream: str) -> TextIO:
        key = _key(action)
        logs = self._logs.setdefault(key, {})
        if stream not in logs:
            path = self.journal.log_file(*key, stream)
            logs[stream] = open(  # noqa: SIM115, closed when the attempt ends
                path, "a", encoding="utf-8", errors="surrogateescape", newline=""
            )
        return logs[stream]

    def last_errors(self, action: Action) -> str:
        """Return the last that the attempt of an action has written to standard error."""
        path = self.journal.log_file(*_key(action), "stderr")
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - LAST_ERRORS))
                return file.read().decode("utf-8", "replace")
        except OSError:  # it has written nothing
            return ""

    async def close(self) -> None:
        """Write what waits, and close the logs of attempts that were not seen to end."""
        await asyncio.to_thread(self._keeper.close, LAST_WRITES)
        for logs in self._logs.values():
            _close(logs)
        self._logs.clear()

    def _small(self, packed: Packed) -> bytes | None:
        return dump_value(packed) if packed.size <= KEPT_AT_ONCE else None

    def _write_behind(self, action: Action, packed: Packed, role: str) -> None:
        path = self.journal.value_file(action.run.name, f"{action.name}.{role}")
        key = (action.run.name, action.name)

        def written() -> None:
            if role == "output":
                with contextlib.suppress(RuntimeError):  # the engine has been closed
                    self._loop.call_soon_threadsafe(self._written, key, path.name)

        kept = self._keeper.keep(path, packed, written, 1 if role == "output" else 0.5)
        if not kept and not self._told:
            self._told = True
            action.run.emit("note", action.name, text=NOT_KEPT)

    def _say_from_thread(self, text: str) -> None:
        with contextlib.suppress(RuntimeError):  # the engine has been closed
            self._loop.call_soon_threadsafe(self.journal.troubled, text)

    def _written(self, key: tuple[str, str], name: str) -> None:
        self.journal.put("actions", key, output_file=name)


def _close(logs: dict[str, TextIO]) -> None:
    for log in logs.values():
        with contextlib.suppress(OSError):  # what there was no room for is still to be written
            log.close()


def _key(action: Action) -> tuple[str, str, int]:
    return (action.run.name, action.name, action.attempt)
