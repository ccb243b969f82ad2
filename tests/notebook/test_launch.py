"""``%flyte_launch``: a form over widgets without a browser, and as text where nobody watches."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from IPython.utils.capture import capture_output

import flyte_jupyter as flyte
from flyte_jupyter.errors import InputError, NotFoundError
from flyte_jupyter.notebook.usage import MagicUsageError

from .conftest import Kernel

DECLARE = """%%flyte_env maths --cpu 2
import dataclasses
import datetime
import pathlib
from typing import Annotated, Literal

from pydantic import Field

@dataclasses.dataclass
class Config:
    rate: float
    deep: bool = False

def scale(x: int, factor: float = 2.0, mode: Literal["up", "down"] = "up") -> float:
    "Scale a number."
    return x * factor if mode == "up" else x / factor

def choose(
    rows: Annotated[int, Field(ge=1, le=9)] = 3,
    config: Config | None = None,
    day: datetime.date = datetime.date(2024, 5, 1),
    yes: bool = False,
    items: list[int] = [],
    text: str | None = "a",
) -> str:
    return f"{rows} {config} {day} {yes} {items} {text}"

def read(file: pathlib.Path) -> str:
    return str(file)

def fail() -> int:
    raise ValueError("no good")
"""

PLAIN = """Launch maths.scale Python 3.11 on slim Debian · Scale a number.
input   type                   value
x       int                    needed
factor  float                  2.0
mode    Literal['up', 'down']  up
scale() is missing the input x.

