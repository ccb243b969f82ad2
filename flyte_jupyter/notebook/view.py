"""A run as text and as HTML: pure functions of its state.

The text says nothing that differs between two equal runs (no names, times, ids), so a saved
notebook can be compared. The HTML shows times, unless asked not to; it uses JupyterLab's own
colours (with fallbacks for other places) and never colour alone.
"""

from __future__ import annotations

from collections import Counter
from html import escape

from flyte_jupyter.engine.events import Phase
from flyte_jupyter.notebook.state import ActionState, Failure, RunState
from flyte_jupyter.spec.amounts import readable_bytes, readable_seconds

__all__ = ["html", "one_line", "plain"]

SYMBOLS = {
    Phase.QUEUED: "○",
    Phase.PREPARING: "◔",
    Phase.WAITING: "◌",
    Phase.RUNNING: "▶",
    Phase.SUCCEEDED: "✓",
    Phase.FAILED: "✗",
    Phase.ABORTED: "■",
    Phase.TIMED_OUT: "⧖",
}
WORDS = {phase: phase.value.replace("_", " ") for phase in Phase}
# text colours of JupyterLab's own palette, which follow its theme; elsewhere a colour that is
# readable on white and on black
COLOURS = {
    Phase.RUNNING: "var(--jp-brand-color1, #1f78c8)",
    Phase.SUCCEEDED: "var(--jp-success-color1, #2e8b45)",
    Phase.FAILED: "var(--jp-error-color1, #d0433b)",
    Phase.TIMED_OUT: "var(--jp-error-color1, #d0433b)",
    Phase.ABORTED: "var(--jp-warn-color1, #b87514)",
}
MUTED = "var(--jp-ui-font-color2, #808080)"
CELL = "text-align:left;padding:1px 16px 1px 0"
SHOWN_ACTIONS = 60
SHOWN_LINES = 12


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
    lines = [one_line(state)]
    for action, lasts in _shown(state):
        lines.append(_branch(lasts) + _words(action))
    if (hidden := len(state.actions) - SHOWN_ACTIONS) > 0:
        lines.append(f"… and {hidden} more actions")
    lines.extend(f"note: {note}" for note in state.notes)
    lines.extend(f"preparing {name}: {text}" for name, text in sorted(state.preparing.items()))
    if log_lines:
        for title, log in _logs(state, log_lines):
            lines.extend([f"── {title}", *log])
    if failure and (found := state.failure()) is not None:
        lines.extend(_failure_lines(*found))
    return "\n".join(lines)


def html(
    state: RunState, *, now: float | None = None, times: bool = True, failure: bool = True
) -> str:
    """Return the run as HTML.

    Args:
        state: the run.
        now: seconds since the epoch, to tell how long unfinished actions have taken.
        times: whether to show how long things took.
        failure: whether to say why the run failed; a cell that raises it does so itself.
    """
    parts = [_heading(state, now, times)]
    if state.actions:
        parts.append(_table(state, now, times))
    parts.extend(
        f'<div style="color:{MUTED}">preparing {escape(name)}: {escape(text)}</div>'
        for name, text in sorted(state.preparing.items())
    )
    parts.extend(f'<div style="color:{MUTED}">{escape(note)}</div>' for note in state.notes)
    for title, log in _logs(state, SHOWN_LINES):
        parts.append(_log_block(title, log, opened=not state.done))
    if failure and (found := state.failure()) is not None:
        parts.append(_failure_card(*found))
    return (
        '<div class="flyte-jupyter-run" style="font-family:var(--jp-ui-font-family, sans-serif);'
        f'font-size:var(--jp-ui-font-size1, 13px);color:inherit">{"".join(parts)}</div>'
    )


# Parts that text and HTML share


def _shown(state: RunState) -> list[tuple[ActionState, tuple[bool, ...]]]:
    walk = state.walk()
    return [pair for _, pair in zip(range(SHOWN_ACTIONS), walk, strict=False)]


def _words(action: ActionState) -> str:
    text = f"{SYMBOLS[action.phase]} {action.label} {WORDS[action.phase]}"
    details = [action.environment] if action.environment else []
    if action.resources:
        details.append(action.resources)
    if details:
        text += f" [{', '.join(details)}]"
    if action.attempt > 1:
        text += f", attempt {action.attempt}"
    if action.why and not action.done:
        text += f": {action.why}"
    return text


def _branch(lasts: tuple[bool, ...]) -> str:
    if not lasts:
        return ""
    return "".join("   " if last else "│  " for last in lasts[:-1]) + (
        "└─ " if lasts[-1] else "├─ "
    )


