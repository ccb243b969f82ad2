"""JupyterLab in a real browser: a server of its own, notebooks, and pages that show them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from flyte_jupyter.store.folders import cache_folder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# what a browser asks the network for by itself is refused on closed machines, again and again
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZE = {"width": 1400, "height": 1000}
#: Milliseconds for anything to appear.
LIMIT = 60_000
ROOT = Path(__file__).parents[2]
#: What is built of `labextension/`.
EXTENSION = ROOT / "flyte_jupyter" / "labextension"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the browser's tests come last: while it runs, no other loop can run on this thread."""
    items.sort(key=lambda item: Path(__file__).parent in item.path.parents)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser without a window, or a skip without one."""
    named = os.environ.get("FLYTE_JUPYTER_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(
            "needs a browser: apt-get install chromium, or name one in FLYTE_JUPYTER_CHROMIUM"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield running
        running.close()


@dataclass(frozen=True)
class Server:
    """A JupyterLab of the tests' own.

    Args:
        url: where it answers.
        token: lets one in.
        folder: where its notebooks are.
        settings: the folder of its users' settings.
        state: what its kernels remember of runs.
    """

    url: str
    token: str
    folder: Path
    settings: Path
    state: Path

    def set(self, plugin: str, **values: object) -> None:
        """Give the settings of a plugin to the pages that are opened from now on."""
        package, _, name = plugin.partition(":")
        file = self.settings / package / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


@contextlib.contextmanager
def serving(
    folder: Path, python: str = sys.executable, app: str = "lab", *, extension: bool = True
) -> Iterator[Server]:
    """Serve a folder.

    Args:
        folder: for notebooks, settings and state, all of it the server's own.
        python: the interpreter whose Jupyter it is, and whose kernels.
        app: ``lab`` or ``notebook``.
        extension: whether our extension is there.
    """
    work, config, data, runtime = (folder / part for part in ("work", "config", "data", "run"))
    settings = config / "lab" / "user-settings"
    for each in (work, config, data, runtime, settings):
        each.mkdir(parents=True, exist_ok=True)
    if extension:
        # as it is in the checkout, not as it may be installed
        place = data / "labextensions" / "flyte-jupyter"
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(EXTENSION)
    else:
        page = config / "labconfig" / "page_config.json"
        page.parent.mkdir(exist_ok=True)
        page.write_text(json.dumps({"disabledExtensions": {"flyte-jupyter": True}}))
    home = folder / "home"
    home.mkdir()
    # what is slow to make is made once, what is remembered of runs is each server's own
    (home / "cache").symlink_to(cache_folder(), target_is_directory=True)
    token = secrets.token_hex(16)
    own = {
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(data),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(config / "lab" / "workspaces"),
        "JUPYTER_TOKEN": token,
        "FLYTE_JUPYTER_HOME": str(home),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    options = (
        "--no-browser",
        "--allow-root",
        "--port=0",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={work}",
    )
    log = (folder / "server.log").open("w")
    server = subprocess.Popen(
        [python, "-m", "jupyter", app, *options],
        env={**os.environ, **own},
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=work,
    )
    try:
        url = _address(server, runtime, folder / "server.log")
        found = Server(url, token, work, settings, home / "state")
        found.set(
            "@jupyterlab/apputils-extension:notification",
            fetchNews="false",
            checkForUpdates=False,
        )
        yield found
    finally:
        server.terminate()
        server.wait()
        log.close()


def _address(server: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    """Wait until a server answers, and return where."""
    import time

    limit = time.monotonic() + LIMIT / 1000
    while time.monotonic() < limit and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(ValueError, OSError):
                url = str(json.loads(file.read_text())["url"])
                urllib.request.urlopen(f"{url}api", timeout=5).close()
                return url
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
    raise RuntimeError(f"JupyterLab did not answer:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="session")
def extension() -> Path:
    """The JupyterLab extension, built of the sources as they are; every server here has it."""
    command = [sys.executable, str(ROOT / "labextension" / "bundle.py")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"needs the JupyterLab extension: {built.stderr.strip()}")
    return EXTENSION


@pytest.fixture(scope="module")
def bare_lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A JupyterLab without our extension."""
    with serving(tmp_path_factory.mktemp("bare"), extension=False) as server:
        yield server


