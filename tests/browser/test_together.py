"""Side bar, panel, form and view are one: what one of them changes, the others show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("extension")

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect

DECLARE = """%%flyte_env ml --cpu 1 --memory 2Gi
import time

def square(x: int) -> int:
    return x * x

def sleep(seconds: float = 60.0):
    time.sleep(seconds)
"""
PANEL = ".jp-CodeCell:has(button:text-is('Reset all')) .jp-Cell-outputArea"


def test_a_task_is_found_in_the_side_bar_changed_in_the_panel_and_launched_by_its_form(
    open_notebook: Callable[..., Any],
) -> None:
    notebook = open_notebook("%load_ext flyte_jupyter", DECLARE)
    notebook.run_all()
    notebook.idle()
    notebook.command("Flyte: Show the Side Bar")
    bar = notebook.page.locator(".flyte-sidebar")
    bar.get_by_text("cpu 1, memory 2Gi").wait_for()
    bar.get_by_role("button", name="Panel").last.click()

    panel = notebook.page.locator(PANEL)
    memory = panel.get_by_label("Memory request", exact=True)
    memory.fill("1Gi")
    memory.press("Enter")
    panel.get_by_text("Memory request: 1Gi, overridden").wait_for()
    bar.get_by_text("cpu 1, memory 1Gi").wait_for()

    panel.get_by_label("Tasks", exact=True).select_option("square")
    panel.get_by_role("button", name="Launch").first.click()
    panel.get_by_label("x", exact=True).fill("12")
    notebook.picture("form")
    panel.get_by_role("button", name="Launch").last.click()
    panel.get_by_text("144", exact=True).wait_for()
    bar.locator(".flyte-phase-succeeded").wait_for()
    notebook.picture("end")


def test_the_views_own_button_cancels_the_run_that_its_cell_waits_for(
    open_notebook: Callable[..., Any],
) -> None:
    notebook = open_notebook("%load_ext flyte_jupyter", DECLARE, "%flyte_run sleep()")
    notebook.run_all()
    view = notebook.output(2)
    cancel = view.get_by_role("button", name="Cancel")
    cancel.wait_for()
    notebook.picture("running")
    expect(cancel).to_be_enabled()
    cancel.click()
    view.get_by_text("aborted").first.wait_for()
    expect(cancel).to_have_count(0)
