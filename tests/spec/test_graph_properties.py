"""What holds for every graph of ``depends_on``, whatever its shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from unittest import mock

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flyte_jupyter.errors import CycleError, DuplicateNameError
from flyte_jupyter.spec import TaskEnvironment, listeners, ranks
from flyte_jupyter.spec.edges import Edge
from flyte_jupyter.spec.graph import circle, closure, path_to, waves
from flyte_jupyter.spec.origin import Origin

# the same examples each time: a test that fails must fail again
settings.register_profile("graph", derandomize=True, deadline=None, max_examples=150)
bounded = settings(settings.get_profile("graph"))

Needs = dict[int, list[int]]


@dataclass(eq=False)
class Node:
    """A node whose edges can be laid freely, as a notebook's redeclared names can."""

    name: str
    depends_on: list[Node] = field(default_factory=list)

    edges: Mapping[str, Edge] = field(default_factory=dict)
    origin: Origin = field(default=Origin("made.py", 1))


@st.composite
def graphs(draw: st.DrawFn, acyclic: bool = False) -> Needs:
    """Which numbers each number needs; some more than once."""
    size = draw(st.integers(1, 14))
    needs: Needs = {}
    for index in range(size):
        last = index - 1 if acyclic else size - 1
        some = st.lists(st.integers(0, last), max_size=4) if last >= 0 else st.just([])
        needs[index] = draw(some)
    # numbers in another order than that of dependence
    order = draw(st.permutations(range(size)))
    return {order[index]: [order[other] for other in below] for index, below in needs.items()}


def nodes_of(needs: Needs) -> list[Node]:
    nodes = {index: Node(f"n{index}") for index in needs}
    for index, below in needs.items():
        nodes[index].depends_on = [nodes[other] for other in below]
    return list(nodes.values())


def reachable(start: Sequence[Any]) -> set[str]:
    """What is reached from there, with what it starts at: the plain way."""
    met: dict[int, Any] = {}
    stack = list(start)
    while stack:
        node = stack.pop()
        if id(node) not in met:
            met[id(node)] = node
            stack += node.depends_on
    return {node.name for node in met.values()}


def is_acyclic(nodes: Sequence[Node]) -> bool:
    return not any(node.name in reachable(node.depends_on) for node in nodes)


def is_circle(names: Sequence[str], nodes: Sequence[Node]) -> bool:
    below = {node.name: {other.name for other in node.depends_on} for node in nodes}
    steps = list(pairwise(names))
    return (
        bool(steps)
        and names[0] == names[-1]
        and len(set(names)) == len(steps)
        and all(after in below[before] for before, after in steps)
    )


@bounded
@given(graphs(acyclic=True))
def test_each_environment_comes_once_and_after_what_it_depends_on(needs: Needs) -> None:
    nodes = nodes_of(needs)
    plan = waves(nodes)
    wave_of = {node.name: index for index, wave in enumerate(plan) for node in wave}
    assert sorted(wave_of) == sorted(node.name for node in nodes)
    assert sum(map(len, plan)) == len(nodes)
    for node in nodes:
        assert all(wave_of[other.name] < wave_of[node.name] for other in node.depends_on)


@bounded
@given(graphs(acyclic=True))
def test_no_environment_waits_longer_than_it_must(needs: Needs) -> None:
    plan = waves(nodes_of(needs))
    wave_of = {node.name: index for index, wave in enumerate(plan) for node in wave}
    for wave in plan:
        assert wave
        for node in wave:
            below = [wave_of[other.name] for other in node.depends_on]
            assert wave_of[node.name] == 1 + max(below, default=-1)


@bounded
@given(graphs())
def test_a_circle_is_found_where_there_is_one_and_only_there(needs: Needs) -> None:
    nodes = nodes_of(needs)
    if is_acyclic(nodes):
        assert sum(map(len, waves(nodes))) == len(nodes)
        return
    with pytest.raises(CycleError) as caught:
        waves(nodes)
    steps = [line.split(" depends on ") for line in caught.value.evidence]
    named = [before for before, after in steps] + [steps[-1][1]]
    if len(steps) <= 12:
        assert is_circle(named, nodes)
        if len(steps) > 1:
            assert f": {' → '.join(named)}; " in caught.value.sentence


