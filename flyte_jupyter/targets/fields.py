"""How the rows of a target's table of capabilities are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flyte_jupyter.targets.protocol import Capability, Honour

__all__ = ["HONOURED", "honoured", "ignored"]

HONOURED = Capability(Honour.HONOURED)


def ignored(note: str) -> Callable[[Any], Capability]:
    """Return the row of a field that has no effect, whatever its value, with what is said then."""
    return lambda _: Capability(Honour.IGNORED, note)


def honoured(_: Any) -> Capability:
    """Be the row of a field that is honoured, whatever its value."""
    return HONOURED
