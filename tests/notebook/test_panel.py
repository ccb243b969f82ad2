"""The panel without a browser: widgets over the session's model, and what is seen without them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.utils.capture import capture_output

import flyte_jupyter as flyte
from flyte_jupyter.cli import main
from flyte_jupyter.notebook.panel import open_panel
from flyte_jupyter.notebook.panel.view import View
from flyte_jupyter.notebook.panel.writing import rewritten, why_not
from flyte_jupyter.steering.levels import Level
from flyte_jupyter.steering.sizing import sizing_of
from flyte_jupyter.steering.usage import Use

CELL = """\
# what it is for
%%flyte_env sci --cpu 2 --mem 4Gi --pip pandas \\
    numpy --env-vars A=1
def train(x: int) -> int:
    return x
def score() -> str:
    import os
    return os.environ.get("A", "") + os.environ.get("B", "")
"""


@pytest.fixture
def declared(cell: Any, shell: Any) -> Any:
    """Executes cells; `CELL` has been."""
    assert cell(CELL.replace("--pip pandas \\\n    numpy ", "")).success
    return cell


@pytest.fixture
def view(declared: Any, session_catalog: Any) -> Iterator[View]:
    """An open panel; what it asks a target is answered at once."""
    view = View(session_catalog, Level("sci"), ask=lambda do: do())
    yield view
    view.close()


def front_end_gives(widget: Any, value: Any) -> None:
    """Do what the message of a front end does."""
    widget.set_state({"value": value})


def test_a_given_value_overrides_and_the_declared_one_stays_in_sight(
    view: View, session_catalog: Any
) -> None:
    row = view.rows["memory"]
    front_end_gives(row.control, "1Gi")
    assert session_catalog.overrides["sci"]["resources"] == flyte.Resources(memory="1Gi")
    assert "overridden" in row.status.value
    assert "declared: 4Gi" in row.status.value
    assert row.button.tooltip == "Reset Memory request to 4Gi"
    assert "the next run has it" in view.message.value
    row.button.click()
    assert not session_catalog.overrides
    assert row.control.value == "4Gi"
    assert row.button.disabled


def test_a_slider_and_its_text_are_one_value(view: View, session_catalog: Any) -> None:
    row = view.rows["memory"]
    options = [text for _, text in row.slider.options]
    row.slider.set_state({"index": options.index("512Mi")})
    assert row.control.value == "512Mi"
    front_end_gives(row.control, "300Mi")
    assert row.slider.value == "300Mi"
    assert session_catalog.overrides["sci"]["resources"] == flyte.Resources(memory="300Mi")


def test_a_refused_value_stays_where_it_was_given_until_it_is_put_right(
    view: View, session_catalog: Any
) -> None:
    row = view.rows["memory"]
    front_end_gives(row.control, "4 gigs")
    assert "memory=&#x27;4 gigs&#x27; is not an amount" in row.refusal.value
    assert 'role="alert"' in row.refusal.value
    assert not session_catalog.overrides
    session_catalog.set_override("sci", cpu=1)  # something else changes meanwhile
    assert row.control.value == "4 gigs"
    assert row.refusal.value
    front_end_gives(row.control, "2Gi")
    assert row.refusal.value == ""
    assert session_catalog.overrides["sci"]["resources"] == flyte.Resources(cpu=1, memory="2Gi")


def test_what_another_view_or_a_cell_changes_is_shown_by_the_same_widgets(
    view: View, session_catalog: Any, declared: Any
) -> None:
    controls = {name: row.control for name, row in view.rows.items()}
    session_catalog.set_override("sci", queue="gpus")
    assert view.rows["queue"].control.value == "gpus"
    assert declared("%%flyte_env sci --memory 7Gi\ndef other(): ...").success
    assert view.rows["memory"].control.value == "7Gi"
    assert [label for label, _ in view.task.options] == ["every task", "train", "score", "other"]
    assert {name: row.control for name, row in view.rows.items()} == controls


def test_a_failed_cell_changes_nothing_in_the_panel(view: View, declared: Any) -> None:
    assert not declared("%%flyte_env sci --memory 7Gi\nraise ValueError").success
    view.refresh()
    assert view.rows["memory"].control.value == "4Gi"


def test_one_task_is_edited_by_itself(view: View, session_catalog: Any) -> None:
    front_end_gives(view.rows["cpu"].control, "1")
    view.task.set_state({"index": 2})
    assert view.rows["cpu"].control.value == "1"
    assert "panel, for the environment" in view.rows["cpu"].status.value
    front_end_gives(view.rows["retries"].control, "3")
    assert set(session_catalog.overrides) == {"sci", "sci.score"}
    assert view.rows["image"].control.disabled
    assert "clone_with" in view.rows["image"].more.value
    view.reset_all.click()
    assert set(session_catalog.overrides) == {"sci"}


def test_an_override_reaches_the_next_run_its_explanation_and_its_notes(
    view: View, declared: Any, shell: Any
) -> None:
    assert declared("%flyte_run score()").result == "1"
    front_end_gives(view.rows["env_vars"].control, "A=2\nB=3")
    assert declared("import flyte\nrun = flyte.run(score).wait()").success
    run = shell.user_ns["run"]
    assert run.result() == "23"
    notes = [event.data["text"] for event in run.events() if event.kind == "note"]
    assert "sci.score runs under what the panel overrides: A=2, B=3" in notes
    assert "env_vars = A=2 B=3  (panel)" in str(declared("%flyte_explain score").result)
    front_end_gives(view.rows["env_vars"].control, "B=3")
    assert declared("%flyte_run score()").result == "3"


def test_a_slow_target_is_asked_on_a_thread_and_filled_in_when_it_answers(
    declared: Any, session_catalog: Any
) -> None:
    questions: list[Callable[[], None]] = []
    view = View(session_catalog, Level("sci"), ask=questions.append)
    try:
        assert "is asked for what it has" in view.there.value
        front_end_gives(view.rows["cpu"].control, "1")
        for ask in questions:
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
        assert "local has" in view.there.value
        assert view.rows["cpu"].control.value == "1"
    finally:
        view.close()


def test_only_what_the_target_has_can_be_chosen(
    declared: Any, session_catalog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flyte_jupyter.targets.local import machine

    monkeypatch.setattr(machine, "accelerators", lambda: (("0", "A100"), ("1", "A100")))
    machine.inventory.cache_clear()
    flyte.shut_down()  # an engine counts what was there when it came
    view = View(session_catalog, Level("sci"), ask=lambda do: do())
    try:
        row = view.rows["accelerator"]
        assert [text for text, _ in row.control.options] == ["any type", "A100 (2 there)"]
        row.control.set_state({"index": 1})
        assert view.rows["gpu"].control.value == "1"
        assert "1g.5gb" in dict(view.rows["partition"].control.options)
        assert "local has A100: A2, A10" in view.not_there.value
        front_end_gives(view.rows["gpu"].control, "T4:2")
        assert row.control.options[-1] == ("T4 (not on local)", "T4")
        assert row.control.value == "T4"
        assert [text for _, text in view.rows["gpu"].slider.options] == ["0", "1", "2"]
    finally:
        view.close()
        machine.inventory.cache_clear()


def test_a_field_that_the_target_ignores_says_so(view: View) -> None:
    front_end_gives(view.rows["queue"].control, "gpus")
    assert "local, ignored: this machine has one queue" in view.rows["queue"].more.value


def test_another_target_is_asked_when_it_is_chosen(view: View, session_catalog: Any) -> None:
    asked: list[str] = []
    view._ask = lambda do: asked.append(view.offer.target)
    options = [meant for _, meant in view.rows["target"].control.options]
    view.rows["target"].control.set_state({"index": options.index("docker")})
    assert "docker" in asked
    assert session_catalog.overrides["sci"] == {"target": "docker"}


def test_code_that_says_the_same_follows_what_holds(view: View) -> None:
    copy, write = view.code.buttons
    copy.set_state({"value": True})
    front_end_gives(view.rows["memory"].control, "1Gi")
    assert view.code.magic.value == "%%flyte_env sci --cpu 2 --memory 1Gi --env-vars A=1"
    assert view.code.python.value.startswith("sci = flyte.TaskEnvironment(name='sci', ")
    assert write.disabled
    assert write.tooltip == "Only a notebook has cells that can be written to."


def test_a_proposal_is_one_click(view: View, session_catalog: Any) -> None:
    level = Level("sci", "sci.train")
    uses = [Use(f"r{n}", 10.0, int(1.1 * (1 << 30)), 1.0, 4 << 30) for n in range(12)]
    settings = session_catalog.resolve(session_catalog.tasks["sci.train"]).settings
    view.sizes.show([sizing_of(level, settings, uses)])
    button = view.sizes.proposals.children[0]
    assert button.description == "train: memory 4Gi → 1.5Gi: peak 1.1Gi over 12 runs"
    view._ask = lambda do: None  # the journal knows of no such runs
    button.click()
    assert session_catalog.overrides == {
        "sci.train": {"resources": flyte.Resources(memory="1.5Gi")}
    }


def test_an_error_of_a_callback_is_shown_in_the_panel(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("lost <otherwise>")

    monkeypatch.setattr("flyte_jupyter.steering.levels.reset", fail)
    view.reset_all.disabled = False
    view.reset_all.click()
    assert "RuntimeError: lost &lt;otherwise&gt;" in view.message.value


def test_a_closed_panel_hears_nothing_more(declared: Any, session_catalog: Any) -> None:
    before = list(session_catalog._callbacks)
    view = View(session_catalog, Level("sci"), ask=lambda do: do())
    control = view.rows["memory"].control
    view.close()
    session_catalog.set_override("sci", memory="1Gi")
    assert control.value == "4Gi"
    assert session_catalog._callbacks == before
    assert control.comm is None


def test_every_control_has_a_label_and_a_word_of_help(view: View) -> None:
    for name, row in view.rows.items():
        assert row.control.description, name
        assert row.control.tooltip, name


def test_where_nobody_watches_tables_are_all(declared: Any, session_catalog: Any) -> None:
    session_catalog.set_override("sci", memory="1Gi")
    session_catalog.set_override("sci.score", retries=2)
    panel = declared("%flyte_panel sci").result
    with capture_output() as shown:
        panel._ipython_display_()
    (output,) = shown.outputs
    bundle = output.data
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == (
        "Environment sci\n"
        "field                  value  from         declared\n"
        "CPU request (cores)    2      environment\n"
        "Memory request         1Gi    panel        4Gi\n"
        "Image                  3.11   default\n"
        "Environment variables  A=1    environment\n"
        "\n"
        "Task sci.score: the same, but\n"
        "field    value  from   declared\n"
        "Retries  2      panel  none"
    ).replace("3.11", "{}.{}".format(*__import__("sys").version_info))
    assert "<table>" in bundle["text/html"]


def test_where_somebody_watches_the_widgets_come_with_the_tables(
    declared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYTE_JUPYTER_INTERACTIVE", "1")
    panel = open_panel("sci")
    with capture_output() as shown:
        panel._ipython_display_()
    tables, live = shown.outputs
    view = live.data["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == panel.view.root.model_id
    assert tables.data["text/plain"].startswith("Environment sci\n")
    panel.close()


def test_a_panel_is_opened_by_any_name(declared: Any, shell: Any) -> None:
    for line in ("%flyte_panel", "%flyte_panel sci", "%flyte panel sci", "%flyte_panel {sci}"):
        assert declared(line).result.level == Level("sci")
    for line in ("%flyte_panel train", "%flyte_panel sci.train", "%flyte_panel {train}"):
        assert declared(line).result.level == Level("sci", "sci.train")
    assert open_panel(shell.user_ns["score"]).level == Level("sci", "sci.score")
    assert "did you mean 'sci'" in str(declared("%flyte_panel scii").error)
    assert "one environment or task, not 'b' too" in str(declared("%flyte_panel a b").error)


def test_without_an_environment_there_is_nothing_to_show(cell: Any, shell: Any) -> None:
    assert "Begin a cell with %%flyte_env NAME" in str(cell("%flyte_panel").error)


def test_the_cell_is_rewritten_when_it_is_run_again(
    cell: Any, shell: Any, session_catalog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        shell, "set_next_input", lambda text, replace=False: written.append((text, replace))
    )
    monkeypatch.setenv("FLYTE_JUPYTER_INTERACTIVE", "1")
    size = "{memory}"
    source = f"# costly\n%%flyte_env sci --memory {size} \\\n  --cpu 2\ndef train(): ..."
    cell("memory = '4Gi'")
    assert cell(source).success
    view = View(session_catalog, Level("sci"), shell, ask=lambda do: do())
    _, write = view.code.buttons
    assert write.disabled
    front_end_gives(view.rows["cpu"].control, "1")
    write.click()
    view.reset_all.click()  # so there is nothing to write any more
    front_end_gives(view.rows["cpu"].control, "500m")
    assert cell(source).success
    assert written == []
    write.click()
    assert "cannot write to a cell that is not run" in view.message.value
    assert not cell(source + "\nraise ValueError").success
    assert written == []
    ran = cell(source)
    assert "overrides of sci stand in its first line now" in ran.stdout
    assert written == [
        ("# costly\n%%flyte_env sci --memory {memory} --cpu 500m\ndef train(): ...", True)
    ]
    assert not session_catalog.overrides
    assert session_catalog.find_environment("sci").resources == flyte.Resources(
        cpu="500m", memory="4Gi"
    )
    assert "The cell of sci says it now." in view.message.value
    assert cell(source).success
    assert len(written) == 1
    view.close()


def test_what_is_declared_in_python_is_copied_not_written(
    cell: Any, shell: Any, session_catalog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYTE_JUPYTER_INTERACTIVE", "1")
    assert cell("import flyte\nplain = flyte.TaskEnvironment('plain')").success
    session_catalog.set_override("plain", cpu=1)
    why = why_not(session_catalog, Level("plain"), shell)
    assert why == "plain is declared in Python, not by %%flyte_env; copy the code."


REWRITTEN = (
    ("sci --mem 4Gi --pip a b", {"--memory": ("1Gi",)}, {"--memory"}, "sci --memory 1Gi --pip a b"),
    ("sci --cpu=2 --gpu 1", {}, {"--gpu", "--accelerator"}, "sci --cpu=2"),
    ("sci", {"--retries": ("3",)}, {"--retries"}, "sci --retries 3"),
    ("--memory {size} sci", {"--cpu": ("1",)}, {"--cpu"}, "--memory {size} sci --cpu 1"),
    ("sci --reusable --cpu 2", {"--cpu": ("1",)}, {"--cpu"}, "sci --reusable --cpu 1"),
    ("--reusable sci", {"--reusable": ("3",)}, {"--reusable"}, "--reusable 3 sci"),
    (
        "sci --description '--cpu 9' --no-network",
        {"--network": ()},
        {"--network", "--no-network"},
        "sci --description '--cpu 9' --network",
    ),
    ("sci --env-vars A=1 'B=x y' --on docker", {"--env-vars": ("A=2",)}, {"--env-vars"},
     "sci --env-vars A=2 --on docker"),
)  # fmt: skip


@pytest.mark.parametrize(("line", "options", "flags", "expected"), REWRITTEN)
def test_only_what_is_overridden_is_written_anew(
    line: str, options: Any, flags: set[str], expected: str
) -> None:
    assert rewritten(line, options, flags) == expected


def test_a_terminal_is_told_what_a_file_declares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], session_catalog: Any
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import flyte\n"
        "told = flyte.TaskEnvironment('told', resources=flyte.Resources(memory='1Gi'))\n"
    )
    assert main(["panel", str(program), "told"]) == 0
    assert "Memory request  1Gi    environment" in capsys.readouterr().out
    assert main(["panel", "--help"]) == 0
    assert "flyte-jupyter panel NOTEBOOK [ENV or TASK]" in capsys.readouterr().out


def test_an_environment_opens_its_own_panel(declared: Any, shell: Any) -> None:
    assert declared("sci.panel()").result.level == Level("sci")
    assert flyte.TaskEnvironment("plain").panel().level == Level("plain")


def test_running_the_cell_of_a_panel_again_closes_the_one_that_it_had(
    declared: Any, session_catalog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYTE_JUPYTER_INTERACTIVE", "1")
    before = list(session_catalog._callbacks)
    for _ in range(3):
        panel = declared("%flyte_panel sci", cell_id="the-same").result
    assert len(session_catalog._callbacks) == len(before) + 1
    panel.close()
    assert session_catalog._callbacks == before


def test_one_task_is_launched_from_the_panel(view: View, shell: Any) -> None:
    assert view.launcher.button.disabled  # there are two
    view.task.value = "sci.score"
    front_end_gives(view.rows["env_vars"].control, "A=1\nB=2")
    front_end_gives(view.launcher.button, True)
    (form,) = view.launcher.box.children
    assert "sci.score" in form.children[0].value
    launched = view.launcher._view
    launched.launch.click()
    assert launched.form.runs[-1].result() == "12"
    view.task.value = "sci.train"
    assert view.launcher.box.children == ()
    assert not view.launcher.button.value
