"""The one small table that every declaration shows in a notebook."""

from __future__ import annotations

from html import escape
from typing import Iterable

__all__ = ["table"]


def table(caption: str, rows: Iterable[tuple[str, str]]) -> str:
    """Return an accessible two-column table.

    Args:
        caption: what the table is about, as text.
        rows: name and value, as text; both are escaped.

    Returns:
        HTML without scripts and without styles of its own beyond alignment.
    """
    lines = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in rows
    )
    head = f'<caption style="text-align:left"><b>{escape(caption)}</b></caption>'
    return f"<table>{head}<tbody>{lines}</tbody></table>"
