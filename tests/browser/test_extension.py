"""The side bar of the JupyterLab extension, as people use it, and what works while a cell runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("extension")

LOAD = "%load_ext flyte_jupyter"
DECLARE = """%%flyte_env ml --cpu 1 --memory 512Mi
import time

def square(x: int) -> int:
    return x * x

def sleep(seconds: float = 60.0):
    time.sleep(seconds)
"""
OPEN = "Flyte: Show the Side Bar"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_side_bar_shows_what_there_is_and_leads_to_its_cell(
    open_notebook: Callable[..., Any], faults: Callable[..., list[str]], theme: str
) -> None:
    notebook = open_notebook(LOAD, DECLARE, "%flyte_run square(12)", "1 + 1", theme=theme)
    notebook.run_all()
    notebook.idle()
    notebook.command(OPEN)
    bar = notebook.page.locator(".flyte-sidebar")
    bar.get_by_text("cpu 1, memory 512Mi").wait_for()
    bar.get_by_text("succeeded").first.wait_for()
    bar.get_by_text("default", exact=True).wait_for()
    bar.get_by_text("not used in this session").wait_for()
    assert faults(notebook.page, ".flyte-sidebar") == []
    bar.get_by_role("button", name="square", exact=True).dblclick()
    assert "jp-mod-active" in str(notebook.cells.nth(1).get_attribute("class"))


def test_a_task_is_run_and_cancelled_by_the_keys_alone(
    open_notebook: Callable[..., Any],
) -> None:
    notebook = open_notebook(LOAD, DECLARE)
    notebook.run_all()
    notebook.idle()
    notebook.command(OPEN)
    bar = notebook.page.locator(".flyte-sidebar")
    # what takes inputs is written, and left to be filled in
    bar.get_by_role("button", name="Run square").press("Enter")
    notebook.page.locator(".jp-Notebook.jp-mod-editMode").wait_for()
    notebook.page.keyboard.type("7")
    notebook.page.keyboard.press("Shift+Enter")
    notebook.output(2).get_by_text("49", exact=True).wait_for()
    # what takes none is executed; its cell waits, and the kernel hears all the same
    bar.get_by_role("button", name="Run sleep").press("Enter")
    bar.locator(".flyte-phase-running").wait_for()
    notebook.picture("running")
    bar.get_by_role("button", name="Cancel ").press("Enter")
    bar.locator(".flyte-phase-aborted").wait_for()
    notebook.idle()


def test_the_palette_runs_cancels_draws_and_deploys(open_notebook: Callable[..., Any]) -> None:
    notebook = open_notebook(LOAD, DECLARE)
    notebook.run_all()
    notebook.idle()
    asked = notebook.page.locator(".jp-Dialog")
    accept = asked.locator(".jp-mod-accept")
    notebook.command("Flyte: Run a Task…")
    asked.locator("select").select_option("ml.sleep")
    accept.click()
    notebook.output(2).get_by_text("running").first.wait_for()
    notebook.command("Flyte: Cancel a Run…")
    accept.click()
    notebook.output(2).get_by_text("aborted").first.wait_for()
    notebook.command("Flyte: Graph of the Environments")
    notebook.output(3).locator(".flyte-jupyter-graph").wait_for()
    notebook.command("Flyte: Deploy…")
    accept.click()
    told = notebook.output(4).locator("title", has_text="ml: deployed")
    told.first.wait_for(state="attached")


def test_a_button_in_an_output_cancels_the_run_that_its_cell_waits_for(
    open_notebook: Callable[..., Any],
) -> None:
    button = '<button data-flyte-jupyter-cancel="long-1">Cancel it</button>'
    notebook = open_notebook(
        LOAD,
        DECLARE,
        "import flyte_jupyter as flyte\n"
        "from IPython.display import HTML, display\n"
        "run = flyte.with_runcontext(name='long-1').run(sleep)\n"
        f"display(HTML('{button}'))\n"
        "run.wait().phase",
    )
    notebook.run_all()
    pressed = notebook.output(2).get_by_role("button", name="Cancel it")
    pressed.wait_for()
    pressed.click()
    notebook.output(2).get_by_text("aborted").first.wait_for()


def test_code_is_completed_while_a_cell_runs(open_notebook: Callable[..., Any]) -> None:
    notebook = open_notebook(LOAD, DECLARE, "%flyte_run sleep(30)", "")
    notebook.run_all()
    notebook.command(OPEN)
    notebook.page.locator(".flyte-sidebar .flyte-phase-running").wait_for()
    notebook.cells.nth(3).locator(".cm-content").click()
    notebook.page.keyboard.type("%flyte_run squ")
    notebook.page.keyboard.press("Tab")
    notebook.page.locator(".jp-Completer").get_by_text("square").wait_for()


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_side_bar_is_where_the_settings_want_it(
    lab: Any, open_notebook: Callable[..., Any], side: str
) -> None:
    lab.set("flyte-jupyter:plugin", side=side)
    notebook = open_notebook(LOAD, DECLARE)
    notebook.run_all()
    notebook.idle()
    notebook.command(OPEN)
    bar = notebook.page.locator(f"#jp-{side}-stack .flyte-sidebar")
    bar.get_by_text("cpu 1, memory 512Mi").wait_for()
