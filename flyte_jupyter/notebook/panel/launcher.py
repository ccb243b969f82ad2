"""A task launched from the panel: its launch form, below the settings that it would run under."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.notebook.launch.landing import place_of
from flyte_jupyter.steering.levels import Level

if TYPE_CHECKING:
    from flyte_jupyter.notebook.launch.view import LaunchView

__all__ = ["Launcher"]

CHOOSE = "Choose one task to launch it"


class Launcher:
    """The button that opens the form of a task, and the form.

    Args:
        catalog: the session's declarations.
        shell: the IPython shell.
        guarded: does something in turn; what goes wrong is said in the panel.
    """

    def __init__(
        self, catalog: Catalog, shell: Any, guarded: Callable[[Callable[[], None]], None]
    ) -> None:
        self._catalog = catalog
        self._shell = shell
        self._level: Level | None = None
        # what is launched is shown in the cell that shows the panel
        self._place = place_of(shell)
        self._view: LaunchView | None = None
        self.button = widgets.ToggleButton(description="Launch", icon="play")
        self.box = widgets.VBox()
        self.button.observe(lambda _: guarded(self._turn), "value")

    def show(self, level: Level) -> None:
        """Follow the panel to a level; the form of another task goes.

        Args:
            level: an environment, or one task of it.
        """
        only = self._only(level)
        self.button.disabled = not only
        self.button.tooltip = f"Fill in the inputs of {only}, and run it" if only else CHOOSE
        if self._level is not None and self._only(self._level) != only:
            self.button.value = False
        self._level = level

    def _only(self, level: Level) -> str:
        """Return the full name of the one task that is meant, empty where there are several."""
        tasks = [task.name for task in self._catalog.tasks_of(level.environment)]
        return level.task or (tasks[0] if len(tasks) == 1 else "")

    def _turn(self) -> None:
        self.close()
        if not self.button.value or self._level is None:
            return
        from flyte_jupyter.notebook.launch.opened import launch_form
        from flyte_jupyter.notebook.launch.view import LaunchView

        form = launch_form(self._only(self._level))
        self._view = LaunchView(form, self._shell, self._place, lambda: None)
        self.box.children = (self._view.root,)

    def close(self) -> None:
        """Take the form away; what was launched goes on."""
        if self._view is not None:
            self.box.children = ()
            self._view.close()
            self._view = None