@bounded
@given(graphs())
def test_a_circle_that_is_named_is_one(needs: Needs) -> None:
    nodes = nodes_of(needs)
    on_circles = [node for node in nodes if node.name in reachable(node.depends_on)]
    assume(on_circles)
    assert is_circle(circle(on_circles), nodes)


@bounded
@given(graphs(), st.data())
def test_a_plan_has_what_its_roots_reach_and_nothing_else(needs: Needs, data: Any) -> None:
    nodes = nodes_of(needs)
    roots = data.draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=4))
    found = closure(roots)
    assert {node.name for node in found} == reachable(roots)
    assert len({node.name for node in found}) == len(found)
    assert found[: len(set(map(id, roots)))] == list(dict.fromkeys(roots))
    below = [node for node in nodes if node.name in reachable(roots)]
    if is_acyclic(below):
        assert {node.name for wave in waves(roots) for node in wave} == reachable(roots)
    else:
        with pytest.raises(CycleError):
            waves(roots)


@bounded
@given(graphs(acyclic=True))
def test_equal_graphs_have_equal_plans(needs: Needs) -> None:
    def names(nodes: Sequence[Node]) -> list[list[str]]:
        return [[node.name for node in wave] for wave in waves(nodes)]

    nodes = nodes_of(needs)
    once = {index: list(dict.fromkeys(below)) for index, below in needs.items()}
    first = names(nodes)
    assert names(nodes) == first
    assert names(nodes_of(needs)) == first
    assert names(nodes_of(once)) == first, "a dependency that is given twice changes nothing"
    assert names([*nodes, *nodes]) == first, "neither does a root"
    place = {node.name: index for index, node in enumerate(closure(nodes))}
    for wave in first:
        assert wave == sorted(wave, key=place.__getitem__)


@bounded
@given(graphs(acyclic=True), st.data())
def test_a_declaration_in_force_takes_the_place_of_older_ones(needs: Needs, data: Any) -> None:
    new = nodes_of(needs)
    expected = [[node.name for node in wave] for wave in waves(new)]
    current = {node.name: node for node in new}
    old = [Node(node.name) for node in new]
    anyone = st.sampled_from([*old, *new])
    for node in old:
        node.depends_on = data.draw(st.lists(anyone, max_size=2))
    for node in new:
        node.depends_on = [
            data.draw(st.sampled_from([each, old[new.index(each)]])) for each in node.depends_on
        ]
    roots = [data.draw(st.sampled_from(pair)) for pair in zip(old, new, strict=True)]
    plan = waves(roots, current)
    assert all(node is current[node.name] for wave in plan for node in wave)
    assert [[node.name for node in wave] for wave in plan] == expected


@bounded
@given(graphs(acyclic=True), st.data())
def test_two_different_environments_of_one_name_are_refused(needs: Needs, data: Any) -> None:
    nodes = nodes_of(needs)
    one = data.draw(st.sampled_from(nodes))
    with pytest.raises(DuplicateNameError) as caught:
        waves([*nodes, Node("above", [Node(one.name)])])
    assert repr(one.name) in caught.value.sentence
    assert caught.value.evidence == ("declared in made.py:1",) * 2


@bounded
@given(graphs(), st.data())
def test_a_path_is_a_shortest_one_and_there_if_its_end_is_reached(needs: Needs, data: Any) -> None:
    nodes = nodes_of(needs)
    start, end = data.draw(st.tuples(st.sampled_from(nodes), st.sampled_from(nodes)))
    path = path_to(end.name, start)
    distance = _distances(start)
    if path is None:
        assert end.name not in distance
        return
    below = {node.name: {other.name for other in node.depends_on} for node in nodes}
    assert (path[0], path[-1]) == (start.name, end.name)
    assert all(after in below[before] for before, after in pairwise(path))
    assert len(path) == distance[end.name] + 1


