"""How a state looks: a symbol, a word and a colour for each, never the colour alone.

White text has a contrast of at least 4.5 : 1 on every colour, and every colour one of at least
3 : 1 on white paper and on the dark paper of JupyterLab. They stay apart for colour-blind readers
as far as colours can; the symbol and the word tell what they cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CALLS", "STATES", "Look", "call_look", "counted", "look"]


@dataclass(frozen=True, slots=True)
class Look:
    """How a state looks.

    Args:
        symbol: the symbol in text.
        word: what it is called.
        colour: fill of its badge; empty for a badge that is only an outline.
        icon: the symbol as a path in a square of 12 by 12.
        solid: whether the path is filled, not drawn as a line.
    """

    symbol: str
    word: str
    colour: str
    icon: str
    solid: bool = False


RING = "M6 1.8a4.2 4.2 0 1 1 0 8.4a4.2 4.2 0 1 1 0-8.4z"
SMALL_RING = "M6 3.6a2.4 2.4 0 1 1 0 4.8a2.4 2.4 0 1 1 0-4.8z"
HALF = "M6 1a5 5 0 1 0 0 10a5 5 0 1 0 0-10zM6 2.5a3.5 3.5 0 0 1 0 7z"
SLASHED = RING + "M3.2 8.8L8.8 3.2"
DOT = "{} 4.9a1.1 1.1 0 1 1 0 2.2a1.1 1.1 0 1 1 0-2.2z"
DOTS = "".join(DOT.format(f"M{x}") for x in (2.2, 6, 9.8))
CHECK = "M2 6.4L4.8 9.2L10 3.2"
CROSS = "M2.6 2.6L9.4 9.4M9.4 2.6L2.6 9.4"
BLUE, GREEN, ORANGE, RED, GREY, VIOLET = (
    "#0070b4",
    "#007a5c",
    "#a85c00",
    "#c83a2b",
    "#6a727b",
    "#8a58a8",
)

STATES: dict[str, Look] = {
    "failed": Look("✗", "failed", RED, CROSS),
    "skipped": Look("⊘", "skipped", GREY, SLASHED),
    "changed": Look("△", "changed", ORANGE, "M6 1.8L10.6 10H1.4z"),
    "building": Look("◐", "building", ORANGE, HALF, solid=True),
    "waiting": Look("○", "waiting", GREY, RING),
    "built": Look("◆", "built", VIOLET, "M6 1.2L10.8 6L6 10.8L1.2 6z", solid=True),
    "cached": Look("=", "cached", BLUE, "M2.4 4.4h7.2M2.4 7.6h7.2"),
    "deployed": Look("✓", "deployed", GREEN, CHECK),
    "": Look("◦", "not deployed", "", SMALL_RING),
}
"""The states of an environment; where there is little room, the first are told first."""

CALLS: dict[str, Look] = {
    "failed": Look("✗", "failed", RED, CROSS),
    "timed_out": Look("⧖", "timed out", RED, "M3 1.8h6L6 6L9 10.2H3L6 6z"),
    "aborted": Look("■", "aborted", ORANGE, "M3 3h6v6H3z", solid=True),
    "running": Look("▶", "running", BLUE, "M3.4 2l6 4l-6 4z", solid=True),
    "preparing": Look("◔", "preparing", BLUE, RING + "M6 3.4V6h2.4"),
    "waiting": Look("◌", "waiting", GREY, DOTS, solid=True),
    "queued": Look("○", "queued", GREY, RING),
    "succeeded": Look("✓", "succeeded", GREEN, CHECK),
}
"""The phases of a call, the worst first."""


def look(state: str) -> Look:
    """Return how a state of an environment looks; a word that is new here is shown as it is."""
    return STATES.get(state) or Look(
        "•", state.replace("_", " "), GREY, DOT.format("M6"), solid=True
    )


def call_look(state: str) -> Look:
    """Return how a phase of a call looks."""
    return CALLS.get(state) or Look(
        "•", state.replace("_", " "), GREY, DOT.format("M6"), solid=True
    )


def counted(states: list[str]) -> list[tuple[str, int]]:
    """Return each state with how often it is there, in the order of `STATES`."""
    order = {state: place for place, state in enumerate(STATES)}
    found = sorted(set(states), key=lambda state: (order.get(state, len(order)), state))
    return [(state, states.count(state)) for state in found]
