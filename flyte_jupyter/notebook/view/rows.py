"""Which rows a view has: the tree of actions, many calls of one task in one row, and an end to it.

However large a run is, what is looked at here is what is shown, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flyte_jupyter.engine.events import Phase
from flyte_jupyter.notebook.groups import Group, children
from flyte_jupyter.notebook.state import ActionState, RunState
from flyte_jupyter.notebook.view.looks import count

__all__ = ["Row", "rows_of"]

SHOWN = 60
"""Rows of a view."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Args:
        item: an action, a folded group of them, or a sentence about what has no row.
        lasts: for each level of the tree whether the row, or what it is below, is the last there.
        listed: whether it is one call of a folded group, listed since it failed.
        caller: label of what has called it, empty for the root.
    """

    item: ActionState | Group | str
    lasts: tuple[bool, ...]
    listed: bool = False
    caller: str = ""


def rows_of(state: RunState, most: int = SHOWN) -> list[Row]:
    """Return the rows of a run, from the root down.

    Args:
        state: the run.
        most: how many rows, at most; one more says what is left out.
    """
    rows: list[Row] = []
    told = 0
    for row in _tree(state):
        if len(rows) >= most:
            left = len(state.actions) - told
            return [*rows, Row(f"… and {count(left, 'more action')}", ())] if left > 0 else rows
        rows.append(row)
        if isinstance(row.item, Group):
            told += row.item.total
        elif not isinstance(row.item, str) and not row.listed:
            told += 1
    return rows


def _tree(state: RunState) -> Iterator[Row]:
    trail = [Row(item, ()) for item in children(state)][::-1]
    while trail:
        row = trail.pop()
        yield row
        if isinstance(row.item, str) or row.listed:
            continue
        below: list[tuple[ActionState | Group | str, bool]] = []
        if isinstance(row.item, Group):
            below += _failed(row.item)
        below += ((item, False) for item in children(row.item))
        last = len(below) - 1
        trail += [
            Row(item, (*row.lasts, place == last), listed, row.item.label)
            for place, (item, listed) in enumerate(below)
        ][::-1]


def _failed(group: Group) -> Iterator[tuple[ActionState | str, bool]]:
    """Yield the last failures of a group, and how many there are beside them."""
    listed = [one for one in group.failed if one.phase is not Phase.ABORTED]
    for one in listed:
        yield one, True
    aborted = group.counts[Phase.ABORTED]
    if (left := group.failures - aborted - len(listed)) > 0:
        yield f"… and {left:,} more that failed", True
