"""Actions without a task of their own: admitted, sent and ended by callbacks.

Most calls need no more than that, and a task for each would cost more than the call. Whatever is
out of the ordinary (a failure, a large result, a worker that has to be started) goes on as a
coroutine.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from flyte_jupyter.engine.carrier import Attempt
from flyte_jupyter.engine.events import Phase
from flyte_jupyter.engine.failures import failure_of
from flyte_jupyter.engine.plans import Plan
from flyte_jupyter.engine.run import Action, Outcome
from flyte_jupyter.errors import AdmissionError
from flyte_jupyter.wire.frames import Frame, Kind

if TYPE_CHECKING:
    from flyte_jupyter.engine.attempts import Attempts

__all__ = ["Ends", "Express"]


class Ends(Protocol):
    """Who is told how an action goes on."""

    def finish(self, action: Action, outcome: Outcome) -> None:
        """End the action."""

    def follow(self, action: Action, work: Coroutine[Any, Any, Outcome]) -> None:
        """Let a coroutine find its outcome."""


class Express:
    """One action on its way: :meth:`send_now`, then :meth:`note` or :meth:`queue`.

    Args:
        attempts: what it is one of.
        action: the action.
        plan: how it is run.
        ends: told of its outcome, or given a coroutine that finds it.
    """

    __slots__ = ("_action", "_attempt", "_attempts", "_claim", "_decision", "_ends", "_plan")

    def __init__(self, attempts: Attempts, action: Action, plan: Plan, ends: Ends) -> None:
        self._attempts = attempts
        self._action = action
        self._plan = plan
        self._ends = ends
        self._claim = attempts.claim(action, plan.need)
        self._decision = False
        self._attempt: Attempt | None = None

    def send_now(self) -> bool:
        """Send the action if there is room and a worker for it; say whether it was sent."""
        action, attempts, claim = self._action, self._attempts, self._claim
        action.attempt = 1
        action.claim = claim
        if not attempts.admission.enter_now(claim):
            return False
        self._decision = True
        return self._send()

    def _send(self) -> bool:
        carrier = self._attempts.carrier
        hand = carrier.ready(self._plan, self._claim)
        if hand is None:
            return False
        attempt = self._attempt = carrier.begin(self._action, self._plan, self._claim, hand)
        attempt.on_answer = self._answered
        carrier.send(attempt)
        return True

    def note(self) -> None:
        """Note that the action was sent."""
        assert self._attempt is not None
        self._attempts.carrier.note(self._attempt)

    def queue(self) -> None:
        """Queue the action, or have a worker waited for."""
        if self._decision:
            self._go_on()
            return
        action, admission = self._action, self._attempts.admission
        admission.enter(self._claim, self._decided)
        if not self._decision:
            action.enter(Phase.WAITING, admission.why(self._claim))
            self._attempts.look_for_endless_waits()

    def _go_on(self) -> None:
        attempts, action = self._attempts, self._action
        self._ends.follow(action, attempts.go_on(action, self._plan, self._claim))

    def _decided(self, refusal: AdmissionError | None) -> None:
        self._decision = True
        if refusal is not None:
            failure = failure_of(refusal)
            self._ends.finish(self._action, Outcome(failure.phase, failure=failure))
        elif self._send():
            self.note()
        else:
            self._go_on()

    def _answered(self, frame: Frame | None) -> None:
        attempt = self._attempt
        assert attempt is not None
        if frame is not None and frame.kind == Kind.RESULT:
            packed = attempt.hand.peer.value(frame)
            if packed.complete:
                self._attempts.carrier.release(attempt)
                self._ends.finish(self._action, Outcome(Phase.SUCCEEDED, packed))
                return
        self._ends.follow(self._action, self._attempts.resume(attempt, frame))

    async def end(self) -> None:
        """Abort it: out of the queue, or out of its worker, where user code may clean up."""
        carrier = self._attempts.carrier
        if self._attempt is None:
            carrier.leave(self._action, self._claim)
        else:
            await carrier.interrupt(self._attempt)
