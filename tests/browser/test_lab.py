"""What a notebook user meets first, in JupyterLab: a run and its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_a_run_shows_its_value_in_the_cell_that_started_it(
    open_notebook: Callable[..., Any],
) -> None:
    notebook = open_notebook(
        "%load_ext flyte_jupyter",
        "%%flyte_env maths\n\ndef square(x: int) -> int:\n    return x * x",
        "%flyte_run square(12)",
    )
    notebook.run_all()
    notebook.idle()
    assert "144" in notebook.output(2).inner_text()
    assert "squar" not in notebook.output(0).inner_text()
