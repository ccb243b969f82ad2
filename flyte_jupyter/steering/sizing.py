"""Right-sizing: what was asked for against what was used, and what to ask for instead.

Less is proposed only after `ENOUGH` runs that ended well, and never less than the highest peak with
`HEADROOM` above it. Memory that was too little once is never proposed again: the next larger step
with that headroom is, even if that means to ask for more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.spec.naming import listing
from flyte_jupyter.spec.quantity import format_bytes, format_cpu
from flyte_jupyter.spec.settings import Settings
from flyte_jupyter.steering.fields import asked_for
from flyte_jupyter.steering.levels import Level, settings_at
from flyte_jupyter.steering.usage import Use, uses_of

__all__ = ["ENOUGH", "HEADROOM", "Proposal", "Sizing", "accept", "rule", "sizing_of", "sizings"]

ENOUGH = 3
HEADROOM = 1.3
WORTH = 0.75
"""Less is proposed where it is at most this part of what is asked for."""
LONG = 1.0
"""Seconds from which on an attempt tells how many cores it uses."""

GI, MI = 1 << 30, 1 << 20
# sizes up to → the step that they are rounded up to
MEMORY_STEPS = ((256 * MI, 32 * MI), (GI, 128 * MI), (8 * GI, GI // 2), (64 * GI, 2 * GI))
LARGEST_STEP = 8 * GI
LEAST_MEMORY = 64 * MI
CPU_STEP = 250


@dataclass(frozen=True, slots=True)
class Proposal:
    """Another value for a task, and why.

    Args:
        level: the task.
        part: ``memory`` or ``cpu``.
        value: what the part of the resources becomes: text, or request and limit.
        now: what is asked for now, as text.
        then: what is proposed, as text.
        why: what it rests on.
    """

    level: Level
    part: str
    value: str | tuple[str, str]
    now: str
    then: str
    why: str

    def __str__(self) -> str:
        return f"{self.part} {self.now} → {self.then}: {self.why}"


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a task asks for against what it has used.

    Args:
        level: the task.
        runs: how many runs that is known of.
        asked_memory: bytes that it asks for now, ``None`` for nothing.
        peak_memory: bytes that an attempt used at most.
        asked_cpu: millicores that it asks for now.
        used_cpu: millicores that an attempt used at most, on the average of its time.
        lacked: how many attempts ended for lack of memory.
        untold: how many attempts have ended whose worker has not told what it used.
        proposals: what to ask for instead.
    """

    level: Level
    runs: int
    asked_memory: int | None = None
    peak_memory: int | None = None
    asked_cpu: int | None = None
    used_cpu: int | None = None
    lacked: int = 0
    untold: int = 0
    proposals: tuple[Proposal, ...] = ()

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """What is known of memory and cpu: part, asked, used."""
        asked_cpu = format_cpu(self.asked_cpu) if self.asked_cpu else "nothing"
        used_cpu = "not known yet" if self.used_cpu is None else format_cpu(self.used_cpu)
        asked = about(self.asked_memory) if self.asked_memory else "nothing"
        peak = "not known yet" if self.peak_memory is None else about(self.peak_memory)
        if self.lacked:
            peak += f", too little {self.lacked}×"
        return [("memory", asked, peak), ("cpu", asked_cpu, used_cpu)]


def rule() -> str:
    """Return by which rule values are proposed, in a sentence."""
    return (
        f"Proposed is the highest use and {HEADROOM - 1:.0%} above it, after {ENOUGH} runs; memory "
        "that was too little once is not proposed again."
    )


def sizings(catalog: Catalog, environment: str) -> list[Sizing]:
    """Return the sizing of every task of an environment that has run; reads the journal."""
    found = (
        sizing_of(Level(environment, task.name), settings, uses_of(task.name))
        for task in catalog.tasks_of(environment)
        for settings in [settings_at(catalog, Level(environment, task.name))]
    )
    return [one for one in found if one.runs]


