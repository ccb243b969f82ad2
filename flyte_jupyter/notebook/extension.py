"""Loading and unloading: what ``%load_ext flyte_jupyter`` adds to a shell, and takes away again.

Everything that is added is added here, once, and noted, so that unloading leaves the shell as it
was. Magics import what they need when they are first used: loading must stay cheap.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from flyte_jupyter.catalog import visits
from flyte_jupyter.notebook import comm
from flyte_jupyter.notebook.alias import FlyteAlias, official_is_installed
from flyte_jupyter.notebook.cells import Cells
from flyte_jupyter.notebook.graphviz import GRAPH, graphviz_bundle
from flyte_jupyter.notebook.magics import FlyteMagics
from flyte_jupyter.notebook.matching import matcher_for
from flyte_jupyter.notebook.panel import open_panel
from flyte_jupyter.notebook.transform import flyte_cells
from flyte_jupyter.session.watching import show_with
from flyte_jupyter.spec.listeners import open_panels_by
from flyte_jupyter.spec.origin import number_cells_by

__all__ = ["Extension", "load", "unload"]

ATTRIBUTE = "_flyte_jupyter_extension"
RUN = ("flyte_jupyter.session.run", "Run")
DEPLOYMENT = ("flyte_jupyter.deployment.result", "Deployment")
# written when the package was installed without what JupyterLab takes of it
MISSING = os.path.join(os.path.dirname(os.path.dirname(__file__)), "labextension_missing.txt")
WITHOUT = (
    "flyte_jupyter was installed without its side bar for JupyterLab; "
    "`flyte-jupyter doctor` says why."
)
ENVIRONMENT = ("flyte_jupyter.spec.environment", "TaskEnvironment")
OFFICIAL = (
    "The official flyte package is installed, so `import flyte` stays that one; "
    "use `import flyte_jupyter as flyte` for this one."
)


def load(shell: Any) -> None:
    """Add the magics to a shell; loading twice adds nothing the second time."""
    if getattr(shell, ATTRIBUTE, None) is None:
        extension = Extension(shell)
        extension.install()
        setattr(shell, ATTRIBUTE, extension)


def unload(shell: Any) -> None:
    """Take everything away that `load` has added."""
    extension = getattr(shell, ATTRIBUTE, None)
    if extension is not None:
        delattr(shell, ATTRIBUTE)
        extension.remove()


def _say_what_is_missing(shell: Any) -> None:
    """Say to whoever looks on that the package was installed without its part for JupyterLab."""
    if not os.path.exists(MISSING):
        return
    from flyte_jupyter.notebook.live import is_interactive

    if is_interactive(shell):
        print(WITHOUT)


class Extension:
    """What is in place in one shell.

    Args:
        shell: the IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._cells = Cells(shell, visits)
        self._magics = FlyteMagics(shell, self._cells)
        self._alias: FlyteAlias | None = None
        self._matcher: Any = None
        self._started_for: frozenset[str] = frozenset()
        self._stop_numbering: Callable[[], None] | None = None

    def install(self) -> None:
        """Put everything in place."""
        shell = self._shell
        shell.register_magics(self._magics)
        shell.input_transformers_cleanup.append(flyte_cells)
        shell.events.register("pre_run_cell", self._cells.before)
        shell.events.register("post_run_cell", self._cells.after)
        shell.events.register("post_run_cell", self._start_ahead)
        if (completer := getattr(shell, "Completer", None)) is not None:
            self._matcher = matcher_for(shell)
            completer.custom_matchers.append(self._matcher)
        formatter = shell.display_formatter.formatters["text/html"]
        formatter.for_type_by_name(*RUN, self._run_as_html)
        formatter.for_type_by_name(*DEPLOYMENT, self._deployment_as_html)
        formatter.for_type_by_name(*ENVIRONMENT, self._environment_as_html)
        values = shell.display_formatter.ipython_display_formatter
        values.for_type_by_name(*RUN, self._show_run)
        open_panels_by(open_panel)
        bundles = shell.display_formatter.mimebundle_formatter
        bundles.for_type_by_name(*GRAPH, graphviz_bundle)
        self._stop_numbering = number_cells_by(self._number_of)
        show_with(self._view_of)
        comm.register(shell)
        _say_what_is_missing(shell)
        if official_is_installed():
            print(OFFICIAL)
        else:
            self._alias = FlyteAlias()
            self._alias.install()

    def remove(self) -> None:
        """Take everything away."""
        shell = self._shell
        self._cells.abandon()
        comm.unregister(shell)
        show_with(None)
        if self._stop_numbering is not None:
            self._stop_numbering()
        shell.events.unregister("pre_run_cell", self._cells.before)
        shell.events.unregister("post_run_cell", self._cells.after)
        shell.events.unregister("post_run_cell", self._start_ahead)
        shell.input_transformers_cleanup.remove(flyte_cells)
        for kind, names in self._magics.magics.items():
            for name in names:
                shell.magics_manager.magics[kind].pop(name, None)
        shell.magics_manager.registry.pop(type(self._magics).__name__, None)
        if self._magics in shell.configurables:
            shell.configurables.remove(self._magics)
        if self._matcher is not None:
            shell.Completer.custom_matchers.remove(self._matcher)
        for name in (RUN, DEPLOYMENT, ENVIRONMENT):
            shell.display_formatter.formatters["text/html"].pop(".".join(name), None)
        shell.display_formatter.ipython_display_formatter.pop(".".join(RUN), None)
        shell.display_formatter.mimebundle_formatter.pop(".".join(GRAPH), None)
        if self._alias is not None:
            self._alias.remove()

    def _number_of(self, file: str) -> int | None:
        """Return the number of the execution behind a file name, where somebody sees numbers.

        What executes a saved notebook may count otherwise than it did, and compare what it says.
        """
        from flyte_jupyter.notebook.live import is_interactive

        if not is_interactive(self._shell):
            return None
        numbers: Mapping[str, int] = getattr(self._shell.compile, "_filename_map", {})
        return numbers.get(file)

    def _start_ahead(self, result: Any) -> None:
        """Start the engine when a cell has declared an environment, not when a run needs it."""
        del result
        catalog = sys.modules.get("flyte_jupyter.catalog")
        declared = frozenset(catalog.current().environments) if catalog else frozenset()
        if declared - self._started_for:
            from flyte_jupyter.session.ahead import start_ahead

            start_ahead(sorted(declared - self._started_for))
        self._started_for = declared

    def _view_of(self, run: Any, *, raises: bool) -> Any:
        """Return what shows a run that code of a cell waits for, ``None`` where nobody watches."""
        from flyte_jupyter.notebook.live import view_in_cell

        return view_in_cell(run, raises=raises)

    def _show_run(self, run: Any) -> None:
        """Show a run that goes on, in place until its end, where it is the value of a cell.

        Raises:
            NotImplementedError: it has ended, or nobody watches: it is shown like any other value.
        """
        from flyte_jupyter.notebook.live import show_value

        if not show_value(run):
            raise NotImplementedError

    def _run_as_html(self, run: Any) -> str:
        """Return what a run looks like where it is the value of a cell."""
        from flyte_jupyter.notebook.live import is_interactive
        from flyte_jupyter.notebook.state import state_of
        from flyte_jupyter.notebook.view import html

        watched = is_interactive(self._shell)
        return html(state_of(run.events()), now=time.time(), times=watched)

    def _deployment_as_html(self, deployment: Any) -> str:
        """Return what a deployment looks like where it is the value of a cell."""
        from flyte_jupyter.notebook.deploying import deployment_html
        from flyte_jupyter.notebook.live import is_interactive

        return deployment_html(deployment, times=is_interactive(self._shell))

    def _environment_as_html(self, environment: Any) -> str:
        """Return what an environment looks like where it is the value of a cell."""
        from flyte_jupyter.notebook.graph import environment_html

        return environment_html(environment)
