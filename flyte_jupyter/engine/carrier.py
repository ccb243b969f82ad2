"""One attempt: carried to a worker, and its answer back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from flyte_jupyter.diagnose import ExitRecord
from flyte_jupyter.engine.admission import Admission, Claim
from flyte_jupyter.engine.events import Phase
from flyte_jupyter.engine.evidence import failure_of_ended, with_advice
from flyte_jupyter.engine.failures import failure_of, failure_of_frame, waited_too_long
from flyte_jupyter.engine.plans import Plan
from flyte_jupyter.engine.record import Recorder
from flyte_jupyter.engine.run import Action, Failure
from flyte_jupyter.engine.workers import Hand, WorkerPool
from flyte_jupyter.errors import MaxRuntimeExceededError
from flyte_jupyter.spec.naming import listing
from flyte_jupyter.targets.protocol import Target
from flyte_jupyter.wire.exchange import Packed
from flyte_jupyter.wire.frames import Frame, Kind

__all__ = ["Attempt", "Carrier"]

GRACE = 0.5
# seconds that the end of the engine waits for what is still to be told of the last attempts
LAST_RECORDS = 1.0
# seconds that a worker may take from its start to its hello, where the time of a call is limited
STARTING = 60.0


class Attempt:
    """One try of an action on one worker.

    Args:
        action: what is tried.
        plan: how.
        claim: what it holds of the target.
        hand: the worker.
    """

    def __init__(self, action: Action, plan: Plan, claim: Claim, hand: Hand) -> None:
        self.action = action
        self.plan = plan
        self.claim = claim
        self.hand = hand
        self.number = hand.number()
        self.offered: list[str] = []
        self.answered = False
        self.used: dict[str, Any] = {}
        self.on_answer: Callable[[Frame | None], None] | None = None

    def answer(self, frame: Frame | None) -> None:
        """Take the worker's answer, ``None`` if its stream was lost."""
        if not self.answered and self.on_answer is not None:
            self.answered = True
            if frame is not None and self.plan.policy is not None:
                self.used = frame.header
            self.on_answer(frame)

    def wait(self) -> asyncio.Future[Frame | None]:
        """Return a future of the answer."""
        future: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()

        def arrived(frame: Frame | None) -> None:
            if not future.done():
                future.set_result(frame)

        self.on_answer = arrived
        return future


