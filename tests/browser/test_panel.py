"""The resource panel in JupyterLab: what is changed there is what the next run has."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

DECLARED = """%%flyte_env maths --cpu 1 --memory 2Gi

def seen() -> list[str]:
    import os
    return [os.environ.get("CUDA_VISIBLE_DEVICES", "none"), os.environ.get("MODE", "none")]"""
# hardware that the machine of the tests lacks
TWO_T4 = (
    "%load_ext flyte_jupyter\n"
    "from flyte_jupyter.targets.local import machine\n"
    "machine.accelerators = lambda: (('0', 'T4'), ('1', 'T4'))"
)
EXPLAIN = "print(get_ipython().run_line_magic('flyte_explain', 'seen'))"


expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect


def labelled(panel: Any, label: str) -> Any:
    return panel.get_by_label(label, exact=True)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_changed_in_the_panel_is_what_the_next_run_has(
    open_notebook: Callable[..., Any], faults: Callable[..., list[str]], theme: str
) -> None:
    notebook = open_notebook(
        TWO_T4, DECLARED, "%flyte_panel maths", "%flyte_run seen()", EXPLAIN, theme=theme
    )
    notebook.run_all()
    notebook.idle()
    assert "['none', 'none']" in notebook.output(3).inner_text()
    panel = notebook.output(2)
    panel.get_by_text("2 × T4").wait_for()

    memory = labelled(panel, "Memory request")
    memory.fill("1 gig")
    memory.press("Enter")
    panel.get_by_role("alert").wait_for()
    assert "memory='1 gig' is not an amount" in panel.get_by_role("alert").inner_text()
    memory.fill("1Gi")
    memory.press("Enter")
    panel.get_by_text("Memory request: 1Gi, overridden").wait_for()
    labelled(panel, "Accelerator type").select_option("T4 (2 of 2 free)")
    panel.get_by_text("Accelerator type: T4, overridden").wait_for()
    panel.get_by_role("button", name="Image and variables").click()
    variables = labelled(panel, "Environment variables")
    variables.fill("MODE=fast")
    variables.blur()
    panel.get_by_text("Environment variables: MODE=fast, overridden").wait_for()
    cpu = labelled(panel, "CPU request (cores)")
    cpu.fill("500m")
    cpu.press("Enter")
    panel.get_by_text("CPU request (cores): 500m, overridden").wait_for()
    panel.get_by_title("Reset CPU request (cores) to 1").click()
    panel.get_by_text("CPU request (cores): as declared again").wait_for()
    expect(cpu).to_have_value("1")
    panel.scroll_into_view_if_needed()
    if pictures := os.environ.get("FLYTE_JUPYTER_PICTURES"):
        panel.screenshot(path=f"{pictures}/panel-{theme}.png")
    panel.get_by_role("button", name="Copy as code").click()
    expect(labelled(panel, "Magic line")).to_have_value(
        "%%flyte_env maths --cpu 1 --memory 1Gi --gpu T4:1 --env-vars MODE=fast"
    )

    panel.get_by_role("button", name="How attempts are made").click()
    panel.evaluate("output => { output.id = 'the-panel'; }")
    assert faults(notebook.page, "#the-panel") == []

    notebook.run_all()
    notebook.page.get_by_text("['0', 'fast']").wait_for()
    notebook.idle()
    explained = notebook.output(4).inner_text()
    assert "resources = cpu 1 (environment), memory 1Gi (panel), gpu T4:1 (panel)" in explained


def test_a_proposal_is_taken_and_written_into_the_cell(open_notebook: Callable[..., Any]) -> None:
    notebook = open_notebook(
        "%load_ext flyte_jupyter",
        "# what it costs\n%%flyte_env sized --memory 2Gi\n\ndef one() -> int:\n    return 1",
        "%flyte_panel sized",
        *["%flyte_run one()"] * 3,
    )
    notebook.run_all()
    notebook.idle()
    panel = notebook.output(2)
    write = panel.get_by_role("button", name="Write to the cell")
    expect(write).to_be_disabled()
    proposal = panel.get_by_role("button", name="one: memory 2Gi →")
    proposal.click()
    panel.get_by_text("one: memory is").wait_for()
    memory = labelled(panel, "Memory request")
    memory.fill("1Gi")
    memory.press("Enter")
    panel.get_by_text("Memory request: 1Gi, overridden").wait_for()
    write.click()
    panel.get_by_text("Run the cell of sized again").wait_for()
    notebook.cells.nth(1).locator(".cm-content").click()
    notebook.page.keyboard.press("Control+Enter")
    notebook.output(1).get_by_text("stand in its first line now").wait_for()
    written = notebook.cells.nth(1).locator(".cm-content").inner_text()
    assert written.startswith("# what it costs\n%%flyte_env sized --memory 1Gi\n")
    panel.get_by_text("The cell of sized says it now.").wait_for()
    expect(memory).to_have_value("1Gi")
    if pictures := os.environ.get("FLYTE_JUPYTER_PICTURES"):
        panel.screenshot(path=f"{pictures}/panel-sizes.png")
    saved = notebook.save()
    text = saved.cells[2].outputs[0].data["text/plain"]
    assert "Memory request  1Gi    environment" in text  # as it is now, not when it was opened
    expect(panel.locator(".flyte-jupyter-panel")).to_be_hidden()

    # a kernel that knows nothing of the widgets
    notebook.menu("Kernel", "Shut Down Kernel")
    notebook.page.locator(".jp-StatusBar-TextItem", has_text="No Kernel |").wait_for()
    notebook.page.reload()
    gone = notebook.output(2).get_by_text("model not found")
    gone.wait_for(state="attached")
    expect(gone).to_be_hidden()
    expect(notebook.output(2).get_by_text("Task sized.one: the same, but")).to_be_visible()
