"""Who may start: counts what running actions hold against what the target has.

A parent that awaits children gives its processors back and keeps memory and accelerators, so a
wait can become endless: a child may need what only its ancestors hold. Such a wait is refused with
a sentence.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from flyte_jupyter.errors import AdmissionError
from flyte_jupyter.spec.accelerators import family_of
from flyte_jupyter.spec.quantity import format_bytes, format_cpu
from flyte_jupyter.targets.protocol import Inventory

__all__ = ["Admission", "Claim", "Need"]

PATIENCE = 5.0

# Called with None when a claim may start, with the reason when it never can.
Decided = Callable[[AdmissionError | None], None]


@dataclass(frozen=True, slots=True)
class Need:
    """What an action asks of the target.

    Args:
        cpu: millicores.
        memory: bytes.
        accelerator: type of the device, ``""`` for any GPU, the name of another family for any
            of that.
        count: how many devices.
    """

    cpu: int = 0
    memory: int = 0
    accelerator: str = ""
    count: int = 0

    def words(self) -> str:
        """Return the need for a sentence."""
        parts = []
        if self.cpu:
            parts.append(f"cpu {format_cpu(self.cpu)}")
        if self.memory:
            parts.append(f"memory {_about(self.memory)}")
        if self.count:
            parts.append(f"{self.count} × {self.accelerator or 'accelerator'}")
        return ", ".join(parts) or "nothing"


@dataclass(eq=False, slots=True)
class Claim:
    """One attempt's place in the queue, then its hold.

    Args:
        name: words for messages.
        need: what it asks for.
        parent: the claim of the action that called it.
        depth: how many actions stand above it.
    """

    name: str
    need: Need
    parent: Claim | None = None
    depth: int = 0
    decided: Decided | None = None
    since: float = field(default_factory=time.monotonic)
    number: int = 0
    holding: bool = False
    awaiting: int = 0
    devices: tuple[str, ...] = ()

    def ancestors(self) -> Iterable[Claim]:
        """Yield the claims of the actions that wait for this one."""
        claim = self.parent
        while claim is not None:
            yield claim
            claim = claim.parent


class Admission:
    """The queue and the holds of one target.

    Args:
        has: what the target has.
        devices: (index, type) of each accelerator, to hand out; may be empty.
    """

    def __init__(self, has: Inventory, devices: Iterable[tuple[str, str]] = ()) -> None:
        self.has = has
        self._free_devices = list(devices)
        self._device_types = dict(self._free_devices)
        self._cpu = has.cpu
        self._memory = has.memory
        self._counts = dict(has.accelerators)
        self._queue: dict[tuple[int, Need], deque[Claim]] = {}
        self._looking = False
        self._holders: set[Claim] = set()
        self._number = 0
        self.busy = 0

    def check(self, name: str, need: Need) -> AdmissionError | None:
        """Return why the target can never satisfy a need, or ``None``."""
        has = self.has
        lacks = []
        if need.cpu > has.cpu:
            lacks.append(f"cpu {format_cpu(need.cpu)} of {format_cpu(has.cpu)}")
        if need.memory > has.memory:
            lacks.append(f"memory {format_bytes(need.memory)} of {_about(has.memory)}")
        if need.count > self._total(need.accelerator):
            kind = need.accelerator or "accelerator"
            lacks.append(f"{need.count} × {kind} of {self._total(need.accelerator)}")
        if not lacks:
            return None
        return AdmissionError(
            f"{name} asks for more than the target has: {', '.join(lacks)}.",
            remedy="Ask for less with .override(resources=...), choose another target, or run it "
            'with what there is: flyte.init(oversize="clamp").',
        )

    @property
    def free(self) -> Inventory:
        """What of the target nobody holds now."""
        return Inventory(max(self._cpu, 0), max(self._memory, 0), dict(self._counts))

    def clamp(self, need: Need) -> Need:
        """Return the part of a need that the target has."""
        return Need(
            min(need.cpu, self.has.cpu),
            min(need.memory, self.has.memory),
            need.accelerator,
            min(need.count, self._total(need.accelerator)),
        )

    def _total(self, kind: str) -> int:
        return sum(n for has, n in self.has.accelerators.items() if _serves(has, kind))

    @property
    def moves(self) -> bool:
        """True while something here goes on that may make room."""
        return bool(self.busy) or any(not holder.awaiting for holder in self._holders)

    @property
    def crowded(self) -> bool:
        """True while somebody waits."""
        return bool(self._queue)

    def enter_now(self, claim: Claim) -> bool:
        """Let a claim start if nobody waits and it fits; say whether it did."""
        if self._queue or not self._fits(claim.need):
            return False
        self._number += 1
        claim.number = self._number
        self._grant(claim)
        return True

    def enter(self, claim: Claim, decided: Decided) -> None:
        """Queue a claim; ``decided`` is called once, maybe before this returns."""
        claim.decided = decided
        refusal = self._endless(claim)
        if refusal is not None:
            decided(refusal)
            return
        self._number += 1
        claim.number = self._number
        self._queue.setdefault((claim.depth, claim.need), deque()).append(claim)
        self.look()

    def _endless(self, claim: Claim) -> AdmissionError | None:
        need = claim.need
        # an ancestor may hold what another target has
        held = [c for c in claim.ancestors() if c in self._holders]
        memory = self.has.memory - sum(c.need.memory for c in held)
        devices = self._total(need.accelerator) - sum(
            c.need.count for c in held if need.accelerator in ("", c.need.accelerator)
        )
        if need.memory <= memory and (not need.count or need.count <= devices):
            return None
        lacking = "memory" if need.memory > memory else "accelerator"
        holders = ", ".join(f"{c.name} holds {c.need.words()}" for c in held)
        return AdmissionError(
            f"{claim.name} would wait for ever: it needs {need.words()}, and the {lacking} that is "
            "missing is held by the tasks that wait for it.",
            evidence=[holders],
            remedy="Give the calling task less, or let it end before this one starts.",
        )

    def leave(self, claim: Claim) -> None:
        """End a claim, and start what fits now."""
        self.give_up(claim)
        self.look()

    def give_up(self, claim: Claim) -> None:
        """End a claim, its place in the queue or its hold; nothing is started for it yet."""
        if claim in self._holders:
            self._holders.discard(claim)
            claim.holding = False
            if not claim.awaiting:
                self._cpu += claim.need.cpu
            self._memory += claim.need.memory
            self._return_devices(claim)
        else:
            self._forget(claim)

    def _forget(self, claim: Claim) -> None:
        """Take a claim out of the queue, if it is there."""
        row = self._queue.get((claim.depth, claim.need))
        if row is not None and claim in row:
            row.remove(claim)
            if not row:
                del self._queue[claim.depth, claim.need]

    def awaits(self, claim: Claim) -> None:
        """Note that a holder waits for one child more: its processors are free meanwhile."""
        claim.awaiting += 1
        if claim.awaiting == 1 and claim.holding:
            self._cpu += claim.need.cpu

    def resumes(self, claim: Claim) -> None:
        """Note that a holder waits for one child less."""
        claim.awaiting -= 1
        if claim.awaiting == 0 and claim.holding:
            self._cpu -= claim.need.cpu

    def look(self) -> None:
        """Start what fits; deeper actions first, then the older.

        Claims that ask for the same stand in one row, so that a thousand equal ones cost no more
        than one.
        """
        if self._looking:
            return  # a claim that was just granted may end, and enter others, before this returns
        self._looking = True
        try:
            while self._start_one():
                pass
        finally:
            self._looking = False

    def _start_one(self) -> bool:
        now = time.monotonic()
        for key in sorted(self._queue, key=lambda k: (-k[0], self._queue[k][0].number)):
            row = self._queue[key]
            if self._fits(row[0].need):
                claim = row.popleft()
                if not row:
                    del self._queue[key]
                self._grant(claim)
                return True
            if key[0] == 0 and now - row[0].since > PATIENCE:
                return False  # what came later may not overtake it for ever
        return False

    def why(self, claim: Claim) -> str:
        """Return the sentence that says what a queued claim waits for."""
        need = claim.need
        free = []
        if need.cpu > self._cpu:
            free.append(f"cpu {format_cpu(need.cpu)} ({format_cpu(max(self._cpu, 0))} free)")
        if need.memory > self._memory:
            free.append(f"memory {format_bytes(need.memory)} ({_about(self._memory)} free)")
        if need.count > self._available(need.accelerator):
            kind = need.accelerator or "accelerator"
            free.append(f"{need.count} × {kind} ({self._available(need.accelerator)} free)")
        return "waits for " + (", ".join(free) or "its turn")

    def stuck(self) -> None:
        """Refuse the youngest queued child if nothing that runs can ever make room."""
        if not self._queue or not self._holders or self.moves:
            return
        waiting = (claim for row in self._queue.values() for claim in row)
        youngest = max(waiting, key=lambda c: (c.depth > 0, c.number))
        self._forget(youngest)
        holders = ", ".join(f"{c.name} holds {c.need.words()}" for c in self._sorted_holders())
        assert youngest.decided is not None
        youngest.decided(
            AdmissionError(
                f"{youngest.name} would wait for ever: it needs {youngest.need.words()}, and every "
                "running task waits for a task that is queued.",
                evidence=[holders],
                remedy="Run fewer calling tasks at once, or give them less memory.",
            )
        )

    def _sorted_holders(self) -> list[Claim]:
        return sorted(self._holders, key=lambda c: c.number)

    def _available(self, kind: str) -> int:
        return sum(n for has, n in self._counts.items() if _serves(has, kind))

    def _fits(self, need: Need) -> bool:
        return (
            (need.cpu <= self._cpu or need.cpu == 0)
            and (need.memory <= self._memory or need.memory == 0)
            and (not need.count or need.count <= self._available(need.accelerator))
        )

    def _grant(self, claim: Claim) -> None:
        self._cpu -= claim.need.cpu
        self._memory -= claim.need.memory
        self._take_devices(claim)
        claim.holding = True
        self._holders.add(claim)
        if claim.decided is not None:
            claim.decided(None)

    def _take_devices(self, claim: Claim) -> None:
        taken: list[str] = []
        for index, kind in list(self._free_devices):
            if len(taken) == claim.need.count:
                break
            if _serves(kind, claim.need.accelerator):
                self._free_devices.remove((index, kind))
                self._counts[kind] -= 1
                taken.append(index)
        claim.devices = tuple(taken)

    def _return_devices(self, claim: Claim) -> None:
        for index in claim.devices:
            kind = self._device_types[index]
            self._free_devices.append((index, kind))
            self._counts[kind] += 1
        claim.devices = ()


def _serves(kind: str, wanted: str) -> bool:
    """Return whether a device of one type can be given to whom asks for another.

    A type serves whoever asks for less of it: ``A100 80G`` is an ``A100``. Of a device whose type
    is not known the family counts.
    """
    family = family_of(wanted)
    if wanted in ("", family) or kind in ("", family):
        return family_of(kind) == family
    return kind == wanted or kind.startswith(wanted + " ")


def _about(size: int) -> str:
    """Return what there is, which is never a round number, to one place: ``23.5Gi``."""
    exact = format_bytes(size)
    return exact if len(exact) < 7 else f"{size / (1 << 30):.1f}Gi"
