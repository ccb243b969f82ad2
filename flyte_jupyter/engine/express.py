"""Actions without a task of their own: admitted, sent and ended by callbacks.

Most calls need no more than that, and a task for each would cost more than the call. Whatever is
out of the ordinary (a failure, a large result, a worker that has to be started) goes on as a
coroutine.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from flyte_jupyter.engine.carrier import Attempt
from flyte_jupyter.engine.events import Phase
from flyte_jupyter.engine.failures import failure_of
from flyte_jupyter.engine.plans import Plan
from flyte_jupyter.engine.run import Action, Outcome
from flyte_jupyter.errors import AdmissionError
from flyte_jupyter.wire.frames import Frame, Kind

if TYPE_CHECKING:
    from flyte_jupyter.engine.attempts import Attempts

__all__ = ["Express"]


class Express:
    """One action on its way.

    Args:
        attempts: what it is one of.
        action: the action.
        plan: how it is run.
        done: called with its outcome.
        follow: called with a coroutine that finds the outcome, where more is to be done.
    """

    def __init__(
        self,
        attempts: Attempts,
        action: Action,
        plan: Plan,
        done: Callable[[Outcome], None],
        follow: Callable[[Coroutine[Any, Any, Outcome]], None],
    ) -> None:
        self._attempts = attempts
        self._action = action
        self._plan = plan
        self._done = done
        self._follow = follow
        self._claim = attempts.claim(action, plan.need)
        self._decision = False
        self._attempt: Attempt | None = None

    def start(self) -> None:
        """Send the action if there is room, or queue it."""
        action, admission = self._action, self._attempts.admission
        action.attempt = 1
        action.claim = self._claim
        if admission.enter_now(self._claim):
            self._decided(None)
            return
        admission.enter(self._claim, self._decided)
        if not self._decision:
            action.enter(Phase.WAITING, admission.why(self._claim))
            self._attempts.look_for_endless_waits()

    def _decided(self, refusal: AdmissionError | None) -> None:
        self._decision = True
        if refusal is not None:
            failure = failure_of(refusal)
            self._done(Outcome(failure.phase, failure=failure))
            return
        carrier = self._attempts.carrier
        hand = carrier.ready(self._plan, self._claim)
        if hand is None:
            self._follow(self._attempts.go_on(self._action, self._plan, self._claim))
            return
        self._attempt = carrier.begin(self._action, self._plan, self._claim, hand)
        self._attempt.on_answer = self._answered
        carrier.send(self._attempt)

    def _answered(self, frame: Frame | None) -> None:
        attempt = self._attempt
        assert attempt is not None
        if frame is not None and frame.kind == Kind.RESULT:
            packed = attempt.hand.peer.value(frame)
            if packed.complete:
                self._attempts.carrier.release(attempt)
                self._done(Outcome(Phase.SUCCEEDED, packed))
                return
        self._follow(self._attempts.resume(attempt, frame))

    async def end(self) -> None:
        """Abort it: out of the queue, or out of its worker, where user code may clean up."""
        carrier = self._attempts.carrier
        if self._attempt is None:
            carrier.leave(self._action, self._claim)
        else:
            await carrier.interrupt(self._attempt)
