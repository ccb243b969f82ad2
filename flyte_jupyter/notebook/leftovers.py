"""``%flyte_ps`` and ``%flyte_clean``: what kernels have on the targets, as tables."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from flyte_jupyter.notebook.tables import Table, age, without_empty
from flyte_jupyter.session.leftovers import Cleaned, Found
from flyte_jupyter.spec.amounts import readable_bytes
from flyte_jupyter.store.owners import process_of

__all__ = ["cleaned", "presence"]

HEADS = ("name", "kind", "environment", "state", "age", "memory", "owner", "what")


def presence(
    found: Sequence[Found], *, everything: bool, terminal: bool = False, now: float | None = None
) -> Table:
    """Return what there is as a table.

    Args:
        found: what was found.
        everything: whether to show what other living kernels have, and what is of other machines.
        terminal: whether a terminal asks, which has no kernel of its own and no magics.
        now: seconds since the epoch.
    """
    everything = everything or terminal
    shown = [one for one in found if everything or one.mine or one.what.alive is False]
    notes = []
    if hidden := len(found) - len(shown):
        notes.append(f"{_count(hidden)} of other kernels: %flyte_ps --all")
    if dead := sum(one.what.alive is False for one in found):
        clean = _verb("clean", terminal)
        notes.append(f"{_count(dead)} of kernels that have ended: {clean} removes {_it(dead)}")
    return _table(shown, time.time() if now is None else now, tuple(notes), "Nothing is there.")


def cleaned(result: Cleaned, *, terminal: bool = False, now: float | None = None) -> Table:
    """Return what cleaning up did as a table.

    Args:
        result: what it did.
        terminal: whether a terminal asks.
        now: seconds since the epoch.
    """
    notes = []
    if others := sum(one.what.alive is None for one in result.kept):
        notes.append(
            f"{_count(others)} stay{'s' if others == 1 else ''}, whose kernel cannot be seen from "
            f"here (another machine's, say): {_verb('ps', terminal)} --all lists, "
            f"{_verb('clean', terminal)} NAME removes"
        )
    count = len(result.removed)
    verb = "would be removed" if result.dry_run else "removed"
    title = f"{_count(count)} {verb}:" if count else ""
    moment = time.time() if now is None else now
    empty = "Nothing is left over from kernels that have ended."
    return _table(result.removed, moment, tuple(notes), empty, title)


def _table(
    found: Iterable[Found], now: float, notes: tuple[str, ...], empty: str, title: str = ""
) -> Table:
    ordered = sorted(found, key=lambda one: (not one.mine, one.what.owner, one.what.kind))
    rows = tuple(_row(one, now) for one in ordered)
    return Table(*without_empty(HEADS, rows), title, notes, empty)


def _row(found: Found, now: float) -> tuple[str, ...]:
    what = found.what
    return (
        what.name,
        what.kind,
        what.environment,
        what.state,
        "" if what.created is None else age(now - what.created),
        "" if what.memory is None else readable_bytes(what.memory),
        _owner(found),
        what.description,
    )


def _owner(found: Found) -> str:
    """Say who made it: ``this kernel``, ``kernel 4711 (ended)``."""
    if found.mine:
        return "this kernel"
    host = found.what.owner.partition(":")[0]
    pid = process_of(found.what.owner)
    kernel = "a kernel" if pid is None else f"kernel {pid}"
    if found.what.alive is None:
        return f"{kernel} on {host}" if host else kernel
    return kernel if found.what.alive else f"{kernel} (ended)"


def _verb(name: str, terminal: bool) -> str:
    return f"flyte-jupyter {name}" if terminal else f"%flyte_{name}"


def _count(number: int) -> str:
    return f"{number} thing" + ("s" if number != 1 else "")


def _it(number: int) -> str:
    return "it" if number == 1 else "them"
