"""How the parts of a panel look: pieces of HTML in the colours of the theme, everything escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ["details", "heading", "muted", "refusal", "said", "static", "table"]

STATIC = "flyte-jupyter-panel"
# Two outputs, tables and widgets: the tables go while there are widgets, and where the widgets'
# kernel is gone the place that says so goes.
STYLE = (
    f".jp-OutputArea-child:has(.{STATIC}):has(+ .jp-OutputArea-child .jupyter-widgets *),"
    f".jp-OutputArea-child:has(.{STATIC}) + .jp-OutputArea-child "
    ".jp-OutputArea-output.jupyter-widgets:not(:has(*)){display:none}"
)
# ipywidgets gives the handles of its sliders no name: a screen reader would say "slider, 4".
NAMES = """
(() => {
  const own = document.currentScript, area = own && own.closest('.jp-OutputArea');
  if (!area) return;
  const name = () => area.querySelectorAll('.noUi-handle').forEach(handle => {
    const label = handle.closest('.widget-slider')?.querySelector('.widget-label');
    if (label && handle.ariaLabel !== label.title) handle.ariaLabel = label.title;
  });
  const watch = new MutationObserver(() => own.isConnected ? name() : watch.disconnect());
  watch.observe(area, {childList: true, subtree: true, attributeFilter: ['title']});
  name();
})()
"""
MUTED = "var(--jp-ui-font-color2, #757575)"
ERROR = "var(--jp-error-color1, #c62828)"
STRONG = "var(--jp-ui-font-color1, inherit)"
LEFT = "text-align:left;padding:1px 16px 1px 0;font-weight:normal"


def static(tables: str, *, live: bool = False) -> str:
    """Return tables that stand for a panel where there are no widgets.

    Args:
        tables: the tables as HTML.
        live: whether widgets come below them.
    """
    script = f"<script>{NAMES}</script>" if live else ""
    return f'<div class="{STATIC}"><style>{STYLE}</style>{tables}{script}</div>'


def heading(text: str) -> str:
    """Return a heading."""
    return f'<b style="color:{STRONG}">{escape(text)}</b>'


def muted(text: str) -> str:
    """Return a text of less weight."""
    return f'<span style="color:{MUTED}">{escape(text)}</span>' if text else ""


def said(text: str) -> str:
    """Return a message, which screen readers read out when it comes."""
    return f'<div role="status" style="color:{STRONG}">{escape(text)}</div>'


def refusal(text: str) -> str:
    """Return why a value is not taken, which screen readers read out at once."""
    if not text:
        return ""
    return f'<div role="alert" style="color:{ERROR}">✗ {escape(text)}</div>'


def details(summary: str, lines: Iterable[str]) -> str:
    """Return lines that are shown when somebody opens them."""
    inner = "".join(f"<div>{escape(line)}</div>" for line in lines)
    return f'<details style="color:{MUTED}"><summary>{escape(summary)}</summary>{inner}</details>'


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table whose rows have names."""
    head = "".join(f'<th scope="col" style="{LEFT};color:{MUTED}">{escape(h)}</th>' for h in heads)
    body = "".join(
        f'<tr><th scope="row" style="{LEFT}">{escape(first)}</th>'
        + "".join(f'<td style="{LEFT}">{escape(text)}</td>' for text in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<table style="border-collapse:collapse;color:{STRONG};line-height:1.5">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
