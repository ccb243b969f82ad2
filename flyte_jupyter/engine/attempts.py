"""Attempts: an action is prepared, admitted, given a worker, called, and tried again if allowed.

An action that need not wait for anything is sent at once, without a task of its own
(:meth:`Attempts.send_now`); everything else takes the same steps as a coroutine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from flyte_jupyter.diagnose import ExitRecord, Facts, diagnose
from flyte_jupyter.engine.admission import Admission, Claim, Need
from flyte_jupyter.engine.events import Phase
from flyte_jupyter.engine.failures import failure_of, failure_of_frame
from flyte_jupyter.engine.plans import Plan, Plans
from flyte_jupyter.engine.record import Recorder
from flyte_jupyter.engine.run import Action, Failure, Outcome
from flyte_jupyter.engine.workers import Hand, WorkerPool
from flyte_jupyter.errors import (
    AdmissionError,
    DeadlineExceededError,
    MaxQueuedTimeExceededError,
    MaxRuntimeExceededError,
)
from flyte_jupyter.spec import Settings
from flyte_jupyter.targets.protocol import Target
from flyte_jupyter.wire.exchange import Packed
from flyte_jupyter.wire.frames import Frame, Kind

__all__ = ["Attempt", "Attempts"]

GRACE = 0.5
SETTLED = 1.0


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
        self.on_answer: Callable[[Frame | None], None] | None = None

    def answer(self, frame: Frame | None) -> None:
        """Take the worker's answer, ``None`` if its stream was lost."""
        if not self.answered and self.on_answer is not None:
            self.answered = True
            self.on_answer(frame)

    def wait(self) -> asyncio.Future[Frame | None]:
        """Return a future of the answer."""
        future: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()

        def arrived(frame: Frame | None) -> None:
            if not future.done():
                future.set_result(frame)

        self.on_answer = arrived
        return future


