"""The conductor of one target: takes actions through their phases and answers their workers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from flyte_jupyter.engine.admission import Admission, Claim
from flyte_jupyter.engine.attempts import Attempts
from flyte_jupyter.engine.carrier import Attempt
from flyte_jupyter.engine.express import Express
from flyte_jupyter.engine.failures import failure_of
from flyte_jupyter.engine.journal import Journal
from flyte_jupyter.engine.plans import Plan
from flyte_jupyter.engine.record import Recorder
from flyte_jupyter.engine.request import Unit
from flyte_jupyter.engine.run import Action, Outcome, RunState
from flyte_jupyter.engine.workers import Hand, WorkerPool
from flyte_jupyter.errors import (
    ActionAbortedError,
    FlyteError,
    InlineIOMaxBytesBreached,
    NotFoundError,
    ProtocolError,
    SpecError,
    TargetError,
)
from flyte_jupyter.spec import Settings
from flyte_jupyter.spec.settings import apply_layer, from_plain
from flyte_jupyter.targets.protocol import Honour, Inventory, Lender, Target
from flyte_jupyter.wire.exchange import Packed
from flyte_jupyter.wire.frames import Frame, Kind, dump_json
from flyte_jupyter.wire.inputs import check_size

__all__ = ["Conductor"]

NOT_CLAMPED = (
    "On {target} nothing is clamped: its scheduler says who fits, and what asks for more than "
    "there is waits."
)


class Places(Protocol):
    """The targets of an engine, to each other."""

    def conductor(self, target: str) -> Conductor:
        """Return the conductor of a target.

        Raises:
            TargetError: there is no such target.
        """

    def moves(self) -> bool:
        """Return whether anything goes on on one of the targets."""


class Conductor:
    """Runs actions on one target.

    Args:
        target: where they run.
        journal: where they are recorded.
        said: texts that were said already in this session.
        places: the other conductors.
    """

    def __init__(self, target: Target, journal: Journal, said: set[str], places: Places) -> None:
        self.target = target
        self._said = said
        self._places = places
        self._meeting = 0
        self._loop = asyncio.get_running_loop()
        self._record = Recorder(journal, self._loop)
        self._pool = WorkerPool(target, self._frame, journal)
        self._pool.on_lost = self._lost
        self._admission: Admission | None = None
        self._attempts: Attempts | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._noted: set[str] = set()

    async def start_ahead(self, settings: Settings, environment: str) -> None:
        """Have a worker wait for the first call under the settings of an environment."""
        await (await self._meet_target()).start_ahead(settings, environment)

    @property
    def free(self) -> Inventory | None:
        """What of the target nobody holds now, where the engine counts it and has met it."""
        return self._admission.free if self._admission is not None and self.target.admits else None

    # runs

    def add(self, run: RunState, inputs: Packed, done: Callable[[Outcome], None]) -> None:
        """Start an action that no task has called."""
        unit = run.request.units[run.request.task]
        action = run.new_action(None, unit, unit.settings, inputs)
        action.on_done = done
        self.start(action)
        for text in run.request.notes:
            self.say(action, text)

    def cancel(self, run: RunState, why: str) -> None:
        """Abort everything of a run."""
        if not run.cancelled:
            run.cancelled = True
            for action in list(run.actions):
                if action.parent is None:
                    self._abort(action, why)

    def _abort(self, action: Action, why: str) -> None:
        if action.ended:
            return
        for child in list(action.children):
            self._abort(child, why)
        if action.aborting or action.outcome is not None:
            return  # to cancel it again would interrupt the end of its worker
        action.aborting = True
        if action.task is not None and not action.task.done():
            action.task.cancel(why)
        elif action.task is None and action.express is not None:
            action.task = self._spawn(self._end_express(action, action.express, why))

    async def _end_express(self, action: Action, express: Express, why: str) -> None:
        await express.end()
        self.finish(action, _aborted(action, why))

    async def close(self) -> None:
        """Abort what runs and end every worker."""
        for task in list(self._tasks):
            task.cancel("the kernel ends")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=3)
        if self._attempts is not None:
            await self._attempts.carrier.last_records()
        await self._pool.close()
        await self.target.close()
        await self._record.close()

    # actions

    @property
    def moves(self) -> bool:
        """True while something here goes on, so that what waits may get room."""
        return bool(self._meeting) or (self._admission is not None and self._admission.moves)

    def start(self, action: Action) -> None:
        """Start an action of this target.

        What can be sent at once is sent first, and noted while its worker has it.
        """
        if action.parent is not None:
            action.parent.children.add(action)
        attempts = self._attempts
        if attempts is None:
            self._note(action, None)
            self.follow(action, self._meet_and_run(action))
            return
        plan = attempts.plans.of(action)
        express = attempts.express(action, plan, self)
        sent = express is not None and express.send_now()
        self._note(action, plan.digest)
        self._say_notes(action, plan)
        if express is None:
            self.follow(action, attempts.run(action))
            return
        action.express = express
        if sent:
            express.note()
        else:
            express.queue()

    def _note(self, action: Action, plan: str | None) -> None:
        resources = action.settings.resources
        action.run.emit(
            "action",
            action.name,
            parent=action.parent.name if action.parent else None,
            task=action.unit.name,
            environment=action.unit.environment,
            target=self.target.name,
            resources="" if resources is None else str(resources),
            depth=action.depth,
        )
        self._record.action(action, plan)

    def follow(self, action: Action, work: Coroutine[Any, Any, Outcome]) -> None:
        """Let a coroutine find the outcome of an action."""
        action.task = self._spawn(self._outcome_of(action, work))
        action.task.add_done_callback(lambda task: self._ended_unseen(action, task))
        action.task.add_done_callback(lambda _: work.close())  # it may never have begun

    async def _outcome_of(self, action: Action, work: Coroutine[Any, Any, Outcome]) -> None:
        try:
            outcome = await work
        except asyncio.CancelledError as error:
            outcome = _aborted(action, str(error))
        except Exception as error:
            outcome = _failed(error)
        self.finish(action, outcome)

    async def _meet_and_run(self, action: Action) -> Outcome:
        attempts = await self._meet_target()
        plan = attempts.plans.of(action)
        self._record.plan(action, plan.digest)
        self._say_notes(action, plan)
        return await attempts.run(action)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _ended_unseen(self, action: Action, task: asyncio.Task[None]) -> None:
        """End an action whose task was cancelled before its first step, or failed in the last."""
        if action.outcome is None:
            error = None if task.cancelled() else task.exception()
            self.finish(action, _failed(error) if error else _aborted(action, ""))

    async def _meet_target(self) -> Attempts:
        self._meeting += 1
        try:
            inventory = await asyncio.to_thread(self.target.meet)
        finally:
            self._meeting -= 1
        if self._attempts is None:
            self._admission = Admission(inventory, self.target.devices)
            self._attempts = Attempts(
                self.target,
                self._pool,
                self._admission,
                self._record,
                self._end_children,
                self._places.moves,
            )
        return self._attempts

    def _say_notes(self, action: Action, plan: Plan) -> None:
        """Say what the target does not honour of the settings."""
        if plan.digest in self._noted:
            return
        self._noted.add(plan.digest)
        if action.run.request.options.oversize == "clamp" and not self.target.admits:
            self.say(action, NOT_CLAMPED.format(target=self.target.name))
        for field, capability in self.target.capabilities(action.settings).items():
            if capability.honour is Honour.HONOURED or not capability.note:
                continue
            text = f"{action.unit.environment}: {field}: {capability.note}"
            self.say(action, text)

    def say(self, action: Action, text: str) -> None:
        """Say a fact once in this session, in the run where it matters."""
        if text not in self._said:
            self._said.add(text)
            action.run.emit("note", action.name, text=text)

    def _end_children(self, action: Action) -> list[asyncio.Task[None]]:
        """Abort what an action has called; return what is to be waited for."""
        children = list(action.children)
        for child in children:
            self._abort(child, f"{action.unit.name}, which called it, has ended")
        return [c.task for c in children if c.task is not None and not c.task.done()]

    def finish(self, action: Action, outcome: Outcome) -> None:
        """End an action, once nothing of it runs any more."""
        action.outcome = outcome
        left = self._end_children(action)
        if left:
            self._spawn(self._conclude_after(left, action, outcome))
        else:
            self._conclude(action, outcome)

    async def _conclude_after(
        self, children: list[asyncio.Task[None]], action: Action, outcome: Outcome
    ) -> None:
        """Tell how an action ended once nothing of it runs any more."""
        try:
            await asyncio.wait(children)
        finally:
            self._conclude(action, outcome)

    def _conclude(self, action: Action, outcome: Outcome) -> None:
        if outcome.failure is not None:
            action.tell(outcome.failure, final=True)
        elif outcome.output is not None:
            info = outcome.output.info
            action.run.emit(
                "result",
                action.name,
                type=info.get("type", ""),
                size=outcome.output.size,
                preview=info.get("preview", ""),
            )
        self._record.outcome(action, outcome)

        action.enter(outcome.phase)
        if action.parent is not None:
            action.parent.children.discard(action)
        on_done = action.on_done
        action.let_go()
        if on_done is not None:
            on_done(outcome)

    # workers

    def _frame(self, hand: Hand, frame: Frame) -> None:
        attempt: Attempt | None = hand.calls.get(frame.call)
        if frame.kind == Kind.LOG:
            for one in [attempt] if attempt else list(hand.calls.values()):
                self._record.log(one.action, frame.header["stream"], frame.header["text"])
        elif frame.kind in (Kind.RESULT, Kind.ERROR):
            if attempt is not None:
                attempt.answer(frame)
        elif frame.kind == Kind.CALL:
            self._child(hand, frame)
        elif frame.kind == Kind.CANCEL:
            child = hand.children.get(frame.call)
            if child is not None:
                self._abort(child, "the task that called it cancelled the call")
        elif frame.kind == Kind.NOTE and attempt is not None:
            self.say(attempt.action, frame.header["text"])
        else:
            raise ProtocolError(f"A worker sent a frame of kind {frame.kind}.")

    def _lost(self, hand: Hand) -> None:
        for attempt in list(hand.calls.values()):
            attempt.answer(None)

    def _child(self, hand: Hand, frame: Frame) -> None:
        header = frame.header
        attempt: Attempt | None = hand.calls.get(header["parent"])
        if attempt is None:
            return  # its caller has ended meanwhile
        parent = attempt.action
        called = header["task"]
        unit = parent.run.request.units.get(parent.unit.calls.get(called, called))
        if unit is None:
            error = NotFoundError(
                f"{parent.unit.name} calls {called!r}, which was not shipped with this run.",
                remedy="Call the task by its own name in the body, so that it is found.",
            )
            self._answer(hand, frame.call, _failed(error), attempt.offered)
            return
        try:
            settings = _child_settings(unit.settings, parent.run, header.get("overrides"))
            what = f"The inputs of {unit.name}"
            check_size(header.get("inline", 0), settings.max_inline_io_bytes, what)
            place = self._place_of(unit, parent.run, header.get("overrides"))
        except (SpecError, TargetError, InlineIOMaxBytesBreached) as error:
            self._answer(hand, frame.call, _failed(error), attempt.offered)
            return
        inputs = hand.peer.value(frame)
        child = parent.run.new_action(parent, unit, settings, inputs)
        hand.children[frame.call] = child
        claim: Claim | None = parent.claim
        if claim is not None and self._admission is not None:
            self._admission.awaits(claim)
        _lend(hand)

        def answered(outcome: Outcome) -> None:
            hand.children.pop(frame.call, None)
            if claim is not None and self._admission is not None:
                self._admission.resumes(claim)
            _lend(hand)
            self._answer(hand, frame.call, outcome, attempt.offered)

        child.on_done = answered
        if inputs.complete:
            place.start(child)
        else:
            self._spawn(self._start_when_here(hand, child, place))

    async def _start_when_here(self, hand: Hand, child: Action, place: Conductor) -> None:
        with contextlib.suppress(FlyteError):  # its caller has ended, and so has the call
            child.inputs = await hand.peer.collect(child.inputs)
            place.start(child)

    def _place_of(self, unit: Unit, run: RunState, overrides: Any) -> Conductor:
        """Return where a call goes: to the target that it names itself, or that of its task."""
        named = (overrides or {}).get("target") or run.request.target_of(unit.name)
        return self if named == self.target.name else self._places.conductor(named)

    def _answer(self, hand: Hand, call: int, outcome: Outcome, offered: list[str]) -> None:
        if outcome.output is not None:
            hand.peer.send_value(Kind.RESULT, call, {}, outcome.output, offered)
            return
        failure = outcome.failure
        assert failure is not None
        header = {
            "type": failure.type,
            "sentence": failure.sentence,
            "traceback": failure.traceback,
            "remedy": failure.remedy,
        }
        hand.peer.send_value(Kind.ERROR, call, header, failure.packed, offered)

    def tidy(self) -> None:
        """Give back what workers have lent and nobody here needs any more."""
        self._pool.tidy()


def _lend(hand: Hand) -> None:
    """Tell a worker whether all that it does is to wait for what its one task has called."""
    if isinstance(hand.worker, Lender):
        hand.worker.awaits(len(hand.calls) == 1 and bool(hand.children))


def _failed(error: BaseException) -> Outcome:
    failure = failure_of(error)
    return Outcome(failure.phase, failure=failure)


def _aborted(action: Action, why: str) -> Outcome:
    why = why or "its run has ended"
    return _failed(ActionAbortedError("", f"{action.unit.name} was aborted: {why}."))


def _child_settings(settings: Settings, run: RunState, overrides: Any) -> Settings:
    """Return what is in force for a call: what holds for its task, and what the call names."""
    if not overrides:
        return settings
    key = (id(settings), dump_json(overrides))
    known: Settings | None = run.overridden.get(key)
    if known is None:
        known = run.overridden[key] = apply_layer(settings, from_plain(overrides))
    return known
