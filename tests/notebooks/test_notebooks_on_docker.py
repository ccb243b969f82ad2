"""The notebooks give on docker what is saved in them; nbval executes and compares."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# Appended to each notebook: whether every environment is a container, of another host name than the
# kernel's and without the kernel's packages.
WHERE = """
import flyte_jupyter
from flyte_jupyter import catalog

def where() -> tuple[str, bool, list]:
    import importlib.metadata, os, socket
    container = os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")
    packages = [each.name for each in importlib.metadata.distributions()]
    return socket.gethostname(), container, packages

declared = [each.value for each in catalog.current().environments.values()]
runs = [flyte_jupyter.run(each.task(where)) for each in declared]
here = where()
{
    (host != here[0], container, "ipykernel" in packages)
    for host, container, packages in (run.result() for run in runs)
}
"""
PROOF = {"text/plain": "{(True, True, False)}"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_the_same_on_docker(
    path: Path, docker_engine: Any, nothing_left: None, tmp_path: Path
) -> None:
    notebook: Any = nbformat.read(path, as_version=4)
    output = nbformat.v4.new_output("execute_result", data=PROOF, execution_count=1)
    notebook.cells.append(nbformat.v4.new_code_cell(WHERE, outputs=[output], execution_count=1))
    # a notebook may name those beside it, and tells the name of its folder
    folder = shutil.copytree(path.parent, tmp_path / path.parent.name)
    copy = folder / path.name
    nbformat.write(notebook, copy)
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "--timeout=280"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n0",
            "-p",
            "no:cacheprovider",
            *settings,
            str(copy),
        ],
        cwd=ROOT,
        env={**os.environ, "FLYTE_JUPYTER_TARGET": "docker"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
