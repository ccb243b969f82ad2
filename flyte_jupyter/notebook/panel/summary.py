"""The panel without widgets: tables for saved notebooks, and for where nobody watches."""

from __future__ import annotations

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.notebook.tables import Table, Tables, without_empty
from flyte_jupyter.steering.levels import Level, State, states

__all__ = ["summary"]

HEADS = ("field", "value", "from", "declared")


def summary(catalog: Catalog, environment: str) -> Tables:
    """Return what the tasks of an environment run under, and for each task what differs.

    Args:
        catalog: the session's declarations.
        environment: name of the environment.
    """
    shown = states(catalog, Level(environment))
    rows = [_row(state) for state in shown if state.text or state.overridden]
    tables = [_table(f"Environment {environment}", rows)]
    common = {state.field.name: state.text for state in shown}
    for task in catalog.tasks_of(environment):
        own = [
            _row(state)
            for state in states(catalog, Level(environment, task.name))
            if state.overridden or state.text != common[state.field.name]
        ]
        if own:
            tables.append(_table(f"Task {task.name}: the same, but", own))
    return Tables(tables)


def _table(title: str, rows: list[tuple[str, ...]]) -> Table:
    heads, kept = without_empty(HEADS, tuple(rows))
    return Table(heads, kept, title, empty="nothing is said")


def _row(state: State) -> tuple[str, ...]:
    field = state.field
    text = " ".join((state.text or field.empty).split("\n"))
    declared = " ".join((state.declared or field.empty).split("\n")) if state.overridden else ""
    return field.label, text, state.origin, declared
