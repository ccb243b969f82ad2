"""The same in Notebook 7, and with kernels that hear front ends in other ways.

Each Jupyter has an environment of its own, made by uv when it is first needed and kept in the
folder that ``FLYTE_JUPYTER_JUPYTERS`` names, or in that of the tests' other tools.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv

from tests.browser.conftest import ROOT, opened_in, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.usefixtures("extension"), pytest.mark.timeout(600)]

PLACE = Path.home() / ".cache" / "flyte_jupyter-ci" / "jupyters"
CELLS = (
    "%load_ext flyte_jupyter",
    "%%flyte_env ml --cpu 1\nimport time\n\n"
    "def square(x: int) -> int:\n    return x * x\n\n"
    "def sleep(seconds: float = 60.0):\n    time.sleep(seconds)\n",
    "%flyte_run square(12)",
    "from IPython.display import display\n"
    "display({'text/vnd.graphviz': 'digraph { a -> b }'}, raw=True)",
    "%flyte_panel ml",
    "%flyte_launch square",
)


@dataclass(frozen=True)
class Jupyter:
    """One Jupyter.

    Args:
        wants: packages.
        app: ``lab`` or ``notebook``.
        hears: whether its kernel hears a front end while a cell is executed.
    """

    wants: tuple[str, ...]
    app: str
    hears: bool


JUPYTERS = {
    "notebook 7": Jupyter(("notebook>=7.6,<8", "ipykernel==7.4.0"), "notebook", True),
    "ipykernel 6, lab 4.2": Jupyter(("jupyterlab==4.2.7", "ipykernel==6.30.1"), "lab", False),
    "ipykernel 7.3": Jupyter(("jupyterlab>=4.6,<5", "ipykernel==7.3.0"), "lab", True),
}


def python_of(jupyter: Jupyter) -> str:
    """Return the Python of an environment that has a Jupyter, and what this package depends on."""
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted = sorted({*needs, *jupyter.wants})
    place = Path(os.environ.get("FLYTE_JUPYTER_JUPYTERS") or PLACE)
    folder = place / hashlib.sha256(repr((sys.version, wanted)).encode()).hexdigest()[:16]
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return str(python)
    make = [uv.find_uv_bin(), "venv", "-q", "--clear", "--python", sys.executable, str(folder)]
    install = [uv.find_uv_bin(), "pip", "install", "-q", "--python", str(python), *wanted]
    for command in (make, install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"needs {', '.join(jupyter.wants)}: {done.stderr.strip()[-500:]}")
    (folder / "complete").touch()
    return str(python)


@pytest.mark.parametrize("name", JUPYTERS)
def test_all_that_is_shown_works_in_every_jupyter(
    name: str, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jupyter = JUPYTERS[name]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with serving(tmp_path, python_of(jupyter), jupyter.app) as server:
        notebook = opened_in(server, browser, "elsewhere", CELLS, jupyter.app)
        notebook.run_all()
        notebook.idle()
        assert "144" in notebook.output(2).inner_text()
        notebook.output(3).locator(".flyte-graphviz svg").wait_for()
        memory = notebook.output(4).get_by_label("Memory request", exact=True)
        memory.fill("1Gi")
        memory.press("Enter")
        notebook.output(4).get_by_text("Memory request: 1Gi, overridden").wait_for()
        form = notebook.output(5)
        form.get_by_label("x", exact=True).fill("9")
        form.get_by_role("button", name="Launch").click()
        form.get_by_text("81", exact=True).wait_for()
        notebook.page.locator('[data-jp-item-name="flyte-jupyter"]').first.click()
        bar = notebook.page.locator(".flyte-sidebar")
        bar.locator(".flyte-phase-succeeded").first.wait_for()
        bar.get_by_role("button", name="Run sleep").press("Enter")
        # what goes on is told also by a kernel that hears nothing meanwhile
        bar.locator(".flyte-phase-running").wait_for()
        cancel = bar.get_by_text("Cancel", exact=True)
        if jupyter.hears:
            cancel.click()
        else:
            assert cancel.get_attribute("aria-disabled") == "true"
            assert "use the stop button" in str(cancel.get_attribute("title"))
            notebook.picture("deaf")
            notebook.page.locator('[data-jp-item-name="interrupt"]').click()
        bar.locator(".flyte-phase-aborted").wait_for()
        notebook.page.close()
