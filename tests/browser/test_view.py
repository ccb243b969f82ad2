"""The view of a run, watched in JupyterLab: it changes in place, and what is saved stays true."""

from __future__ import annotations

import re
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
    assert faults(notebook.page, VIEW) == []
    notebook.picture("running")
    notebook.idle()
    assert "succeeded" in view.get_by_role("status").inner_text()
    block = view.locator("details", has_text="call 2 of 3")
    if block.get_attribute("open") is None:
        block.locator("summary").click()
    shown = block.locator("pre").inner_text().splitlines()
    assert shown
    assert all("step 1" in line for line in shown)
    assert faults(notebook.page, VIEW) == []
