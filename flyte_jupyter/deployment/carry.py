"""A plan carried out: wave by wave, side by side within a wave, each image once.

A wave begins when the one before it has ended. What fails stops what comes after it, and nothing
else. The thread that asks for a deployment does everything but the images, which are the engine's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from dataclasses import replace
from queue import SimpleQueue
from typing import Protocol

from flyte_jupyter.deployment.plan import Plan, Step
from flyte_jupyter.deployment.records import EnvironmentRecord
from flyte_jupyter.deployment.result import Deployed, Deployment, State
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.spec import Settings
from flyte_jupyter.targets.protocol import Prepared

__all__ = ["Judge", "Keeper", "Preparer", "carry_out"]

# environments whose images are found or made at the same time
SIDE_BY_SIDE = max(4, 2 * (os.cpu_count() or 1))
# seconds for what was begun to end after an interrupt
ENDING = 10.0

Made = Future[tuple[bool, Prepared]]


class Preparer(Protocol):
    """Who makes environments startable: the engine."""

    def prepare(
        self, target: str, settings: Settings, progress: Callable[[str], None]
    ) -> Future[tuple[bool, Prepared]]:
        """Make an environment startable; returns at once, with what will come of it."""


Keeper = Callable[[Step, EnvironmentRecord], None]
"""Keeps the record of a step, with what it needs."""


Judge = Callable[[Step], Iterable[str]]
"""Has the target of a step say whether it would take its workers, with notes; raises if not."""


def carry_out(
    plan: Plan, engine: Preparer, judge: Judge, keep: Keeper, watch: Callable[[Deployment], None]
) -> Deployment:
    """Deploy what a plan says, and return what came of it; a failure is a state, not raised.

    Args:
        plan: the plan.
        engine: makes environments startable.
        judge: asked before that, on this thread.
        keep: keeps a record, on this thread.
        watch: called on this thread after every change.

    Raises:
        KeyboardInterrupt: it was interrupted; what was deployed before stays so.
    """
    deployment = plan.deployment()
    carried = _Carried(deployment, engine, judge, keep, watch)
    watch(deployment)
    try:
        for wave in plan.waves:
            carried.wave(wave)
    except BaseException:
        carried.stop()
        raise
    return deployment


class _Carried:
    def __init__(
        self,
        deployment: Deployment,
        engine: Preparer,
        judge: Judge,
        keep: Keeper,
        watch: Callable[[Deployment], None],
    ) -> None:
        self._deployment = deployment
        self._engine = engine
        self._judge = judge
        self._keep = keep
        self._watch = watch
        self._news: SimpleQueue[tuple[Step, Made | str]] = SimpleQueue()
        self._begun: dict[str, Made] = {}

    def wave(self, steps: tuple[Step, ...]) -> None:
        """Carry out one wave."""
        waiting = [step for step in steps if self._can_begin(step)]
        while waiting or self._begun:
            while waiting and len(self._begun) < SIDE_BY_SIDE:
                self._begin(waiting.pop(0))
            self._watch(self._deployment)
            step, news = self._news.get()
            if isinstance(news, str):
                self._state(step).progress = news
            else:
                del self._begun[step.name]
                self._conclude(step, news)
        self._watch(self._deployment)

    def _state(self, step: Step) -> Deployed:
        return self._deployment.environments[step.name]

    def _can_begin(self, step: Step) -> bool:
        """Return whether a step can be begun; otherwise note why it is not."""
        state = self._state(step)
        states = self._deployment.environments
        lacking = [name for name in state.depends_on if not states[name].ok]
        if lacking:
            verb = "failed" if states[lacking[0]].state is State.FAILED else "was skipped"
            state.state, state.why = State.SKIPPED, f"{lacking[0]} {verb}"
            return False
        try:
            if step.error is not None:
                raise step.error
            state.notes = (*state.notes, *self._judge(step))
        except FlyteError as error:
            self._fail(step, error)
            return False
        return True

    def _begin(self, step: Step) -> None:
        state = self._state(step)
        state.state, state.started = State.BUILDING, time.time()

        def progress(line: str) -> None:
            self._news.put((step, line))

        def done(future: Made) -> None:
            self._news.put((step, future))

        future = self._engine.prepare(step.target, step.environment.settings, progress)
        self._begun[step.name] = future
        future.add_done_callback(done)

    def _conclude(self, step: Step, future: Made) -> None:
        state = self._state(step)
        state.progress = ""
        try:
            built, prepared = future.result()
        except Exception as error:
            self._fail(step, error)
            return
        assert step.draft is not None
        image = replace(
            step.draft.record.image, description=prepared.description, digest=prepared.key
        )
        record = replace(step.draft.record, image=image, deployed=time.time())
        before = step.before
        moved = before is not None and before.image.digest != prepared.key
        if moved and not state.changes:
            state.changes = ("its image is another one now",)
        fresh = bool(state.changes) or before is None or before.version != record.version
        if fresh and not state.changes:
            state.why = "the same content under another version"
        if fresh:
            try:
                self._keep(step, record)
            except Exception as error:
                self._fail(step, error)
                return
        state.image, state.digest = image.description, image.digest
        state.ended = time.time()
        if built:
            state.state = State.BUILT
        else:
            state.state = State.DEPLOYED if state.changes else State.CACHED

    def _fail(self, step: Step, error: Exception) -> None:
        state = self._state(step)
        state.state, state.error, state.ended = State.FAILED, error, time.time()
        state.why = str(getattr(error, "sentence", "")) or str(error) or type(error).__name__

    def stop(self) -> None:
        """End what was begun, and note that nothing more is done."""
        futures = list(self._begun.values())
        for future in futures:
            future.cancel()
        wait(futures, ENDING)
        for state in self._deployment.environments.values():
            if state.state in (State.WAITING, State.BUILDING):
                state.state, state.why = State.SKIPPED, "the deployment was interrupted"
        self._watch(self._deployment)
