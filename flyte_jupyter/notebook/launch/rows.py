"""One input of a form: its control, what it takes, the variables that fit, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets

from flyte_jupyter.launching.fields import Field, Kind
from flyte_jupyter.launching.form import LaunchForm
from flyte_jupyter.launching.picking import in_short, paths
from flyte_jupyter.launching.values import Problem, State
from flyte_jupyter.notebook.launch import looks
from flyte_jupyter.notebook.launch.controls import Control, control_for

__all__ = ["Row", "rows_of"]

NO_VARIABLE = "a variable …"
INDENT = "0 0 0 13.5em"


class Row:
    """The widgets of one field, made once; they show the form and hold nothing.

    Args:
        form: what is filled in.
        field: the field.
        guard: wraps what a front end calls, so that no error of it is lost.
    """

    def __init__(
        self, form: LaunchForm, field: Field, guard: Callable[[Callable[..., Any]], Any]
    ) -> None:
        self.field = field
        self._form = form
        self._quiet = False
        self.rows = rows_of(form, field.fields, guard)
        self.control: Control | None = None
        self.message = widgets.HTML(layout=widgets.Layout(margin=INDENT))
        self.back = widgets.Button(
            description=self._ground(),
            tooltip=f"Leave {field.name} as it was",
            layout=widgets.Layout(width="auto"),
        )
        self.back.on_click(guard(lambda _: form.leave(field.key)))
        self.none = widgets.Checkbox(
            description="None",
            tooltip=f"Give None for {field.name}",
            indent=False,
            layout=widgets.Layout(width="auto"),
        )
        self.none.observe(guard(self._no_value), "value")
        self.picker = widgets.Dropdown(
            options=[(NO_VARIABLE, "")],
            description=f"or {field.name} =",
            tooltip=f"A variable for {field.name}",
            style={"description_width": "auto"},
            layout=widgets.Layout(width="auto"),
        )
        self.picker.observe(guard(self._picked), "value")
        self.box = self._record() if field.kind is Kind.RECORD else self._line(guard)

    def _line(self, guard: Callable[[Callable[..., Any]], Any]) -> Any:
        self.control = control_for(self.field, self._offered())
        self.control.widget.observe(guard(self._typed), "value")
        parts = [self.control.widget, self.picker, *self._ends()]
        shape = widgets.Layout(flex_flow="row wrap", align_items="center")
        return widgets.VBox([widgets.HBox(parts, layout=shape), self.message])

    def _record(self) -> Any:
        title = widgets.HTML(looks.heading(self.field.name, self._words()))
        shape = widgets.Layout(flex_flow="row wrap", align_items="center")
        head = widgets.HBox([title, self.picker, self.none, self.back], layout=shape)
        inner = widgets.Layout(
            margin="0 0 4px 1em",
            padding="0 0 0 8px",
            border_left="2px solid var(--jp-border-color2, #bdbdbd)",
        )
        inside = widgets.VBox([row.box for row in self.rows], layout=inner)
        return widgets.VBox([head, inside, self.message])

    def _ends(self) -> Iterator[Any]:
        yield self.none
        yield widgets.HTML(looks.hint(self._words()))
        yield self.back

    def _words(self) -> str:
        field = self.field
        gathers = f"{field.variadic}{field.name}" if field.variadic else ""
        return " · ".join(filter(None, (gathers, field.type, field.unit, field.hint)))

    def _offered(self) -> str:
        """Return what holds while nothing stands in the field."""
        field = self.field
        if field.required:
            return _EXAMPLES.get(field.kind, "needed")
        recorded = field.path[0] in self._form.recorded_inputs
        held = "None" if field.default is None else in_short(field.default)
        return f"as recorded: {held}" if recorded else f"default: {held}"

    def _ground(self) -> str:
        """Return what the field goes back to, in a word."""
        if self.field.path[0] in self._form.recorded_inputs:
            return "As recorded"
        return "Clear" if self.field.required else "Default"

    # what a front end says

    def _typed(self, change: Any) -> None:
        # what was typed since then, while another thread had its turn, comes by itself
        if not self._quiet and self.control is not None:
            self._form.fill(self.field.key, self.control.text_of(change["new"]))

    def _picked(self, change: Any) -> None:
        if self._quiet:
            return
        if change["new"]:
            self._form.fill(self.field.key, f"{{{change['new']}}}")
        else:
            self._form.leave(self.field.key)

    def _no_value(self, change: Any) -> None:
        if self._quiet:
            return
        if change["new"]:
            self._form.fill_none(self.field.key)
        else:
            self._form.leave(self.field.key)

    # what the form says

    def show(self, problems: dict[str, Problem]) -> None:
        """Show what stands in the form, and what is wrong with it."""
        entry = self._form.entry(self.field.key)
        left = entry.state is State.LEFT
        self._quiet = True
        try:
            self._show_entry()
            self._offer_variables()
        finally:
            self._quiet = False
        self.none.layout.display = "" if self._may_be_none() else "none"
        inside = any(
            self._form.entry(one.field.key).state is not State.LEFT for one in every(self.rows)
        )
        self.back.layout.display = "none" if left and not inside else ""
        problem = problems.get(self.field.key)
        text = str(problem) if problem is not None else ""
        self.message.value = looks.needed(text) if left and not inside else looks.wrong(text)
        self.message.layout.display = "" if text else "none"
        for row in self.rows:
            row.show(problems)

    def _show_entry(self) -> None:
        entry = self._form.entry(self.field.key)
        self.none.value = entry.state is State.NONE
        if self.control is None:
            return
        self.control.widget.disabled = entry.state is State.NONE
        text = self._form.text(self.field)
        if self.field.kind is Kind.PATH:
            self.control.widget.options = tuple(paths(text))
        variable = text[1:-1] if text[:1] == "{" and text[-1:] == "}" else ""
        if self.field.kind is Kind.VARIABLE:
            self._offer(self.control.widget, self._offered(), variable or text)
            self.control.show(variable or text)
        elif self.control.text != text and not (variable and self.picker.layout.display != "none"):
            self.control.show(text)

    def _offer_variables(self) -> None:
        if self.field.kind is Kind.VARIABLE:
            self.picker.layout.display = "none"
            return
        text = self._form.entry(self.field.key).text
        picked = text[1:-1] if text[:1] == "{" and text[-1:] == "}" else ""
        names = self._offer(self.picker, NO_VARIABLE, picked)
        self.picker.layout.display = "" if names else "none"
        self.picker.value = picked if picked in names else ""

    def _offer(self, dropdown: Any, empty: str, also: str) -> list[str]:
        names = self._form.variables(self.field)
        if also and also not in names:
            names = [*names, also]  # said, and refused
        options = [(empty, ""), *((self._form.described(name), name) for name in names)]
        if list(dropdown.options) != options:
            value = dropdown.value
            dropdown.options = options
            dropdown.value = value if value in names else ""
        return names

    def _may_be_none(self) -> bool:
        return self.field.optional and self.field.default is not None


_EXAMPLES = {
    Kind.MOMENT: "2024-05-01T12:30",
    Kind.SPAN: "90s, 10m or 1h30m",
    Kind.LITERAL: "[1, 2] or {'a': 1}",
    Kind.VARIABLE: NO_VARIABLE,
}


def rows_of(form: LaunchForm, fields: Any, guard: Callable[[Callable[..., Any]], Any]) -> list[Row]:
    """Return the rows of some fields."""
    return [Row(form, field, guard) for field in fields]


def every(rows: list[Row]) -> Iterator[Row]:
    """Yield rows with all that are inside."""
    for row in rows:
        yield row
        yield from every(row.rows)
