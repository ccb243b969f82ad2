"""A command line split into words as a shell does, keeping where each word stood.

Quotes group and are taken off, wherever in the word they stand (``--env-vars "A=b c"`` and
``--env-vars A="b c"`` mean the same). A backslash keeps the next character as it is, except inside
single quotes. Nothing else is special: no globs, no comments.
"""

from __future__ import annotations

from dataclasses import dataclass

from flyte_jupyter.notebook.usage import MagicUsageError

__all__ = ["Word", "first_word", "split"]

QUOTES = "'\""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a line.

    Args:
        text: the word without its quotes.
        start: index of its first character in the line, quotes included.
        end: index after its last character.
        closed: whether every quote that was opened in it is closed.
        literal: whether it is in single quotes, which keep variables from being expanded.
    """

    text: str
    start: int
    end: int
    closed: bool = True
    literal: bool = False


def split(line: str, *, tolerant: bool = False) -> list[Word]:
    """Return the words of a line.

    Args:
        line: the line.
        tolerant: take a quote that is never closed (a line that is still being typed).

    Raises:
        MagicUsageError: a quote is never closed.
    """
    words = []
    position = 0
    while (word := first_word(line, position)) is not None:
        if not word.closed and not tolerant:
            raise MagicUsageError(
                f"a quote is opened and never closed: {line[word.start :].rstrip()}",
                remedy="Close it, or put a backslash before it.",
            )
        words.append(word)
        position = word.end
    return words


def first_word(line: str, position: int = 0) -> Word | None:
    """Return the first word at or after ``position``, ``None`` where there is none."""
    size = len(line)
    while position < size and line[position].isspace():
        position += 1
    if position == size:
        return None
    start, text, quote = position, [], ""
    while position < size:
        char = line[position]
        if quote:
            if char == quote:
                quote = ""
            elif char == "\\" and quote == '"' and line[position + 1 : position + 2] in ('"', "\\"):
                position += 1
                text.append(line[position])
            else:
                text.append(char)
        elif char in QUOTES:
            quote = char
        elif char == "\\" and position + 1 < size:
            position += 1
            text.append(line[position])
        elif char.isspace():
            break
        else:
            text.append(char)
        position += 1
    return Word("".join(text), start, position, not quote, line[start] == "'")
