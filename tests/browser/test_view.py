"""The view of a run, watched in JupyterLab: it changes in place, and what is saved stays true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

LOAD = "%load_ext flyte_jupyter"
STEPS = """%%flyte_env steps --cpu 1 --memory 512Mi

import asyncio

async def whole(n: int) -> int:
    print("beginning")
    parts = await asyncio.gather(*(part.aio(k) for k in range(n)))
    return sum(parts)

def part(k: int) -> int:
    import time
    if k == 0:
        time.sleep(2)
    for step in range(12):
        print("step", step, "of part", k)
        time.sleep(0.1)
    return k

def wait(seconds: float) -> None:
    import time
    print("waiting")
    time.sleep(seconds)

def broken(n: int) -> float:
    print("dividing")
    return n / 0
"""
MANY = """%%flyte_env many --cpu 1 --memory 512Mi --reusable 2

def double(x: int) -> int:
    if x % 500 == 7:
        raise ValueError(f"{x} is refused")
    if x % 100 == 0:
        print("at", x)
    return 2 * x
"""
LONG_TASKS = """() => {
    window.longTasks = [];
    new PerformanceObserver(list => {
        for (const task of list.getEntries()) window.longTasks.push(Math.round(task.duration));
    }).observe({type: "longtask"});
}"""
VIEW = ".flyte-jupyter-run"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_run_is_watched_in_its_cell_and_what_a_reader_does_there_stays(
    open_notebook: Callable[..., Any], faults: Callable[..., list[str]], theme: str
) -> None:
    notebook = open_notebook(LOAD, STEPS, "%flyte_run whole(3)", theme=theme)
    notebook.run_all()
    view = notebook.output(2).locator(VIEW)
    running = view.get_by_role("row").filter(has_text="part").filter(has_text="running")
    running.first.wait_for()
    view.locator("details", has_text="call 2 of 3").get_by_role("searchbox").fill("step 1")
    # the log of a call above comes later than that of the one that is being searched
    view.locator("details", has_text="call 1 of 3").wait_for()
    notebook.page.keyboard.type("0")
    assert faults(notebook.page, VIEW) == []
    notebook.picture("running")
    notebook.idle()
    assert "succeeded" in view.get_by_role("status").inner_text()
    block = view.locator("details", has_text="call 2 of 3")
    if block.get_attribute("open") is None:
        block.locator("summary").click()
    shown = block.locator("pre").inner_text().splitlines()
    assert shown
    assert all("step 10" in line for line in shown)
    assert faults(notebook.page, VIEW) == []


def test_the_whole_log_of_a_call_is_shown_in_a_cell_below(
    open_notebook: Callable[..., Any], extension: Any
) -> None:
    notebook = open_notebook(LOAD, STEPS, "%flyte_run whole(3)")
    notebook.run_all()
    notebook.idle()
    view = notebook.output(2).locator(VIEW)
    block = view.locator("details", has_text="call 2 of 3")
    block.locator("summary").click()
    block.get_by_role("button", name="Show the whole log of part, call 2 of 3").click()
    notebook.output(3).get_by_text("step 11 of part 1").first.wait_for()
    notebook.picture("whole")


def test_without_the_extension_a_button_that_nothing_hears_is_not_to_be_seen(
    open_bare: Callable[..., Any],
) -> None:
    notebook = open_bare(LOAD, STEPS, "%flyte_run part(1)")
    notebook.run_all()
    notebook.idle()
    block = notebook.output(2).locator(VIEW).locator("details")
    block.locator("summary").click()
    block.locator("code", has_text="%flyte_logs").wait_for()
    assert not block.get_by_role("button").count()


def test_a_map_of_2000_calls_is_one_row_and_keeps_the_page_responsive(
    open_notebook: Callable[..., Any], faults: Callable[..., list[str]]
) -> None:
    notebook = open_notebook(
        LOAD,
        MANY,
        "import flyte_jupyter as flyte\nresults = list(flyte.map(double, range(2000)))",
    )
    notebook.page.evaluate(LONG_TASKS)
    notebook.run_all()
    view = notebook.output(2).locator(VIEW)
    view.wait_for()
    notebook.picture("running")
    notebook.idle()
    assert max(notebook.page.evaluate("window.longTasks"), default=0) <= 200
    row = view.get_by_role("row").filter(has_text="double × 2,000")
    assert "1,996 succeeded, 4 failed" in row.inner_text()
    assert view.get_by_role("row").filter(has_text="ValueError: 1507 is refused").count() == 1
    assert view.get_by_role("region", name="actions").get_by_role("row").count() == 6
    assert "at 1900" in view.locator("details pre").first.text_content()
    assert faults(notebook.page, VIEW) == []
    (shown,) = [o for o in notebook.save().cells[2].outputs if "text/html" in o.get("data", {})]
    assert len(shown.data["text/html"]) < 20_000
    assert len(shown.data["text/plain"]) < 2_000


def test_the_stop_button_of_the_notebook_ends_a_run_that_a_cell_waits_for(
    open_bare: Callable[..., Any],
) -> None:
    notebook = open_bare(LOAD, STEPS, "%flyte_run wait(120)")
    notebook.run_all()
    view = notebook.output(2).locator(VIEW)
    button = view.get_by_role("button", name="Cancel")
    button.wait_for()
    assert button.is_disabled()
    assert "stop button" in view.inner_text()
    view.locator("pre", has_text="waiting").wait_for()
    notebook.page.locator('[data-command="notebook:interrupt-kernel"]').first.click()
    view.get_by_role("status").filter(has_text="aborted").wait_for()
    assert view.get_by_role("button").count() == 0


def test_a_run_that_no_cell_waits_for_has_a_button_that_goes_with_its_end(
    open_bare: Callable[..., Any], faults: Callable[..., list[str]]
) -> None:
    notebook = open_bare(
        LOAD,
        STEPS,
        "run = %flyte_run --no-wait wait(120)",
        "import time; time.sleep(3)",
    )
    notebook.run_all()
    button = notebook.output(2).get_by_role("button", name="Cancel")
    notebook.page.locator(".jp-CodeCell button:disabled", has_text="Cancel").wait_for()
    assert "executes a cell" in button.get_attribute("title")
    notebook.idle()
    notebook.picture("button")
    assert faults(notebook.page, ".jp-Notebook .jp-CodeCell:nth-child(3) .jp-OutputArea") == []
    button.click()
    view = notebook.output(2).locator(VIEW)
    view.get_by_role("status").filter(has_text="aborted").wait_for()
    button.wait_for(state="detached")
    kinds = {kind for o in notebook.save().cells[2].outputs for kind in o.get("data", {})}
    assert kinds == {"text/html", "text/plain"}


def test_a_saved_notebook_tells_of_its_runs_without_its_kernel_and_as_a_page(
    open_notebook: Callable[..., Any], lab: Any
) -> None:
    notebook = open_notebook(
        LOAD,
        STEPS,
        "run = %flyte_run --no-wait whole(2)",
        "run.wait()",
        "failed = %flyte_run --no-wait broken(1)\nassert failed.wait().error",
    )
    notebook.run_all()
    notebook.idle()
    notebook.output(2).get_by_role("status").filter(has_text="succeeded").wait_for()
    notebook.output(4).get_by_role("status").filter(has_text="failed").wait_for()
    notebook.output(4).get_by_role("button").wait_for(state="detached")
    saved = notebook.save()

    page = notebook.page
    notebook.menu("Kernel", "Shut Down Kernel")
    page.locator(".jp-StatusBar-TextItem", has_text="No Kernel").wait_for()
    page.goto(f"{lab.url}lab/tree/{notebook.path.name}?token={lab.token}&reset")
    view = notebook.output(2).locator(VIEW)
    view.get_by_role("status").filter(has_text="succeeded whole").wait_for()
    card = notebook.output(4).get_by_role("alert")
    card.wait_for()
    assert "ZeroDivisionError: division by zero" in card.inner_text()
    line = STEPS.splitlines().index("    return n / 0") + 1
    assert f"Cell In[2], line {line}\n" in card.inner_text()
    assert "model not found" not in page.locator(".jp-Notebook").inner_text()
    notebook.picture("reopened")

    from nbconvert import HTMLExporter

    exported, _ = HTMLExporter().from_notebook_node(saved)
    file = notebook.path.with_suffix(".html")
    file.write_text(exported)
    page.goto(file.as_uri())
    page.get_by_role("status").filter(has_text="succeeded whole").first.wait_for()
    log = page.locator("details", has_text="call 2 of 2").first
    log.locator("summary").click()
    log.get_by_role("searchbox").fill("step 7")
    assert log.locator("pre").inner_text() == "step 7 of part 1"
    assert "model not found" not in page.locator("body").inner_text()
    notebook.picture("exported")
