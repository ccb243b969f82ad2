"""Why one environment depends on another: how that was said, and where."""

from __future__ import annotations

from dataclasses import dataclass

from flyte_jupyter.spec.origin import Origin

__all__ = ["Edge"]


@dataclass(frozen=True)
class Edge:
    """The reason for a dependency.

    Args:
        how: ``"depends_on"``, ``"add_dependency"``, or ``"clone_with"`` for one that a clone took
            over from a template that knew no reason.
        origin: where it was said.
    """

    how: str
    origin: Origin

    def __str__(self) -> str:
        return f"{self.how} in {self.origin.label}"
