"""Attempts: an action is prepared, admitted, tried, and tried again if allowed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from flyte_jupyter.engine.admission import Admission, Claim, Need
from flyte_jupyter.engine.carrier import Attempt, Carrier
from flyte_jupyter.engine.events import Phase
from flyte_jupyter.engine.express import Ends, Express
from flyte_jupyter.engine.failures import waited_too_long
from flyte_jupyter.engine.plans import Plan, Plans
from flyte_jupyter.engine.record import Recorder
from flyte_jupyter.engine.run import Action, Failure, Outcome
from flyte_jupyter.engine.workers import WorkerPool
from flyte_jupyter.errors import (
    AdmissionError,
    DeadlineExceededError,
)
from flyte_jupyter.spec import Settings
from flyte_jupyter.targets.protocol import Target
from flyte_jupyter.wire.exchange import Packed
from flyte_jupyter.wire.frames import Frame

__all__ = ["Attempts"]

SETTLED = 1.0
#: How often the system tries again what was lost with what it ran on; the user's own retries are
#: beside that.
SYSTEM_RETRIES = 3


class Attempts:
    """Takes actions of one target from queued to their outcome.

    Args:
        target: where they run.
        pool: gives workers.
        admission: says who may start.
        record: keeps what happens.
        end_children: aborts what an action has called, and returns what is to be waited for.
        moves: whether anything goes on, here or on another target.
    """

    def __init__(
        self,
        target: Target,
        pool: WorkerPool,
        admission: Admission,
        record: Recorder,
        end_children: Callable[[Action], list[asyncio.Task[None]]],
        moves: Callable[[], bool],
    ) -> None:
        self._moves = moves
        self._end_children = end_children
        self._target = target
        self._pool = pool
        self.admission = admission
        self.carrier = Carrier(target, pool, admission, record, self._room_given_back)
        self.plans = Plans(target, admission)
        self._loop = asyncio.get_running_loop()
        self._check: asyncio.TimerHandle | None = None
        self._looking = False

    def express(self, action: Action, plan: Plan, ends: Ends) -> Express | None:
        """Return an action as one without a task, unless it must be prepared or is hurried.

        Args:
            action: the action.
            plan: how it is run.
            ends: told of its outcome, or given a coroutine that finds it.
        """
        if plan.refusal is not None or plan.hurried or not self.plans.is_prepared(plan):
            return None
        return Express(self, action, plan, ends)

    async def resume(self, attempt: Attempt, frame: Frame | None) -> Outcome:
        """Return how an action ends whose first attempt was answered with more than success."""
        result = await self.carrier.conclude(attempt, frame)
        return await self._settle(attempt.action, attempt.plan, result)

    async def go_on(self, action: Action, plan: Plan, claim: Claim) -> Outcome:
        """Return how an action ends that was admitted and has to wait for a worker."""
        result = await self.carrier.carry(action, plan, claim)
        return await self._settle(action, plan, result)

    async def start_ahead(self, settings: Settings, environment: str) -> None:
        """Have a worker wait for the first call under certain settings, if nothing must be built.

        Args:
            settings: those of an environment.
            environment: its name.
        """
        if not await asyncio.to_thread(self._target.ready_made, settings):
            return
        plan = self.plans.of_settings("", settings, environment)
        if plan.policy is None and not plan.need.count:
            await self.plans.prepare(plan, lambda _: None)
            self._pool.start_ahead(self._pool.shelf(plan.request_with(()), None))

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
                result = await self.carrier.carry(action, plan, claim)
            if isinstance(result, Packed):
                return Outcome(Phase.SUCCEEDED, result)
            if result.lost and not result.final and action.lost < SYSTEM_RETRIES:
                action.lost += 1
                await self._pause(action, result, float(action.lost - 1))
            elif result.final or action.attempt - action.lost > plan.retries:
                return Outcome(result.phase, failure=result)
            else:
                await self._pause(action, result, _backoff(action))
            result = None

    async def _pause(self, action: Action, failure: Failure, delay: float) -> None:
        action.tell(failure, final=False)
        left = self._end_children(action)
        if left:
            await asyncio.wait(left)
        why = f"tries again in {delay:g} s" if delay else "tries again"
        if failure.lost:
            why += f", as what it ran on was lost ({action.lost} of {SYSTEM_RETRIES} times)"
        action.enter(Phase.QUEUED, why)
        if delay:
            self.admission.busy += 1
            try:
                await asyncio.sleep(delay)
            finally:
                self.admission.busy -= 1

    def _checked(self, action: Action, plan: Plan) -> Need:
        """Return what to ask of the target; more than it has is refused, or clamped and said."""
        if plan.refusal is None:
            return plan.need
        if action.run.request.options.oversize != "clamp":
            raise plan.refusal
        clamped = self.admission.clamp(plan.need)
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

        self.admission.busy += 1
        try:
            await self.plans.prepare(plan, progress)
        finally:
            self.admission.busy -= 1

    def claim(self, action: Action, need: Need) -> Claim:
        """Return a claim of an action that is not queued yet."""
        parent = action.parent.claim if action.parent else None
        return Claim(action.unit.name, need, parent, action.depth)

    async def _admit(self, action: Action, plan: Plan, need: Need) -> Claim:
        claim = action.claim = self.claim(action, need)
        if self.admission.enter_now(claim):
            return claim
        answer: asyncio.Future[AdmissionError | None] = self._loop.create_future()

        def decided(refusal: AdmissionError | None) -> None:
            if not answer.done():
                answer.set_result(refusal)

        self.admission.enter(claim, decided)
        if not answer.done():
            action.enter(Phase.WAITING, self.admission.why(claim))
            self.look_for_endless_waits()
        try:
            async with asyncio.timeout(plan.max_queued or None):
                refusal = await answer
        except TimeoutError:
            why = self.admission.why(claim)
            self.admission.leave(claim)
            raise waited_too_long(action.unit.name, plan.max_queued, why) from None
        except asyncio.CancelledError:
            self.admission.leave(claim)
            raise
        if refusal is not None:
            raise refusal
        return claim

    def look_for_endless_waits(self) -> None:
        """Look once things have settled: an answer on its way may end the wait."""
        if self._check is not None:
            self._check.cancel()
        self._check = self._loop.call_later(SETTLED, self._end_endless_wait)

    def _end_endless_wait(self) -> None:
        if not self._moves():
            self.admission.stuck()

    def _room_given_back(self) -> None:
        """Start what fits now, once the action that made room has come to its end."""
        if self.admission.crowded and not self._looking:
            self._looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        self.admission.look()
        if self.admission.crowded:
            self.look_for_endless_waits()


def _backoff(action: Action) -> float:
    """Return the seconds before the next attempt that the user has asked for."""
    retries = action.settings.retries
    if retries is None or retries.backoff is None:
        return 0.0
    return retries.backoff.delay(action.attempt - action.lost - 1)
