"""The side bar of the JupyterLab extension, as people use it."""

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
def test_the_side_bar_shows_environments_runs_and_targets(
    open_notebook: Callable[..., Any], theme: str
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
    bar.get_by_text("Nothing is left over").wait_for()
    # a double click on the task goes to the cell that declares it
    bar.get_by_role("button", name="square", exact=True).dblclick()
    assert "jp-mod-active" in str(notebook.cells.nth(1).get_attribute("class"))