class Carrier:
    """Carries attempts of one target.

    Args:
        target: where they run.
        pool: gives workers.
        admission: says who may start.
        record: keeps what happens.
        left: called when an attempt has given its room back.
    """

    def __init__(
        self,
        target: Target,
        pool: WorkerPool,
        admission: Admission,
        record: Recorder,
        left: Callable[[], None],
    ) -> None:
        self._target = target
        self._pool = pool
        self._admission = admission
        self._record = record
        self._left = left
        self._ending: set[asyncio.Future[ExitRecord]] = set()

    def ready(self, plan: Plan, claim: Claim) -> Hand | None:
        """Return a worker that needs no waiting, or ``None``."""
        return self._pool.ready(self._shelf(plan, claim))

    async def carry(self, action: Action, plan: Plan, claim: Claim) -> Packed | Failure:
        """Return how one attempt ends, after waiting for a worker if need be.

        Raises:
            asyncio.CancelledError: it was aborted; nothing of it is left then.
        """
        shelf = self._shelf(plan, claim)
        hand = self._pool.ready(shelf)
        if hand is None:
            limit, said = 0.0 if self._target.admits else plan.max_queued, [""]
            try:
                async with asyncio.timeout(limit or None) as queued:
                    hand = await self._pool.take(shelf, partial(self._waits, action, said))
            except Exception as error:
                self.leave(action, claim)
                late = waited_too_long(action.unit.name, limit, said[-1])
                return failure_of(late if queued.expired() else error)
            except asyncio.CancelledError:
                self.leave(action, claim)
                raise
        attempt = self.begin(action, plan, claim, hand)
        self.note(attempt)
        answer = attempt.wait()
        self.send(attempt)
        limit = plan.max_runtime
        try:
            async with asyncio.timeout(limit + STARTING if limit else None) as clock:
                if limit:
                    hand.peer.when_greeted(partial(self._start_clock, attempt, clock))
                frame = await answer
        except TimeoutError:
            await self._kill(attempt)
            return failure_of(
                MaxRuntimeExceededError(
                    "",
                    f"{action.unit.name} ran longer than its timeout of {limit:g} s.",
                    remedy="Raise timeout=..., or let it do less.",
                )
            )
        except asyncio.CancelledError:
            await self.interrupt(attempt)
            raise
        return await self.conclude(attempt, frame)

    def _waits(self, action: Action, said: list[str], why: str) -> None:
        """Say what an action waits for, and which of its callers keep it from that.

        Args:
            action: the action.
            said: where it is kept.
            why: what it waits for.
        """
        queue = action.settings.queue
        if queue and f"queue {queue}" in why:
            holders = [each.unit.name for each in self._callers(action, queue)]
            if holders[1:]:
                why += (
                    f"; its callers {listing(holders, 'and')} hold a part of that, and end after it"
                )
            elif holders:
                why += f"; its caller {holders[0]} holds a part of that, and ends after it"
        said.append(why)
        action.enter(Phase.WAITING, why)

    def _callers(self, action: Action, queue: str) -> Iterator[Action]:
        """Yield the actions above one that are in the same queue of the same target."""
        target_of, caller = action.run.request.target_of, action.parent
        while caller is not None:
            here = target_of(caller.unit.name) == self._target.name
            if here and caller.settings.queue == queue:
                yield caller
            caller = caller.parent

    def _start_clock(self, attempt: Attempt, clock: asyncio.Timeout) -> None:
        """Let the time of an attempt run: its worker is there, and takes it now."""
        limit, worker = attempt.plan.max_runtime, attempt.hand.worker
        with contextlib.suppress(RuntimeError):  # it has ended meanwhile
            clock.reschedule(asyncio.get_running_loop().time() + limit)
            if worker is not None and attempt.plan.policy is None:
                worker.deadline(limit + GRACE)

    def _shelf(self, plan: Plan, claim: Claim) -> Any:
        if claim.devices:
            return self._pool.shelf(plan.request_with(claim.devices), plan.policy)
        if plan.shelf is None:
            plan.shelf = self._pool.shelf(plan.request_with(()), plan.policy)
        return plan.shelf

    def begin(self, action: Action, plan: Plan, claim: Claim, hand: Hand) -> Attempt:
        """Return a new attempt on a worker, which it is known to from now on."""
        attempt = Attempt(action, plan, claim, hand)
        hand.calls[attempt.number] = attempt
        return attempt

    def note(self, attempt: Attempt) -> None:
        """Say and record that an attempt has begun."""
        attempt.action.enter(Phase.RUNNING)
        self._record.attempt(attempt.action, attempt.hand.label, attempt.number)

    def send(self, attempt: Attempt) -> None:
        """Send the call, and the code if the worker lacks it."""
        action, hand = attempt.action, attempt.hand
        unit = action.unit
        hand.load(unit.capsule_key, unit.capsule)
        header: dict[str, Any] = {
            "capsule": unit.capsule_key,
            "task": unit.name,
            "environment": unit.environment,
            "run": action.run.name,
            "action": action.name,
            "attempt": action.attempt,
            "pickle": action.run.request.options.pickle,
        }
        if action.settings.max_inline_io_bytes is not None:
            header["limit"] = action.settings.max_inline_io_bytes
        if unit.files is not None:
            hand.load(*unit.files)
            header["files"] = unit.files[0]
        if unit.secrets:
            header["secrets"] = dict(unit.secrets)
        if unit.secret_files and self._target.confines:
            header["secret_files"] = dict(unit.secret_files)
        hand.peer.send_value(Kind.CALL, attempt.number, header, action.inputs, attempt.offered)

    async def conclude(self, attempt: Attempt, frame: Frame | None) -> Packed | Failure:
        """Return what an answer means, with all of it fetched; ``None`` is a lost stream."""
        hand = attempt.hand
        try:
            if frame is None:
                return await self._worker_died(attempt)
            packed = await hand.peer.collect(hand.peer.value(frame))
        except Exception as error:
            return failure_of(error)
        finally:
            self.release(attempt)
        if frame.kind == Kind.RESULT:
            return packed
        failure = failure_of_frame(frame.header, packed)
        return with_advice(failure, attempt.action, self._target.name, frame.header, self._record)

    def release(self, attempt: Attempt) -> None:
        """Give worker and room back, and forget what the worker was offered for this call."""
        action, hand = attempt.action, attempt.hand
        hand.calls.pop(attempt.number, None)
        attempt.on_answer = None
        hand.peer.outbox.free(attempt.offered)
        self._record.attempt_ended(action, attempt.used)
        if hand.worker is not None and attempt.plan.policy is None:
            self._when_gone(action, action.attempt, hand)
        self._pool.give_back(hand, action.unit.modules)
        self.leave(action, attempt.claim)

    def leave(self, action: Action, claim: Claim) -> None:
        """Give back the room of an action, or its place in the queue."""
        self._admission.give_up(claim)
        if action.claim is claim:
            action.claim = None
        self._left()

    def _when_gone(self, action: Action, number: int, hand: Hand) -> None:
        """Record what the worker used, once it has ended; nobody waits for it."""
        worker = hand.worker
        assert worker is not None

        def gone(future: asyncio.Future[ExitRecord]) -> None:
            self._ending.discard(future)
            if not future.cancelled():
                self._record.usage(action, number, future.result())

        self._ending.add(worker.exited)
        worker.exited.add_done_callback(gone)

    async def last_records(self) -> None:
        """Wait for a moment until the workers of attempts that are over have ended."""
        if self._ending:
            await asyncio.wait(self._ending, timeout=LAST_RECORDS)

    async def _worker_died(self, attempt: Attempt) -> Failure:
        exit_record = await attempt.hand.ended()
        action = attempt.action
        if exit_record.words and exit_record.cause != "supervisor":
            self._record.log(action, "stderr", exit_record.words)
        return failure_of_ended(action, self._target.name, exit_record, self._record)

    async def interrupt(self, attempt: Attempt) -> None:
        """Let user code clean up for a moment, then end the worker."""
        hand = attempt.hand
        if not attempt.answered:
            answer = attempt.wait()  # whoever waited before was cancelled with what it waited for
            hand.peer.send(Kind.CANCEL, attempt.number)
            await asyncio.wait([answer], timeout=GRACE)
        if not attempt.answered:
            await self._kill(attempt)
            return
        self.release(attempt)
        if attempt.plan.policy is None:
            try:
                async with asyncio.timeout(GRACE):
                    await hand.ended()
            except TimeoutError:
                hand.kill()
                await hand.ended()

    async def _kill(self, attempt: Attempt) -> None:
        hand = attempt.hand
        hand.kill()
        self.release(attempt)
        await hand.ended()
