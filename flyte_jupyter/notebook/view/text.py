"""A run as text that says nothing that differs between two equal runs: no names, times, ids.

So a saved notebook can be compared.
"""

from __future__ import annotations

from flyte_jupyter.notebook.groups import Group
from flyte_jupyter.notebook.state import ActionState, Failure, RunState
from flyte_jupyter.notebook.view.logs import logs_of
from flyte_jupyter.notebook.view.looks import SYMBOLS, WORDS, branch, counts, label
from flyte_jupyter.notebook.view.rows import Row, rows_of

__all__ = ["failure_lines", "one_line", "plain", "reason", "words"]


def one_line(state: RunState) -> str:
    """Return ``Run(train: succeeded)``."""
    return f"Run({state.label}: {WORDS[state.phase]})"


def plain(state: RunState, *, log_lines: int = 0, failure: bool = True) -> str:
    """Return the run as text: one line, the tree of its actions, notes, the failure.

    Args:
        state: the run.
        log_lines: how many lines of each action's log to show; 0 for none.
        failure: whether to say why the run failed; a cell that raises it does so itself.
    """
    rows = rows_of(state)
    lines = [one_line(state)]
    lines.extend(branch(row.lasts) + words(row) for row in rows)
    lines.extend(f"note: {note}" for note in state.notes)
    lines.extend(f"preparing {name}: {text}" for name, text in sorted(state.preparing.items()))
    if log_lines:
        for log in logs_of(rows, log_lines):
            lines.extend([f"── {log.title}", *log.lines])
    if failure and (found := state.failure()) is not None:
        lines.extend(failure_lines(*found))
    return "\n".join(lines)


def words(row: Row) -> str:
    """Return what a row says, without its place in the tree."""
    item = row.item
    if isinstance(item, str):
        return item
    if isinstance(item, Group):
        text = f"{SYMBOLS[item.phase]} {label(item)}: {counts(item)}"
        return text + _bracket(item.members[0])
    text = f"{SYMBOLS[item.phase]} {item.label} {WORDS[item.phase]}"
    if row.listed:
        return text + reason(item)
    text += _bracket(item)
    if item.attempt > 1:
        text += f", attempt {item.attempt}"
    if item.why and not item.done:
        text += f": {item.why}"
    return text


def failure_lines(action: ActionState, failure: Failure) -> list[str]:
    """Return why a run failed, and what to do."""
    name = f"{failure.type}: " if failure.type else ""
    lines = [f"{action.label} failed: {name}{failure.sentence}"]
    if failure.remedy:
        lines.append(failure.remedy)
    return lines


def reason(action: ActionState) -> str:
    """Return the first line of what an action failed with, after a colon."""
    if not action.failures:
        return ""
    failure = action.failures[-1]
    name = f"{failure.type}: " if failure.type else ""
    return f": {name}{failure.sentence}".splitlines()[0]


def _bracket(action: ActionState) -> str:
    details = list(filter(None, (action.environment, action.resources)))
    return f" [{', '.join(details)}]" if details else ""
