"""Executions of cells: what each declares, so that running a cell again replaces what it declared.

A notebook says when a cell begins and ends; the catalog notes what was declared in between. This
module knows neither: it can be used before anything is declared, which is why it imports nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Visit", "Visits"]


@dataclass(slots=True, eq=False)
class Visit:
    """One execution of a cell.

    Args:
        cell: identity of the cell, ``None`` where cells have none.
        held: whether nothing of it is to stay if it fails.
    """

    cell: str | None
    held: bool = False
    environments: set[str] = field(default_factory=set)
    tasks: set[str] = field(default_factory=set)


class Visits:
    """The cells that are being executed, the innermost last."""

    def __init__(self) -> None:
        self.open: list[Visit] = []
        self._on_hold: list[Callable[[Visit], None]] = []
        self._on_end: list[Callable[[Visit, bool], None]] = []

    @property
    def innermost(self) -> Visit | None:
        """Return the visit that a declaration belongs to now."""
        return self.open[-1] if self.open else None

    def begin(self, cell: str | None) -> Visit:
        """Begin the execution of a cell: what is declared from now on is declared by it."""
        visit = Visit(cell)
        self.open.append(visit)
        return visit

    def hold(self, visit: Visit) -> None:
        """Keep nothing of what the cell declares from now on unless it ends with success."""
        if not visit.held:
            visit.held = True
            for callback in self._on_hold:
                callback(visit)

    def end(self, visit: Visit, *, success: bool) -> None:
        """End the execution of a cell; ending it twice does nothing."""
        if visit in self.open:
            self.open.remove(visit)
            for callback in self._on_end:
                callback(visit, success)

    def watch(
        self, on_hold: Callable[[Visit], None], on_end: Callable[[Visit, bool], None]
    ) -> None:
        """Call back when a visit is held, and when one has ended."""
        self._on_hold.append(on_hold)
        self._on_end.append(on_end)
