"""A launch form as text and tables: where nobody watches, in a saved notebook, in an export."""

from __future__ import annotations

from flyte_jupyter.launching.fields import Field, Kind, walk
from flyte_jupyter.launching.form import LaunchForm
from flyte_jupyter.launching.picking import in_short
from flyte_jupyter.launching.settings import SETTINGS
from flyte_jupyter.launching.values import State
from flyte_jupyter.notebook.tables import Table, Tables, without_empty

__all__ = ["summary"]


def summary(form: LaunchForm) -> Tables:
    """Return what a form says now, as tables: the inputs, then what holds for the run."""
    title = " ".join(filter(None, form.title))
    rows: tuple[tuple[str, ...], ...] = tuple(
        (field.key, field.type, _value(form, field), _about(field)) for field in walk(form.fields)
    )
    heads, rows = without_empty(("input", "type", "value", "about"), rows)
    notes = tuple(form.notes) + tuple(dict.fromkeys(str(one) for one in form.problems()))
    inputs = Table(heads, rows, title, notes, f"{form.task.func_name}() takes no inputs.")
    said = [(one.label, form.settings.text(one), form.inherited(one)) for one in SETTINGS]
    told: tuple[tuple[str, ...], ...] = tuple(row for row in said if row[1] or row[2])
    heads, told = without_empty(("of the run", "said", "otherwise"), told)
    return Tables((inputs, Table(heads, told, empty="Nothing is said of the run.")))


def _value(form: LaunchForm, field: Field) -> str:
    entry = form.entry(field.key)
    if entry.state is State.NONE:
        return "None"
    if field.kind is Kind.RECORD and not entry.text:
        begun = any(form.entry(one.key).state is not State.LEFT for one in walk(field.fields))
        return "needed" if field.required and not begun else ""
    text = form.text(field)
    if text or (entry.state is State.GIVEN and field.kind is Kind.TEXT):
        return repr(text) if field.kind is Kind.TEXT else text
    if field.required:
        return "needed"
    return "None" if field.default is None else in_short(field.default)


def _about(field: Field) -> str:
    return " · ".join(filter(None, (field.unit, field.hint)))