def _distances(start: Node) -> dict[str, int]:
    found, wave = {start.name: 0}, [start]
    while wave:
        wave = [other for node in wave for other in node.depends_on if other.name not in found]
        found |= dict.fromkeys((node.name for node in wave), max(found.values()) + 1)
    return found


# Environments: what is declared, added and declared again, in any order

NAMES = ("pa", "pb", "pc", "pd", "pe", "pf")
Story = list[tuple[str, str, set[str]]]
stories = st.lists(
    st.tuples(
        st.sampled_from(("declare", "add")),
        st.sampled_from(NAMES),
        st.sets(st.sampled_from(NAMES), max_size=2),
    ),
    max_size=30,
)


def declare(
    story: Story, in_session: bool = False
) -> Iterator[tuple[dict[str, TaskEnvironment], bool, CycleError | None]]:
    """Yield after each step what is in force, whether it closed a circle, and how it was refused.

    Args:
        story: what is declared or added to, and what that needs.
        in_session: whether it is known which declaration is in force.
    """
    known: dict[str, TaskEnvironment] = {}
    with (
        mock.patch.multiple(ranks, _least={}, _raised_to=-1),
        mock.patch.object(listeners, "_look_up", known.get if in_session else None),
    ):
        known |= {name: TaskEnvironment(name) for name in NAMES}
        for what, name, others in story:
            below = [known[other] for other in sorted(others)]
            closes = any(name in reachable([each]) for each in below)
            refused = None
            try:
                if what == "declare":
                    known[name] = TaskEnvironment(name, depends_on=below)
                else:
                    known[name].add_dependency(*below)
            except CycleError as error:
                refused = error
            yield known, closes, refused


@bounded
@given(stories)
def test_exactly_what_closes_a_circle_is_refused(story: Story) -> None:
    for known, closes, refused in declare(story):
        assert (refused is not None) == closes
        for each in known.values():
            assert list(each.edges) == [other.name for other in each.depends_on]


@bounded
@given(stories)
def test_in_a_session_only_declarations_in_force_close_a_circle(story: Story) -> None:
    before: dict[str, set[str]] = {name: set() for name in NAMES}
    for (what, name, others), (known, _, refused) in zip(
        story, declare(story, in_session=True), strict=True
    ):
        if refused is not None:
            kept = before[name] if what == "add" else set()
            wanted = in_names({**before, name: kept | others})
            assert not is_acyclic(wanted)
        for each in known.values():
            assert all(each is not one for one in objects_below(each)), "no object needs itself"
        before = {each.name: {one.name for one in each.depends_on} for each in known.values()}


@bounded
@given(stories, st.booleans())
def test_a_plan_of_a_story_follows_its_last_declarations(story: Story, in_session: bool) -> None:
    for known, _, _ in [*declare(story, in_session)][-1:]:
        follows(known)


def in_names(needs: Mapping[str, set[str]]) -> list[Node]:
    nodes = {name: Node(name) for name in needs}
    for name, node in nodes.items():
        node.depends_on = [nodes[other] for other in needs[name]]
    return list(nodes.values())


def objects_below(start: TaskEnvironment) -> list[TaskEnvironment]:
    met: dict[int, TaskEnvironment] = {}
    stack = list(start.depends_on)
    while stack:
        one = stack.pop()
        if id(one) not in met:
            met[id(one)] = one
            stack += one.depends_on
    return list(met.values())


def follows(known: dict[str, TaskEnvironment]) -> None:
    in_force = {name: Node(name) for name in NAMES}
    for name, node in in_force.items():
        node.depends_on = [in_force[each.name] for each in known[name].depends_on]
    if is_acyclic(list(in_force.values())):
        plan = waves(known.values(), known)
        assert [[each.name for each in wave] for wave in plan] == [
            [each.name for each in wave] for wave in waves(in_force.values())
        ]
        assert all(each is known[each.name] for wave in plan for each in wave)
    else:
        with pytest.raises(CycleError) as caught:
            waves(known.values(), known)
        assert all(": " in line for line in caught.value.evidence), "each edge has its reason"
