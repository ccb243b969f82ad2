"""Runs of a dead kernel, taken over: what still works is heard to its end, and written down.

A task that calls others needs the code of those, which went with its kernel: it is ended, with what
it has. Every other one goes on where it is, and its result comes here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flyte_jupyter.engine.events import Phase
from flyte_jupyter.engine.failures import failure_of, failure_of_frame
from flyte_jupyter.engine.journal import Journal
from flyte_jupyter.engine.peer import Peer
from flyte_jupyter.engine.record import Recorder
from flyte_jupyter.engine.request import Unit
from flyte_jupyter.engine.run import NOTHING, Action, Outcome, RunState
from flyte_jupyter.errors import ActionAbortedError, RuntimeSystemError
from flyte_jupyter.spec import Settings
from flyte_jupyter.targets.protocol import Target, Worker
from flyte_jupyter.wire.frames import Frame, Kind

__all__ = ["Adopted", "lost", "take_over"]

ROOT = "a0"


@dataclass(frozen=True, slots=True)
class Adopted:
    """An attempt that the journal says runs.

    Args:
        run: name of its run.
        action: name of the action within it.
        task: full name of its task.
        environment: name of the environment.
        number: of the attempt, from 1.
        worker: label of its worker.
        call: number of the call there.
        written: bytes of its log that are written down.
        calls: whether it waits for what it has called.
    """

    run: str
    action: str
    task: str
    environment: str
    number: int
    worker: str
    call: int
    written: int
    calls: bool


class Call:
    """One attempt, heard to its end.

    Args:
        run: its run.
        attempt: what the journal says of it.
        record: writes it down.
    """

    def __init__(self, run: RunState, attempt: Adopted, record: Recorder) -> None:
        unit = Unit(attempt.task, attempt.environment, Settings(), NOTHING, "", "")
        self._action = Action(run, attempt.action, None, unit, Settings(), NOTHING)
        self._action.attempt = attempt.number
        self._record = record
        self._written = attempt.written
        self._answer: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        self.attempt = attempt
        if attempt.calls:
            self._answer.set_result(None)

    def take(self, frame: Frame) -> None:
        """Take a frame that its worker has sent."""
        if frame.kind == Kind.LOG:
            self._log(frame)
        elif frame.kind in (Kind.RESULT, Kind.ERROR, Kind.CALL) and not self._answer.done():
            self._answer.set_result(frame)

    def lose(self) -> None:
        """Expect nothing more: its worker has ended."""
        if not self._answer.done():
            self._answer.set_result(None)

    def _log(self, frame: Frame) -> None:
        """Write down what is new; the last of it comes twice where it may not have been heard."""
        text = frame.header["text"].encode("utf-8", "surrogateescape")
        known = max(0, self._written - frame.header["at"])
        if known < len(text):
            self._written = frame.header["at"] + len(text)
            new = text[known:].decode("utf-8", "surrogateescape")
            self._record.log(self._action, frame.header["stream"], new)

    async def outcome(self, peer: Peer) -> Outcome:
        """Wait for its end, and return it, written down.

        Args:
            peer: its worker's.
        """
        action = self._action
        action.enter(Phase.RUNNING)
        frame = await self._answer
        try:
            outcome = await self._meant(frame, peer)
        except Exception as error:
            outcome = lost(error)
        if outcome.failure is not None:
            action.tell(outcome.failure, final=True)
        self._record.attempt_ended(action, {})
        self._record.outcome(action, outcome)
        action.enter(outcome.phase)
        return outcome

    async def _meant(self, frame: Frame | None, peer: Peer) -> Outcome:
        task = self.attempt.task
        if frame is not None and frame.kind == Kind.RESULT:
            return Outcome(Phase.SUCCEEDED, await peer.collect(peer.value(frame)))
        if frame is not None and frame.kind == Kind.ERROR:
            packed = await peer.collect(peer.value(frame))
            failure = failure_of_frame(frame.header, packed)
            return Outcome(failure.phase, failure=failure)
        if frame is not None or self.attempt.calls:
            return lost(
                ActionAbortedError(
                    "",
                    f"{task} calls other tasks, whose code went with the kernel that ran it.",
                    remedy="Run it again. What they have returned so far is kept.",
                )
            )
        return lost(RuntimeSystemError("", f"{task} was lost after the end of its kernel."))


class Ward:
    """A worker with its attempts.

    Args:
        worker: the worker.
        calls: its attempts.
    """

    def __init__(self, worker: Worker, calls: Sequence[Call]) -> None:
        self._worker = worker
        self._calls = calls
        self._peer = Peer(self._frame, self._lost)

    def _frame(self, frame: Frame) -> None:
        number = frame.header.get("parent") if frame.kind == Kind.CALL else frame.call
        for call in self._calls:
            if number in (call.attempt.call, 0):
                call.take(frame)

    def _lost(self) -> None:
        for call in self._calls:
            call.lose()

    async def outcomes(self) -> list[Outcome]:
        """Return how its attempts end; the worker is ended then."""
        await self._worker.connect(self._peer)
        found = await asyncio.gather(*(call.outcome(self._peer) for call in self._calls))
        self._worker.kill()
        return found


async def take_over(
    target: Target, runs: Mapping[str, RunState], attempts: Sequence[Adopted], journal: Journal
) -> dict[str, Outcome]:
    """Go on with runs of a dead kernel; return the outcome of each.

    Args:
        target: where they were.
        runs: by their names.
        attempts: those that the journal says run.
        journal: this kernel's.

    Raises:
        TargetError: the target does not answer.
    """
    record = Recorder(journal, asyncio.get_running_loop())
    held = await target.adopt({each.worker for each in attempts})
    workers = {label: worker for one in held for label, worker in one.workers.items()}
    try:
        return await _adopt(runs, attempts, workers, record)
    finally:
        for one in held:
            await one.close()
        await record.close()


async def _adopt(
    runs: Mapping[str, RunState],
    attempts: Sequence[Adopted],
    workers: Mapping[str, Worker],
    record: Recorder,
) -> dict[str, Outcome]:
    calls = [Call(runs[each.run], each, record) for each in attempts]
    by_worker: dict[str, list[Call]] = {}
    for call in calls:
        by_worker.setdefault(call.attempt.worker, []).append(call)

    async def of_worker(label: str, those: list[Call]) -> list[tuple[Call, Outcome]]:
        if label not in workers:
            for call in those:
                call.lose()
            nobody = Peer(lambda _: None, lambda: None)
            return [(call, await call.outcome(nobody)) for call in those]
        return list(zip(those, await Ward(workers[label], those).outcomes(), strict=True))

    groups = await asyncio.gather(*(of_worker(*item) for item in by_worker.items()))
    roots = {
        call.attempt.run: outcome
        for group in groups
        for call, outcome in group
        if call.attempt.action == ROOT
    }
    return {name: roots.get(name) or _never_begun(run) for name, run in runs.items()}


def _never_begun(run: RunState) -> Outcome:
    task = run.request.task
    sentence = f"{task} was not begun when the kernel ended that was to run it."
    return lost(ActionAbortedError("", sentence, remedy="Run it again."))


def lost(error: Exception) -> Outcome:
    """Return the outcome of what ends with an exception of ours."""
    failure = failure_of(error)
    return Outcome(failure.phase, failure=failure)
