"""The resource panel in JupyterLab: what is changed there is what the next run has."""

from __future__ import annotations

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


def labelled(panel: Any, label: str) -> Any:
    return panel.get_by_label(label, exact=True)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_changed_in_the_panel_is_what_the_next_run_has(
    open_notebook: Callable[..., Any], theme: str
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
    assert cpu.input_value() == "1"
    panel.get_by_role("button", name="Copy as code").click()
    magic = labelled(panel, "Magic line").input_value()
    assert magic == "%%flyte_env maths --cpu 1 --memory 1Gi --gpu T4:1 --env-vars MODE=fast"

    notebook.run_all()
    notebook.page.get_by_text("['0', 'fast']").wait_for()
    notebook.idle()
    explained = notebook.output(4).inner_text()
    assert "resources = cpu 1, memory 1Gi, gpu T4:1  (panel)" in explained
