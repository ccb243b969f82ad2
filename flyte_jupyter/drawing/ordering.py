"""In which order the items of each rank stand, so that few edges cross.

Barycentre sweeps give the large order; then neighbours change places where that undoes crossings.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence

__all__ = ["crossings", "ordered"]

SWEEPS = 12
SWITCHES = 6

Ranks = list[list[str]]
Neighbours = Mapping[str, Sequence[str]]


def ordered(ranks: Sequence[Sequence[str]], after: Neighbours, before: Neighbours) -> Ranks:
    """Return the ranks with their items reordered; equal input gives equal output.

    Args:
        ranks: the items of each rank, in the order to begin with.
        after: item → those of the next rank that it is joined to.
        before: item → those of the rank before.
    """
    current = [list(rank) for rank in ranks]
    best, fewest = current, crossings(current, after)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        current = _swept(current, before if down else after, down)
        crossed = crossings(current, after)
        if crossed < fewest:
            best, fewest = current, crossed
    return _switched(best, after, before) if fewest else best


def crossings(ranks: Sequence[Sequence[str]], after: Neighbours) -> int:
    """Return how many pairs of edges between neighbouring ranks cross."""
    total = 0
    for rank, following in itertools.pairwise(ranks):
        place = {item: index for index, item in enumerate(following)}
        seen: list[int] = []
        for item in rank:
            ends = sorted(place[other] for other in after.get(item, ()))
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _swept(ranks: Ranks, neighbours: Neighbours, down: bool) -> Ranks:
    """Return the ranks, each ordered by the middle of its neighbours in the one before it."""
    swept = [list(rank) for rank in ranks]
    places: dict[str, float] = {}
    for index in range(len(swept)) if down else reversed(range(len(swept))):
        rank = swept[index]
        wanted = {}
        for own, item in enumerate(rank):
            found = [places[other] for other in neighbours.get(item, ())]
            # what has no neighbour there stays where it is, among as many as there are
            wanted[item] = sum(found) / len(found) if found else (own + 0.5) / len(rank)
        rank.sort(key=wanted.__getitem__)
        places |= {item: (place + 0.5) / len(rank) for place, item in enumerate(rank)}
    return swept


def _switched(ranks: Ranks, after: Neighbours, before: Neighbours) -> Ranks:
    """Return the ranks with neighbours switched wherever fewer edges cross then."""
    switched = [list(rank) for rank in ranks]
    places = {item: place for rank in switched for place, item in enumerate(rank)}
    for _ in range(SWITCHES):
        better = False
        for rank in switched:
            # of this rank only; the ranks beside it keep their order meanwhile
            ends = {
                item: tuple(
                    sorted(places[other] for other in side.get(item, ()))
                    for side in (before, after)
                )
                for item in rank
            }
            for place in range(len(rank) - 1):
                one, other = rank[place], rank[place + 1]
                if _crossed(ends[other], ends[one]) < _crossed(ends[one], ends[other]):
                    rank[place : place + 2] = other, one
                    places[other], places[one] = place, place + 1
                    better = True
        if not better:
            break
    return switched


def _crossed(first: Sequence[list[int]], second: Sequence[list[int]]) -> int:
    """Return how many edges of two items cross, if the first stands before the second."""
    return sum(
        bisect_left(ends, end)
        for own, ends in zip(first, second, strict=True)
        if ends
        for end in own
    )
