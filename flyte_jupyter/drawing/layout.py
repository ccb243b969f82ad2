"""Where everything stands: waves side by side, deployed from the first to the last.

Ranks are the waves. An edge that skips waves runs through a lane of its own in each of them, which
all edges from the same environment share, so nothing is ever drawn across a card. The same graph
always gives the same places: they depend on names, sizes and edges, on no state and no clock.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flyte_jupyter.drawing.ordering import ordered

__all__ = ["Box", "Layout", "laid_out"]

COMFORTABLE = 1000
"""Width that a page has without scrolling, in pixels."""
MARGIN = 12
BAND = 10
"""Space between the cards of a wave and the border of its band."""
HEADER = 24
BETWEEN = 16
"""Space between two cards of a wave."""
LANE = 10
COLUMNS = 4
"""Of environments without any dependency, so many stand beside each other."""
ROUNDS = 16
PULL = (2.0, 0.5, 8.0)
"""How much two joined items want to be in line: two cards, a card and a lane, two lanes."""
IDLE = 0.05
"""How much an item wants its place that nothing pulls."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: left, top, width and height in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower side."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands.

    Args:
        boxes: name → its card.
        bands: the region of each wave.
        routes: (source, target) of an edge → the straight pieces that it runs along on the way
            from the target's card to the source's, as boxes without thickness.
        across: whether the waves stand side by side, else one below the other.
        width: of everything.
        height: of everything.
    """

    boxes: Mapping[str, Box]
    bands: tuple[Box, ...]
    routes: Mapping[tuple[str, str], tuple[Box, ...]]
    across: bool
    width: float
    height: float


def laid_out(
    waves: Sequence[Sequence[str]],
    edges: Iterable[tuple[str, str]],
    sizes: Mapping[str, tuple[float, float]],
    *,
    gap: float = 56,
    across: bool | None = None,
) -> Layout:
    """Return where everything stands.

    Args:
        waves: the names of each wave.
        edges: pairs of what depends and what it depends on; the latter is of an earlier wave.
        sizes: name → width and height of its card.
        gap: space between two waves.
        across: whether the waves stand side by side; what reads better if not given.
    """
    if across is None:
        across = _reads_across(waves, sizes, gap)
    lane_of, ranks, after, before, chains = _woven(waves, edges)
    if not chains and len(ranks) == 1:
        return _grid(ranks[0], sizes)
    # what is joined to nothing stands last
    ranks = [
        sorted(rank, key=lambda item: item not in after and item not in before)
        for rank in ordered(ranks, after, before)
    ]
    # `depth` is the direction of deployment, `breadth` the one along a wave
    breadth = {name: size[1] if across else size[0] for name, size in sizes.items()}
    depth = {name: size[0] if across else size[1] for name, size in sizes.items()}
    breadth.update(dict.fromkeys(lane_of, 0.0))
    middles = _middles(ranks, after, before, breadth, lane_of)
    top = MARGIN + BAND + (HEADER if across else 0)
    lowest = min((middles[item] - breadth[item] / 2 for item in middles), default=0.0)
    middles = {item: round(middle - lowest + top, 1) for item, middle in middles.items()}
    end = max((middles[item] + breadth[item] / 2 for item in middles), default=top) + BAND
    boxes: dict[str, Box] = {}
    lanes: dict[str, Box] = {}
    bands = []
    start = float(MARGIN)
    for rank in ranks:
        inside = start + BAND + (0 if across else HEADER)
        deep = max((depth[item] for item in rank if item in depth), default=0.0)
        for item in rank:
            own = depth.get(item, deep)
            at = middles[item] - breadth[item] / 2
            box = _box(across, inside, at, own, breadth[item])
            if item in lane_of:
                lanes[item] = box
            else:
                boxes[item] = box
        thick = inside + deep + BAND - start
        bands.append(_box(across, start, MARGIN, thick, end - MARGIN))
        start += thick + gap - 2 * BAND
    routes = {pair: tuple(lanes[lane] for lane in chain) for pair, chain in chains.items()}
    far = max((band.right for band in bands), default=0.0) + MARGIN
    low = max((band.bottom for band in bands), default=0.0) + MARGIN
    return Layout(boxes, tuple(bands), routes, across, far, low)


def _grid(names: Sequence[str], sizes: Mapping[str, tuple[float, float]]) -> Layout:
    """Return one wave of environments that nothing joins, in rows."""
    boxes = {}
    top, right = float(MARGIN + BAND + HEADER), float(MARGIN + BAND)
    for start in range(0, len(names), COLUMNS):
        row = names[start : start + COLUMNS]
        left = float(MARGIN + BAND)
        for name in row:
            boxes[name] = Box(left, top, *sizes[name])
            left += sizes[name][0] + BETWEEN
        right = max(right, left - BETWEEN)
        top += max(sizes[name][1] for name in row) + BETWEEN
    band = Box(MARGIN, MARGIN, right + BAND - MARGIN, top - BETWEEN + BAND - MARGIN)
    return Layout(boxes, (band,), {}, True, band.right + MARGIN, band.bottom + MARGIN)


def _reads_across(
    waves: Sequence[Sequence[str]], sizes: Mapping[str, tuple[float, float]], gap: float
) -> bool:
    """Return whether the waves fit side by side, or better than one below the other."""
    wide = sum(max((sizes[name][0] for name in wave), default=0.0) + gap for wave in waves)
    stacked = max((sum(sizes[name][0] + BETWEEN for name in wave) for wave in waves), default=0.0)
    return wide <= COMFORTABLE or wide <= stacked


def _woven(
    waves: Sequence[Sequence[str]], edges: Iterable[tuple[str, str]]
) -> tuple[
    dict[str, str],
    list[list[str]],
    dict[str, list[str]],
    dict[str, list[str]],
    dict[tuple[str, str], list[str]],
]:
    """Return lanes with what they come from, ranks with lanes, neighbours, and edges as lanes."""
    rank_of = {name: rank for rank, wave in enumerate(waves) for name in wave}
    ranks = [list(wave) for wave in waves]
    lane_of: dict[str, str] = {}
    after: dict[str, list[str]] = {}
    before: dict[str, list[str]] = {}
    chains: dict[tuple[str, str], list[str]] = {}
    joined: set[tuple[str, str]] = set()
    for source, target in edges:
        if rank_of.get(target, len(waves)) >= rank_of.get(source, 0) or (source, target) in chains:
            continue
        chain = []
        for rank in range(rank_of[target] + 1, rank_of[source]):
            # no name of an environment has a line in it
            lane = f"{target}\n{rank}"
            if lane not in lane_of:
                lane_of[lane] = target
                ranks[rank].append(lane)
            chain.append(lane)
        chains[source, target] = chain
        stops = [target, *chain, source]
        for pair in itertools.pairwise(stops):
            if pair not in joined:
                joined.add(pair)
                after.setdefault(pair[0], []).append(pair[1])
                before.setdefault(pair[1], []).append(pair[0])
    return lane_of, ranks, after, before, chains


def _middles(
    ranks: Sequence[Sequence[str]],
    after: Mapping[str, Sequence[str]],
    before: Mapping[str, Sequence[str]],
    breadth: Mapping[str, float],
    lane_of: Mapping[str, str],
) -> dict[str, float]:
    """Return the middle of every item along its wave: near its neighbours, clear of the others."""
    spaces = [_spaces(rank, breadth, lane_of) for rank in ranks]
    middles: dict[str, float] = {}
    for rank, space in zip(ranks, spaces, strict=True):
        places = [sum(space[: index + 1]) for index in range(len(rank))]
        middle = (places[0] + places[-1]) / 2 if places else 0.0
        middles |= {item: at - middle for item, at in zip(rank, places, strict=True)}
    both = {item: [*before.get(item, ()), *after.get(item, ())] for rank in ranks for item in rank}
    for turn in range(ROUNDS):
        down = turn % 2 == 0
        looks_at = both if turn >= ROUNDS - 4 else before if down else after
        for index in range(len(ranks)) if down else reversed(range(len(ranks))):
            rank = ranks[index]
            wanted: list[float] = []
            weights: list[float] = []
            for place, item in enumerate(rank):
                pulls = [
                    (middles[other], PULL[(item in lane_of) + (other in lane_of)])
                    for other in looks_at.get(item, ())
                ]
                weight = sum(pull for _, pull in pulls)
                if pulls:
                    wanted.append(sum(at * pull for at, pull in pulls) / weight)
                elif place and not both[item]:
                    wanted.append(wanted[-1] + spaces[index][place])
                else:
                    wanted.append(middles[item])
                weights.append(weight or IDLE)
            placed = _placed(wanted, weights, spaces[index])
            middles |= dict(zip(rank, placed, strict=True))
    return middles


def _spaces(
    rank: Sequence[str], breadth: Mapping[str, float], lane_of: Mapping[str, str]
) -> list[float]:
    """Return how far each item's middle must be from the one before it; nothing for the first."""
    spaces = [0.0]
    for one, other in itertools.pairwise(rank):
        lanes = (one in lane_of) + (other in lane_of)
        clear = (BETWEEN, LANE + 4, LANE)[lanes]
        spaces.append((breadth[one] + breadth[other]) / 2 + clear)
    return spaces[: len(rank)]


def _placed(
    wanted: Sequence[float], weights: Sequence[float], spaces: Sequence[float]
) -> list[float]:
    """Return the places nearest to those wanted that keep order and distance.

    Least squares under a chain of distances: neighbours that would come too near are joined into
    blocks that stand at the mean of what they want.
    """
    offsets, sum_so_far = [], 0.0
    for space in spaces:
        sum_so_far += space
        offsets.append(sum_so_far)
    blocks: list[list[float]] = []  # mean, weight, count
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        blocks.append([want - offset, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, heavy, count = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + mean * heavy) / (last[1] + heavy)
            last[1] += heavy
            last[2] += count
    means = [mean for mean, _, count in blocks for _ in range(int(count))]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _box(across: bool, start: float, at: float, deep: float, broad: float) -> Box:
    """Return a box from its place in the direction of deployment and along its wave."""
    return Box(start, at, deep, broad) if across else Box(at, start, broad, deep)
