"""Attempts: an action is prepared, admitted, given a worker, called, and tried again if allowed."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

from flyte_jupyter.diagnose import Facts, diagnose
from flyte_jupyter.engine.admission import Admission, Claim, Need
from flyte_jupyter.engine.events import Phase
from flyte_jupyter.engine.failures import failure_of, failure_of_frame
from flyte_jupyter.engine.record import Recorder
from flyte_jupyter.engine.run import Action, Failure, Outcome
from flyte_jupyter.engine.workers import Hand, WorkerPool
from flyte_jupyter.errors import (
    AdmissionError,
    DeadlineExceededError,
    MaxQueuedTimeExceededError,
    MaxRuntimeExceededError,
)
from flyte_jupyter.spec import Settings, Timeout
from flyte_jupyter.targets.protocol import ExitRecord, Prepared, StartRequest, Target
from flyte_jupyter.wire.exchange import Packed
from flyte_jupyter.wire.frames import Frame, Kind

__all__ = ["Attempt", "Attempts"]

GRACE = 0.5
DEFAULT_CPU = 1000
SETTLED = 1.0


class Attempt:
    """One try of an action on one worker."""

    def __init__(self, action: Action, hand: Hand) -> None:
        self.action = action
        self.hand = hand
        self.number = hand.number()
        self.answer: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        self.offered: list[str] = []
        self.started = time.time()


class Attempts:
    """Takes actions of one target from queued to their outcome.

    Args:
        target: where they run.
        pool: gives workers.
        admission: says who may start.
        record: keeps what happens.
    """

    def __init__(
        self, target: Target, pool: WorkerPool, admission: Admission, record: Recorder
    ) -> None:
        self._target = target
        self._pool = pool
        self._admission = admission
        self._record = record
        self._loop = asyncio.get_running_loop()
        self._check: asyncio.TimerHandle | None = None

    async def run(self, action: Action) -> Outcome:
        """Return how an action ends.

        Raises:
            FlyteError: it cannot be started at all.
            asyncio.CancelledError: it was aborted.
        """
        deadline = _seconds(_timeout(action).deadline)
        if not deadline:
            return await self._tries(action)
        try:
            async with asyncio.timeout(deadline - (time.time() - action.created)):
                return await self._tries(action)
        except TimeoutError:
            raise DeadlineExceededError(
                "",
                f"{action.unit.name} took longer than its deadline of {deadline:g} s, "
                f"all {action.attempt} attempts together.",
                remedy="Raise Timeout(deadline=...), or let it do less.",
            ) from None

    async def _tries(self, action: Action) -> Outcome:
        settings = action.settings
        need = self._need(action)
        prepared = self._target.prepared(settings)
        if prepared is None:
            prepared = await self._prepare(action)
        retries = settings.retries
        count = 0 if retries is None else retries.count
        while True:
            action.attempt += 1
            claim = await self._admit(action, need)
            try:
                result = await self._try(action, prepared, claim)
            finally:
                self._admission.leave(claim)
                action.claim = None
                self._look_for_endless_waits()
            if isinstance(result, Packed):
                return Outcome(Phase.SUCCEEDED, result)
            if result.final or action.attempt > count:
                return Outcome(result.phase, failure=result)
            action.run.emit(
                "error",
                action.name,
                attempt=action.attempt,
                type=result.type,
                sentence=result.sentence,
                traceback=result.traceback,
                remedy=result.remedy,
                final=False,
            )
            await self._pause(action)

    async def _pause(self, action: Action) -> None:
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

    def _need(self, action: Action) -> Need:
        resources = action.settings.resources
        need = Need(DEFAULT_CPU)
        if resources is not None:
            device = resources.device
            cpu = resources.cpu_request
            need = Need(
                DEFAULT_CPU if cpu is None else cpu,
                resources.memory_request or 0,
                (device.device or "") if device else "",
                device.quantity if device else 0,
            )
        if not self._target.admits:
            return need
        refusal = self._admission.check(action.unit.name, need)
        if refusal is None:
            return need
        if action.run.request.options.oversize != "clamp":
            raise refusal
        clamped = self._admission.clamp(need)
        action.run.emit(
            "note",
            action.name,
            text=f"{action.unit.name} asks for {need.words()} and runs with {clamped.words()}, "
            f"which is what {self._target.name} has.",
        )
        return clamped

    async def _prepare(self, action: Action) -> Prepared:
        environment = action.unit.environment
        action.enter(Phase.PREPARING)

        def progress(text: str) -> None:
            action.run.emit("prepare", action.name, environment=environment, text=text)

        self._admission.busy += 1
        try:
            return await self._target.prepare(action.settings, progress)
        finally:
            self._admission.busy -= 1

    async def _admit(self, action: Action, need: Need) -> Claim:
        answer: asyncio.Future[None] | None = None
        refusal: AdmissionError | None = None

        def admitted() -> None:
            if answer is not None and not answer.done():
                answer.set_result(None)

        def refused(error: AdmissionError) -> None:
            nonlocal refusal
            refusal = error
            if answer is not None and not answer.done():
                answer.set_result(None)

        parent = action.parent.claim if action.parent else None
        claim = Claim(action.unit.name, need, parent, admitted, refused, action.depth)
        action.claim = claim
        self._admission.enter(claim)
        if not claim.holding and refusal is None:
            answer = self._loop.create_future()
            action.enter(Phase.WAITING, self._admission.why(claim))
            self._look_for_endless_waits()
            limit = _seconds(_timeout(action).max_queued_time)
            try:
                async with asyncio.timeout(limit or None):
                    await answer
            except TimeoutError:
                self._admission.leave(claim)
                raise MaxQueuedTimeExceededError(
                    "",
                    f"{action.unit.name} waited longer than {limit:g} s: "
                    f"it {self._admission.why(claim)}.",
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

    async def _try(self, action: Action, prepared: Prepared, claim: Claim) -> Packed | Failure:
        settings = action.settings
        policy = settings.reusable
        request = _start_request(settings, prepared, claim)
        hand = self._pool.ready(request, policy)
        if hand is None:
            try:
                hand = await self._pool.take(request, policy)
            except Exception as error:
                return failure_of(error)
        attempt = Attempt(action, hand)
        hand.calls[attempt.number] = attempt
        action.enter(Phase.RUNNING)
        self._record.attempt(action, attempt.started, hand.label)
        self._send(attempt)
        limit = _seconds(_timeout(action).max_runtime)
        if limit and hand.worker is not None and policy is None:
            hand.worker.deadline(limit + GRACE)
        try:
            async with asyncio.timeout(limit or None):
                frame = await attempt.answer
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
        action, hand = attempt.action, attempt.hand
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
        """Give the worker back and forget what it was offered for this call."""
        action, hand = attempt.action, attempt.hand
        hand.calls.pop(attempt.number, None)
        hand.peer.outbox.free(attempt.offered)
        self._record.attempt_ended(action)
        policy = action.settings.reusable
        if hand.worker is not None and policy is None:
            self._when_gone(action, action.attempt, hand)
        self._pool.give_back(hand, policy, action.unit.modules)

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
        if not attempt.answer.done():
            hand.peer.send(Kind.CANCEL, attempt.number)
            await asyncio.wait([attempt.answer], timeout=GRACE)
        if attempt.answer.done():
            self._release(attempt)
        else:
            await self._kill(attempt)

    async def _kill(self, attempt: Attempt) -> None:
        hand = attempt.hand
        hand.kill()
        self._release(attempt)
        await hand.ended()


def _start_request(settings: Settings, prepared: Prepared, claim: Claim) -> StartRequest:
    resources = settings.resources
    policy = settings.reusable
    wants_device = resources is not None and resources.device is not None
    return StartRequest(
        prepared=prepared,
        environ=settings.env_vars or (),
        memory=None if resources is None else resources.memory_limit,
        cpu=None if resources is None else resources.cpu_request,
        devices=claim.devices if wants_device else None,
        concurrency=1 if policy is None else policy.concurrency,
    )


def _timeout(action: Action) -> Timeout:
    return action.settings.timeout or Timeout()


def _seconds(value: timedelta | None) -> float:
    return 0.0 if value is None else value.total_seconds()


