r"""What a terminal would still show of a stream: ``\r`` folded, the newest lines kept.

A progress bar writes hundreds of states of one line; only the last one is worth a line of the
notebook. Colours and cursor movements are taken out.
"""

from __future__ import annotations

import re
from collections import deque

__all__ = ["LogTail"]

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
LONGEST_LINE = 2_000


class LogTail:
    """The last lines of what one action wrote.

    The streams share the finished lines but not the unfinished one: a progress bar on standard
    error does not run into a line that is printed meanwhile.

    Args:
        lines: how many finished lines to keep; ``None`` keeps all.
    """

    def __init__(self, lines: int | None = 200) -> None:
        self._lines: deque[str] = deque(maxlen=lines)
        self._open: dict[str, str] = {}
        self.dropped = 0

    def feed(self, text: str, stream: str = "stdout") -> None:
        """Take the next piece of a stream; it may end anywhere, inside a line too."""
        *finished, rest = (self._open.get(stream, "") + text).split("\n")
        for line in finished:
            if self._lines.maxlen is not None and len(self._lines) == self._lines.maxlen:
                self.dropped += 1
            self._lines.append(_visible(line))
        # a stream that never ends its line must not grow without bound
        self._open[stream] = _folded(rest)[: 4 * LONGEST_LINE]

    @property
    def lines(self) -> list[str]:
        """Return the lines that are kept, unfinished ones last."""
        return [*self._lines, *filter(None, map(_visible, self._open.values()))]


def _folded(line: str) -> str:
    """Return an unfinished line without the states that later ones have overwritten.

    What follows the last carriage return may still be empty: then the state before it shows.
    """
    if "\r" not in line:
        return line
    head, _, last = line.rpartition("\r")
    shown = head.rpartition("\r")[2]
    return last if last else shown + "\r"


def _visible(line: str) -> str:
    states = [state for state in line.split("\r") if state]
    text = states[-1] if states else ""
    if "\x1b" in text:
        text = ESCAPES.sub("", text)
    text = CONTROL.sub("", text)
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…"
