"""Why a run failed: the cause, where it arose, what was seen of it, and what to do."""

from __future__ import annotations

import re
from html import escape

from flyte_jupyter.notebook.state import ActionState, Failure
from flyte_jupyter.notebook.view.looks import COLOURS, WORDS
from flyte_jupyter.spec.amounts import readable_bytes
from flyte_jupyter.spec.quantity import format_bytes

__all__ = ["failure_card", "place_of"]

PLACE = re.compile(r'(?:Cell In\[\d+\]|File "?(?P<file>[^",\n]+)"?), line (?P<line>\d+)')
LABEL = 'scope="row" style="text-align:left;vertical-align:top;padding:1px 12px 1px 0"'
TEXT = 'style="text-align:left;vertical-align:top;padding:1px 0;white-space:pre-wrap"'


def failure_card(action: ActionState, failure: Failure, *, raised: bool = False) -> str:
    """Return the card as HTML.

    Args:
        action: where the failure arose.
        failure: what it is.
        raised: whether the cell raises the failure, and so says cause, remedy and traceback.
    """
    name = f"{failure.type}: " if failure.type else ""
    where = place_of(failure.traceback)
    facts = [
        ("cause", "" if raised else name + failure.sentence),
        ("where", where),
        ("evidence", _evidence(action, failure)),
        ("what to do", "" if raised else failure.remedy),
    ]
    if raised and not any(text for _, text in facts):
        return ""
    rows = "".join(
        f"<tr><th {LABEL}>{label}</th><td {TEXT}>{escape(text)}</td></tr>"
        for label, text in facts
        if text
    )
    call = f" ({escape(action.name)})" if action.name else ""
    # what the cell raises is an alert of its own
    role = 'role="group" aria-label="failure"' if raised else 'role="alert"'
    return (
        f'<div {role} style="border-left:3px solid {COLOURS[action.phase]};'
        'padding:2px 8px;margin:4px 0">'
        f"<div><b>{escape(action.label)}</b>{call} {WORDS[action.phase]}</div>"
        f'<table style="border-collapse:collapse;margin:0;color:inherit;font-size:inherit">'
        f"<tbody>{rows}</tbody></table>{'' if raised else _traceback(failure)}</div>"
    )


def place_of(traceback: str) -> str:
    """Return the innermost place of a traceback: ``Cell In[3], line 2``."""
    found = [match[0] for match in PLACE.finditer(traceback)]
    return found[-1].replace("File ", "").replace('"', "") if found else ""


def _evidence(action: ActionState, failure: Failure) -> str:
    parts = [failure.evidence]
    if failure.attempt > 1:
        parts.append(f"attempt {failure.attempt}")
    if action.peak_memory and "peak memory" not in failure.evidence:
        of = f" of {format_bytes(action.asked_memory)}" if action.asked_memory else ""
        parts.append(f"peak memory {readable_bytes(action.peak_memory)}{of}")
    return " · ".join(filter(None, parts))


def _traceback(failure: Failure) -> str:
    if not failure.traceback:
        return ""
    return (
        '<details data-flyte-jupyter-log="traceback"><summary>traceback</summary>'
        '<pre tabindex="0" role="region" aria-label="traceback" style="overflow:auto;'
        f'max-height:24em;color:inherit">{escape(failure.traceback.rstrip())}</pre></details>'
    )
