"""What kernels have on the targets: listed, and cleaned up where its kernel has ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from flyte_jupyter.errors import NotFoundError, TargetError
from flyte_jupyter.session import session
from flyte_jupyter.session.asking import ask
from flyte_jupyter.spec.naming import did_you_mean
from flyte_jupyter.store.owners import owner
from flyte_jupyter.targets.protocol import Leftover

__all__ = ["Cleaned", "Found", "clean", "present"]


@dataclass(frozen=True, slots=True)
class Found:
    """Something that is there.

    Args:
        target: name of the target that it is on.
        what: what it is.
        mine: whether this kernel made it.
    """

    target: str
    what: Leftover
    mine: bool


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What cleaning up did.

    Args:
        removed: what was removed; with ``dry_run`` what would be.
        kept: what stays.
        dry_run: whether nothing was touched.
    """

    removed: tuple[Found, ...]
    kept: tuple[Found, ...]
    dry_run: bool = False


def present() -> list[Found]:
    """Return what kernels, this one and others, living and dead ones, have on the targets.

    Raises:
        TargetError: the session's own target does not answer; of others nothing is said.
    """
    me = owner()
    return [
        Found(name, each, each.owner == me)
        for name in session.target_names()
        for each in _sweep(name)
    ]


def clean(names: Sequence[str] = (), *, dry_run: bool = False) -> Cleaned:
    """Remove what kernels that have ended left behind.

    Args:
        names: what to remove instead, whoever it belongs to.
        dry_run: only say what would be removed.

    Raises:
        NotFoundError: there is nothing of a name.
        TargetError: a target does not answer, or does not let something be removed.
    """
    found = present()
    chosen = _named(found, names) if names else [one for one in found if one.what.alive is False]
    if not dry_run:
        chosen = list(_removed(chosen))
    gone = {(one.target, one.what.name) for one in chosen}
    kept = (one for one in found if (one.target, one.what.name) not in gone)
    return Cleaned(tuple(chosen), tuple(kept), dry_run)


def _named(found: Sequence[Found], names: Sequence[str]) -> list[Found]:
    known = {one.what.name for one in found}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise NotFoundError(
                f"there is nothing of ours called {name!r}{hint}",
                remedy="%flyte_ps --all lists what there is.",
            )
    return [one for one in found if one.what.name in names]


def _removed(chosen: Iterable[Found]) -> Iterable[Found]:
    by_target: dict[str, list[Found]] = {}
    for one in chosen:
        by_target.setdefault(one.target, []).append(one)
    for target, those in by_target.items():
        gone = {each.name for each in _sweep(target, [one.what.name for one in those])}
        yield from (one for one in those if one.what.name in gone)


def _sweep(name: str, remove: Collection[str] = ()) -> list[Leftover]:
    target = session.make_target(name)
    try:
        return ask(lambda: target.sweep(remove))
    except TargetError:
        # who never had a container engine wants to hear nothing of it
        if remove or name == session.default_target():
            raise
        return []
