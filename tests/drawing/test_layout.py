"""Where everything stands."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from flyte_jupyter.drawing import GraphView
from flyte_jupyter.drawing.cards import cards_of
from flyte_jupyter.drawing.layout import Box, Layout, laid_out
from flyte_jupyter.drawing.ordering import crossings, ordered


def layout_of(view: GraphView, across: bool | None = None) -> Layout:
    sizes = {name: (card.width, card.height) for name, card in cards_of(view).items()}
    edges = [(edge.source, edge.target) for edge in view.edges]
    return laid_out(view.waves, edges, sizes, across=across)


def overlap(one: Box, other: Box) -> bool:
    beside = one.x < other.right and other.x < one.right
    return beside and one.y < other.bottom and other.y < one.bottom


def within(inner: Box, outer: Box) -> bool:
    return (
        outer.x <= inner.x
        and inner.right <= outer.right
        and outer.y <= inner.y
        and inner.bottom <= outer.bottom
    )


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_no_two_cards_overlap_and_no_arrow_crosses_one(
    random_graph: Callable[..., GraphView], seed: int, across: bool
) -> None:
    view = random_graph(60, 5, seed)
    layout = layout_of(view, across)
    boxes = list(layout.boxes.values())
    assert len(boxes) == 60
    assert not any(overlap(one, other) for one, other in itertools.combinations(boxes, 2))
    lanes = {lane for route in layout.routes.values() for lane in route}
    assert lanes
    assert not any(overlap(lane, box) for lane in lanes for box in boxes)


@pytest.mark.parametrize("across", [True, False])
def test_every_card_stands_in_the_band_of_its_wave(
    random_graph: Callable[..., GraphView], across: bool
) -> None:
    view = random_graph(40, 4, 1)
    layout = layout_of(view, across)
    for wave, band in zip(view.waves, layout.bands, strict=True):
        assert all(within(layout.boxes[name], band) for name in wave)
    page = Box(0, 0, layout.width, layout.height)
    assert all(within(band, page) for band in layout.bands)


@pytest.mark.parametrize("across", [True, False])
def test_waves_follow_each_other_in_the_direction_of_deployment(
    seed: GraphView, across: bool
) -> None:
    layout = layout_of(seed, across)
    for one, other in itertools.pairwise(layout.bands):
        assert (one.right < other.x) if across else (one.bottom < other.y)


def test_a_chain_is_straight(make: Callable[..., GraphView]) -> None:
    names = [f"stage-{number}" for number in range(4)]
    view = make(names, {other: [one] for one, other in itertools.pairwise(names)})
    assert len({box.y for box in layout_of(view).boxes.values()}) == 1


def test_few_waves_stand_side_by_side_and_a_long_chain_one_below_the_other(
    make: Callable[..., GraphView], seed: GraphView
) -> None:
    names = [f"stage-{number}" for number in range(12)]
    chain = make(names, {other: [one] for one, other in itertools.pairwise(names)})
    assert layout_of(seed).across
    assert not layout_of(chain).across


def test_environments_without_dependencies_stand_in_rows(make: Callable[..., GraphView]) -> None:
    layout = layout_of(make([f"env-{number}" for number in range(10)], {}))
    assert len({box.y for box in layout.boxes.values()}) == 3


def test_what_is_joined_to_nothing_stands_near_the_others(make: Callable[..., GraphView]) -> None:
    view = make(["a", "alone", "b", "c", "d"], {"b": ["a"], "c": ["a"], "d": ["b", "c", "a"]})
    boxes = layout_of(view, across=True).boxes
    assert boxes["alone"].y - boxes["a"].bottom == pytest.approx(16)


def test_an_arrow_over_several_waves_has_a_lane_in_each_between(
    make: Callable[..., GraphView],
) -> None:
    view = make(["a", "b", "c", "d"], {"b": ["a"], "c": ["b"], "d": ["c", "a"]})
    assert len(layout_of(view).routes["d", "a"]) == 2


def test_the_same_graph_gives_the_same_places(random_graph: Callable[..., GraphView]) -> None:
    assert layout_of(random_graph(80, 6, 3)) == layout_of(random_graph(80, 6, 3))


def test_states_move_nothing(make: Callable[..., GraphView]) -> None:
    names, needs = ["a", "b", "c"], {"b": ["a"], "c": ["a"]}
    at_rest = layout_of(make(names, needs))
    for state in ("waiting", "building", "failed", "skipped", "deployed"):
        assert layout_of(make(names, needs, dict.fromkeys(names, state))) == at_rest


def test_nothing_is_laid_out_for_nothing() -> None:
    assert laid_out([], [], {}).boxes == {}


def test_an_edge_against_the_waves_has_no_route() -> None:
    sizes = {"a": (10.0, 10.0), "b": (10.0, 10.0)}
    assert laid_out([["a"], ["b"]], [("a", "b"), ("b", "unknown")], sizes).routes == {}


def test_sweeps_untangle_what_can_be_untangled() -> None:
    ranks = [["a", "b", "c"], ["x", "y", "z"]]
    after = {"a": ["z"], "b": ["y"], "c": ["x"]}
    before = {"z": ["a"], "y": ["b"], "x": ["c"]}
    assert crossings(ranks, after) == 3
    assert crossings(ordered(ranks, after, before), after) == 0


@pytest.mark.parametrize("seed", range(5))
def test_sweeps_never_make_it_worse(random_graph: Callable[..., GraphView], seed: int) -> None:
    view: Any = random_graph(40, 2, seed)
    after: dict[str, list[str]] = {}
    before: dict[str, list[str]] = {}
    rank = {name: index for index, wave in enumerate(view.waves) for name in wave}
    for edge in view.edges:
        if rank[edge.source] == rank[edge.target] + 1:
            after.setdefault(edge.target, []).append(edge.source)
            before.setdefault(edge.source, []).append(edge.target)
    assert crossings(ordered(view.waves, after, before), after) <= crossings(view.waves, after)