def sizing_of(level: Level, settings: Settings, uses: Sequence[Use]) -> Sizing:
    """Return the sizing of a task.

    Args:
        level: the task.
        settings: what holds for it now.
        uses: what its attempts have used.
    """
    asked = asked_for(settings)
    good = [use for use in uses if use.succeeded]
    peaks = [use.peak_memory for use in good if use.peak_memory]
    cores = [
        use.cpu_seconds / use.seconds
        for use in good
        if use.cpu_seconds is not None and use.seconds is not None and use.seconds >= LONG
    ]
    lacking = [use for use in uses if use.out_of_memory]
    sizing = Sizing(
        level,
        len({use.run for use in uses}),
        asked.memory_limit or asked.memory_request,
        max(peaks, default=None),
        asked.cpu_request,
        round(1000 * max(cores)) if cores else None,
        len(lacking),
        sum(use.peak_memory is None for use in uses),
    )
    proposals = filter(
        None, (_memory(sizing, settings, good, lacking), _cpu(sizing, settings, good))
    )
    return replace(sizing, proposals=tuple(proposals))


def accept(catalog: Catalog, proposal: Proposal) -> None:
    """Make a proposal the override of its task."""
    catalog.set_override(proposal.level.scope, **{proposal.part: proposal.value})


def about(size: int) -> str:
    """Return a size in one unit, to one place: ``1.5Gi``, ``320Mi``."""
    if size < GI:
        return f"{math.ceil(size / MI)}Mi"
    return f"{size / GI:.1f}".removesuffix(".0") + "Gi"


def _memory(
    sizing: Sizing, settings: Settings, good: Sequence[Use], lacking: Sequence[Use]
) -> Proposal | None:
    asked = asked_for(settings)
    now, limit = asked.memory_request or asked.memory_limit, asked.memory_limit
    if not now or limit is None:
        return None
    short = max((use.memory_limit for use in lacking if use.memory_limit), default=0)
    # what was counted when it was ended may be more than it was given
    most = max([short, *(use.peak_memory or 0 for use in lacking), sizing.peak_memory or 0])
    need = max(_with_headroom(most), LEAST_MEMORY)
    runs = len({use.run for use in good if use.peak_memory})
    known = f"peak {about(sizing.peak_memory)} over {runs} runs" if sizing.peak_memory else ""
    if limit <= short:
        count = sum(use.memory_limit is not None for use in lacking)
        often = "once" if count == 1 else f"{count} times"
        why = listing([f"{about(short)} was too little {often}", *filter(None, [known])], "and")
        return _changed(sizing, now, limit, need, why)
    if runs < ENOUGH or need > now * WORTH:
        return None
    if short:
        known += f", and {about(short)} was too little"
    return _changed(sizing, now, limit, need, known)


def _changed(sizing: Sizing, now: int, limit: int, need: int, why: str) -> Proposal:
    text = _text(need)
    if now == limit:
        return Proposal(sizing.level, "memory", text, about(now), about(need), why)
    most = _text(max(limit, need))
    words = f"{about(now)} to {about(limit)}", f"{about(need)} to {about(max(limit, need))}"
    return Proposal(sizing.level, "memory", (text, most), *words, why)


def _text(size: int) -> str:
    short = about(size)
    return short if size % (GI // 2) == 0 else format_bytes(size)


def _cpu(sizing: Sizing, settings: Settings, good: Sequence[Use]) -> Proposal | None:
    asked = asked_for(settings)
    now, used = asked.cpu_request, sizing.used_cpu
    runs = len({u.run for u in good if u.cpu_seconds is not None and (u.seconds or 0) >= LONG})
    if not now or used is None or runs < ENOUGH:
        return None
    need = max(CPU_STEP, math.ceil(used * HEADROOM / CPU_STEP) * CPU_STEP)
    if need > now * WORTH:
        return None
    why = f"used {format_cpu(used)} at most over {runs} runs"
    text = format_cpu(need)
    if asked.cpu_limit is None:
        return Proposal(sizing.level, "cpu", text, format_cpu(now), text, why)
    most = format_cpu(asked.cpu_limit)
    words = f"{format_cpu(now)} to {most}", f"{text} to {most}"
    return Proposal(sizing.level, "cpu", (text, most), *words, why)


def _with_headroom(size: int) -> int:
    """Return a size with headroom, rounded up to a step of its order."""
    wanted = size * HEADROOM
    step = next((step for most, step in MEMORY_STEPS if wanted <= most), LARGEST_STEP)
    return math.ceil(wanted / step) * step
