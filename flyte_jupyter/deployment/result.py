"""What a deployment has come to: a state for each environment, with times, images and reasons."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flyte_jupyter.errors import DeploymentError, NotFoundError
from flyte_jupyter.spec.amounts import readable_seconds
from flyte_jupyter.spec.naming import did_you_mean

__all__ = ["ENDED", "SYMBOLS", "Deployed", "Deployment", "State"]


class State(StrEnum):
    """Where an environment stands in a deployment."""

    WAITING = "waiting"
    """What it depends on is not deployed yet."""
    BUILDING = "building"
    """Its image is found, built or fetched."""
    CACHED = "cached"
    """Nothing has changed since it was deployed."""
    BUILT = "built"
    """Deployed, and its image was built or fetched for it."""
    DEPLOYED = "deployed"
    """Deployed; its image was there."""
    SKIPPED = "skipped"
    """Not deployed, because something that it depends on failed."""
    FAILED = "failed"
    """Not deployed, because its image or its code cannot be had."""


ENDED = frozenset({State.CACHED, State.BUILT, State.DEPLOYED, State.SKIPPED, State.FAILED})
SYMBOLS: Mapping[State, str] = {
    State.WAITING: "○",
    State.BUILDING: "◐",
    State.CACHED: "=",
    State.BUILT: "◆",
    State.DEPLOYED: "✓",
    State.SKIPPED: "⊘",
    State.FAILED: "✗",
}


# of a dry run, what would come of it
WOULD_BE: Mapping[State, tuple[str, str]] = {
    State.CACHED: ("=", "unchanged"),
    State.BUILT: ("◇", "to build"),
    State.DEPLOYED: ("→", "to deploy"),
    State.SKIPPED: ("⊘", "to skip"),
    State.FAILED: ("✗", "would fail"),
}


@dataclass(slots=True)
class Deployed:
    """One environment of a deployment.

    Args:
        name: its name.
        wave: in which wave, from 1.
        target: name of the target that it goes to.
        version: name of the version.
        depends_on: names of the environments that it comes after.
        tasks: full names of its tasks.
        changes: what is different from what was deployed before, in words; nothing if unchanged.
        state: where it stands; of a dry run, what would come of it.
        image: its image, in a few words.
        digest: what the image was found to be, empty before that.
        started: when its turn came, in seconds since the epoch.
        ended: when it was done.
        why: why it failed or was skipped, in one sentence.
        error: what it failed with.
        notes: facts that are worth a word: what the target does not honour.
        progress: the last word of its image's build.
    """

    name: str
    wave: int
    target: str
    version: str
    depends_on: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    state: State = State.WAITING
    image: str = ""
    digest: str = ""
    started: float | None = None
    ended: float | None = None
    why: str = ""
    error: Exception | None = None
    notes: tuple[str, ...] = ()
    progress: str = ""

    @property
    def seconds(self) -> float | None:
        """How long it took, or has taken so far; ``None`` before its turn."""
        if self.started is None:
            return None
        return (time.time() if self.ended is None else self.ended) - self.started

    @property
    def ok(self) -> bool:
        """True where it is deployed now."""
        return self.state in (State.CACHED, State.BUILT, State.DEPLOYED)


@dataclass(slots=True, eq=False)
class Deployment:
    """A deployment of environments and of all that they depend on, in waves.

    ``deployment["ml"]`` is the state of one environment. Flyte's ``deploy`` gives a list with one
    deployment, so ``deployment[0]`` is the deployment itself.

    Args:
        environments: the state of each by name, in the order of the waves.
        version: what was given, or the beginning of a hash of all versions together.
        project: the folder that the names belong to.
        dry_run: True if nothing was done.
    """

    environments: dict[str, Deployed]
    version: str
    project: str
    dry_run: bool = False

    @property
    def waves(self) -> list[list[Deployed]]:
        """The environments by wave."""
        waves: list[list[Deployed]] = []
        for one in self.environments.values():
            waves.extend([] for _ in range(one.wave - len(waves)))
            waves[one.wave - 1].append(one)
        return waves

    @property
    def done(self) -> bool:
        """True when nothing of it goes on."""
        return all(one.state in ENDED for one in self.environments.values())

    @property
    def ok(self) -> bool:
        """True when every environment is deployed."""
        return all(one.ok for one in self.environments.values())

    @property
    def failed(self) -> list[Deployed]:
        """The environments that failed or were skipped."""
        return [one for one in self.environments.values() if one.state in ENDED and not one.ok]

    def error(self) -> DeploymentError | None:
        """Return what is wrong with it as one error, ``None`` if nothing is."""
        failed = [one for one in self.failed if one.state is State.FAILED]
        if not failed:
            return None
        skipped = len(self.failed) - len(failed)
        names = ", ".join(one.name for one in failed)
        after = f", and {skipped} that come after were not tried" if skipped else ""
        error = DeploymentError(
            f"{names} could not be deployed{after}.",
            evidence=[f"{one.name}: {one.why}" for one in self.failed],
            remedy=next((r for one in failed if (r := getattr(one.error, "remedy", ""))), ""),
        )
        error.deployment = self
        return error

    def look(self, one: Deployed) -> tuple[str, str]:
        """Return symbol and word for the state of an environment; of a dry run, what it would be.

        Args:
            one: an environment of this deployment.
        """
        if self.dry_run and one.state in WOULD_BE:
            return WOULD_BE[one.state]
        return SYMBOLS[one.state], one.state.value

    def table_repr(self) -> list[list[tuple[str, str]]]:
        """Return a row for each environment, as pairs of name and value (as Flyte's)."""
        return [
            [
                ("name", one.name),
                ("wave", str(one.wave)),
                ("state", one.state.value),
                ("version", one.version),
                ("image", one.image),
                ("tasks", ", ".join(task.rpartition(".")[2] for task in one.tasks)),
            ]
            for one in self.environments.values()
        ]

    def summary_repr(self) -> str:
        """Return one line (as Flyte's)."""
        counts: dict[str, int] = {}
        for one in self.environments.values():
            _, word = self.look(one)
            counts[word] = counts.get(word, 0) + 1
        words = ", ".join(f"{count} {word}" for word, count in counts.items())
        return f"Deployment {self.version}{' (dry run)' if self.dry_run else ''}: {words}"

    def __getitem__(self, key: str | int) -> Any:
        """Return the state of an environment by its name, or the deployment itself for 0."""
        if isinstance(key, int):
            return [self][key]
        found = self.environments.get(key)
        if found is None:
            raise NotFoundError(
                f"{key!r} is not part of this deployment{did_you_mean(key, self.environments)}"
            )
        return found

    def __iter__(self) -> Iterator[Deployment]:
        return iter([self])

    def __len__(self) -> int:
        return 1

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        notes = [
            f"  {one.name}: {note}" for one in self.environments.values() for note in one.notes
        ]
        return "\n".join((self.summary_repr(), *(_line(one) for one in _rows(self)), *notes))


def _rows(deployment: Deployment) -> list[tuple[str, ...]]:
    rows = []
    for one in deployment.environments.values():
        seconds = "" if one.seconds is None else readable_seconds(one.seconds)
        state = " ".join(deployment.look(one))
        why = one.why or "; ".join(one.changes)
        # what is different each time stands last, so that nothing is moved by it
        rows.append((f"wave {one.wave}", one.name, state, one.image, why, seconds))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        tuple(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows
    ]


def _line(row: tuple[str, ...]) -> str:
    return "  " + "  ".join(row).rstrip()
