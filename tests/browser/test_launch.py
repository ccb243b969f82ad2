"""A launch form in JupyterLab: filled in, refused in place, launched, its result below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbconvert import HTMLExporter
from playwright.sync_api import expect

DECLARE = '''%%flyte_env maths --cpu 1 --memory 300Mi

import dataclasses
import datetime
import enum
from typing import Annotated, Literal

from pydantic import Field

class Kind(enum.Enum):
    LINEAR = 1
    CUBIC = 3

@dataclasses.dataclass
class Config:
    """How it is done.

    Args:
        rate: how fast it learns.
        layers: units of each layer.
    """

    rate: float
    layers: list[int] = dataclasses.field(default_factory=lambda: [8, 4])

def train(
    rows: Annotated[int, Field(ge=1, le=100)],
    table: list,
    config: Config,
    wait: Annotated[float, "seconds"] = 0.0,
    kind: Kind = Kind.LINEAR,
    deep: bool = False,
    day: datetime.date = datetime.date(2024, 5, 1),
    name: str | None = None,
) -> str:
    """Train a model."""
    return f"{rows} rows, {len(table)} in the table, rate {config.rate}, {kind.name}, {day}"
'''


FORM = ".jp-CodeCell:has(.widget-vbox) .jp-OutputArea"


def test_a_form_is_filled_in_and_launched(
    open_notebook: Callable[..., Any], faults: Callable[..., list[str]]
) -> None:
    notebook = open_notebook(
        "%load_ext flyte_jupyter", DECLARE, "table = [1, 2, 3]", "%flyte_launch train"
    )
    notebook.run_all()
    notebook.idle()
    page, output = notebook.page, notebook.output(3)
    page.set_viewport_size({"width": 1400, "height": 1800})
    launch = output.get_by_role("button", name="Launch")
    launch.wait_for()
    assert launch.is_disabled()
    output.get_by_label("rows", exact=True).fill("101")
    refusal = output.get_by_role("alert").get_by_text("must be int (at least 1, at most 100)")
    refusal.wait_for()
    assert faults(page, FORM) == []
    output.get_by_label("rows", exact=True).fill("12")
    refusal.wait_for(state="hidden")
    output.get_by_label("or table =").select_option("table: list of 3")
    output.get_by_label("rate", exact=True).fill("0.5")
    output.get_by_label("kind", exact=True).select_option("CUBIC")
    output.get_by_label("task queue").fill("gpus")
    output.get_by_role("button", name="Copy as code").click()
    code = output.get_by_label("Python", exact=True)
    code.wait_for()
    assert code.input_value() == (
        "import flyte_jupyter as flyte\n"
        "flyte.run(train, rows=12, table=table, config=Config(rate=0.5), kind=Kind.CUBIC, "
        "task_queue='gpus')"
    )
    launch.click()
    output.get_by_text("12 rows, 3 in the table, rate 0.5, CUBIC, 2024-05-01").wait_for()
    output.get_by_text("has succeeded").wait_for()
    summary = output.locator(".flyte-jupyter-launch")
    expect(summary).to_be_hidden()
    saved = notebook.save()
    outputs = saved.cells[3].outputs
    assert "rows           int (at least 1, at most 100)  12" in outputs[0].data["text/plain"]
    assert "'12 rows, 3 in the table" in outputs[-1].data["text/plain"]

    # a kernel that knows nothing of the widgets
    notebook.menu("Kernel", "Shut Down Kernel")
    page.locator(".jp-StatusBar-TextItem", has_text="No Kernel").wait_for()
    page.reload()
    gone = output.get_by_text("model not found")
    gone.wait_for(state="attached")
    expect(gone).to_be_hidden()
    expect(summary).to_be_visible()
    assert "model not found" not in HTMLExporter().from_notebook_node(saved)[0]


def test_a_recorded_run_opens_a_form(
    open_notebook: Callable[..., Any], faults: Callable[..., list[str]]
) -> None:
    notebook = open_notebook(
        "%load_ext flyte_jupyter",
        "%%flyte_env maths\n\ndef square(x: int, deep: bool = False) -> int:\n    return x * x",
        "%flyte_run --cpu 1 --task-queue slow square(12)",
        "%flyte_launch --run last",
        theme="dark",
    )
    notebook.run_all()
    notebook.idle()
    page, output = notebook.page, notebook.output(3)
    page.set_viewport_size({"width": 1400, "height": 1300})
    launch = output.get_by_role("button", name="Launch")
    launch.wait_for()
    field = output.get_by_label("x", exact=True)
    assert field.input_value() == "12"
    assert output.get_by_label("task queue").input_value() == "slow"
    assert output.get_by_label("cpu", exact=True).input_value() == "1"
    field.fill("13")
    output.get_by_label("task queue").fill("slow lane")
    output.get_by_role("alert").get_by_text("queue='slow lane' is no name").wait_for()
    assert launch.is_disabled()
    assert faults(page, FORM) == []
    output.get_by_label("task queue").fill("fast")
    output.get_by_role("button", name="Copy as code").click()
    magic = output.get_by_label("magic", exact=True)
    magic.wait_for()
    assert magic.input_value().startswith("%flyte_rerun --task-queue fast square-")
    assert magic.input_value().endswith("(x=13)")
    launch.click()
    output.get_by_text("169", exact=True).first.wait_for()
