"""Having the cluster make something: again while it is away, and once a quota has room.

What is made has a name of its own, so asking again is harmless: what is there already is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.cluster.api import ApiError, Unanswered
from flyte_jupyter.errors import TargetError
from flyte_jupyter.targets.kubernetes.manifest import HUB_RESOURCES
from flyte_jupyter.targets.kubernetes.refusals import refused

__all__ = ["BUDGET", "Quota", "created", "quota_of"]

# A cluster that does not answer, or says that it cannot now, is asked again for so many seconds.
BUDGET = 600.0
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
# What a namespace gets a moment after it was made.
SETTLING = 10.0
# A quota that others share may have room though none of our pods has ended.
LOOK = 5.0
ACCOUNT = "error looking up service account"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota that has no room.

    Args:
        name: the quota's.
        requested: what was asked for, by resource, as the cluster writes it; so for the next.
        used: what is taken.
        limited: what there is in all.
    """

    name: str
    requested: Mapping[str, str]
    used: Mapping[str, str]
    limited: Mapping[str, str]

    def never(self) -> list[str]:
        """Return the resources of which there is too little even if all but the hub had ended."""
        return [
            name
            for name, asked in self.requested.items()
            if _number(asked) + _hub(name) > _number(self.limited.get(name, "0"))
        ]

    def words(self) -> str:
        """Return what is asked for and what there is, in a few words."""
        return ", ".join(
            f"{name}: {asked} asked for, {self.used.get(name, '0')} of "
            f"{self.limited.get(name, '0')} taken"
            for name, asked in self.requested.items()
        )


def quota_of(sentence: str) -> Quota | None:
    """Return the quota that a refusal names, ``None`` if it is about something else."""
    match = re.search(
        r"exceeded quota: (\S+), requested: (.*?), used: (.*?), limited: (.*)", sentence
    )
    if match is None:
        return None
    return Quota(match[1], *(_amounts(match[number]) for number in (2, 3, 4)))


async def created(
    what: str,
    ask: Callable[[], Awaitable[dict[str, Any]]],
    say: Say,
    room: asyncio.Event,
    budget: float = BUDGET,
) -> dict[str, Any]:
    """Have the cluster make something, however often that has to be asked for.

    Args:
        what: in words.
        ask: asks once.
        say: called with what it waits for, as that changes, and with ``""`` at the end.
        room: set when something else of ours has ended.
        budget: seconds for which a cluster that is away is asked again.

    Returns:
        What the cluster made; nothing if it had made it the time before, unheard.

    Raises:
        TargetError: the cluster refuses it.
    """
    asked = _Asked(what, say, room, budget)
    while True:
        room.clear()
        try:
            made = await ask()
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists" and asked.unheard:
                asked.say("")
                return {}
            await asked.refused(error)
        except Unanswered as error:
            await asked.unanswered(error)
        else:
            asked.say("")
            return made


class _Asked:
    """Something that is asked for until it is made or refused."""

    def __init__(self, what: str, say: Say, room: asyncio.Event, budget: float) -> None:
        self._budget = budget
        self._what = what
        self._say = say
        self._room = room
        self._began = time.monotonic()
        self._pause = FIRST_PAUSE
        self._said = ""
        self.unheard = False

    def say(self, text: str) -> None:
        """Say what it waits for, if that is new."""
        if text != self._said:
            self._said = text
            self._say(text)

    async def refused(self, error: ApiError) -> None:
        """Wait until it may be asked for again.

        Raises:
            TargetError: there is no point in that.
        """
        quota = quota_of(error.sentence) if error.status == 403 else None
        if quota is not None:
            await self._wait_for_room(quota)
            return
        waited = time.monotonic() - self._began
        settling = error.status == 403 and ACCOUNT in error.sentence and waited < SETTLING
        if not (settling or error.status == 429 or error.status >= 500) or waited > self._budget:
            raise refused(self._what, error) from None
        self.unheard = self.unheard or error.status >= 500
        if not settling:
            self.say(f"waits for the cluster, which says: {error.sentence or error.status}")
        await self._rest(error.after)

    async def unanswered(self, error: Unanswered) -> None:
        """Wait until the cluster may answer again.

        Raises:
            Unanswered: it has not for long.
        """
        if time.monotonic() - self._began > self._budget:
            raise error
        self.unheard = True
        self.say("waits for the cluster, which does not answer")
        await self._rest(None)

    async def _rest(self, seconds: float | None) -> None:
        await asyncio.sleep(self._pause if seconds is None else seconds)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    async def _wait_for_room(self, quota: Quota) -> None:
        never = quota.never()
        if never:
            raise TargetError(
                f"{self._what[:1].upper()}{self._what[1:]} asks for more than the quota "
                f"{quota.name} of this namespace has: {', '.join(never)}.",
                evidence=[quota.words()],
                remedy="Ask for less (.override(resources=...)), or have the quota raised. The hub "
                "of a session takes a little of it too.",
            )
        self.say(f"waits for room in the quota {quota.name} ({quota.words()})")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                await self._room.wait()
        self._began = time.monotonic()  # it has answered


def _amounts(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(","))
    return {name.strip(): amount.strip() for name, _, amount in pairs}


def _number(amount: str) -> float:
    """Return an amount of any resource, as the cluster writes it."""
    match = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)(m|[kMGTPE]?|[KMGTPE]i)", amount)
    if match is None:
        return 0.0
    number, unit = float(match[1]), match[2]
    if unit == "m":
        return number / 1000
    base = 1024 if unit.endswith("i") else 1000
    return number * float(base ** ("kMGTPE".index(unit[0].replace("K", "k")) + 1 if unit else 0))


def _hub(resource: str) -> float:
    """Return what the hub of a session takes of a resource."""
    if resource in ("pods", "count/pods"):
        return 1.0
    kind, _, name = resource.rpartition(".")
    held = HUB_RESOURCES.get(kind or "requests", {}).get(name)
    return 0.0 if held is None else _number(held)
