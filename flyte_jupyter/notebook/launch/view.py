"""The widgets of a launch form, from the core of ipywidgets, over the form's model.

What a front end says may come on any thread: one lock takes it in turn. No error of it is lost: it
is shown in the form's own line.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import ipywidgets as widgets

from flyte_jupyter import catalog
from flyte_jupyter.catalog import Change
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.launching.form import LaunchForm
from flyte_jupyter.notebook.launch import looks
from flyte_jupyter.notebook.launch.landing import Place
from flyte_jupyter.notebook.launch.options import Options
from flyte_jupyter.notebook.launch.rows import Row, rows_of
from flyte_jupyter.session.run import Run

__all__ = ["LaunchView"]

# lines of the code that is shown at most without a bar to scroll
MOST_LINES = 12


class LaunchView:
    """The widgets of one form.

    Args:
        form: what is filled in.
        shell: the IPython shell, ``None`` without one.
        place: the cell that shows it.
        follow: called when what it shows has changed.
    """

    def __init__(
        self, form: LaunchForm, shell: Any, place: Place, follow: Callable[[], None]
    ) -> None:
        self.form = form
        self._shell = shell
        self._place = place
        self._follow = follow
        self._lock = threading.RLock()
        self._shown_for: Any = None
        self.rows: list[Row] = []
        self.head = widgets.HTML()
        self.inputs = widgets.VBox()
        self.options = Options(form, self._guard)
        self.launch = widgets.Button(description="Launch", button_style="primary", icon="play")
        self.launch.on_click(self._guard(lambda _: self._launch()))
        self.copy = widgets.ToggleButton(
            description="Copy as code",
            tooltip="Show the code that does the same",
            icon="code",
        )
        self.copy.observe(self._guard(lambda _: self.refresh()), "value")
        self.explain = widgets.Button(
            description="Explain",
            tooltip="Say what would run, and where; nothing runs",
        )
        self.explain.on_click(self._guard(lambda _: self._explain()))
        self.reason = widgets.HTML()
        self.message = widgets.HTML()
        self.explained = widgets.HTML(layout=widgets.Layout(display="none"))
        self.code = self._codebox("Python")
        self.magic = self._codebox("magic")
        row = widgets.Layout(flex_flow="row wrap", align_items="center")
        self.root = widgets.VBox(
            [
                self.head,
                self.inputs,
                self.options.box,
                widgets.HBox([self.launch, self.copy, self.explain, self.reason], layout=row),
                self.code,
                self.magic,
                self.explained,
                self.message,
            ]
        )
        form.on_change(self.refresh)
        self._ends: list[Callable[[], Any]] = [
            partial(form.off_change, self.refresh),
            *self._watch(),
        ]
        self.refresh()

    def _codebox(self, name: str) -> Any:
        return widgets.Textarea(
            description=name,
            tooltip=f"The same as {name}",
            disabled=False,
            style={"description_width": "13em"},
            layout=widgets.Layout(width="95%", display="none"),
        )

    def _watch(self) -> Iterator[Callable[[], Any]]:
        """Follow the notebook: its declarations, and the variables that cells make.

        Neither keeps a view alive that nobody has any more.
        """
        known = weakref.ref(self)
        name, environment = self.form.task.name, self.form.task.env_name

        def look(*_: Any) -> None:
            if (view := known()) is not None:
                view._guard(view.refresh)()

        def declared(change: Change) -> None:
            if {name, environment} & (change.tasks | change.environments | change.overrides):
                look()

        yield weakref.finalize(self, catalog.current().on_change(declared))
        events = getattr(self._shell, "events", None)
        if events is not None:
            events.register("post_run_cell", look)
            yield weakref.finalize(self, _unregister, events, look)

    def close(self) -> None:
        """Let go of the session and of the front end."""
        with self._lock:
            for end in self._ends:
                end()
            for widget in _within(self.root):
                widget.close()

    def _guard(self, function: Callable[..., Any]) -> Callable[..., None]:
        """Return what takes its turn, and shows its error in the form."""

        @functools.wraps(function)
        def guarded(*args: Any) -> None:
            with self._lock:
                try:
                    function(*args)
                except FlyteError as error:
                    self.say(f"{error.sentence} {error.remedy}".rstrip(), wrong=True)
                except Exception as error:
                    self.say(f"{type(error).__name__}: {error}", wrong=True)

        return guarded

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Show a message in the form."""
        self.message.value = looks.wrong(text) if wrong else looks.said(text)

    def mimebundle(self) -> dict[str, Any]:
        """Return what a front end with widgets shows them by."""
        found = self.root._repr_mimebundle_()
        bundle = found[0] if isinstance(found, tuple) else found
        return {kind: data for kind, data in bundle.items() if kind.startswith("application/")}

    def refresh(self) -> None:
        """Show what stands in the form, and what is wrong with it."""
        with self._lock:
            self._build()
            problems = self.form.problems()
            by_key = {one.key: one for one in reversed(problems)}
            self.head.value = looks.heading(*self.form.title) + "".join(
                f"<div>{looks.hint(note)}</div>" for note in self.form.notes
            )
            for row in self.rows:
                row.show(by_key)
            self.options.show(by_key)
            self.launch.disabled = bool(problems)
            self.reason.value = looks.hint(str(problems[0]) if problems else "")
            self.launch.tooltip = str(problems[0]) if problems else "Start the run"
            self._show_code(not problems)
            self._follow()

    def _build(self) -> None:
        """Make the rows, again when the task is declared again."""
        task = self.form.current
        if task is not self._shown_for:
            self._shown_for = task
            self.rows = rows_of(self.form, self.form.fields, self._guard)
            self.inputs.children = [row.box for row in self.rows]

    def _show_code(self, right: bool) -> None:
        shown = self.copy.value
        texts = (self.form.code(), self.form.magic()) if shown and right else ("", "")
        for box, text in zip((self.code, self.magic), texts, strict=True):
            box.layout.display = "" if text else "none"
            box.rows = min(MOST_LINES, text.count("\n") + 2)
            if box.value != text:
                box.value = text

    def _explain(self) -> None:
        self.explained.value = looks.page(str(self.form.explanation()))
        self.explained.layout.display = ""

    def _launch(self) -> None:
        from flyte_jupyter.notebook.live import follow

        self.explained.layout.display = "none"
        run = self.form.launch()
        self.say(f"{run.name} is launched.")
        with self._place.here():
            follow(run, interactive=True)
        threading.Thread(
            target=self._await, args=(run,), name="flyte-launched", daemon=True
        ).start()

    def _await(self, run: Run) -> None:
        """Show what a run has given, below the form, on a thread of its own."""
        from IPython.display import display

        run.wait()
        try:
            value = run.result()
            with self._place.here():
                if value is not None:
                    display(value)
        except BaseException as error:  # what the task raised may be any
            self.say(f"{run.name} has {run.phase}: {_sentence(error)}", wrong=True)
        else:
            self.say(f"{run.name} has {run.phase}.")


def _sentence(error: BaseException) -> str:
    return error.sentence if isinstance(error, FlyteError) else f"{type(error).__name__}: {error}"


def _within(widget: Any) -> list[Any]:
    """Return a widget and all that is inside."""
    return [widget, *(one for child in getattr(widget, "children", ()) for one in _within(child))]


def _unregister(events: Any, callback: Callable[..., None]) -> None:
    with contextlib.suppress(ValueError):  # the shell has begun anew
        events.unregister("post_run_cell", callback)
