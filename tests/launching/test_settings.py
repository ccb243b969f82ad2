"""What is said of a run in a form is what the options of ``%flyte_run`` say, and no less."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flyte_jupyter.errors import FlyteError
from flyte_jupyter.launching.form import LaunchForm
from flyte_jupyter.launching.settings import SETTINGS
from flyte_jupyter.notebook.options import RUN_OPTIONS, Kind

Forms = Callable[..., LaunchForm]


def test_a_form_takes_what_a_run_takes() -> None:
    options = {option.dest: option for option in RUN_OPTIONS if option.dest != "wait"}
    assert {setting.name for setting in SETTINGS} == set(options)
    for setting in SETTINGS:
        option = options[setting.name]
        assert setting.flag == option.flags[0]
        assert setting.many == (option.kind is Kind.EACH)
        assert setting.switch == (option.kind is Kind.SWITCH)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("on", "dcker", "There is no target 'dcker'; did you mean 'docker'?"),
        ("task_queue", "no queue", "queue='no queue' is no name"),
        ("cpu", "lots", "cpu='lots' is not an amount of CPU"),
        ("cpu", "4,2", "cpu=('4', '2') has a limit below its request"),
        ("memory", "4", "memory='4'"),
        ("gpu", "A1000", "gpu='A1000'"),
        ("accelerator", "NVIDIA_A11", "accelerator='NVIDIA_A11'"),
        ("cache", "sometimes", "cache='sometimes'"),
        ("retries", "many", "--retries takes a whole number, not 'many'"),
        ("timeout", "soon", "--timeout takes a time such as 90, 90s, 10m or 1h30m, not 'soon'"),
        ("env_vars", "B", "--env-vars takes KEY=VALUE, but 'B' was given"),
        ("label", "b", "--label takes KEY=VALUE, but 'b' was given"),
        ("interruptible", "perhaps", "interruptible='perhaps' is a str; give True or False."),
        ("service_account", "Me!", "service_account='Me!' is no name of Kubernetes"),
        ("max_inline_io_bytes", "much", "max_inline_io_bytes='much'"),
    ],
)
def test_a_bad_value_is_refused_in_its_field(
    form_of: Forms, name: str, text: str, sentence: str
) -> None:
    form = form_of("x: int = 1")
    form.say(name, text)
    (problem,) = form.problems()
    assert problem.key == next(each.flag for each in SETTINGS if each.name == name)
    assert problem.sentence.startswith(sentence)
    with pytest.raises(FlyteError):
        form.launch()


def test_what_contradicts_itself_is_refused(form_of: Forms) -> None:
    form = form_of("x: int = 1")
    form.say("gpu", "T4:1")
    form.say("accelerator", "NVIDIA_A10G")
    (problem,) = form.problems()
    assert "name two types of accelerator; give one." in problem.sentence


def test_what_holds_without_a_word_is_told(cell: Callable[[str], object]) -> None:
    book: object = cell("""
        env = flyte.TaskEnvironment("env", resources=flyte.Resources(cpu=(1, 2)), queue="q")

        @env.task(retries=2)
        def train() -> int:
            return 1
    """)
    form = LaunchForm(book.train, vars(book))  # type: ignore[attr-defined]
    told = {each.name: form.inherited(each) for each in SETTINGS if form.inherited(each)}
    assert told == {
        "on": "local",
        "task_queue": "q (environment)",
        "cpu": "1,2 (environment)",
        "retries": "2 (task)",
    }


def test_an_empty_text_says_nothing(form_of: Forms) -> None:
    form = form_of("x: int = 1")
    form.say("cpu", "2")
    form.say("cpu", " ")
    assert form.code() == "flyte.run(train)"
