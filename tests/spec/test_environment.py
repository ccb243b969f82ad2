"""Environments: values with a name, that can be cloned, compared and depended on."""

from __future__ import annotations

import copy
import linecache
import pickle

import pytest

from flyte_jupyter.errors import CycleError
from flyte_jupyter.spec import Cache, GPUAccelerator, Resources, ReusePolicy, Task, TaskEnvironment
from flyte_jupyter.spec.listeners import on_environment, on_task

FULL = TaskEnvironment(
    "full",
    image="python:3.12",
    resources=Resources(cpu=2, memory="4Gi", gpu="T4:2"),
    env_vars={"A": "1"},
    secrets="key",
    depends_on=[TaskEnvironment("below")],
    description="everything",
    cache="auto",
    reusable=ReusePolicy(),
    queue="q",
    interruptible=True,
    target="docker",
    include=["data.csv"],
    pod_template="pod",
    service_account="me",
    max_inline_io_bytes=1,
    network=False,
)


def test_equal_environments_are_equal_and_hashable() -> None:
    one, other = (TaskEnvironment("same", cache="auto", env_vars={"A": "1"}) for _ in range(2))
    assert one == other
    assert len({one, other}) == 1
    assert one != TaskEnvironment("same", cache="auto")
    assert one != TaskEnvironment("other", cache="auto", env_vars={"A": "1"})


def test_tasks_make_no_difference_between_environments() -> None:
    one, other = TaskEnvironment("same"), TaskEnvironment("same")
    one.task(linecache.getline)
    assert one == other


def test_a_clone_takes_every_field_from_the_original() -> None:
    clone = FULL.clone_with("copy")
    assert clone.name == "copy"
    assert clone.settings == FULL.settings
    assert clone.depends_on == FULL.depends_on
    assert not clone.tasks


@pytest.mark.parametrize("field", sorted(FULL.given))
def test_a_clone_can_clear_every_field(field: str) -> None:
    clone = FULL.clone_with("copy", **{field: None})
    assert getattr(clone.settings, field) == getattr(TaskEnvironment("plain").settings, field)
    others = FULL.given - {field}
    assert all(getattr(clone.settings, o) == getattr(FULL.settings, o) for o in others)


def test_a_clone_can_clear_its_dependencies() -> None:
    assert FULL.clone_with("copy", depends_on=None).depends_on == ()


def test_a_clone_replaces_what_it_is_given() -> None:
    clone = FULL.clone_with("copy", resources=Resources(cpu=8), env_vars={"B": "2"}, cache=False)
    assert clone.resources == Resources(cpu=8)
    assert clone.env_vars == {"B": "2"}
    assert clone.cache == Cache("disable")


def test_a_clone_with_another_accelerator_keeps_the_other_resources() -> None:
    clone = FULL.clone_with("copy", accelerator=GPUAccelerator.NVIDIA_L4)
    assert clone.resources == Resources(cpu=2, memory="4Gi", gpu="L4:2")


def test_dependencies_of_a_clone_are_its_own() -> None:
    base = TaskEnvironment("base")
    clone = base.clone_with("copy")
    clone.add_dependency(base)
    assert base.depends_on == ()


def test_a_dependency_is_kept_once() -> None:
    base, api = TaskEnvironment("once-base"), TaskEnvironment("once-api")
    api.add_dependency(base, base)
    api.add_dependency(base)
    assert api.depends_on == (base,)


def test_a_dependency_that_is_declared_again_takes_the_place_of_the_old_one() -> None:
    old, new = TaskEnvironment("redone"), TaskEnvironment("redone", cache="auto")
    api = TaskEnvironment("redoer", depends_on=[old])
    api.add_dependency(new)
    assert [environment is new for environment in api.depends_on] == [True]


def test_a_circle_through_a_declaration_made_again_is_found() -> None:
    old = TaskEnvironment("again")
    user = TaskEnvironment("again-user", depends_on=[old])
    with pytest.raises(CycleError, match="again → again-user → again"):
        TaskEnvironment("again", depends_on=[user])


def test_an_environment_does_not_change() -> None:
    with pytest.raises(AttributeError) as caught:
        FULL.resources = Resources(cpu=1)
    assert str(caught.value) == (
        "environment 'full' does not change; make another with clone_with('full', resources=...), "
        "or declare it again."
    )


def test_an_attribute_that_is_not_there_is_answered_with_what_is() -> None:
    with pytest.raises(AttributeError, match="did you mean 'resources'"):
        _ = FULL.resorces


def test_the_fields_of_the_settings_are_attributes() -> None:
    assert FULL.queue == "q"
    assert FULL.resources is FULL.settings.resources
    assert "resources" in dir(FULL)


def test_the_variable_of_a_name_with_dashes_has_underscores() -> None:
    assert TaskEnvironment("ml-training").variable_name == "ml_training"
    assert TaskEnvironment("3d-model").variable_name == "_3d_model"
    assert TaskEnvironment("class").variable_name == "class_"


def test_listeners_hear_of_declarations_until_they_leave() -> None:
    heard: list[str] = []
    leave = [
        on_environment(lambda environment: heard.append(environment.name)),
        on_task(lambda task: heard.append(task.name)),
    ]
    env = TaskEnvironment("heard")

    @env.task
    def work() -> None: ...

    work.override(queue="q")
    env.clone_with("heard-copy")
    for stop in leave:
        stop()
        stop()
    TaskEnvironment("unheard")
    assert heard == ["heard", "heard.work", "heard-copy"]


def test_an_environment_knows_file_and_line_of_its_declaration() -> None:
    env = TaskEnvironment("placed")
    assert env.origin.file == __file__
    assert "placed" in linecache.getline(__file__, env.origin.line)
    assert env.origin.label == f"test_environment.py:{env.origin.line}"
    assert env.clone_with("elsewhere").origin.line > env.origin.line


def test_a_declaration_in_a_cell_is_labelled_as_one() -> None:
    scope = {"TaskEnvironment": TaskEnvironment, "__name__": "__main__"}
    exec(compile("\nenv = TaskEnvironment('celled')", "/tmp/ipykernel_7/12.py", "exec"), scope)
    env = scope["env"]
    assert isinstance(env, TaskEnvironment)
    assert env.origin.label == "a cell, line 2"
    assert env.origin.is_cell


def test_a_pickled_environment_comes_back_equal_and_unannounced() -> None:
    heard: list[TaskEnvironment] = []
    leave = on_environment(heard.append)
    again = pickle.loads(pickle.dumps(FULL))
    leave()
    assert again == FULL
    assert again.given == FULL.given
    assert not heard
    assert copy.deepcopy(FULL) is FULL


def test_the_same_function_declared_again_replaces_the_task() -> None:
    env = TaskEnvironment("replacing")
    made: list[Task] = []
    for _ in range(2):

        @env.task
        def work() -> None: ...

        made.append(work)
    assert list(env.tasks.values()) == made[1:]


def test_an_environment_shows_what_it_was_given() -> None:
    env = TaskEnvironment("shown", resources=Resources(cpu=1), depends_on=[FULL])
    assert repr(env) == "TaskEnvironment('shown', resources=Resources(cpu=1), depends_on=[full])"
    html = TaskEnvironment("html", env_vars={"A": "<b>"})._repr_html_()
    assert "<b>html" not in html
    assert "A=&lt;b&gt;" in html
