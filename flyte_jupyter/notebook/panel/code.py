"""'Copy as code' and 'write to the cell': what holds in the panel, as lines of the notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.notebook.panel import armed
from flyte_jupyter.notebook.panel.writing import why_not
from flyte_jupyter.steering.copying import magic_line, python_lines
from flyte_jupyter.steering.levels import Level

__all__ = ["CodeBox"]

LAYOUT = {"width": "95%"}


class CodeBox:
    """The lines, and the two buttons for them.

    Args:
        catalog: the session's declarations.
        shell: the IPython shell.
        say: shows a message in the panel.
    """

    def __init__(self, catalog: Catalog, shell: Any, say: Callable[..., None]) -> None:
        self._catalog = catalog
        self._shell = shell
        self._say = say
        self._level: Level | None = None
        self._awaited = ""
        self._copy = widgets.ToggleButton(
            description="Copy as code", tooltip="Show the lines that say what holds here"
        )
        self._write = widgets.Button(description="Write to the cell")
        self.python = widgets.Textarea(description="Python", rows=3, layout=LAYOUT)
        self.magic = widgets.Textarea(description="Magic line", rows=2, layout=LAYOUT)
        self.box = widgets.VBox([self.python, self.magic], layout={"display": "none"})
        self._copy.observe(self._fold, "value")
        self._write.on_click(lambda _: self._arm())
        self.buttons = (self._copy, self._write)

    def show(self, level: Level) -> None:
        """Show the lines of a level, if they are asked for."""
        self._level = level
        self._follow()
        why = why_not(self._catalog, level, self._shell)
        self._write.disabled = bool(why)
        self._write.tooltip = why or (
            f"Have the first line of the cell of {level.environment} say what holds here, when "
            "that cell is run the next time"
        )
        if self._copy.value:
            self.python.value = python_lines(self._catalog, level)
            self.magic.value = magic_line(self._catalog, level)

    def _follow(self) -> None:
        """Say when the cell has been written, and wait no more when there is nothing to write."""
        if not self._awaited:
            return
        if self._awaited not in armed:
            self._say(f"The cell of {self._awaited} says it now.")
        elif self._catalog.overrides.get(self._awaited):
            return
        armed.discard(self._awaited)
        self._awaited = ""

    def _fold(self, _: Any) -> None:
        self.box.layout.display = "" if self._copy.value else "none"
        if self._level is not None:
            self.show(self._level)

    def _arm(self) -> None:
        if self._level is not None:
            self._awaited = self._level.environment
            armed.add(self._awaited)
            self._say(
                f"Run the cell of {self._level.environment} again: its first line will say what "
                "holds here, and the overrides go. A panel cannot write to a cell that is not run."
            )
