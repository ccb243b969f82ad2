"""Asked against used: what the tasks of an environment have used, and what to ask for instead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.notebook.panel import looks
from flyte_jupyter.steering.levels import Level
from flyte_jupyter.steering.sizing import Proposal, Sizing, accept, rule, sizings

__all__ = ["Sizes"]

PAUSES = (0.5, 2.0)
HEADS = ("task", "of", "asked", "used at most", "runs")


class Sizes:
    """The table of an environment's tasks, and a button for each proposal.

    Args:
        catalog: the session's declarations.
        say: shows a message in the panel.
    """

    def __init__(self, catalog: Catalog, say: Callable[..., None]) -> None:
        self._catalog = catalog
        self._say = say
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._level: Level | None = None
        self._reads = False
        self._shown: list[Sizing] | None = None
        self.table = widgets.HTML()
        self.proposals = widgets.VBox()
        self.box = widgets.VBox(
            [widgets.HTML(looks.heading("Asked against used")), self.table, self.proposals],
            layout={"display": "none"},
        )

    def look(self, level: Level, ask: Callable[[Callable[[], None]], None]) -> None:
        """Read the journal on a thread of its own, and show what it says.

        Args:
            level: the environment, and the one task of it if only that is looked at.
            ask: has a function done on a thread.
        """
        with self._lock:
            self._level = level
            if self._reads:
                return  # whoever reads does so again
            self._reads = True
        ask(self._read)

    def _read(self) -> None:
        """Read until nothing more is to be expected soon."""
        pauses = iter(PAUSES)
        while True:
            with self._lock:
                level, self._level = self._level, None
            if level is None:
                return
            found = self._found(level)
            self.show([one for one in found if not level.task or one.level == level])
            pause = next(pauses, None)
            if pause is not None and any(one.untold for one in found):
                self._closed.wait(pause)  # a worker tells what it used when it has ended
                with self._lock:
                    self._level = self._level or level
            with self._lock:
                self._reads = self._level is not None and not self._closed.is_set()
                if not self._reads:
                    return

    def close(self) -> None:
        """Show nothing more."""
        self._closed.set()

    def _found(self, level: Level) -> list[Sizing]:
        try:
            return sizings(self._catalog, level.environment)
        except FlyteError:  # it was forgotten meanwhile
            return []
        except Exception as error:
            self._say(f"The journal cannot be read: {error}", refused=True)
            return []

    def show(self, found: list[Sizing]) -> None:
        """Show what tasks have used; buttons that are there stay while nothing changes."""
        with self._lock:
            if found == self._shown or self._closed.is_set():
                return
            self._shown = found
            self.box.layout.display = "" if found else "none"
            lines = [
                (one.level.label, part, asked, used, str(one.runs))
                for one in found
                for part, asked, used in one.rows
            ]
            self.table.value = looks.table(HEADS, lines)
            before = self.proposals.children
            shown = [self._button(p) for one in found for p in one.proposals]
            note = widgets.HTML(looks.muted(rule()))
            self.proposals.children = (*shown, note)
            for widget in before:
                widget.close()

    def _button(self, proposal: Proposal) -> Any:
        button = widgets.Button(
            description=f"{proposal.level.label}: {proposal}",
            tooltip=f"Override {proposal.part} of {proposal.level.label} by {proposal.then}",
            layout={"width": "auto"},
        )
        button.on_click(lambda _: self._accept(proposal))
        return button

    def _accept(self, proposal: Proposal) -> None:
        try:
            accept(self._catalog, proposal)
        except FlyteError as error:
            self._say(str(error), refused=True)
            return
        self._say(
            f"{proposal.level.label}: {proposal.part} is {proposal.then} from the next run on."
        )