@pytest.fixture(scope="session")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A JupyterLab for all tests of a session."""
    with serving(tmp_path_factory.mktemp("lab")) as server:
        yield server


class Notebook:
    """A notebook, open in a browser.

    Args:
        page: the page that shows it.
        path: its file.
    """

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.path = path

    @property
    def cells(self) -> Locator:
        """The cells that are shown."""
        return self.page.locator(".jp-Notebook .jp-CodeCell")

    def output(self, number: int) -> Locator:
        """What a cell has given, by its place among the code cells, from 0."""
        return self.cells.nth(number).locator(".jp-Cell-outputArea")

    def command(self, name: str) -> None:
        """Choose a command of the palette by its whole name."""
        self.page.keyboard.press("Control+Shift+KeyC")
        field = self.page.locator(".lm-CommandPalette-input")
        field.fill(name)
        exact = re.compile(f"^{re.escape(name)}$")
        self.page.locator(".lm-CommandPalette-itemLabel").filter(has_text=exact).first.click()

    def menu(self, *path: str) -> None:
        """Choose from the menus."""
        self.page.locator(f'.lm-MenuBar-itemLabel:text-is("{path[0]}")').click()
        for name in path[1:]:
            self.page.locator(f'.lm-Menu-itemLabel:text-is("{name}")').click()

    def run_all(self) -> None:
        """Begin to execute all cells; does not wait."""
        self.menu("Run", "Run All Cells")

    def idle(self, timeout: float = LIMIT) -> None:
        """Wait until every code cell has been executed and the kernel has nothing to do."""
        self.page.wait_for_function(
            """() => {
                const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')];
                const prompts = cells.map(c => c.querySelector('.jp-InputPrompt')?.textContent);
                return prompts.every(text => /\\d/.test(text || '')) && document.querySelector(
                    '.jp-Notebook-ExecutionIndicator[data-status=idle]');
            }""",
            timeout=timeout,
        )

    def picture(self, name: str) -> None:
        """Leave a picture of how it looks now, where somebody wants them."""
        if pictures := os.environ.get("FLYTE_JUPYTER_PICTURES"):
            self.page.screenshot(path=f"{pictures}/{self.path.stem}-{name}.png")

    def save(self) -> Any:
        """Save it, and return what is in its file."""
        before = self.path.stat().st_mtime_ns
        self.page.keyboard.press("Control+KeyS")
        limit = 200
        while self.path.stat().st_mtime_ns == before and limit:
            self.page.wait_for_timeout(50)
            limit -= 1
        while not self.path.read_text().rstrip().endswith("}") and limit:  # it is being written
            self.page.wait_for_timeout(50)
            limit -= 1
        return nbformat.read(self.path, as_version=4)


def opened_in(
    server: Server, browser: Browser, stem: str, cells: Sequence[str], app: str = "lab"
) -> Notebook:
    """Open a new notebook in a page of its own.

    Args:
        server: serves it.
        browser: shows it.
        stem: of its name.
        cells: sources of its cells.
        app: ``lab`` or ``notebook``.
    """
    path = server.folder / f"{stem}.ipynb"
    notebook: Any = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(each) for each in cells]
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, path)
    page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
    page.set_default_timeout(LIMIT)
    where = f"lab/tree/{path.name}?reset&" if app == "lab" else f"notebooks/{path.name}?"
    page.goto(f"{server.url}{where}token={server.token}")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    # until a session has its kernel, whoever runs a cell is asked for one
    if app == "lab":
        page.locator(".jp-StatusBar-TextItem", has_text="| Idle").wait_for()
    else:
        page.locator(".jp-NotebookKernelLogo img").wait_for()
    return Notebook(page, path)


@pytest.fixture
def open_notebook(
    lab: Server, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Notebook]]:
    """A function that opens a notebook with some cells; its page is closed and its kernel ended."""
    with opening(lab, browser, request) as show:
        yield show


@pytest.fixture
def open_bare(
    bare_lab: Server, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Notebook]]:
    """The same without our extension."""
    with opening(bare_lab, browser, request) as show:
        yield show


@contextlib.contextmanager
def opening(
    lab: Server, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Notebook]]:
    """Give a function that opens notebooks on a server, and close them afterwards."""
    opened: list[Page] = []
    # the runs of the tests before are not listed beside those of this one
    shutil.rmtree(lab.state, ignore_errors=True)

    def show(*cells: str, theme: str = "light") -> Notebook:
        stem = re.sub(r"\W+", "-", request.node.name).strip("-")[:60]
        lab.set("@jupyterlab/apputils-extension:themes", theme=THEMES[theme])
        notebook = opened_in(lab, browser, f"{stem}-{len(opened)}", cells)
        opened.append(notebook.page)
        return notebook

    yield show
    for number, page in enumerate(opened):
        # pictures to be looked at, where somebody wants them
        if pictures := os.environ.get("FLYTE_JUPYTER_PICTURES"):
            page.screenshot(path=f"{pictures}/{request.node.name}-{number}.png")
        page.close()
    _end_kernels(lab)


def _end_kernels(lab: Server) -> None:
    head = {"Authorization": f"token {lab.token}"}
    asked = urllib.request.Request(f"{lab.url}api/sessions", headers=head)
    with urllib.request.urlopen(asked) as answer:
        found = json.load(answer)
    for one in found:
        end = urllib.request.Request(
            f"{lab.url}api/sessions/{one['id']}", method="DELETE", headers=head
        )
        urllib.request.urlopen(end).close()


@pytest.fixture(scope="session")
def faults() -> Callable[..., list[str]]:
    """A function that names what is hard to use for some people in a part of a page.

    It finds with axe what is serious or critical there.
    """
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()

    def look(page: Page, selector: str) -> list[str]:
        found = axe.run(page, context=selector, options={"resultTypes": ["violations"]})
        return [
            f"{fault['id']} ({fault['impact']}): {fault['help']}: {node['html'][:200]}"
            for fault in found.response["violations"]
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]
        ]

    return look
