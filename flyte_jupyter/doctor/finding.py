"""One thing that was looked at, and what was found."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        subject: what it is.
        usable: whether it works here.
        sentence: what was found, and what to do if it does not work.
        details: lines for the curious.
        is_target: whether tasks run there.
    """

    subject: str
    usable: bool
    sentence: str
    details: tuple[str, ...] = ()
    is_target: bool = False
