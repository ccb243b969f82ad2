"""A launch form as the value of a cell: widgets where somebody watches, a summary everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flyte_jupyter import catalog
from flyte_jupyter.errors import InputError
from flyte_jupyter.launching.form import LaunchForm
from flyte_jupyter.notebook.launch import looks
from flyte_jupyter.session.rerun import recorded
from flyte_jupyter.session.run import Run
from flyte_jupyter.spec import Task

if TYPE_CHECKING:
    from flyte_jupyter.notebook.launch.view import LaunchView

__all__ = ["OpenForm", "launch_form"]

# the one form of each cell: a cell that is run again shows another
_by_cell: dict[str, OpenForm] = {}


class OpenForm(LaunchForm):
    """A launch form in a notebook.

    Code may fill it in, too: ``form.fill("rows", "100")``, ``form.say("task_queue", "gpus")``,
    ``form.launch()``.

    Args:
        shell: the IPython shell, ``None`` without one.
        task: what it launches.
        notebook: the variables that can be picked.
        given: for a form of a task or of a recorded run: as for `LaunchForm`.
    """

    def __init__(
        self, shell: Any, task: Task | None, notebook: Mapping[str, Any], **given: Any
    ) -> None:
        super().__init__(task, notebook, **given)
        self._shell = shell
        self.view: LaunchView | None = None
        """The widgets, once they are shown."""
        self._handle: Any = None
        self._shown = ""

    @property
    def run(self) -> Run | None:
        """The run that was launched last, ``None`` before the first."""
        return self.runs[-1] if self.runs else None

    def close(self) -> None:
        """Take the widgets away; what was launched goes on."""
        if self.view is not None:
            self.view.close()
            self.view = self._handle = None

    def _ipython_display_(self) -> None:
        """Show it: its summary, and below that the widgets where somebody watches.

        Two outputs: a saved notebook still has the first where nothing can show the second. What
        is launched comes below them.
        """
        from IPython.display import display

        from flyte_jupyter.notebook.launch.landing import place_of
        from flyte_jupyter.notebook.launch.view import LaunchView
        from flyte_jupyter.notebook.live import is_interactive

        if not is_interactive(self._shell):
            display({"text/plain": repr(self), "text/html": self._repr_html_()}, raw=True)
            return
        self.close()  # it is shown in one place
        self._take_the_cell()
        self._handle = display(self._bundle(), raw=True, display_id=True)
        self.view = LaunchView(self, self._shell, place_of(self._shell), self._update)
        display({"text/plain": "", "text/html": "", **self.view.mimebundle()}, raw=True)

    def _take_the_cell(self) -> None:
        """Close the form that this cell has shown before: its place is gone."""
        visit = catalog.visits.innermost
        if visit is None or visit.cell is None:
            return
        before = _by_cell.get(visit.cell)
        if before is not None and before is not self:
            before.close()
        _by_cell[visit.cell] = self

    def _bundle(self) -> dict[str, str]:
        self._shown = repr(self)
        return {"text/plain": self._shown, "text/html": looks.summarised(self._repr_html_())}

    def _update(self) -> None:
        """Have the summary that is saved say what the widgets say now."""
        if self._handle is not None and repr(self) != self._shown:
            self._handle.update(self._bundle(), raw=True)

    def __repr__(self) -> str:
        from flyte_jupyter.notebook.launch.summary import summary

        return repr(summary(self))

    def _repr_html_(self) -> str:
        from flyte_jupyter.notebook.launch.summary import summary

        return summary(self)._repr_html_()


def launch_form(
    task: Task | str | None = None, /, *args: Any, run: Run | str | None = None, **kwargs: Any
) -> OpenForm:
    """Return a form that launches a task, or a recorded run again.

    Args:
        task: the task, or its name.
        args: inputs by position that stand in the form, open to change.
        run: the run whose inputs, target, queue and overrides stand in the form, open to change:
            itself, its name, the beginning of that, or ``"last"``.
        kwargs: inputs by name that stand in the form, likewise.

    Raises:
        InputError: neither a task nor a run is given, or both, or an input that the task does not
            take.
        NotFoundError: there is no such task or run, or the task of the run is declared no more.
    """
    if (task is None) == (run is None):
        raise InputError(
            "A launch form is for a task or for a recorded run.",
            remedy="Write flyte.launch_form(task), or flyte.launch_form(run='last').",
        )
    shell = _shell()
    variables: Mapping[str, Any] = getattr(shell, "user_ns", None) or _main()
    if run is not None:
        return OpenForm(shell, None, variables, recorded=recorded(run), args=args, kwargs=kwargs)
    found = catalog.current().find_task(task) if isinstance(task, str) else task
    return OpenForm(shell, found, variables, args=args, kwargs=kwargs)


def _shell() -> Any:
    import sys

    # where no shell runs, it is not imported for this
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def _main() -> Mapping[str, Any]:
    import sys

    return vars(sys.modules["__main__"])
