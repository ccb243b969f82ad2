"""``%flyte_images``: what was built for the targets, as a table."""

from __future__ import annotations

import time
from collections.abc import Sequence

from flyte_jupyter.notebook.tables import Table, age, without_empty
from flyte_jupyter.session.images import Kept
from flyte_jupyter.spec.amounts import readable_bytes

__all__ = ["built_table", "removed_table"]

HEADS = ("name", "target", "kind", "size", "last use", "in use", "what")


def built_table(
    found: Sequence[Kept], *, terminal: bool = False, now: float | None = None
) -> Table:
    """Return what was built as a table, the largest first.

    Args:
        found: what was found.
        terminal: whether a terminal asks.
        now: seconds since the epoch.
    """
    unused = [one for one in found if not one.image.in_use]
    notes = []
    if unused:
        verb = "flyte-jupyter images" if terminal else "%flyte_images"
        notes.append(
            f"{_size(unused)} are unused: {verb} --remove-unused removes {len(unused)} of "
            f"{len(found)}"
        )
    return _table(found, now, "", tuple(notes), "Nothing was built yet.")


def removed_table(removed: Sequence[Kept], *, dry_run: bool, now: float | None = None) -> Table:
    """Return what was removed as a table.

    Args:
        removed: what was removed, or would be.
        dry_run: whether nothing was touched.
        now: seconds since the epoch.
    """
    verb = "would be freed" if dry_run else "freed"
    title = f"{_size(removed)} {verb}:" if removed else ""
    return _table(removed, now, title, (), "There was nothing to remove.")


def _table(
    found: Sequence[Kept], now: float | None, title: str, notes: tuple[str, ...], empty: str
) -> Table:
    moment = time.time() if now is None else now
    ordered = sorted(found, key=lambda one: -(one.image.size or 0))
    rows = tuple(_row(one, moment) for one in ordered)
    return Table(*without_empty(HEADS, rows), title, notes, empty)


def _row(kept: Kept, now: float) -> tuple[str, ...]:
    image = kept.image
    last = image.used or image.created
    return (
        image.name,
        kept.target,
        image.kind,
        "" if image.size is None else readable_bytes(image.size),
        "" if last is None else f"{age(now - last)} ago",
        "yes" if image.in_use else "",
        image.description,
    )


def _size(images: Sequence[Kept]) -> str:
    return readable_bytes(sum(one.image.size or 0 for one in images))
