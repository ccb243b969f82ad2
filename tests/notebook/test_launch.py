"""``%flyte_launch``: a form over widgets without a browser, and as text where nobody watches."""

from __future__ import annotations

from typing import Any

import pytest

DECLARE = """%%flyte_env maths --cpu 2
from typing import Annotated, Literal

def scale(x: int, factor: float = 2.0, mode: Literal["up", "down"] = "up") -> float:
    "Scale a number."
    return x * factor if mode == "up" else x / factor
"""


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYTE_JUPYTER_INTERACTIVE", "1")


@pytest.fixture
def form(cell: Any, shell: Any, watched: None) -> Any:
    """The widgets of the form of ``scale``."""
    assert cell(DECLARE).success
    shown = cell("form = %flyte_launch scale\nform._ipython_display_()\nform")
    assert shown.success, shown.error
    return shell.user_ns["form"].view


def test_launch(form: Any) -> None:
    rows = {row.field.name: row for row in form.rows}
    assert form.launch.disabled
    assert "scale() is missing the input x." in form.reason.value
    rows["x"].control.widget.set_state({"value": "three"})
    assert (
        "Input &#x27;x&#x27; of scale() must be int, but it is str: &#x27;three&#x27;."
        in rows["x"].message.value
    )
    rows["x"].control.widget.set_state({"value": "3"})
    assert not form.launch.disabled
    form.launch.click()
    print(form.message.value)
    run = form.form.runs[-1]
    assert run.result() == 6.0
