"""Workers of one target: fresh ones, standby ones started ahead, warm ones kept.

The default meaning of a task is a fresh worker for each call. A *standby* worker, started ahead,
used once and thrown away, keeps that meaning without the wait. ``ReusePolicy`` keeps workers for
many calls.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

from flyte_jupyter.engine.peer import Peer
from flyte_jupyter.errors import RuntimeSystemError
from flyte_jupyter.spec import ReusePolicy
from flyte_jupyter.targets.protocol import ExitRecord, StartRequest, Target, Worker
from flyte_jupyter.wire.exchange import Packed
from flyte_jupyter.wire.frames import Frame, Kind

__all__ = ["Hand", "WorkerPool"]

STANDBY_TTL = 60.0
FAREWELL = 2.0
# A new standby is started a moment after one was taken, when the call is on its way.
RESTOCK = 0.002


class Hand:
    """A worker with its stream, as the engine uses it.

    Args:
        shelf: the workers that it is one of.
        frames: called with each frame that it sends.
        turn: entered while the frames of one reading are handed on.
    """

    def __init__(
        self,
        shelf: Shelf,
        frames: Callable[[Hand, Frame], None],
        turn: AbstractContextManager[None] | None = None,
    ) -> None:
        self.shelf = shelf
        self.worker: Worker | None = None
        self.calls: dict[int, Any] = {}
        self.children: dict[int, Any] = {}
        self.loaded: set[str] = set()
        self.used = 0
        self.since = time.monotonic()
        self.retired = False
        self.peer = Peer(lambda frame: frames(self, frame), self._stream_lost, turn)
        self._numbers = count(1)
        self.on_lost: Callable[[Hand], None] = lambda _: None

    @property
    def label(self) -> str:
        """Name of the worker for messages and the journal."""
        return self.worker.label if self.worker is not None else ""

    @property
    def alive(self) -> bool:
        """True while the worker and its stream are there, as far as is known."""
        return self.peer.open and (self.worker is None or not self.worker.exited.done())

    def number(self) -> int:
        """Return the number of a new call."""
        return next(self._numbers)

    def load(self, digest: str, capsule: Packed) -> None:
        """Send a capsule, unless the worker has it."""
        if digest not in self.loaded:
            self.loaded.add(digest)
            self.peer.send_value(Kind.LOAD, 0, {"capsule": digest}, capsule, [])

    def _stream_lost(self) -> None:
        self.on_lost(self)

    async def ended(self) -> ExitRecord:
        """Wait until nothing of the worker is left."""
        if self.worker is None:
            return ExitRecord()
        return await asyncio.shield(self.worker.exited)

    def kill(self) -> None:
        """End the worker at once."""
        self.retired = True
        if self.worker is not None:
            self.worker.kill()

    def dismiss(self) -> None:
        """Let the worker finish its exit handlers, and end it if that takes long."""
        if self.retired:
            return
        self.retired = True
        self.peer.send(Kind.BYE)
        if self.worker is not None:
            self.worker.deadline(FAREWELL)


@dataclass(eq=False, slots=True)
class Shelf:
    """The workers that can stand in for each other.

    Args:
        request: what each was started with.
        policy: whether they are kept.
    """

    request: StartRequest
    policy: ReusePolicy | None
    standby: deque[Hand] = field(default_factory=deque)
    warm: list[Hand] = field(default_factory=list)
    starting: int = 0
    waiters: deque[asyncio.Future[Hand]] = field(default_factory=deque)
    modules: dict[str, None] = field(default_factory=dict)
    restocking: bool = False
    told: list[Callable[[str], None]] = field(default_factory=list)
    uses: deque[float] = field(default_factory=lambda: deque(maxlen=8))
    starts: list[asyncio.Task[Any]] = field(default_factory=list)


class WorkerPool:
    """Gives workers to attempts and takes them back.

    Args:
        target: starts the workers.
        frames: called with each frame of each worker.
        turn: entered while the frames of one reading are handed on.
    """

    def __init__(
        self,
        target: Target,
        frames: Callable[[Hand, Frame], None],
        turn: AbstractContextManager[None] | None = None,
    ) -> None:
        self._turn = turn
        self._target = target
        self._frames = frames
        self._shelves: dict[tuple[StartRequest, ReusePolicy | None], Shelf] = {}
        self._hands: set[Hand] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.get_running_loop()
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False
        self.on_lost: Callable[[Hand], None] = lambda _: None

    def shelf(self, request: StartRequest, policy: ReusePolicy | None) -> Shelf:
        """Return the shelf for a request."""
        key = (request, policy)
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._shelves[key] = Shelf(request, policy)
        return shelf

    def ready(self, shelf: Shelf) -> Hand | None:
        """Return a worker that needs no waiting, or ``None``."""
        if shelf.policy is not None:
            warm = self._free_warm(shelf, shelf.policy)
            if warm is not None:
                warm.used += 1
            return warm
        shelf.uses.append(time.monotonic())
        while shelf.standby:
            hand = shelf.standby.popleft()
            if hand.alive:
                self._restock_soon(shelf)
                return hand
        return None

    async def take(self, shelf: Shelf, told: Callable[[str], None]) -> Hand:
        """Return a worker, a new one if need be.

        Args:
            shelf: where it stands.
            told: called with what a worker that is being started waits for, as that changes.

        Raises:
            TargetError: it cannot be started.
        """
        shelf.told.append(told)
        try:
            return await self._take(shelf)
        finally:
            shelf.told.remove(told)

    async def _take(self, shelf: Shelf) -> Hand:
        if shelf.policy is None:
            fresh: asyncio.Future[Hand] = self._loop.create_future()
            shelf.waiters.append(fresh)
            self._fill(shelf, 0)
            try:
                return await fresh
            except asyncio.CancelledError:
                if fresh.done() and not fresh.cancelled() and fresh.exception() is None:
                    self._give(shelf, fresh.result())
                else:
                    # what was started at this moment begins first
                    self._loop.call_soon(self._start_no_more, shelf)
                raise
        if len(shelf.warm) + shelf.starting < shelf.policy.max_replicas:
            shelf.starting += 1
            try:
                hand = await self._start(shelf)
            finally:
                shelf.starting -= 1
            hand.used = 1
            shelf.warm.append(hand)
            for _ in range(1, shelf.policy.concurrency):
                self._hand_to_waiter(shelf, hand)
            return hand
        waiter: asyncio.Future[Hand] = self._loop.create_future()
        shelf.waiters.append(waiter)
        return await waiter

    def give_back(self, hand: Hand, modules: tuple[str, ...]) -> None:
        """Take back a worker whose call has ended."""
        shelf = hand.shelf
        for name in modules:
            shelf.modules[name] = None
        hand.since = time.monotonic()
        hand.used -= 1
        if shelf.policy is None or not hand.alive or hand.retired:
            hand.dismiss()
            if shelf.policy is not None:
                self._forget_warm(shelf, hand)
        elif not self._hand_to_waiter(shelf, hand):
            self._sweep_later()

    def _hand_to_waiter(self, shelf: Shelf, hand: Hand) -> bool:
        waiter = _first_waiting(shelf)
        if waiter is None:
            return False
        hand.used += 1
        waiter.set_result(hand)
        return True

    def _forget_warm(self, shelf: Shelf, hand: Hand) -> None:
        if hand in shelf.warm:
            shelf.warm.remove(hand)
        if shelf.waiters and shelf.policy is not None:
            self._spawn(self._serve_waiter(shelf))

    async def _serve_waiter(self, shelf: Shelf) -> None:
        while shelf.waiters:
            waiter = shelf.waiters.popleft()
            if waiter.done():
                continue
            try:
                waiter.set_result(await self._take(shelf))
            except Exception as error:
                if not waiter.done():
                    waiter.set_exception(error)
            return

    def _free_warm(self, shelf: Shelf, policy: ReusePolicy) -> Hand | None:
        best = None
        for hand in shelf.warm:
            if hand.alive and not hand.retired and hand.used < policy.concurrency:
                if not hand.used:
                    return hand
                best = best or hand
        if best is not None and len(shelf.warm) + shelf.starting >= policy.max_replicas:
            return best
        return None if len(shelf.warm) + shelf.starting < policy.max_replicas else best

    async def _start(self, shelf: Shelf) -> Hand:
        hand = Hand(shelf, self._frames, self._turn)
        hand.on_lost = self._lost

        def waits(text: str) -> None:
            for told in shelf.told:
                told(text)

        worker = await self._target.start(shelf.request, tuple(shelf.modules), waits)
        hand.worker = worker
        self._hands.add(hand)
        try:
            await worker.connect(hand.peer)
        except OSError as error:
            worker.kill()
            raise RuntimeSystemError(
                "", f"The worker's stream could not be opened: {error}."
            ) from None
        except asyncio.CancelledError:
            worker.kill()
            raise
        return hand

    def _lost(self, hand: Hand) -> None:
        self._hands.discard(hand)
        hand.retired = True
        for shelf in self._shelves.values():
            if hand in shelf.standby:
                shelf.standby.remove(hand)
            if hand in shelf.warm:
                self._forget_warm(shelf, hand)
        self.on_lost(hand)

    # standby

    def _restock_soon(self, shelf: Shelf) -> None:
        if not shelf.restocking:
            shelf.restocking = True
            self._loop.call_later(RESTOCK, self._restock, shelf)

    def _restock(self, shelf: Shelf) -> None:
        shelf.restocking = False
        if self._closed or not self._target.may_idle(shelf.request):
            return
        recent = sum(1 for at in shelf.uses if time.monotonic() - at < STANDBY_TTL)
        self._fill(shelf, min(self._target.spare, recent))

    def start_ahead(self, shelf: Shelf) -> None:
        """Start one standby worker, unless there is one."""
        if not shelf.standby and not shelf.starting:
            shelf.uses.append(time.monotonic())
            self._restock(shelf)

    def _fill(self, shelf: Shelf, spare: int) -> None:
        """Start as many as are waited for, and some to spare."""
        waiting = sum(1 for waiter in shelf.waiters if not waiter.done())
        for _ in range(waiting + spare - len(shelf.standby) - shelf.starting):
            shelf.starting += 1
            self._spawn(self._start_one(shelf))

    def _start_no_more(self, shelf: Shelf) -> None:
        """End the starts that nobody waits for any more, if they hold what others wait for."""
        if self._closed or self._target.may_idle(shelf.request):
            return
        waiting = sum(1 for waiter in shelf.waiters if not waiter.done())
        going = [task for task in shelf.starts if not task.cancelling()]
        surplus = shelf.starting - (len(shelf.starts) - len(going)) - waiting
        for task in going[::-1][: max(surplus, 0)]:  # those that wait longest are the nearest
            task.cancel()

    async def _start_one(self, shelf: Shelf) -> None:
        task = asyncio.current_task()
        assert task is not None
        shelf.starts.append(task)
        try:
            hand = await self._start(shelf)
        except Exception as error:
            # nobody may wait: then the next call meets the same error, and reports it
            waiter = _first_waiting(shelf)
            if waiter is not None:
                waiter.set_exception(error)
            return
        finally:
            shelf.starting -= 1
            shelf.starts.remove(task)
        self._give(shelf, hand)
        self._restock_soon(shelf)

    def _give(self, shelf: Shelf, hand: Hand) -> None:
        """Give a fresh worker to who waits longest, or keep it for the next call."""
        waiter = _first_waiting(shelf)
        if waiter is not None:
            waiter.set_result(hand)
        elif not self._target.may_idle(shelf.request):
            hand.dismiss()
        else:
            hand.since = time.monotonic()
            shelf.standby.append(hand)
            self._sweep_later()

    def _sweep_later(self) -> None:
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(STANDBY_TTL / 4, self._sweep)

    def _sweep(self) -> None:
        """Dismiss what has been idle for too long."""
        self._sweeping = None
        now = time.monotonic()
        left = False
        for shelf in self._shelves.values():
            for hand in list(shelf.standby):
                if now - hand.since > STANDBY_TTL:
                    shelf.standby.remove(hand)
                    hand.dismiss()
            if shelf.policy is not None:
                self._sweep_warm(shelf, shelf.policy, now)
            left = left or bool(shelf.standby or shelf.warm)
        if left:
            self._sweep_later()

    def _sweep_warm(self, shelf: Shelf, policy: ReusePolicy, now: float) -> None:
        idle = [h for h in shelf.warm if not h.used]
        for hand in idle:
            over = len(shelf.warm) > policy.min_replicas
            ttl = policy.scaledown_ttl if over else policy.idle_ttl
            if isinstance(ttl, timedelta) and now - hand.since > ttl.total_seconds():
                shelf.warm.remove(hand)
                hand.dismiss()

    def _spawn(self, work: Any) -> None:
        if self._closed:
            work.close()  # a timer that was set before the engine closed
            return
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def tidy(self) -> None:
        """Give back what workers have lent and nobody here needs any more."""
        for hand in self._hands:
            hand.peer.tell_news()

    async def close(self) -> None:
        """End every worker; none is started any more."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for hand in list(self._hands):
            hand.kill()
            hand.peer.close()


def _first_waiting(shelf: Shelf) -> asyncio.Future[Hand] | None:
    while shelf.waiters:
        waiter = shelf.waiters.popleft()
        if not waiter.done():
            return waiter
    return None
