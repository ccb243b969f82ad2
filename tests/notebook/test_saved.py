"""A notebook that was saved says the same when it is executed again (strict nbval)."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

CELLS = (
    "%load_ext flyte_jupyter",
    "%%flyte_env base --cpu 1\n\ndef load(n: int) -> list:\n    print('loading', n)\n"
    "    return list(range(n))\n",
    "%%flyte_env ml --cpu 1\n\nimport asyncio\n\nasync def total(n: int) -> int:\n"
    "    parts = await asyncio.gather(load.aio(n), load.aio(n + 1))\n"
    "    print('summing')\n    return sum(map(sum, parts))\n",
    "%flyte_run total(4)",
    "run = %flyte_run --no-wait load(2)\nrun.wait()",
    "run",
    "%flyte_envs",
    "ml",
)


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook with the outputs of its execution."""
    import asyncio

    from nbclient import NotebookClient

    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    client = NotebookClient(notebook, kernel_name="python3", timeout=120)
    asyncio.run(client.async_execute())
    path = tmp_path / "saved.ipynb"
    nbformat.write(notebook, path)
    return path


def test_it_compares_equal_without_sanitising(saved: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env",
         "--nbval-cell-timeout=40", "-q", "-p", "no:cacheprovider", "-c", os.devnull,
         "--rootdir", str(saved.parent), str(saved)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert f"{len(CELLS)} passed" in done.stdout


def test_it_stores_no_names_times_and_widgets(saved: Path) -> None:
    text = saved.read_text()
    assert "succeeded" in text
    assert "load-" not in text
    assert "total-" not in text
    assert "widget" not in text
