"""Displays that are made later, on any thread, and belong to a cell that has ended.

What a button starts is no part of any cell: what it displays would be lost. The header of the
cell's request is put on it, so that front ends show it below the cell, and save it there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Place", "place_of"]


class Place:
    """Where a cell displays.

    Args:
        publisher: of the shell; None where nothing is shown later.
        header: of the request that executes the cell.
    """

    def __init__(self, publisher: Any, header: Any) -> None:
        self._publisher = publisher
        self._header = header

    @contextmanager
    def here(self) -> Iterator[None]:
        """Have this thread's displays shown in the cell."""
        register = getattr(self._publisher, "register_hook", None)
        if register is None or not self._header:
            yield
            return

        def send(message: dict[str, Any]) -> dict[str, Any]:
            return {**message, "parent_header": self._header}

        register(send)  # of this thread only
        try:
            yield
        finally:
            self._publisher.unregister_hook(send)


def place_of(shell: Any) -> Place:
    """Return where the cell displays that is being executed."""
    publisher = getattr(shell, "display_pub", None)
    return Place(publisher, dict(getattr(publisher, "parent_header", None) or {}))
