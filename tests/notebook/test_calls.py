import pytest

from flyte_jupyter.notebook.calls import evaluate_call, split_trailing_options
from flyte_jupyter.notebook.usage import MagicUsageError


@pytest.fixture
def call(cell, shell, session_catalog):
    cell("%%flyte_env ml-training\ndef train(x=1, **more): ...\nasync def load(): ...\n")
    cell("%%flyte_env data\ndef clean(rows): ...\n")

    def evaluate(text: str, **variables: object):
        names = {**shell.user_ns, **variables}
        return evaluate_call(text, names, session_catalog.find_task, "flyte_run")

    return evaluate


def test_arguments_are_python(call) -> None:
    got = call('train(1 + 1, *[3], text="a b", **d)', d={"k": {"lr": 1}})
    assert got.task.name == "ml-training.train"
    assert got.args == (2, 3)
    assert got.keywords == {"text": "a b", "k": {"lr": 1}}


def test_lambdas_and_comprehensions_see_the_notebook(call) -> None:
    got = call("train([n * k for n in range(2)], f=lambda: k)", k=5)
    assert got.args == ([0, 5],)
    assert got.keywords["f"]() == 5


def test_a_task_alone_is_a_call_without_arguments(call) -> None:
    assert call("train").args == ()
    assert call("train").keywords == {}


def test_an_override_may_be_called_or_not(call) -> None:
    assert call("train.override(cpu=4)(x=2)").keywords == {"x": 2}
    alone = call("train.override(cpu=4)")
    assert alone.task.overrides["resources"].cpu_request == 4000
    assert alone.args == ()


def test_a_full_name_is_found_where_it_is_no_variable(call, shell) -> None:
    del shell.user_ns["clean"]
    assert call("clean(3)").args == (3,)
    assert call("data.clean(3)").task.name == "data.clean"
    assert call("ml-training.train(x=1)").task.name == "ml-training.train"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "%flyte_run needs a task"),
        ("trin()", "%flyte_run: no task is named 'trin'; did you mean 'train'?"),
        ("train(", "'train(' is no call of a task: '(' was never closed"),
        ("train(); 2", "'train(); 2' is no call of a task: invalid syntax"),
        ("print(1)", "print is a builtin_function_or_method, not a task"),
        ("n", "n is a int, not a task"),
        ("n + 1", "n + 1 is a int, not a task"),
    ],
)
def test_what_is_no_call_of_a_task_is_said(call, text: str, sentence: str) -> None:
    with pytest.raises(MagicUsageError) as caught:
        call(text, n=3)
    assert caught.value.sentence == sentence


def test_an_error_in_an_argument_is_the_users_own(call) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        call("train(1/0)")
    shown = "\n".join(caught.value._render_traceback_())
    assert "ZeroDivisionError: division by zero" in shown
    assert "train(1/0)" in shown
    assert "flyte_jupyter" not in shown


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("train(x=1) --cpu 2", ("train(x=1)", "--cpu 2")),
        ("train(x=1)", ("train(x=1)", "")),
        ('train("a --b") --on local', ('train("a --b")', "--on local")),
        ("train(1 --2)", ("train(1 --2)", "")),
    ],
)
def test_options_may_follow_the_call(text: str, parts: tuple[str, str]) -> None:
    assert split_trailing_options(text) == parts
