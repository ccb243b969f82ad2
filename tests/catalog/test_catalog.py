from collections.abc import Iterator

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.catalog import Catalog, Change
from flyte_jupyter.catalog.visits import Visits
from flyte_jupyter.errors import NotFoundError, SpecError
from flyte_jupyter.spec.listeners import on_environment, on_task
from flyte_jupyter.spec.settings import layer


@pytest.fixture
def visits() -> Visits:
    return Visits()


@pytest.fixture
def catalog(visits: Visits) -> Iterator[Catalog]:
    """A catalog of its own that hears of every declaration."""
    catalog = Catalog(visits)
    ends = on_environment(catalog.declare_environment), on_task(catalog.declare_task)
    yield catalog
    for end in ends:
        end()


def work() -> None: ...


def rest() -> None: ...


def test_the_last_declaration_of_a_name_holds(catalog: Catalog) -> None:
    flyte.TaskEnvironment("ml")
    last = flyte.TaskEnvironment("ml", resources=flyte.Resources(cpu=2))
    assert catalog.find_environment("ml") is last


def test_an_environment_is_found_by_the_name_of_its_variable(catalog: Catalog) -> None:
    environment = flyte.TaskEnvironment("ml-training")
    assert catalog.find_environment("ml_training") is environment


def test_a_task_follows_a_new_declaration_of_its_environment(catalog: Catalog) -> None:
    task = flyte.TaskEnvironment("ml", resources=flyte.Resources(cpu=1)).task(work)
    flyte.TaskEnvironment("ml", resources=flyte.Resources(cpu=2))
    assert catalog.resolve(task).settings.resources.cpu_request == 2000


def test_a_task_is_found_by_its_full_or_its_unambiguous_short_name(catalog: Catalog) -> None:
    first = flyte.TaskEnvironment("a").task(work)
    assert catalog.find_task("a.work") is first
    assert catalog.find_task("work") is first
    flyte.TaskEnvironment("b").task(work)
    with pytest.raises(NotFoundError, match=r"several tasks are named 'work': a.work, b.work"):
        catalog.find_task("work")


def test_a_name_that_is_not_there_gets_a_suggestion(catalog: Catalog) -> None:
    with pytest.raises(NotFoundError, match="no environment is named 'x'; no environment is decl"):
        catalog.find_environment("x")
    flyte.TaskEnvironment("training").task(work)
    with pytest.raises(NotFoundError, match="did you mean 'training'"):
        catalog.find_environment("trainig")
    with pytest.raises(NotFoundError, match="did you mean 'work'"):
        catalog.find_task("wrk")


def test_later_layers_win_and_are_named(catalog: Catalog) -> None:
    environment = flyte.TaskEnvironment(
        "ml", resources=flyte.Resources(cpu=1, memory="1Gi"), queue="q1", env_vars={"A": "1"}
    )
    task = environment.task(work, retries=1, queue="q2")
    catalog.set_override("ml", queue="q3", cpu=2)
    catalog.set_override("ml.work", retries=2)
    called = task.override(env_vars={"B": "2"}, cpu=3)
    resolved = catalog.resolve(called, layer({"memory": "4Gi"}, "run"))
    settings = resolved.settings
    assert settings.resources.cpu_request == 3000
    assert settings.resources.memory_request == 4 * 2**30
    assert (settings.queue, settings.retries.count) == ("q3", 2)
    assert dict(settings.env_vars) == {"A": "1", "B": "2"}
    assert {name: resolved.origin(name) for name in ("resources", "queue", "retries")} == {
        "resources": "run",
        "queue": "panel",
        "retries": "panel",
    }
    assert resolved.origin("env_vars") == "override"
    assert resolved.origin("image") == "default"


def test_what_a_run_says_of_resources_touches_its_root_alone(catalog: Catalog) -> None:
    task = flyte.TaskEnvironment("ml", resources=flyte.Resources(cpu=1)).task(work)
    said = layer({"cpu": 4, "queue": "gpus"}, "run")
    below = catalog.resolve(task, said, root=False)
    assert below.settings.resources.cpu_request == 1000
    assert below.settings.queue == "gpus"
    own = catalog.resolve(task.override(queue="mine"), said, root=False)
    assert own.settings.queue == "mine"
    assert catalog.resolve(task.override(queue="mine"), said).settings.queue == "gpus"


def test_an_override_can_be_seen_merged_and_taken_back(catalog: Catalog) -> None:
    task = flyte.TaskEnvironment("ml", resources=flyte.Resources(cpu=1)).task(work)
    catalog.set_override("ml", memory="1Gi")
    catalog.set_override("ml", cpu=2, queue="q")
    assert set(catalog.overrides["ml"]) == {"resources", "queue"}
    catalog.clear_override("ml", "queue")
    assert catalog.resolve(task).settings.queue is None
    assert catalog.resolve(task).settings.resources.memory_request == 2**30
    catalog.clear_override("ml")
    assert not catalog.overrides
    catalog.clear_override("ml")


