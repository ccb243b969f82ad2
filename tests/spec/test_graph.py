"""The graph of ``depends_on``: waves, circles, and linear walks."""

from __future__ import annotations

import pytest

from flyte_jupyter.errors import CycleError, DuplicateNameError
from flyte_jupyter.spec import TaskEnvironment, ranks
from flyte_jupyter.spec.edges import Edge
from flyte_jupyter.spec.graph import closure, path_to, waves
from flyte_jupyter.spec.origin import Origin


class Node:
    """A node whose edges can be laid freely, as a notebook's redeclared names can."""

    def __init__(self, name: str, *depends_on: Node) -> None:
        self.name = name
        self.depends_on = list(depends_on)
        self.edges: dict[str, Edge] = {}
        self.origin = Origin("made.py", 1)


def names(plan: list[list[TaskEnvironment]]) -> list[list[str]]:
    return [[node.name for node in wave] for wave in plan]


def test_waves_go_from_the_base_upwards() -> None:
    base = TaskEnvironment("base")
    ml = TaskEnvironment("ml", depends_on=[base])
    api = TaskEnvironment("api", depends_on=[ml])
    viz = TaskEnvironment("viz", depends_on=[base])
    assert names(waves([api, viz])) == [["base"], ["viz", "ml"], ["api"]]


def test_a_closure_has_each_environment_once() -> None:
    base = TaskEnvironment("base")
    left = TaskEnvironment("left", depends_on=[base])
    right = TaskEnvironment("right", depends_on=[base])
    top = TaskEnvironment("top", depends_on=[left, right])
    assert [node.name for node in closure([top, base])] == ["top", "base", "left", "right"]


def test_a_name_declared_again_is_followed_where_the_current_one_is_known() -> None:
    old = TaskEnvironment("again-base")
    new = TaskEnvironment("again-base", cache="auto")
    api = TaskEnvironment("again-api", depends_on=[old])
    assert closure([api], {"again-base": new}) == [api, new]
    with pytest.raises(DuplicateNameError) as caught:
        closure([api, new])
    assert str(caught.value) == (
        "two different environments are named 'again-base'; rename one of them.\n"
        f"  declared in {new.origin.label}\n"
        f"  declared in {old.origin.label}"
    )


def test_equal_declarations_of_one_name_are_one() -> None:
    old, new = TaskEnvironment("twin"), TaskEnvironment("twin")
    assert len(closure([old, new])) == 1


def test_two_differing_environments_below_equal_ones_are_found() -> None:
    bases = [TaskEnvironment("twin-base", cache=cache) for cache in (None, "auto")]
    twins = [TaskEnvironment("twin-ml", depends_on=[base]) for base in bases]
    assert twins[0] == twins[1]
    with pytest.raises(DuplicateNameError, match="'twin-base'"):
        closure(twins)


def test_a_circle_is_found_below_a_name_that_once_stood_higher() -> None:
    """What is depended on again from lower down is looked for there, too."""
    below = TaskEnvironment("lower-0")
    for index in range(1, 5):
        below = TaskEnvironment(f"lower-{index}", depends_on=[below])
    high = TaskEnvironment("lower", depends_on=[below])
    TaskEnvironment("lower-user", depends_on=[high])
    low = TaskEnvironment("lower")
    user = TaskEnvironment("lower-other", depends_on=[low])
    with pytest.raises(CycleError, match="lower → lower-other → lower"):
        TaskEnvironment("lower", depends_on=[user])


def test_a_path_may_lead_over_the_later_of_two_declarations() -> None:
    end = TaskEnvironment("later-end")
    older = TaskEnvironment("later")
    over = TaskEnvironment("later-over", depends_on=[TaskEnvironment("later", depends_on=[end])])
    start = TaskEnvironment("later-start", depends_on=[older, over])
    assert path_to("later-end", start) == ["later-start", "later-over", "later", "later-end"]
    with pytest.raises(CycleError):
        end.add_dependency(start)


def test_declaring_a_graph_again_walks_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "_least", {})
    monkeypatch.setattr(ranks, "_raised_to", -1)
    looked: list[str] = []
    plain = TaskEnvironment.depends_on.fget
    assert plain is not None

    def depends_on(environment: TaskEnvironment) -> tuple[TaskEnvironment, ...]:
        looked.append(environment.name)
        return plain(environment)  # type: ignore[no-any-return]

    def declare() -> None:
        layer: list[TaskEnvironment] = []
        for level in range(100):
            layer = [TaskEnvironment(f"walked-{level}-{side}", depends_on=layer) for side in "abc"]
        last = layer[0]
        for index in range(100):
            added = TaskEnvironment(f"walked-added-{index}")
            added.add_dependency(last)
            last = added

    declare()
    monkeypatch.setattr(TaskEnvironment, "depends_on", property(depends_on))
    declare()
    # each is asked for its own dependencies alone: where it is declared and where one is added
    assert len(looked) == 300 + 2 * 100


def test_a_circle_in_a_plan_is_named_as_its_path() -> None:
    a, b, c = Node("a"), Node("b"), Node("c")
    a.depends_on, b.depends_on, c.depends_on = [b], [c], [b]
    with pytest.raises(CycleError) as caught:
        waves([a])
    assert str(caught.value) == (
        "depends_on would close a circle: b → c → b; remove one of these dependencies.\n"
        "  b depends on c\n"
        "  c depends on b"
    )


def test_a_deep_chain_needs_no_recursion() -> None:
    below = TaskEnvironment("deep-0")
    for index in range(1, 5000):
        below = TaskEnvironment(f"deep-{index}", depends_on=[below])
    assert len(waves([below])) == 5000


def test_a_wide_diamond_is_walked_once() -> None:
    layer = [TaskEnvironment("wide-0-a"), TaskEnvironment("wide-0-b")]
    for index in range(1, 40):
        layer = [TaskEnvironment(f"wide-{index}-{side}", depends_on=layer) for side in "ab"]
    assert len(closure(layer)) == 80
