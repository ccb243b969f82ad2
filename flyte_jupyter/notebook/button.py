"""A button below the view of a run that no cell waits for; it goes when the run ends.

It is a widget, so the kernel hears it only while no cell is executed; meanwhile it is disabled and
says why. What is saved of a run that has ended has no widget in it.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte_jupyter.notebook.live import Watched

__all__ = ["CancelButton"]

FREE = "Ends the run with everything that it started"
BUSY = "The kernel executes a cell and hears no button; it can be cancelled once the cell has ended"

ENDING = "It is being cancelled"


class CancelButton:
    """The button of one run.

    Args:
        run: the run.
    """

    def __init__(self, run: Watched) -> None:
        self._run = run
        self._handle: Any = None
        self._lock = threading.Lock()
        self._gone = self._pressed = False
        self._button = _button()
        self.shown = self._button is not None

    def show(self) -> None:
        """Show it in the cell that is being executed, to be used once that has ended."""
        if self._button is None:
            return
        from IPython import get_ipython
        from IPython.display import display

        self._button.on_click(self._clicked)
        bundle = self._button._repr_mimebundle_()
        # where no widgets are shown, the words that help
        bundle["text/plain"] = "run.abort() cancels it"
        self._handle = display(bundle, raw=True, display_id=True)
        self._shell = get_ipython()
        if self._shell is not None:
            self._shell.events.register("pre_run_cell", self._busy)
            self._shell.events.register("post_run_cell", self._free)

    def remove(self) -> None:
        """Take it away."""
        with self._lock:
            self._gone = True
            if self._handle is None:
                return
            for event, callback in (("pre_run_cell", self._busy), ("post_run_cell", self._free)):
                with contextlib.suppress(ValueError):  # the shell has let it go
                    self._shell.events.unregister(event, callback)
            self._handle.update({"text/plain": "", "text/html": ""}, raw=True)
            self._button.close()

    def _clicked(self, _: Any) -> None:
        """End the run, whichever thread hears the click; its view tells how it goes on."""
        self._set(True, ENDING)
        self._pressed = True
        threading.Thread(target=self._run.abort, name="flyte-abort", daemon=True).start()

    def _busy(self, _: Any = None) -> None:
        self._set(True, BUSY)

    def _free(self, _: Any = None) -> None:
        self._set(False, FREE)

    def _set(self, disabled: bool, why: str) -> None:
        with self._lock:
            if not self._gone and not self._pressed:
                self._button.tooltip = why
                self._button.disabled = disabled


def _button() -> Any:
    """Return the widget, ``None`` in a kernel that has none."""
    from IPython import get_ipython

    shell = get_ipython()
    if getattr(shell, "kernel", None) is None:
        return None
    from ipywidgets import Button

    return Button(description="Cancel", icon="stop", tooltip=FREE)
