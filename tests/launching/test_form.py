"""A form as a whole: what lacks, what changes under it, and recorded runs open to change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.errors import InputError, NotFoundError
from flyte_jupyter.launching.fields import Kind
from flyte_jupyter.launching.form import LaunchForm
from flyte_jupyter.session.rerun import recorded

Forms = Callable[..., LaunchForm]


def test_an_input_that_lacks_is_said_as_the_call_says_it(form_of: Forms) -> None:
    form = form_of("x: int, y: str, z: int = 0")
    (problem,) = form.problems()
    assert (problem.key, problem.sentence) == ("x", "train() is missing the inputs x and y.")
    form.fill("x", "1")
    (problem,) = form.problems()
    assert (problem.key, problem.sentence) == ("y", "train() is missing the input y.")
    form.fill("y", "")
    assert form.problems() == []


def test_what_is_given_stands_in_the_form(form_of: Forms) -> None:
    form = form_of("x: int, items: list[int] = [], z: int = 0", args=(7,), kwargs={"items": [1]})
    assert [form.text(each) for each in form.fields] == ["7", "[1]", "0"]
    assert form.code() == "flyte.run(train, x=7, items=[1])"
    form.fill("x", "8")
    assert form.launch().result() == {"x": 8, "items": [1], "z": 0}


def test_what_does_not_fit_is_not_given(form_of: Forms) -> None:
    with pytest.raises(InputError, match=r"train\(\) has no input 'rowz'; did you mean 'rows'"):
        form_of("rows: int", kwargs={"rowz": 1})


def test_every_change_is_told(form_of: Forms) -> None:
    form, told = form_of("x: int"), []
    form.on_change(lambda: told.append(len(form.problems())))
    form.fill("x", "a")
    form.fill("x", "1")
    form.say("cpu", "lots")
    form.leave("x")
    assert told == [1, 0, 1, 2]


def test_a_form_follows_its_task(cell: Any) -> None:
    book = cell("""
        @env.task
        def train(x: int) -> int:
            return x
    """)
    form = LaunchForm(book.train, vars(book))
    form.fill("x", "3")
    cell("""
        @env.task
        def train(x: str, y: int = 2) -> str:
            return x * y
    """)
    assert [each.key for each in form.fields] == ["x", "y"]
    assert form.launch().result() == "33"


def test_a_variable_is_taken_as_it_is_when_the_run_starts(cell: Any) -> None:
    book = cell("""
        @env.task
        def size(items: list[int]) -> int:
            return len(items)

        items = [1]
    """)
    form = LaunchForm(book.size, vars(book))
    form.fill("items", "{items}")
    assert form.problems() == []
    book.items.append(2)
    assert form.launch().result() == 2
    book.items.append("three")
    with pytest.raises(InputError, match=r"its item \[2\] is str instead of int"):
        form.launch()


def test_threads_fill_a_form_in_turn(form_of: Forms) -> None:
    form = form_of(", ".join(f"x{number}: int = -1" for number in range(8)))
    form.on_change(form.problems)

    def fill(number: int) -> None:
        for text in map(str, range(30)):
            form.fill(f"x{number}", text)

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert form.launch().result() == {f"x{number}": 29 for number in range(8)}


def test_what_would_happen_is_explained(form_of: Forms) -> None:
    form = form_of("x: int = 1")
    form.say("memory", "999Ti")
    page = str(form.explanation())
    assert "env.train" in page
    assert "memory" in page.split("wrong")[1]


# recorded runs


def test_a_recorded_run_stands_in_its_form(form_of: Forms) -> None:
    first = form_of("x: int, name: str = 'a', scale: float = 1.0")
    first.fill("x", "3")
    first.fill("name", "b c")
    for name, text in {"task_queue": "slow", "cpu": "1", "env_vars": "A=1", "label": "k=v"}.items():
        first.say(name, text)
    run = first.launch().wait()
    form = LaunchForm(None, first._notebook, recorded(run))
    assert form.problems() == []
    assert [form.text(each) for each in form.fields] == ["3", "b c", "1.0"]
    said = {one.name: form.settings.text(one) for one in _said(form)}
    assert said == {
        "on": "local",
        "task_queue": "slow",
        "cpu": "1",
        "env_vars": "A=1",
        "label": "k=v",
    }
    form.fill("x", "4")
    again = form.launch()
    assert again.result() == {"x": 4, "name": "b c", "scale": 1.0}
    assert recorded(again).labels == {"k": "v"}
    assert recorded(again).layer["queue"] == "slow"


def test_what_is_said_anew_replaces_what_was_recorded(form_of: Forms) -> None:
    first = form_of("x: int = 1")
    for name, text in {"env_vars": "A=1 B=2", "label": "k=v l=w", "retries": "2"}.items():
        first.say(name, text)
    form = LaunchForm(None, first._notebook, recorded(first.launch().wait()))
    form.say("env_vars", "A=3")
    form.say("label", "k=v")
    run = recorded(form.launch().wait())
    assert dict(run.layer["env_vars"]) == {"A": "3"}
    assert run.labels == {"k": "v"}
    assert run.layer["retries"].count == 2
    again = recorded(eval(form.code(), dict(form._notebook)).wait())
    assert (again.layer, again.labels) == (run.layer, run.labels)


def test_an_unknown_option_is_refused(form_of: Forms) -> None:
    with pytest.raises(InputError, match="A run has no option 'qeue'; did you mean 'queue'"):
        form_of("x: int").say("qeue", "a")
    form = form_of("x: int = 1")
    form.say("queue", "a")
    form.say("target", "local")
    assert form.magic() == "%flyte_run --on local --task-queue a train()"


def _said(form: LaunchForm) -> list[Any]:
    from flyte_jupyter.launching.settings import SETTINGS

    return [one for one in SETTINGS if form.settings.text(one)]


def test_a_value_that_no_text_means_stays_as_it_was_recorded(form_of: Forms) -> None:
    first = form_of("array: np.ndarray, x: int = 1", "array = np.arange(4)\nother = np.arange(2)")
    first.fill("array", "array")
    run = first.launch().wait()
    form = LaunchForm(None, first._notebook, recorded(run))
    assert form.fields[0].kind is Kind.VARIABLE
    assert form.code() == f"flyte.rerun({run.name!r})"
    assert form.launch().result()["array"].tolist() == [0, 1, 2, 3]
    form.fill("array", "other")
    assert form.code() == f"flyte.rerun({run.name!r}, array=other)"
    assert form.launch().result()["array"].tolist() == [0, 1]


def test_a_recorded_record_is_open_field_by_field(form_of: Forms) -> None:
    point = "@dataclass\nclass Point:\n    x: int\n    y: int = 0\n"
    first = form_of("point: Point", point)
    first.fill("point.x", "1")
    form = LaunchForm(None, first._notebook, recorded(first.launch().wait()))
    form.fill("point.y", "5")
    assert repr(form.launch().result()["point"]) == "Point(x=1, y=5)"


def test_an_input_that_is_gone_is_told_and_left_out(cell: Any) -> None:
    book = cell("""
        @env.task
        def train(rows: int, rate: float = 0.1) -> float:
            return rows * rate
    """)
    run = flyte.run(book.train, 3, rate=0.5).wait()
    cell("""
        @env.task
        def train(rows: int, ratio: float = 2.0) -> float:
            return rows * ratio
    """)
    form = LaunchForm(None, vars(book), recorded(run))
    assert form.notes == [
        f"{run.name} was given 'rate', which train() does not take any more; did you mean 'ratio'?"
    ]
    assert form.launch().result() == 6.0


def test_a_run_whose_task_is_not_declared_says_what_to_do(cell: Any) -> None:
    from flyte_jupyter import catalog

    book = cell("""
        @env.task
        def train() -> int:
            return 1
    """)
    run = flyte.run(book.train).wait()
    catalog.current().forget("env.train")
    with pytest.raises(NotFoundError) as caught:
        LaunchForm(None, vars(book), recorded(run))
    assert caught.value.remedy == "Run the cell that declares it; then it can be run again."


def test_a_deployed_task_has_a_form_and_can_be_run_again(cell: Any) -> None:
    book = cell(
        """
        ml = flyte.TaskEnvironment(name="ml")

        @ml.task
        def train(rows: list[int], rate: float = 0.5, mode: Literal["a", "b"] = "a") -> float:
            return sum(rows) * rate
    """.replace("        ml =", "        from typing import Literal\n        ml =", 1)
    )
    flyte.deploy(book.ml)
    task = flyte.reference_task("ml.train")
    form = LaunchForm(task, {"task": task, "flyte": flyte})
    assert [(each.kind, each.type) for each in form.fields] == [
        (Kind.LITERAL, "list[int]"),
        (Kind.NUMBER, "float"),
        (Kind.CHOICE, "Literal['a', 'b']"),
    ]
    form.fill("rows", "[1, 'b']")
    (problem,) = form.problems()
    assert problem.sentence.startswith(
        "Input 'rows' of train() must be list[int], but its item [1]"
    )
    form.fill("rows", "[1, 2]")
    assert form.code() == "flyte.run(task, rows=[1, 2])"
    form.say("task_queue", "slow")
    run = form.launch()
    assert run.result() == 1.5
    again = LaunchForm(None, {"flyte": flyte}, recorded(run))
    again.fill("rate", "2")
    assert again.code() == f"flyte.rerun({run.name!r}, rate=2.0)"
    assert again.launch().result() == 6.0
    assert flyte.rerun(run, rows=[4]).result() == 2.0
