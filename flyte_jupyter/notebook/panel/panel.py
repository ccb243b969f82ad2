"""The panel as a value of a cell: widgets where somebody watches, tables where nobody does."""

from __future__ import annotations

import sys
from typing import Any

from flyte_jupyter import catalog as catalogs
from flyte_jupyter.catalog import Catalog
from flyte_jupyter.errors import NotFoundError
from flyte_jupyter.notebook.live import is_interactive
from flyte_jupyter.notebook.panel import looks
from flyte_jupyter.notebook.panel.summary import summary
from flyte_jupyter.notebook.tables import Tables
from flyte_jupyter.spec.environment import TaskEnvironment
from flyte_jupyter.spec.task import Task
from flyte_jupyter.steering.levels import Level

__all__ = ["Panel", "panel_of"]

EMPTY = "No environment is declared yet. Begin a cell with %%flyte_env NAME."

# the one panel of each cell: a cell that is run again makes another
_by_cell: dict[str, Panel] = {}


class Panel:
    """The panel of an environment.

    Args:
        catalog: the session's declarations, which it shows and edits.
        level: where it begins.
        shell: the IPython shell, ``None`` without one.
    """

    def __init__(self, catalog: Catalog, level: Level, shell: Any = None) -> None:
        self.catalog = catalog
        self.level = level
        self._shell = shell
        self._view: Any = None
        self._handle: Any = None
        self._shown = ""

    @property
    def view(self) -> Any:
        """The widgets, made when they are first asked for."""
        if self._view is None:
            from flyte_jupyter.notebook.panel.view import View

            self._view = View(self.catalog, self.level, self._shell, follow=self._update)
        return self._view

    @property
    def tables(self) -> Tables:
        """What holds now, without widgets."""
        return summary(self.catalog, self.level.environment)

    def close(self) -> None:
        """Let go of the widgets; the overrides stay."""
        if self._view is not None:
            self._view.close()
            self._view = None

    def __repr__(self) -> str:
        return repr(self.tables)

    def _repr_html_(self) -> str:
        return looks.static(self.tables._repr_html_())

    def _ipython_display_(self) -> None:
        """Show the tables, and below them the widgets where somebody watches.

        Two outputs: a saved notebook still has the first where nothing can show the second.
        """
        from IPython.display import display

        if not is_interactive(self._shell):
            display({"text/plain": repr(self), "text/html": self._repr_html_()}, raw=True)
            return
        self._handle = display(self._bundle(), raw=True, display_id=True)
        display({"text/plain": "", "text/html": "", **self.view.mimebundle()}, raw=True)

    def _bundle(self) -> dict[str, str]:
        self._shown = repr(self)
        html = looks.static(self.tables._repr_html_(), live=True)
        return {"text/plain": self._shown, "text/html": html}

    def _update(self, level: Level) -> None:
        """Have the tables that are saved say what the widgets say now."""
        self.level = level
        if self._handle is not None and repr(self) != self._shown:
            self._handle.update(self._bundle(), raw=True)


def panel_of(about: Any = None) -> Panel:
    """Return a panel; see `flyte_jupyter.notebook.panel.open_panel`."""
    catalog = catalogs.current()
    shell = _shell()
    level = _level(catalog, about)
    panel = Panel(catalog, level, shell)
    visit = catalogs.visits.innermost
    if visit is not None and visit.cell is not None:
        before = _by_cell.pop(visit.cell, None)
        if before is not None:
            before.close()
        _by_cell[visit.cell] = panel
    return panel


def _level(catalog: Catalog, about: Any) -> Level:
    if isinstance(about, TaskEnvironment):
        return Level(catalog.find_environment(about.name).name)
    if isinstance(about, Task):
        return Level(about.env_name, catalog.find_task(about.name).name)
    if about is None:
        if not catalog.environments:
            raise NotFoundError(EMPTY)
        return Level(next(iter(catalog.environments)))
    name = str(about)
    try:
        return Level(catalog.find_environment(name).name)
    except NotFoundError:
        short = {full.rpartition(".")[2] for full in catalog.tasks}
        if name not in short and name not in catalog.tasks:
            raise
    task = catalog.find_task(name)
    return Level(task.env_name, task.name)


def _shell() -> Any:
    """Return the IPython shell that runs, without importing IPython for it."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()