def test_a_wrong_override_is_refused(catalog: Catalog) -> None:
    flyte.TaskEnvironment("ml")
    with pytest.raises(NotFoundError, match="no environment or task is named 'mll'; did you mean"):
        catalog.set_override("mll", cpu=2)
    with pytest.raises(SpecError, match="cpu='many'"):
        catalog.set_override("ml", cpu="many")
    assert not catalog.overrides


def test_changes_are_told_with_what_changed(catalog: Catalog) -> None:
    told: list[Change] = []
    end = catalog.on_change(told.append)
    environment = flyte.TaskEnvironment("ml")
    environment.task(work)
    catalog.set_override("ml", cpu=2)
    end()
    flyte.TaskEnvironment("other")
    assert told == [
        Change(environments=frozenset(["ml"])),
        Change(tasks=frozenset(["ml.work"])),
        Change(overrides=frozenset(["ml"])),
    ]


def test_a_held_cell_tells_its_changes_once_and_only_if_it_succeeds(
    catalog: Catalog, visits: Visits
) -> None:
    told: list[Change] = []
    catalog.on_change(told.append)
    for success in (False, True):
        visit = visits.begin("one")
        visits.hold(visit)
        flyte.TaskEnvironment("ml").task(work)
        assert told == []
        visits.end(visit, success=success)
        assert ("ml" in catalog.environments) is success
    assert told == [Change(frozenset(["ml"]), frozenset(["ml.work"]))]


def test_a_cell_that_is_run_again_drops_what_it_no_longer_declares(
    catalog: Catalog, visits: Visits
) -> None:
    def run(cell: str | None, *functions: object, name: str = "ml") -> None:
        visit = visits.begin(cell)
        environment = flyte.TaskEnvironment(name)
        for function in functions:
            environment.task(function)
        visits.end(visit, success=True)

    run("one", work, rest)
    run("one", work)
    assert list(catalog.tasks) == ["ml.work"]
    run(None, rest)
    run("one", work)
    assert sorted(catalog.tasks) == ["ml.rest", "ml.work"]
    run("one", name="other")
    assert sorted(catalog.environments) == ["ml", "other"], "ml.rest of another cell needs it"
    assert list(catalog.tasks) == ["ml.rest"]


def test_forgetting_an_environment_forgets_its_tasks(catalog: Catalog) -> None:
    flyte.TaskEnvironment("ml").task(work)
    catalog.forget("ml")
    assert not catalog.environments
    assert not catalog.tasks
    with pytest.raises(NotFoundError):
        catalog.forget("ml")


def test_every_change_has_a_generation(catalog: Catalog) -> None:
    before = catalog.generation
    flyte.TaskEnvironment("ml")
    assert catalog.generation > before


def test_it_can_be_imported_without_what_is_declared() -> None:
    import subprocess
    import sys

    code = (
        "import sys, flyte_jupyter.catalog; "
        "sys.exit(any(m.startswith('flyte_jupyter.spec') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_override_of_one_part_of_the_resources_is_taken_back_alone(catalog: Catalog) -> None:
    flyte.TaskEnvironment("ml")
    catalog.set_override("ml", cpu=2, memory="1Gi", queue="q")
    before = catalog.overrides["ml"]
    catalog.clear_override("ml", "memory")
    assert catalog.overrides["ml"] == {"resources": flyte.Resources(cpu=2), "queue": "q"}
    catalog.clear_override("ml", "cpu")
    assert catalog.overrides["ml"] == {"queue": "q"}
    # who reads a layer on another thread keeps what it has
    assert before["resources"] == flyte.Resources(cpu=2, memory="1Gi")


def test_an_override_is_told_while_a_cell_is_held(catalog: Catalog, visits: Visits) -> None:
    flyte.TaskEnvironment("ml")
    told: list[Change] = []
    catalog.on_change(told.append)
    visits.hold(visits.begin("cell"))
    catalog.set_override("ml", cpu=2)
    assert told == [Change(overrides=frozenset({"ml"}))]


def test_each_part_of_the_resources_has_an_origin_of_its_own(catalog: Catalog) -> None:
    environment = flyte.TaskEnvironment("ml", resources=flyte.Resources(cpu=1, memory="1Gi"))
    task = environment.task(work, resources=flyte.Resources(disk="1Gi"))
    catalog.set_override("ml.work", memory="2Gi")
    resolved = catalog.resolve(task, layer({"shm": "1Gi"}, "run"))
    parts = ("cpu", "disk", "memory", "shm", "gpu", "resources")
    assert [resolved.origin(part) for part in parts] == [
        "environment", "task", "panel", "run", "default", "run"
    ]  # fmt: skip
