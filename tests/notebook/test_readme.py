"""The readme shows a cell and its result: it must be the result."""

from __future__ import annotations

import re
from pathlib import Path

import nbclient
import nbformat

README = Path(__file__).parents[2] / "README.md"


def test_the_first_cells_of_the_readme_give_what_it_shows() -> None:
    text = README.read_text()
    cells = re.findall(r"```python\n(.*?)```", text, re.S)[:3]
    shown = re.search(r"```\n([^`]*?)```", text[text.index(cells[-1]) + len(cells[-1]) + 4 :])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])

    nbclient.NotebookClient(notebook, timeout=180, kernel_name="python3").execute()

    (result,) = (o for o in notebook.cells[-1].outputs if o.output_type == "execute_result")
    assert shown is not None
    assert result.data["text/plain"] == shown.group(1).strip()
