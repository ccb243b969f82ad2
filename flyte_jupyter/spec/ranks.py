"""Ranks: what spares most declarations the search for a circle.

Whatever is added to depends on nothing of its own rank or of a higher one, as long as nothing has
been raised after others came to depend on it. So where something can lead to a name is told by two
numbers, and declaring a graph again, which gives each environment its old rank, costs no walks.
"""

from __future__ import annotations

from typing import Protocol, Sequence

__all__ = ["Ranked", "may_lead", "raise_rank"]


class Ranked(Protocol):
    """What has a rank."""

    name: str
    _rank: int
    _is_needed: bool


# Name to the least rank that something of this name had when another came to depend on it. What
# is missing here is met on no walk.
_least: dict[str, int] = {}

# The highest rank that something was raised to after others had come to depend on it: up to here
# ranks tell nothing.
_raised_to = -1


def may_lead(node: Ranked, name: str) -> bool:
    """Return whether something below a node may be named ``name``; False is certain."""
    least = _least.get(name)
    return least is not None and (node._rank > least or least < _raised_to)


def raise_rank(node: Ranked, needs: Sequence[Ranked]) -> None:
    """Give a node a rank above everything that it now depends on."""
    global _raised_to
    rank = node._rank
    for needed in needs:
        least = _least.get(needed.name)
        if least is None or needed._rank < least:
            _least[needed.name] = needed._rank
        object.__setattr__(needed, "_is_needed", True)
        rank = max(rank, needed._rank + 1)
    if rank > node._rank:
        object.__setattr__(node, "_rank", rank)
        if node._is_needed:
            _raised_to = max(_raised_to, rank)