of the run  otherwise
target      local
cpu         2 (environment)"""


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYTE_JUPYTER_INTERACTIVE", "1")
    monkeypatch.setenv("FLYTE_JUPYTER_TARGET", "local")


@pytest.fixture
def opened(cell: Any, shell: Any, watched: None) -> Any:
    """A function that opens a form and returns it, shown; the tasks are declared."""
    assert cell(DECLARE).success
    forms = []

    def open_form(line: str) -> Any:
        ran = cell(f"form = %flyte_launch {line}\nform._ipython_display_()")
        assert ran.success, ran.error
        forms.append(shell.user_ns["form"])
        return forms[-1]

    yield open_form
    for form in forms:
        form.close()


def rows_of(form: Any) -> dict[str, Any]:
    from flyte_jupyter.notebook.launch.rows import every

    return {row.field.key: row for row in every(form.view.rows)}


def edit(widget: Any, value: Any) -> None:
    """Change a widget as a front end does."""
    widget.set_state({"value": value})


# The widgets


def test_a_form_launches_what_it_says(opened: Any) -> None:
    form = opened("scale")
    rows, view = rows_of(form), form.view
    assert view.launch.disabled
    assert "scale() is missing the input x." in view.reason.value
    edit(rows["x"].control.widget, "3")
    rows["mode"].control.widget.set_state({"index": 1})
    assert not view.launch.disabled
    with capture_output():
        view.launch.click()
        wait_for_text(view.message, "has succeeded")
        assert form.run.result() == 1.5


def test_a_refusal_stands_in_place_and_goes(opened: Any) -> None:
    form = opened("scale")
    row, view = rows_of(form)["x"], form.view
    edit(row.control.widget, "three")
    said = "Input &#x27;x&#x27; of scale() must be int, but it is str: &#x27;three&#x27;."
    assert said in row.message.value
    assert 'role="alert"' in row.message.value
    assert row.message.layout.display == ""
    assert view.launch.disabled
    assert "must be int" in view.launch.tooltip
    edit(row.control.widget, "3")
    assert row.message.layout.display == "none"
    assert view.reason.value == ""
    assert not view.launch.disabled


def test_what_is_not_filled_in_yet_is_no_mistake(opened: Any) -> None:
    row = rows_of(opened("scale"))["x"]
    assert 'role="status"' in row.message.value
    assert 'role="alert"' not in row.message.value


def test_an_option_is_refused_in_place(opened: Any) -> None:
    form = opened("choose")
    options = form.view.options
    assert not options.fold.value
    edit(options.controls["memory"], "4")
    assert "memory=&#x27;4&#x27;" in options.messages["memory"].value
    assert options.fold.value
    assert form.view.launch.disabled
    edit(options.controls["memory"], "300Mi")
    assert not form.view.launch.disabled


def test_what_holds_otherwise_stands_beside_an_option(opened: Any) -> None:
    options = opened("choose").view.options
    assert "otherwise 2 (environment)" in options.hints["cpu"].value
    assert options.controls["on"].options[0] == ("local", "")


def test_every_control_has_its_name(opened: Any) -> None:
    import ipywidgets as widgets

    form = opened("choose")
    controls = [each for each in inside(form.view.root) if hasattr(each, "value")]
    named = [each for each in controls if not isinstance(each, widgets.HTML)]
    assert [each for each in named if not each.description and not each.tooltip] == []


def inside(widget: Any) -> list[Any]:
    found = [widget]
    for each in getattr(widget, "children", ()):
        found += inside(each)
    return found


def test_each_kind_of_field_has_its_control(opened: Any) -> None:
    form = opened("choose")
    rows = rows_of(form)
    kinds = {key: type(row.control.widget).__name__ for key, row in rows.items() if row.control}
    assert kinds == {
        "rows": "Text",
        "config.rate": "Text",
        "config.deep": "Checkbox",
        "day": "DatePicker",
        "yes": "Checkbox",
        "items": "Textarea",
        "text": "Text",
    }
    edit(rows["rows"].control.widget, "7")
    edit(rows["config.rate"].control.widget, "0.5")
    edit(rows["config.deep"].control.widget, True)
    edit(rows["yes"].control.widget, True)
    edit(rows["items"].control.widget, "[1, 2]")
    rows["day"].control.widget.set_state({"value": {"year": 2025, "month": 0, "date": 2}})
    edit(rows["text"].none, True)
    assert form.launch().result() == "7 Config(rate=0.5, deep=True) 2025-01-02 True [1, 2] None"


def test_a_field_goes_back_to_what_it_was(opened: Any) -> None:
    row = rows_of(opened("choose"))["text"]
    assert row.back.layout.display == "none"
    edit(row.control.widget, "b")
    assert row.back.layout.display == ""
    row.back.click()
    assert row.control.widget.value == "a"
    assert row.back.layout.display == "none"


def test_a_variable_is_picked_and_new_ones_are_offered(opened: Any, cell: Any) -> None:
    form = opened("choose")
    row = rows_of(form)["items"]
    assert row.picker.layout.display == "none"
    cell("numbers = [7]\nothers = ['a']")
    assert [name for _, name in row.picker.options] == ["", "numbers", "others"]
    row.picker.value = "numbers"
    assert form.code().endswith("flyte.run(choose, items=numbers)")
    row.picker.value = "others"
    assert "its item [0] is str instead of int" in row.message.value
    row.picker.value = ""
    assert form.problems() == []


def test_a_cell_that_is_run_again_makes_the_form_again(opened: Any, cell: Any) -> None:
    form = opened("scale")
    edit(rows_of(form)["x"].control.widget, "3")
    cell("%%flyte_env maths\ndef scale(x: int, more: int = 1) -> int:\n    return x + more\n")
    rows = rows_of(form)
    assert list(rows) == ["x", "more"]
    assert rows["x"].control.widget.value == "3"
    assert len(form.view.inputs.children) == 2


def test_the_code_follows_what_is_filled_in(opened: Any) -> None:
    form = opened("scale")
    form.view.copy.value = True
    assert form.view.code.layout.display == "none"
    edit(rows_of(form)["x"].control.widget, "3")
    assert form.view.code.value.endswith("flyte.run(scale, x=3)")
    assert form.view.magic.value == "%flyte_run scale(x=3)"
    edit(rows_of(form)["x"].control.widget, "4")
    assert form.view.magic.value == "%flyte_run scale(x=4)"


def test_files_of_this_machine_are_offered(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    for name in ("data/a.csv", "data/b.csv", "notes.txt", ".hidden"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    form = opened("read")
    file = rows_of(form)["file"].control.widget
    assert file.options == ("data/", "notes.txt")
    edit(file, "data/")
    assert file.options == ("data/a.csv", "data/b.csv")
    edit(file, "data/b.csv")
    assert form.launch().result() == "data/b.csv"


def test_an_explanation_is_shown(opened: Any) -> None:
    view = opened("choose").view
    view.explain.click()
    assert "maths.choose" in view.explained.value
    assert "on local" in view.explained.value


def test_a_run_that_fails_is_said_in_the_form(opened: Any) -> None:
    form = opened("fail")
    with capture_output():
        form.view.launch.click()
        form.run.wait()
        wait_for_text(form.view.message, "no good")
    assert "has failed: " in form.view.message.value


def test_no_error_of_a_button_is_lost(opened: Any, cell: Any) -> None:
    form = opened("scale(3)")
    with capture_output():
        form.say("name", "twice")
        form.view.launch.click()
        cell("del scale")
        form.fill("factor", "{gone}")
        form.view.launch.click()
    assert "✗ name &#x27;gone&#x27; is not defined in the notebook." in form.view.message.value


def wait_for_text(widget: Any, text: str) -> None:
    arrived = threading.Event()
    widget.observe(lambda change: text in change["new"] and arrived.set(), "value")
    if text not in widget.value:
        assert arrived.wait(20), widget.value


# Lines and faces


def test_a_line_fills_the_form_in(opened: Any) -> None:
    form = opened("scale(3, factor=1 / 2)")
    rows = rows_of(form)
    assert (rows["x"].control.widget.value, rows["factor"].control.widget.value) == ("3", "0.5")
    assert not form.view.launch.disabled


def test_a_recorded_run_opens_with_its_inputs(opened: Any, cell: Any) -> None:
    cell("first = %flyte_run --no-wait --task-queue slow scale(3)\nfirst.wait()")
    for line in ("--run last", "--run first", "--run {first.name}"):
        form = opened(line)
        assert rows_of(form)["x"].control.widget.value == "3"
        assert form.view.options.controls["task_queue"].value == "slow"
    edit(rows_of(form)["x"].control.widget, "4")
    assert rows_of(form)["x"].back.description == "As recorded"
    edit(form.view.options.controls["task_queue"], "fast")
    assert form.launch().result() == 8.0


@pytest.mark.parametrize(
    ("line", "kind", "sentence"),
    [
        ("", MagicUsageError, "%flyte_launch needs a task"),
        ("scal", MagicUsageError, "%flyte_launch: no task is named 'scal'; did you mean 'scale'?"),
        ("scale(y=1)", InputError, "scale() has no input 'y'; it takes x, factor and mode."),
        ("scale --run last", MagicUsageError, "'scale' stands beside --run"),
        ("--rum last", MagicUsageError, "there is no option '--rum'; did you mean '--run'?"),
        ("--run nothing-12345678", NotFoundError, "there is no run and no task"),
    ],
)
def test_a_wrong_line_is_said(opened: Any, cell: Any, line: str, kind: type, sentence: str) -> None:
    cell("%flyte_run scale(3)")
    error = cell(f"%flyte_launch {line}").error
    assert isinstance(error, kind), error
    assert error.sentence.startswith(sentence)


def test_python_opens_a_form_too(opened: Any, cell: Any, shell: Any) -> None:
    opened("scale")
    assert flyte.launch_form("maths.scale", 3).launch().result() == 6.0
    run = flyte.launch_form(shell.user_ns["scale"], x=4).launch()
    assert run.result() == 8.0
    assert flyte.launch_form(run=run).launch().result() == 8.0
    with pytest.raises(InputError, match="A launch form is for a task or for a recorded run"):
        flyte.launch_form()


# Where nobody watches


def test_without_a_watcher_a_form_is_text(cell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYTE_JUPYTER_TARGET", "local")
    assert cell(DECLARE).success
    ran = cell("form = %flyte_launch scale\nform")
    assert ran.success
    assert repr(ran.result) == PLAIN
    assert ran.result.view is None


def test_a_form_that_is_shown_has_its_summary_beside_it(
    opened: Any, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = opened("scale(3)")
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(shell.display_pub, "publish", lambda data, **_: sent.append(data))
    form._ipython_display_()
    summary, widgets = sent
    assert summary["text/plain"].startswith("Launch maths.scale")
    assert '<th scope="row"' in summary["text/html"]
    assert widgets["text/plain"] == ""
    assert "application/vnd.jupyter.widget-view+json" in widgets
    form.fill("x", "7")
    assert "x       int                    7" in sent[-1]["text/plain"]


def test_a_cell_that_is_run_again_has_one_form(opened: Any, cell: Any, shell: Any) -> None:
    opened("scale")
    source = "form = %flyte_launch scale\nform._ipython_display_()"
    cell(source, "the-cell")
    first = shell.user_ns["form"]
    cell(source, "the-cell")
    assert first.view is None
    assert shell.user_ns["form"].view is not None


# Kernels


def test_another_kernel_opens_a_recorded_run(tmp_path: Path) -> None:
    folder = {"FLYTE_JUPYTER_HOME": str(tmp_path / "home"), "FLYTE_JUPYTER_TARGET": "local"}
    first = Kernel(tmp_path, **folder)
    try:
        first.run("%load_ext flyte_jupyter")
        first.run(DECLARE)
        name = first.run(
            "run = %flyte_run --no-wait --queue slow --cpu 1 choose(rows=4, config=Config(0.5))\n"
            "run.wait().name"
        ).result
        assert name is not None
    finally:
        first.close()
    second = Kernel(tmp_path, **folder)
    try:
        second.run("%load_ext flyte_jupyter")
        undeclared = second.run(f"%flyte_launch --run {name}")
        assert "which is not declared in this kernel." in undeclared.error
        assert "Run the cell that declares it; then it can be run again." in undeclared.error
        second.run(DECLARE)
        shown = second.run(f"form = %flyte_launch --run {name}\nform").of("display_data")[0]["data"]
        assert "application/vnd.jupyter.widget-view+json" not in shown
        assert "rows         int (at least 1, at most 9)  4" in shown["text/plain"]
        assert "slow" in shown["text/plain"]
        second.run("form.fill('config.deep', 'true')\nform.say('task_queue', 'fast')")
        assert second.run("form.launch().result()").result == (
            '"4 Config(rate=0.5, deep=True) 2024-05-01 False [] a"'
        ).replace('"', "'")
    finally:
        second.close()


def test_a_front_end_of_a_kernel_fills_a_form_in(another_kernel: Kernel) -> None:
    kernel = another_kernel
    declared = kernel.run(DECLARE)
    assert declared.status == "ok", declared.error
    answer = kernel.run("form = %flyte_launch scale\nform", watched=True)
    assert answer.status == "ok", answer.error
    shown = answer.of("display_data")
    assert shown, answer.stderr
    assert "application/vnd.jupyter.widget-view+json" in shown[-1]["data"]
    told = kernel.run(
        "row = form.view.rows[0]\n"
        "row.control.widget.set_state({'value': 'x'})\n"
        "row.control.widget.set_state({'value': '5'})\n"
        "form.view.launch.click()\n"
        "form.run.result()",
        watched=True,
    )
    assert told.result == "10.0"