class Attempts:
    """Takes actions of one target from queued to their outcome.

    Args:
        target: where they run.
        pool: gives workers.
        admission: says who may start.
        record: keeps what happens.
        end_children: aborts what an action has called, and returns what is to be waited for.
    """

    def __init__(
        self,
        target: Target,
        pool: WorkerPool,
        admission: Admission,
        record: Recorder,
        end_children: Callable[[Action], list[asyncio.Task[None]]],
    ) -> None:
        self._end_children = end_children
        self._target = target
        self._pool = pool
        self._admission = admission
        self._record = record
        self.plans = Plans(target, admission)
        self._loop = asyncio.get_running_loop()
        self._check: asyncio.TimerHandle | None = None

    # at once

    def send_now(
        self,
        action: Action,
        done: Callable[[Outcome], None],
        otherwise: Callable[[Attempt, Frame | None], None],
    ) -> Attempt | None:
        """Send an action to a worker if nothing has to be waited for.

        Args:
            action: the action.
            done: called when it has succeeded.
            otherwise: called with an answer that needs more than that.

        Returns:
            The attempt, or ``None`` if the action has to wait for something.
        """
        plan = self.plans.of(action)
        if plan.refusal is not None or plan.hurried or not self.plans.is_prepared(plan):
            return None
        claim = self._claim(action, plan.need)
        if not self._admission.enter_now(claim):
            return None
        hand = self._pool.ready(self._shelf(plan, claim))
        if hand is None:
            self._admission.leave(claim)
            return None
        action.attempt = 1
        action.claim = claim
        attempt = self._begin(action, plan, claim, hand)

        def answered(frame: Frame | None) -> None:
            if frame is not None and frame.kind == Kind.RESULT:
                packed = hand.peer.value(frame)
                if packed.complete:
                    self._release(attempt)
                    done(Outcome(Phase.SUCCEEDED, packed))
                    return
            otherwise(attempt, frame)

        attempt.on_answer = answered
        self._send(attempt)
        return attempt

    async def resume(self, attempt: Attempt, frame: Frame | None) -> Outcome:
        """Return how an action ends whose first attempt was answered with more than success."""
        result = await self._conclude(attempt, frame)
        return await self._settle(attempt.action, attempt.plan, result)

    async def end_now(self, attempt: Attempt) -> None:
        """End an attempt that was sent at once: user code may clean up for a moment."""
        await self._interrupt(attempt)

    async def start_ahead(self, settings: Settings) -> None:
        """Have a worker wait for the first call under certain settings, if nothing must be built.

        Args:
            settings: those of an environment.
        """
        if not await asyncio.to_thread(self._target.ready_made, settings):
            return
        plan = self.plans.of_settings("", settings)
        if plan.policy is None and not plan.need.count:
            await self.plans.prepare(plan, lambda _: None)
            await self._pool.start_ahead(self._pool.shelf(plan.request_with(()), None))

    # with waiting

    async def run(self, action: Action) -> Outcome:
        """Return how an action ends.

        Raises:
            FlyteError: it cannot be started at all.
            asyncio.CancelledError: it was aborted.
        """
        plan = self.plans.of(action)
        if not plan.deadline:
            return await self._settle(action, plan, None)
        try:
            async with asyncio.timeout(plan.deadline - (time.time() - action.created)):
                return await self._settle(action, plan, None)
        except TimeoutError:
            tries = f", all {action.attempt} attempts together" if action.attempt > 1 else ""
            raise DeadlineExceededError(
                "",
                f"{action.unit.name} took longer than its deadline of {plan.deadline:g} s{tries}.",
                remedy="Raise Timeout(deadline=...), or let it do less.",
            ) from None

    async def _settle(self, action: Action, plan: Plan, result: Packed | Failure | None) -> Outcome:
        """Try until an attempt succeeds, or fails for good."""
        need = plan.need
        if result is None:
            need = self._checked(action, plan)
            if not self.plans.is_prepared(plan):
                await self._prepare(action, plan)
        while True:
            if result is None:
                action.attempt += 1
                claim = await self._admit(action, plan, need)
                result = await self._try(action, plan, claim)
            if isinstance(result, Packed):
                return Outcome(Phase.SUCCEEDED, result)
            if result.final or action.attempt > plan.retries:
                return Outcome(result.phase, failure=result)
            await self._pause(action, result)
            result = None

    async def _pause(self, action: Action, failure: Failure) -> None:
        action.run.emit(
            "error",
            action.name,
            attempt=action.attempt,
            type=failure.type,
            sentence=failure.sentence,
            traceback=failure.traceback,
            remedy=failure.remedy,
            final=False,
        )
        left = self._end_children(action)
        if left:
            await asyncio.wait(left)
        retries = action.settings.retries
        backoff = None if retries is None else retries.backoff
        delay = 0.0 if backoff is None else backoff.delay(action.attempt - 1)
        action.enter(Phase.QUEUED, f"tries again in {delay:g} s" if delay else "tries again")
        if delay:
            self._admission.busy += 1
            try:
                await asyncio.sleep(delay)
            finally:
                self._admission.busy -= 1

    def _checked(self, action: Action, plan: Plan) -> Need:
        """Return what to ask of the target; more than it has is refused, or clamped and said."""
        if plan.refusal is None:
            return plan.need
        if action.run.request.options.oversize != "clamp":
            raise plan.refusal
        clamped = self._admission.clamp(plan.need)
        action.run.emit(
            "note",
            action.name,
            text=f"{action.unit.name} asks for {plan.need.words()} and runs with "
            f"{clamped.words()}, which is what {self._target.name} has.",
        )
        return clamped

    async def _prepare(self, action: Action, plan: Plan) -> None:
        environment = action.unit.environment
        action.enter(Phase.PREPARING)

        def progress(text: str) -> None:
            action.run.emit("prepare", action.name, environment=environment, text=text)

        self._admission.busy += 1
        try:
            await self.plans.prepare(plan, progress)
        finally:
            self._admission.busy -= 1

    def _claim(self, action: Action, need: Need) -> Claim:
        parent = action.parent.claim if action.parent else None
        return Claim(action.unit.name, need, parent, action.depth)

    async def _admit(self, action: Action, plan: Plan, need: Need) -> Claim:
        claim = action.claim = self._claim(action, need)
        if self._admission.enter_now(claim):
            return claim
        answer: asyncio.Future[AdmissionError | None] = self._loop.create_future()

        def decided(refusal: AdmissionError | None) -> None:
            if not answer.done():
                answer.set_result(refusal)

        self._admission.enter(claim, decided)
        if not answer.done():
            action.enter(Phase.WAITING, self._admission.why(claim))
            self._look_for_endless_waits()
        try:
            async with asyncio.timeout(plan.max_queued or None):
                refusal = await answer
        except TimeoutError:
            why = self._admission.why(claim)
            self._admission.leave(claim)
            raise MaxQueuedTimeExceededError(
                "",
                f"{action.unit.name} waited longer than {plan.max_queued:g} s: it {why}.",
                remedy="Raise Timeout(max_queued_time=...), or ask for less.",
            ) from None
        except asyncio.CancelledError:
            self._admission.leave(claim)
            raise
        if refusal is not None:
            raise refusal
        return claim

    def _look_for_endless_waits(self) -> None:
        """Look once things have settled: an answer on its way may end the wait."""
        if self._check is not None:
            self._check.cancel()
        self._check = self._loop.call_later(SETTLED, self._admission.stuck)

    # one attempt

    async def _try(self, action: Action, plan: Plan, claim: Claim) -> Packed | Failure:
        shelf = self._shelf(plan, claim)
        hand = self._pool.ready(shelf)
        if hand is None:
            try:
                hand = await self._pool.take(shelf)
            except Exception as error:
                self._leave(action, claim)
                return failure_of(error)
            except asyncio.CancelledError:
                self._leave(action, claim)
                raise
        attempt = self._begin(action, plan, claim, hand)
        answer = attempt.wait()
        self._send(attempt)
        limit = plan.max_runtime
        if limit and hand.worker is not None and plan.policy is None:
            hand.worker.deadline(limit + GRACE)
        try:
            async with asyncio.timeout(limit or None):
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
            await self._interrupt(attempt)
            raise
        return await self._conclude(attempt, frame)

    def _shelf(self, plan: Plan, claim: Claim) -> Any:
        if claim.devices:
            return self._pool.shelf(plan.request_with(claim.devices), plan.policy)
        if plan.shelf is None:
            plan.shelf = self._pool.shelf(plan.request_with(()), plan.policy)
        return plan.shelf

    def _begin(self, action: Action, plan: Plan, claim: Claim, hand: Hand) -> Attempt:
        attempt = Attempt(action, plan, claim, hand)
        hand.calls[attempt.number] = attempt
        action.enter(Phase.RUNNING)
        self._record.attempt(action, hand.label)
        return attempt

    def _send(self, attempt: Attempt) -> None:
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
        if unit.secrets:
            header["secrets"] = dict(unit.secrets)
        offered = hand.peer.send_value(Kind.CALL, attempt.number, header, action.inputs)
        attempt.offered.extend(offered)

    async def _conclude(self, attempt: Attempt, frame: Frame | None) -> Packed | Failure:
        hand = attempt.hand
        try:
            if frame is None:
                return await self._worker_died(attempt)
            packed = await hand.peer.collect(hand.peer.value(frame))
        except Exception as error:
            return failure_of(error)
        finally:
            self._release(attempt)
        if frame.kind == Kind.RESULT:
            return packed
        return failure_of_frame(frame.header, packed)

    def _release(self, attempt: Attempt) -> None:
        """Give worker and room back, and forget what the worker was offered for this call."""
        action, hand = attempt.action, attempt.hand
        hand.calls.pop(attempt.number, None)
        hand.peer.outbox.free(attempt.offered)
        self._record.attempt_ended(action)
        if hand.worker is not None and attempt.plan.policy is None:
            self._when_gone(action, action.attempt, hand)
        self._pool.give_back(hand, action.unit.modules)
        self._leave(action, attempt.claim)

    def _leave(self, action: Action, claim: Claim) -> None:
        self._admission.leave(claim)
        if action.claim is claim:
            action.claim = None
        if self._admission.crowded:
            self._look_for_endless_waits()

    def _when_gone(self, action: Action, number: int, hand: Hand) -> None:
        """Record what the worker used, once it has ended; nobody waits for it."""
        worker = hand.worker
        assert worker is not None

        def gone(future: asyncio.Future[ExitRecord]) -> None:
            if not future.cancelled():
                self._record.usage(action, number, future.result())

        worker.exited.add_done_callback(gone)

    async def _worker_died(self, attempt: Attempt) -> Failure:
        exit_record = await attempt.hand.ended()
        action = attempt.action
        if exit_record.words and exit_record.cause != "supervisor":
            self._record.log(action, "stderr", exit_record.words)
        resources = action.settings.resources
        facts = Facts(
            task=action.unit.name,
            exit=exit_record,
            memory_limit=None if resources is None else resources.memory_limit,
            target=self._target.name,
        )
        return failure_of(diagnose(facts))

    async def _interrupt(self, attempt: Attempt) -> None:
        """Let user code clean up for a moment, then end the worker."""
        hand = attempt.hand
        if not attempt.answered:
            answer = attempt.wait()  # whoever waited before was cancelled with what it waited for
            hand.peer.send(Kind.CANCEL, attempt.number)
            await asyncio.wait([answer], timeout=GRACE)
        if not attempt.answered:
            await self._kill(attempt)
            return
        self._release(attempt)
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
        self._release(attempt)
        await hand.ended()
