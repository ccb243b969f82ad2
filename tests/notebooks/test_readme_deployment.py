"""The readme deploys what it declares, and its picture is of that."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
SECTION = "## Deployed in order, called by name\n"
BLOCK = re.compile(r"```python\n(.*?)```", re.S)

LOOK = """
graph = flyte.graph(site)
print(graph.svg)
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The cells of the readme up to the end of that section, executed, and what the graph is."""
    before, _, after = (ROOT / "README.md").read_text().partition(SECTION)
    section = after[: after.index("\n## ")]
    sources = [*BLOCK.findall(before)[:2], *BLOCK.findall(section), LOOK]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in sources])
    folder = tmp_path_factory.mktemp("readme")
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=180, kernel_name="python3", resources=resources)
    client.execute()
    executed: list[Any] = notebook.cells
    return executed


def shown(cell: Any) -> str:
    return "".join(o.data["text/plain"] for o in cell.outputs if "data" in o)


def test_all_of_it_is_deployed_in_three_waves(cells: list[Any]) -> None:
    (deployed,) = [cell for cell in cells if cell.source.startswith("%flyte_deploy")]
    rows = [line.split()[:3] for line in shown(deployed).splitlines()[1:]]
    assert rows == [["wave", "1", "science"], ["wave", "2", "report"], ["wave", "3", "site"]]


def test_a_call_by_name_gives_what_the_readme_shows(cells: list[Any]) -> None:
    assert f"```\n{shown(cells[-2])}\n```" in (ROOT / "README.md").read_text()


def test_its_picture_says_what_the_graph_says(cells: list[Any]) -> None:
    (drawn,) = [o.text for o in cells[-1].outputs if o.output_type == "stream"]
    saved = (ROOT / "notebooks" / "graph.svg").read_text()
    assert words(saved) == words(drawn)


def words(svg: str) -> list[str]:
    """Return what a picture says, whatever Python the image has."""
    return re.findall(r">([^<>]+)</text>", re.sub(r"Python 3\.\d+", "Python 3", svg))
