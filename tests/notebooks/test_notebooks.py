"""The notebooks are saved as a reader should find them; nbval executes them and compares.

To save them anew: ``jupyter nbconvert --to notebook --execute --inplace
--ExecutePreprocessor.record_timing=False notebooks/*.ipynb``.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MACHINE = re.compile(r"(?<![\w.])(/(home|root|tmp|Users|var|work|opt)/|[A-Z]:\\)")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
MAY_FAIL = "raises-exception"

each = pytest.mark.parametrize("notebook", NOTEBOOKS, indirect=True, ids=lambda path: path.stem)


@pytest.fixture
def notebook(request: pytest.FixtureRequest) -> Any:
    """A notebook as it is saved."""
    return nbformat.read(request.param, as_version=nbformat.NO_CONVERT)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def words(output: Any) -> str:
    """Return every text of an output."""
    texts = [output.get("text", ""), *output.get("traceback", []), output.get("evalue", "")]
    texts += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return COLOURS.sub("", "\n".join(texts))


def test_there_are_notebooks() -> None:
    assert "quickstart" in {path.stem for path in NOTEBOOKS}


@each
def test_a_notebook_is_valid_and_names_only_the_common_kernel(notebook: Any) -> None:
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec == {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@each
def test_all_cells_of_a_notebook_ran_in_order(notebook: Any) -> None:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert any(cell.outputs for cell in code_cells(notebook))


@each
def test_only_a_cell_that_is_meant_to_fail_has_failed(notebook: Any) -> None:
    for cell in code_cells(notebook):
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == (MAY_FAIL in cell.metadata.get("tags", [])), cell.source


@each
def test_nothing_in_a_notebook_tells_of_the_machine_that_ran_it(notebook: Any) -> None:
    for cell in code_cells(notebook):
        assert set(cell.metadata) <= {"tags"}
        for text in [cell.source, *map(words, cell.outputs)]:
            assert not MACHINE.search(text), text
            assert str(Path.home()) not in text
            assert sys.prefix not in text
            assert os.uname().nodename not in text.split()


@each
def test_nothing_in_a_notebook_is_a_widget(notebook: Any) -> None:
    kinds = {
        kind for cell in code_cells(notebook) for o in cell.outputs for kind in o.get("data", {})
    }
    assert not {kind for kind in kinds if "widget" in kind}


@each
def test_a_notebook_prints_nothing_to_standard_error(notebook: Any) -> None:
    streams = [o.name for c in code_cells(notebook) for o in c.outputs if o.output_type == "stream"]
    assert set(streams) <= {"stdout"}
