"""How the words of a form look: small pieces of HTML in the colours of the theme, all escaped."""

from __future__ import annotations

from html import escape

__all__ = ["heading", "hint", "needed", "page", "said", "summarised", "wrong"]

SUMMARY = "flyte-jupyter-launch"
# A form has two outputs, its summary and its widgets: while there are widgets the summary is
# hidden, and where their kernel is gone, what stands in their place is.
EITHER = (
    f".jp-OutputArea-child:has(.{SUMMARY}):has(+ .jp-OutputArea-child .jupyter-widgets *),"
    f".jp-OutputArea-child:has(.{SUMMARY}) + .jp-OutputArea-child "
    ".jp-OutputArea-output.jupyter-widgets:not(:has(*)){display:none}"
)

QUIET = "var(--jp-ui-font-color2, #616161)"
RED = "var(--jp-error-color0, #b71c1c)"
INK = "var(--jp-ui-font-color1, inherit)"


def _colored(text: str, color: str, role: str = "") -> str:
    """Return text in a colour; with a role, screen readers read it out when it comes."""
    if not text:
        return ""
    attribute = f' role="{role}"' if role else ""
    return f'<span{attribute} style="color:{color}">{escape(text)}</span>'


def heading(title: str, beside: str = "") -> str:
    """Return a title with quieter words beside it."""
    return f"<b>{_colored(title, INK)}</b> {_colored(beside, QUIET)}"


def hint(text: str) -> str:
    """Return what a field takes, beside it."""
    return _colored(text, QUIET)


def needed(text: str) -> str:
    """Return what is still to be filled in; nobody has done anything wrong."""
    return _colored(text, QUIET, "status")


def wrong(text: str) -> str:
    """Return why something is refused, below it."""
    return _colored(f"✗ {text}" if text else "", RED, "alert")


def said(text: str) -> str:
    """Return what there is to tell."""
    return _colored(text, INK, "status")


def page(text: str) -> str:
    """Return a page of text as it is laid out."""
    style = f"color:{INK};white-space:pre-wrap;line-height:1.4;margin:4px 0"
    return f'<pre style="{style}">{escape(text)}</pre>'


def summarised(tables: str) -> str:
    """Return the summary of a form, which stands there when its widgets do not."""
    return f'<div class="{SUMMARY}"><style>{EITHER}</style>{tables}</div>'