def _logs(state: RunState, most: int) -> list[tuple[str, list[str]]]:
    """Return a title and the last lines for every action that wrote something."""
    logs = []
    shown = [action for action, _ in _shown(state)]
    calls = Counter(action.label for action in shown)
    met: Counter[str] = Counter()
    for action in shown:
        lines = action.log.lines
        met[action.label] += 1
        if lines:
            hidden = action.log.dropped + max(0, len(lines) - most)
            title = f"log of {action.label}"
            if calls[action.label] > 1:
                title += f", call {met[action.label]} of {calls[action.label]}"
            if hidden:
                title += f" (the last {most} lines; {hidden} more above)"
            logs.append((title, lines[-most:]))
    return logs


def _failure_lines(action: ActionState, failure: Failure) -> list[str]:
    name = f"{failure.type}: " if failure.type else ""
    lines = [f"{action.label} failed: {name}{failure.sentence}"]
    if failure.remedy:
        lines.append(failure.remedy)
    return lines


# Parts of the HTML


def _heading(state: RunState, now: float | None, times: bool) -> str:
    colour = COLOURS.get(state.phase, MUTED)
    text = (
        f'<span style="color:{colour};font-weight:600">{SYMBOLS[state.phase]} '
        f"{WORDS[state.phase]}</span> <b>{escape(state.label)}</b>"
    )
    details = [f"on {escape(state.target)}"] if state.target else []
    if times and (seconds := _run_seconds(state, now)) is not None:
        details.append(readable_seconds(seconds))
    if details:
        text += f' <span style="color:{MUTED}">{" · ".join(details)}</span>'
    return f'<div role="status">{text}</div>'


def _run_seconds(state: RunState, now: float | None) -> float | None:
    if state.seconds is not None:
        return float(state.seconds)
    end = state.ended if state.ended is not None else now
    return None if state.began is None or end is None else max(0.0, end - state.began)


def _table(state: RunState, now: float | None, times: bool) -> str:
    used = times and any(action.peak_memory for action, _ in _shown(state))
    heads = ["action", "phase", "environment", "resources", *(["time"] if times else [])]
    heads += ["peak memory", "cpu time"] if used else []
    head = "".join(f'<th scope="col" style="{CELL}">{name}</th>' for name in heads)
    rows = "".join(_row(action, lasts, now, times, used) for action, lasts in _shown(state))
    if (hidden := len(state.actions) - SHOWN_ACTIONS) > 0:
        rows += (
            f'<tr><td colspan="{len(heads)}" style="{CELL}">… and {hidden} more actions</td></tr>'
        )
    return (
        '<table style="border-collapse:collapse;margin:4px 0;color:inherit;font-size:inherit">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(
    action: ActionState, lasts: tuple[bool, ...], now: float | None, times: bool, used: bool
) -> str:
    colour = COLOURS.get(action.phase, MUTED)
    phase = f"{SYMBOLS[action.phase]} {WORDS[action.phase]}"
    if action.attempt > 1:
        phase += f", attempt {action.attempt}"
    why = ""
    if action.why and not action.done:
        why = f'<span style="color:{MUTED}">: {escape(action.why)}</span>'
    texts = [escape(action.environment), escape(action.resources)]
    if times:
        seconds = action.seconds(now)
        texts.append("" if seconds is None else readable_seconds(seconds))
    if used:
        peak, spent = action.peak_memory, action.cpu_seconds
        texts.append("" if not peak else readable_bytes(peak))
        texts.append("" if spent is None else readable_seconds(spent))
    cells = [
        f'<th scope="row" style="{CELL};font-weight:normal;white-space:pre">'
        f"{escape(_branch(lasts) + action.label)}</th>",
        f'<td style="{CELL}"><span style="color:{colour}">{phase}</span>{why}</td>',
        *(f'<td style="{CELL}">{text}</td>' for text in texts),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _log_block(title: str, lines: list[str], *, opened: bool) -> str:
    return (
        f"<details{' open' if opened else ''}><summary>{escape(title)}</summary>"
        '<pre style="margin:2px 0;padding:4px 8px;overflow-x:auto;'
        'border-left:2px solid var(--jp-border-color1, #bdbdbd)">'
        f"{escape(chr(10).join(lines))}</pre></details>"
    )


def _failure_card(action: ActionState, failure: Failure) -> str:
    colour = COLOURS[Phase.FAILED]
    name = f"{failure.type}: " if failure.type else ""
    text = (
        f'<div role="alert" style="border-left:3px solid {colour};padding:2px 8px;margin:4px 0">'
        f"<div><b>{escape(action.label)}</b> failed: {escape(name + failure.sentence)}</div>"
    )
    if failure.remedy:
        text += f"<div>{escape(failure.remedy)}</div>"
    if failure.traceback:
        text += (
            "<details><summary>traceback</summary><pre style='overflow-x:auto'>"
            f"{escape(failure.traceback.rstrip())}</pre></details>"
        )
    return text + "</div>"
