"""The colours of a drawing, and the few shapes that it is made of, as SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from flyte_jupyter.drawing.cards import SMALL
from flyte_jupyter.drawing.measure import width
from flyte_jupyter.drawing.states import Look

__all__ = [
    "PAPER",
    "THEMED",
    "Paint",
    "badge",
    "badge_width",
    "icon",
    "label",
    "number",
    "tooltip",
    "written",
]

BADGE = 18
# characters that XML does not have
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Paint:
    """The colours of what is no state.

    Args:
        paper: behind everything.
        band: behind the cards of a wave.
        card: of a card.
        line: of borders.
        ink: of texts.
        edge: of the arrows of deployment.
        follows: whether the paper is that of a page, light or dark.
    """

    paper: str
    band: str
    card: str
    line: str
    ink: str
    edge: str
    follows: bool = False

    def stroke(self, colour: str) -> str:
        """Return the attribute for a line of a state's colour that must be seen on any paper.

        Towards the ink of the page a colour gets darker on light paper, and lighter on dark.
        """
        if not self.follows:
            return f'stroke="{colour}"'
        mixed = f"color-mix(in srgb,{colour} 78%,{self.ink})"
        return f'style="stroke:{colour};stroke:{mixed}"'


PAPER = Paint("#ffffff", "#f3f5f7", "#ffffff", "#c4cbd2", "#1f2328", "#6a727b")
"""For a picture that brings its own paper: right on pages of any colour."""


def _themed(role: str, *others: str) -> str:
    """Return the first colour that the page has: JupyterLab's, Visual Studio Code's, else ours."""
    value = str(getattr(PAPER, role))
    for name in reversed(others):
        value = f"var({name}, {value})"
    return value


THEMED = Paint(
    _themed("paper", "--jp-layout-color0", "--vscode-editor-background"),
    _themed("band", "--jp-layout-color2", "--vscode-sideBar-background"),
    _themed("card", "--jp-layout-color0", "--vscode-editor-background"),
    _themed("line", "--jp-border-color1", "--vscode-panel-border"),
    _themed("ink", "--jp-ui-font-color0", "--vscode-editor-foreground"),
    _themed("edge", "--jp-ui-font-color2", "--vscode-descriptionForeground"),
    follows=True,
)
"""For a drawing within a page, whose theme it follows."""


def number(value: float) -> str:
    """Return a coordinate, to a tenth of a pixel."""
    return f"{round(value, 1):g}" if abs(value) < 100_000 else f"{value:.0f}"


def written(text: str) -> str:
    """Return a text as XML."""
    return escape(FORBIDDEN.sub("", text), quote=True)


def tooltip(text: str) -> str:
    """Return a tooltip; the element that it stands in shows it."""
    return f"<title>{written(text)}</title>" if text else ""


def label(
    x: float,
    y: float,
    text: str,
    fill: str,
    *,
    size: float,
    bold: bool = False,
    soft: bool = False,
    anchor: str = "start",
) -> str:
    """Return a line of text.

    Args:
        x: of its beginning, in pixels.
        y: of its baseline.
        text: what it says.
        fill: its colour.
        size: of the font, in pixels.
        bold: whether it is bold.
        soft: whether it recedes; still readable, at a contrast above 4.5 : 1.
        anchor: which part of it stands at ``x``.
    """
    more = ' font-weight="600"' if bold else ""
    more += ' fill-opacity="0.76"' if soft else ""
    more += f' text-anchor="{anchor}"' if anchor != "start" else ""
    place = f'x="{number(x)}" y="{number(y)}"'
    return f'<text {place} font-size="{size:g}" fill="{fill}"{more}>{written(text)}</text>'


def icon(x: float, y: float, shown: Look, colour: str, size: float = 12, stroke: str = "") -> str:
    """Return the symbol of a state, in a square with its corner at x and y."""
    stroke = stroke or f'stroke="{colour}"'
    ink = (
        f'fill="{colour}"'
        if shown.solid
        else f'fill="none" {stroke} stroke-width="1.6" stroke-linecap="round" '
        'stroke-linejoin="round"'
    )
    scale = "" if size == 12 else f" scale({size / 12:.3g})"
    place = f"translate({number(x)} {number(y)}){scale}"
    return f'<path d="{shown.icon}" transform="{place}" {ink}/>'


def badge_width(words: str) -> float:
    """Return how wide the badge with these words is."""
    return 26 + width(words, SMALL, bold=True)


def badge(right: float, y: float, shown: Look, paint: Paint, words: Sequence[str] = ()) -> str:
    """Return a badge: symbol and word of a state on its colour.

    Args:
        right: its right side.
        y: its upper side.
        shown: the state.
        paint: the colours of the drawing.
        words: what it says instead of the state's word.
    """
    said = " ".join(words) or shown.word
    wide = badge_width(said)
    x = right - wide
    ink = "#ffffff" if shown.colour else paint.ink
    body = f'fill="{shown.colour}"' if shown.colour else f'fill="none" stroke="{paint.line}"'
    return (
        f'<rect x="{number(x)}" y="{number(y)}" width="{number(wide)}" height="{BADGE}" '
        f'rx="{BADGE / 2:g}" {body}/>'
        + icon(x + 6, y + 3.5, shown, ink, 11)
        + label(x + 20.5, y + 12.8, said, ink, size=SMALL, bold=bool(shown.colour))
    )
