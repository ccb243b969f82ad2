"""How wide a text is, before any font is at hand.

The widths are those of DejaVu Sans, the widest of the fonts that a page falls back to: what fits
there fits everywhere.
"""

from __future__ import annotations

import unicodedata

__all__ = ["fitted", "width"]

BOLD = 1.1
ELLIPSIS = "…"
OTHER, WIDE = 0.70, 1.05
_GROUPS = {
    0.30: "ijlIJ' ",
    0.34: ".,:;|/\\",
    0.40: "ft()[]-r!",
    0.52: 'sz_c"*',
    0.60: "avxyk{}e",
    0.65: "0123456789bdghnopqu$#?",
    0.72: "ABCEFKLPRSTVXYZ",
    0.79: "DGHNOQU+=<>~^&",
    0.87: "w",
    1.00: "mMW@%…→←⇢×",
}
_WIDTHS = {character: size for size, group in _GROUPS.items() for character in group}


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how wide a text is at most, in pixels.

    Args:
        text: one line.
        size: of the font, in pixels.
        bold: whether it is bold.
    """
    return sum(map(_width, text)) * size * (BOLD if bold else 1)


def fitted(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """Return a text as it is, or its beginning with ``…`` where it is wider than ``room``."""
    if width(text, size, bold=bold) <= room + 0.01:
        return text
    room -= width(ELLIPSIS, size, bold=bold)
    used, kept = 0.0, 0
    while (used := used + width(text[kept], size, bold=bold)) <= room:
        kept += 1
    return text[:kept].rstrip() + ELLIPSIS


def _width(character: str) -> float:
    known = _WIDTHS.get(character)
    if known is not None:
        return known
    return WIDE if unicodedata.east_asian_width(character) in "WF" else OTHER
