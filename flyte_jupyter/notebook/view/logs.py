"""What the actions of a view wrote last: a block for each, one for all the calls of a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from flyte_jupyter.notebook.groups import Group
from flyte_jupyter.notebook.state import ActionState
from flyte_jupyter.notebook.view.looks import MUTED, count
from flyte_jupyter.notebook.view.rows import Row

__all__ = ["Log", "fitted", "log_block", "logs_of"]

LONGEST = 400
"""Characters of a line in HTML, which is bounded; the whole line is in the log."""
BUDGET = 24_000
"""Characters of all logs of a view."""


@dataclass(frozen=True, slots=True)
class Log:
    """The last lines of an action, or of the calls of a group.

    Args:
        title: whose they are.
        lines: the lines.
        part: the action, or the task of a group, as ``%flyte_logs`` takes it.
    """

    title: str
    lines: list[str]
    part: str


def logs_of(rows: Sequence[Row], most: int) -> list[Log]:
    """Return the logs of those rows that wrote something.

    Args:
        rows: the rows.
        most: how many lines of each, at most.
    """
    actions = [row.item for row in rows if isinstance(row.item, ActionState)]
    calls = Counter(action.label for action in actions)
    met: Counter[str] = Counter()
    logs = []
    for row in rows:
        item = row.item
        if isinstance(item, Group):
            log = _of_group(item, most)
        elif isinstance(item, ActionState):
            met[item.label] += 1
            of = f", call {met[item.label]} of {calls[item.label]}"
            title = f"log of {item.label}" + (of if calls[item.label] > 1 else "")
            log = _of_action(item, title, most)
        else:
            continue
        if log.lines:
            logs.append(log)
    return logs


def _of_action(action: ActionState, title: str, most: int) -> Log:
    lines = action.lines
    dropped = 0 if action.log is None else action.log.dropped
    if hidden := dropped + max(0, len(lines) - most):
        title += f" (the last {most} lines; {hidden} more above)"
    return Log(title, lines[-most:], action.name)


def _of_group(group: Group, most: int) -> Log:
    """Return the last lines of the calls that wrote last, each with the name of its call."""
    writers = group.writers
    each = max(1, most // max(1, len(writers)))
    lines = [f"{one.name} │ {line}" for one in writers for line in one.lines[-each:]]
    title = f"log of {group.label} (the calls that wrote last)"
    return Log(title, lines[-most:], group.task)


def fitted(logs: Sequence[Log], lines: int = 4) -> list[Log]:
    """Return logs cut so that all of them together are no more than a page should carry.

    Args:
        logs: the logs.
        lines: how many of each are left at least.
    """
    each = BUDGET // max(1, len(logs))
    return [Log(log.title, _end(log.lines, each, lines), log.part) for log in logs]


def _end(lines: list[str], most: int, least: int) -> list[str]:
    """Return the last lines that have no more characters than that, each cut if it is long."""
    kept: list[str] = []
    size = 0
    for line in reversed(lines):
        short = line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
        size += len(short) + 1
        if size > most and len(kept) >= least:
            break
        kept.append(short)
    return kept[::-1]


def log_block(log: Log, run: str, *, opened: bool) -> str:
    """Return a log as HTML: its last lines, and how to have all of it.

    Args:
        log: the log.
        run: name of the run, empty where it is not to be shown.
        opened: whether it is shown unless somebody closes it.
    """
    about = count(len(log.lines), "line")
    if run:
        names = f"{run} {log.part}"
        about += f" · the whole log: <code>{escape(f'%flyte_logs {names}')}</code>"
        # the extension of JupyterLab shows it, and hears it
        about += (
            f' <button type="button" hidden data-flyte-jupyter-logs="{escape(names)}" '
            f'aria-label="Show the whole {escape(log.title)}">Show</button>'
        )
    return (
        f'<details data-flyte-jupyter-log="{escape(log.part)}"{" open" if opened else ""}>'
        f"<summary>{escape(log.title)}</summary>"
        f'<div style="color:{MUTED}">{about}</div>'
        f'<pre tabindex="0" role="region" aria-label="{escape(log.title)}" style="margin:2px 0;'
        "padding:4px 8px;overflow:auto;max-height:12em;color:inherit;"
        'border-left:2px solid var(--jp-border-color1, #bdbdbd)">'
        f"{escape(chr(10).join(log.lines))}</pre></details>"
    )
