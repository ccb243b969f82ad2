"""The control of a field: which widget it is, and the text that stands in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import ipywidgets as widgets

from flyte_jupyter.launching.fields import Field, Kind

__all__ = ["LABEL", "WIDE", "Control", "control_for"]

LABEL = {"description_width": "13em"}
WIDE = "30em"


class Control:
    """A widget, and the way between its value and a text.

    Args:
        widget: the widget.
        text: turns its value into a text.
        value: turns a text into its value.
    """

    def __init__(
        self, widget: Any, text: Callable[[Any], str] = str, value: Callable[[str], Any] = str
    ) -> None:
        self.widget = widget
        self.text_of = text
        self._value = value

    @property
    def text(self) -> str:
        """The text that stands in it."""
        return self.text_of(self.widget.value)

    def show(self, text: str) -> None:
        """Let a text stand in it, if that is not so."""
        value = self._value(text)
        if self.widget.value != value:
            self.widget.value = value


def control_for(field: Field, offered: str) -> Control:
    """Return the control of a field.

    Args:
        field: the field, no record.
        offered: what a text field shows while nothing stands in it.
    """
    layout = widgets.Layout(width=WIDE)
    common = {"description": field.name, "style": LABEL, "layout": layout}
    if field.kind is Kind.SWITCH and not field.required and field.default is not None:
        return Control(widgets.Checkbox(**common), _yes_or_no, lambda text: text == "true")
    if field.kind in (Kind.SWITCH, Kind.CHOICE):
        words = field.choices or ("true", "false")
        options = [*(() if _stands(field) else ("",)), *words]
        dropdown = widgets.Dropdown(options=options, **common)
        return Control(dropdown, _or_empty, lambda text: text if text in options else options[0])
    if field.kind is Kind.DATE:
        return Control(widgets.DatePicker(**common), _written, _reader(date))
    if field.kind is Kind.TIME:
        return Control(widgets.TimePicker(**common), _written, _reader(time))
    if field.kind is Kind.MOMENT and getattr(field.default, "tzinfo", None) is None:
        return Control(widgets.NaiveDatetimePicker(**common), _written, _reader(datetime))
    if field.kind is Kind.VARIABLE:
        return Control(widgets.Dropdown(options=[(offered, "")], **common), _or_empty)
    if field.kind is Kind.LITERAL:
        return Control(widgets.Textarea(placeholder=offered, rows=2, **common))
    if field.kind is Kind.PATH:
        return Control(widgets.Combobox(placeholder=offered, **common))
    return Control(widgets.Text(placeholder=offered, **common))


def _stands(field: Field) -> bool:
    """Return whether something is chosen from the first."""
    return not field.required and field.default is not None


def _yes_or_no(value: bool) -> str:
    return "true" if value else "false"


def _or_empty(value: Any) -> str:
    return value or ""


def _written(value: Any) -> str:
    return "" if value is None else str(value.isoformat())


def _reader(kind: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return kind.fromisoformat(text) if text else None
        except ValueError:  # of a form filled in by code, which says what is wrong
            return None

    return read
