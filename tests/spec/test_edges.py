"""Edges: each dependency knows how and where it was said, in a cell by the cell's number."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flyte_jupyter.errors import CycleError
from flyte_jupyter.spec import TaskEnvironment, listeners
from flyte_jupyter.spec.graph import waves
from flyte_jupyter.spec.origin import Origin, number_cells_by


def reasons(environment: TaskEnvironment) -> dict[str, str]:
    return {name: str(edge) for name, edge in environment.edges.items()}


@pytest.fixture
def run() -> Iterator[Callable[[str], dict[str, Any]]]:
    """Executes a source as a cell, under the next number, and returns its names."""
    numbers: dict[str, int] = {}
    names: dict[str, Any] = {"TaskEnvironment": TaskEnvironment, "__name__": "__main__"}

    def execute(source: str) -> dict[str, Any]:
        # a kernel makes the name of the source alone
        file = f"/tmp/ipykernel_7/{abs(hash(source))}.py"
        numbers[file] = max(numbers.values(), default=0) + 1
        exec(compile(source, file, "exec"), names)
        return names

    stop = number_cells_by(numbers.get)
    yield execute
    stop()


@pytest.fixture
def in_force(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, TaskEnvironment]]:
    """Name to the last declaration, as a session keeps them."""
    last: dict[str, TaskEnvironment] = {}
    monkeypatch.setattr(listeners, "_look_up", last.get)
    leave = listeners.on_environment(lambda each: last.update({each.name: each}))
    yield last
    leave()


def test_an_edge_says_how_and_where(run: Callable[[str], dict[str, Any]]) -> None:
    run("base = TaskEnvironment('edge-base')\nml = TaskEnvironment('edge-ml')")
    run("api = TaskEnvironment(\n    'edge-api',\n    depends_on=[base],\n)")
    names = run("\napi.add_dependency(ml, base)")
    assert reasons(names["api"]) == {
        "edge-base": "depends_on in cell 2, line 1",
        "edge-ml": "add_dependency in cell 3, line 2",
    }
    assert list(names["api"].edges) == [each.name for each in names["api"].depends_on]
    assert names["base"].edges == {}


def test_edges_are_read_only() -> None:
    with pytest.raises(TypeError):
        TaskEnvironment("edge-fixed").edges["a"] = None  # type: ignore[index]


def test_a_clone_keeps_the_reasons_of_its_template(run: Callable[[str], dict[str, Any]]) -> None:
    run("base = TaskEnvironment('edge-base')")
    run("template = TaskEnvironment('edge-template', depends_on=[base])")
    names = run("heir = template.clone_with('edge-heir')")
    assert reasons(names["heir"]) == {"edge-base": "depends_on in cell 2, line 1"}


def test_a_clone_that_is_given_dependencies_says_where(
    run: Callable[[str], dict[str, Any]],
) -> None:
    run("template = TaskEnvironment('edge-template')")
    names = run("heir = template.clone_with('edge-heir', depends_on=[template])")
    assert reasons(names["heir"]) == {"edge-template": "depends_on in cell 2, line 1"}


def test_a_clone_of_what_knows_no_reasons_gives_its_own() -> None:
    base = TaskEnvironment("edge-base")
    template = TaskEnvironment("edge-template", depends_on=[base])
    thawed = pickle.loads(pickle.dumps(template))
    assert thawed == template
    assert thawed.edges == {}
    heir = thawed.clone_with("edge-heir")
    assert reasons(heir) == {"edge-base": f"clone_with in {heir.origin.label}"}


def test_the_first_reason_stays() -> None:
    old = TaskEnvironment("edge-base")
    api = TaskEnvironment("edge-api", depends_on=[old])
    before = dict(api.edges)
    new = TaskEnvironment("edge-base", cache="auto")
    api.add_dependency(new)
    assert api.edges == before
    assert api.depends_on == (new,)


def test_reasons_make_no_difference_between_environments() -> None:
    base = TaskEnvironment("edge-base")
    one, other = TaskEnvironment("edge-api", depends_on=[base]), TaskEnvironment("edge-api")
    assert one != other
    other.add_dependency(base)
    assert one == other
    assert copy.copy(one).edges is not None


def test_a_refused_dependency_leaves_no_reason() -> None:
    base = TaskEnvironment("edge-base")
    other = TaskEnvironment("edge-other")
    api = TaskEnvironment("edge-api", depends_on=[base])
    with pytest.raises(CycleError):
        base.add_dependency(other, api)
    assert base.edges == {}
    assert base.depends_on == ()


def test_a_constructor_that_closes_a_circle_is_refused(
    run: Callable[[str], dict[str, Any]],
) -> None:
    run("ml = TaskEnvironment('edge-ml')")
    run("api = TaskEnvironment('edge-api', depends_on=[ml])")
    with pytest.raises(CycleError) as caught:
        run("ml = TaskEnvironment('edge-ml', depends_on=[api])")
    assert str(caught.value) == (
        "depends_on would close a circle: edge-ml → edge-api → edge-ml; "
        "remove one of these dependencies.\n"
        "  edge-ml depends on edge-api: depends_on in cell 3, line 1\n"
        "  edge-api depends on edge-ml: depends_on in cell 2, line 1"
    )


def test_a_cell_that_is_run_again_cannot_close_a_circle(
    run: Callable[[str], dict[str, Any]],
) -> None:
    first = "ml = TaskEnvironment('edge-ml')\nif 'api' in globals(): ml.add_dependency(api)"
    run(first)
    run("api = TaskEnvironment('edge-api', depends_on=[ml])")
    with pytest.raises(CycleError) as caught:
        run(first)
    assert caught.value.evidence == (
        "edge-ml depends on edge-api: add_dependency in cell 3, line 2",
        "edge-api depends on edge-ml: depends_on in cell 2, line 1",
    )


def test_a_circle_that_redeclarations_closed_is_named_at_plan_time(
    run: Callable[[str], dict[str, Any]],
) -> None:
    run("base = TaskEnvironment('edge-base')")
    names = run("ml = TaskEnvironment('edge-ml', depends_on=[base])")
    ml = names["ml"]
    run("top = TaskEnvironment('edge-top')")
    run("base = TaskEnvironment('edge-base', depends_on=[top])")
    # the declaration of ml still means the base of the first cell, which depends on nothing
    names = run("top.add_dependency(ml)")
    current = {each.name: each for each in (names["base"], ml, names["top"])}
    with pytest.raises(CycleError) as caught:
        waves([ml], current)
    assert caught.value.sentence == (
        "depends_on would close a circle: edge-ml → edge-base → edge-top → edge-ml; "
        "remove one of these dependencies."
    )
    assert caught.value.evidence == (
        "edge-ml depends on edge-base: depends_on in cell 2, line 1",
        "edge-base depends on edge-top: depends_on in cell 4, line 1",
        "edge-top depends on edge-ml: add_dependency in cell 5, line 1",
    )


def test_a_declaration_that_is_no_longer_in_force_closes_no_circle(
    run: Callable[[str], dict[str, Any]], in_force: dict[str, TaskEnvironment]
) -> None:
    run("base = TaskEnvironment('edge-base')")
    run("ml = TaskEnvironment('edge-ml', depends_on=[base])")
    run("api = TaskEnvironment('edge-api', depends_on=[ml])")
    run("ml = TaskEnvironment('edge-ml')")
    names = run("base = TaskEnvironment('edge-base', depends_on=[api])")
    assert names["api"].depends_on[0] is names["ml"]
    assert [[each.name for each in wave] for wave in waves([names["base"]])] == [
        ["edge-ml"],
        ["edge-api"],
        ["edge-base"],
    ]
    with pytest.raises(CycleError) as caught:
        run("ml.add_dependency(base)")
    assert caught.value.evidence == (
        "edge-ml depends on edge-base: add_dependency in cell 6, line 1",
        "edge-base depends on edge-api: depends_on in cell 5, line 1",
        "edge-api depends on edge-ml: depends_on in cell 3, line 1",
    )


def test_a_declaration_of_another_module_takes_the_place_of_none(
    run: Callable[[str], dict[str, Any]], in_force: dict[str, TaskEnvironment]
) -> None:
    run("base = TaskEnvironment('edge-base')")
    run("ml = TaskEnvironment('edge-ml', depends_on=[base])")
    names = run("api = TaskEnvironment('edge-api', depends_on=[ml])")
    TaskEnvironment("edge-ml")
    with pytest.raises(CycleError):
        run("base = TaskEnvironment('edge-base', depends_on=[api])")
    assert names["api"].depends_on[0] is names["ml"]


def test_a_long_circle_is_named_at_both_ends() -> None:
    first = below = TaskEnvironment("edge-0")
    for index in range(1, 100):
        below = TaskEnvironment(f"edge-{index}", depends_on=[below])
    with pytest.raises(CycleError) as caught:
        first.add_dependency(below)
    assert "edge-0 → edge-99 → edge-98" in caught.value.sentence
    assert "edge-95 → … → edge-5" in caught.value.sentence
    assert "edge-1 → edge-0; remove" in caught.value.sentence
    assert len(caught.value.evidence) == 13
    assert caught.value.evidence[6] == "… and 88 more"


# Cells and their numbers


def test_a_number_is_that_of_the_execution_that_declared(
    run: Callable[[str], dict[str, Any]],
) -> None:
    again = "made = [*globals().get('made', []), TaskEnvironment('edge-again')]"
    run(again)
    names = run(again)
    assert [each.origin.label for each in names["made"]] == ["cell 1, line 1", "cell 2, line 1"]


def test_a_task_knows_the_number_of_its_cell(run: Callable[[str], dict[str, Any]]) -> None:
    run("env = TaskEnvironment('edge-env')")
    names = run("@env.task\ndef work(): ...")
    assert names["work"].origin.label == "cell 2, line 1"
    assert names["work"].override(queue="q").origin.label == "cell 2, line 1"


def test_who_numbers_cells_last_counts_until_it_stops() -> None:
    def label() -> str:
        names: dict[str, Any] = {"TaskEnvironment": TaskEnvironment, "__name__": "__main__"}
        exec(compile("env = TaskEnvironment('edge-env')", "<cell>", "exec"), names)
        return str(names["env"].origin.label)

    stop_first = number_cells_by(lambda file: 1)
    stop_second = number_cells_by(lambda file: 2)
    stop_first()
    assert label() == "cell 2, line 1"
    stop_second()
    stop_second()
    assert label() == "a cell, line 1"


@pytest.mark.parametrize(
    ("origin", "label"),
    [
        (Origin("/home/me/tasks.py", 12), "tasks.py:12"),
        (Origin("/tmp/ipykernel_7/12.py", 3), "a cell, line 3"),
        (Origin("/tmp/ipykernel_7/12.py", 3, cell=7), "cell 7, line 3"),
        (Origin("<story.ipynb, cell 3>", 2), "story.ipynb, cell 3, line 2"),
        (Origin("<timed exec>", 2), "a cell, line 2"),
    ],
)
def test_a_label_says_the_place_in_few_words(origin: Origin, label: str) -> None:
    assert origin.label == label
    assert pickle.loads(pickle.dumps(origin)) == origin
