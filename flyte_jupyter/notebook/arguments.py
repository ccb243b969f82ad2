"""Options read from words by the table of `options`.

Values stay text here, except ``{expression}`` and ``$name`` standing alone, which give the object
itself: ``--image {my_image}`` hands over the image, not its representation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flyte_jupyter.notebook.options import Kind, Option
from flyte_jupyter.notebook.splitting import Word, first_word, split
from flyte_jupyter.notebook.usage import MagicUsageError

__all__ = [
    "Arguments",
    "Reader",
    "expand",
    "expanded",
    "find_option",
    "leading_options",
    "parse",
    "parse_words",
    "suggestion",
]


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a line says.

    Args:
        positionals: the words that belong to no option.
        values: for each option that was given, its value: text, a list of texts, or a bool.
    """

    positionals: tuple[Any, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)


def parse(line: str, options: Sequence[Option], variables: Mapping[str, Any] | None) -> Arguments:
    """Return what a whole line says.

    Args:
        line: the line without the name of the magic.
        options: the rows that are allowed.
        variables: what ``{expression}`` and ``$name`` may refer to; ``None`` leaves them alone.

    Raises:
        MagicUsageError: an unknown option, a value that is missing or too many.
    """
    words = split(line)
    quoted = {word.start for word in words if line[word.start] in "'\""}
    return parse_words(words, options, variables, quoted)


def parse_words(
    words: Sequence[Word],
    options: Sequence[Option],
    variables: Mapping[str, Any] | None,
    quoted: Collection[int] = (),
) -> Arguments:
    """Return what the words of a line say.

    Args:
        words: the words.
        options: the rows that are allowed.
        variables: what ``{expression}`` and ``$name`` may refer to; ``None`` leaves them alone.
        quoted: where words begin that are no options, whatever they look like.

    Raises:
        MagicUsageError: an unknown option, a value that is missing or too many.
    """
    reader = Reader(words, options, variables)
    positionals = []
    while (word := reader.peek()) is not None:
        if word.text == "--":
            reader.take()
        elif _looks_like_option(word.text) and (not quoted or word.start not in quoted):
            reader.option()
        else:
            positionals.append(expanded(reader.take(), variables))
    return Arguments(tuple(positionals), reader.values)


def leading_options(
    line: str, options: Sequence[Option], variables: Mapping[str, Any]
) -> tuple[Arguments, str]:
    """Return the options at the beginning of a line, and the rest of the line as it stands.

    The rest may be a call with quotes and brackets of its own; it is never split.
    """
    values: dict[str, Any] = {}
    position = 0
    while (word := first_word(line, position)) is not None and _is_option(word, line):
        words = [word]
        if word.text == "--":
            position = word.end
            break
        option, attached, _ = find_option(word.text, options)
        if option.kind not in (Kind.FLAG, Kind.SWITCH) and attached is None:
            value = first_word(line, word.end)
            if value is not None:
                words.append(value)
        for each in words:
            if not each.closed:
                split(line[each.start :])  # says which quote is open
        reader = Reader(words, options, variables, values)
        reader.option()
        rest = reader.peek()
        position = words[-1].end if rest is None else rest.start
    return Arguments((), values), line[position:].strip()


def find_option(text: str, options: Iterable[Option]) -> tuple[Option, str | None, bool]:
    """Return the row that ``--flag`` or ``--flag=value`` means, the value, and whether it is on.

    Raises:
        MagicUsageError: no row has that spelling; the closest one is named.
    """
    rows = list(options)
    flag, equals, value = text.partition("=")
    wanted = flag.replace("_", "-").lower() if flag.startswith("--") else flag
    for row in rows:
        if wanted in row.flags:
            return row, value if equals else None, True
        if row.kind is Kind.SWITCH and wanted in ("--no-" + f.lstrip("-") for f in row.flags):
            return row, value if equals else None, False
    known = [flag for row in rows for flag in row.flags]
    known += ["--no-" + row.flags[0].lstrip("-") for row in rows if row.kind is Kind.SWITCH]
    raise MagicUsageError(
        f"there is no option {flag!r}{suggestion(wanted, known)}",
        remedy=f"The options are {', '.join(sorted(row.flags[0] for row in rows))}.",
    )


def suggestion(word: str, candidates: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` or nothing."""
    from flyte_jupyter.spec.naming import did_you_mean

    return did_you_mean(word, list(candidates))


def expand(text: str, variables: Mapping[str, Any]) -> Any:
    """Return a word with its ``{expression}`` and ``$name`` parts replaced.

    A word that is nothing but one such part gives the object itself. A part that is no Python
    expression (JSON, say) stays as it is.

    Raises:
        MagicUsageError: a name in it is not defined.
    """
    if "{" not in text and "$" not in text:
        return text
    alone = _alone(text)
    if alone is not None:
        found, value = _evaluate(alone, text, variables)
        return value if found else text
    parts, position = [], 0
    while position < len(text):
        end, inner = _part(text, position)
        if inner is None:
            parts.append(text[position:end])
        else:
            found, value = _evaluate(inner, text, variables)
            parts.append(str(value) if found else text[position:end])
        position = end
    return "".join(parts)


def expanded(word: Word, variables: Mapping[str, Any] | None) -> Any:
    """Return what a word means: its text as it is in single quotes or without variables."""
    return word.text if word.literal or variables is None else expand(word.text, variables)


class Reader:
    """Takes words from the left and fills in the values of options.

    Args:
        words: the words of a line, or the arguments of a process.
        options: the rows that are allowed.
        variables: what ``{expression}`` and ``$name`` may refer to; ``None`` leaves them alone.
        values: where to put the values; a new dict if not given.
    """

    def __init__(
        self,
        words: Sequence[Word],
        options: Sequence[Option],
        variables: Mapping[str, Any] | None,
        values: dict[str, Any] | None = None,
    ) -> None:
        self._words = list(words)
        self._options = options
        self._variables = variables
        self._next = 0
        self.values: dict[str, Any] = {} if values is None else values

    def peek(self) -> Word | None:
        """Return the next word without taking it, ``None`` at the end."""
        return self._words[self._next] if self._next < len(self._words) else None

    def take(self) -> Word:
        """Take the next word."""
        self._next += 1
        return self._words[self._next - 1]

    def option(self) -> None:
        """Take one option with what follows it."""
        text = self.take().text
        row, attached, on = find_option(text, self._options)
        flag = text.partition("=")[0]
        if row.kind in (Kind.FLAG, Kind.SWITCH):
            if attached is not None:
                raise MagicUsageError(f"{flag} takes no value, but {attached!r} was given")
            self.values[row.dest] = on
            return
        words = self._following(row) if attached is None else [Word(attached, 0, 0)]
        values = [expanded(each, self._variables) for each in words]
        if not values and row.kind is not Kind.MAYBE:
            raise MagicUsageError(f"{flag} needs a value: {flag} {row.metavar}")
        if row.kind in (Kind.MANY, Kind.EACH):
            self.values.setdefault(row.dest, []).extend(values)
        else:
            self.values[row.dest] = values[0] if values else True

    def _following(self, row: Option) -> list[Word]:
        most = len(self._words) if row.kind is Kind.MANY else 1
        given: list[Word] = []
        while len(given) < most and (word := self.peek()) is not None:
            if word.text.startswith("--") or (row.kind is Kind.MAYBE and not _countable(word.text)):
                break
            given.append(self.take())
        return given


def _countable(text: str) -> bool:
    """Return whether a word can be the value of ``--reusable`` and not the next argument."""
    return text[:1].isdigit() or "=" in text or text[:1] in "{$"


def _is_option(word: Word, line: str) -> bool:
    return line[word.start] not in "'\"" and _looks_like_option(word.text)


def _looks_like_option(text: str) -> bool:
    return text.startswith("-") and not text[1:2].isdigit()


def _alone(text: str) -> str | None:
    if text.startswith("$") and text[1:].isidentifier():
        return text[1:]
    end, inner = _part(text, 0)
    return inner if inner is not None and end == len(text) and text[0] == "{" else None


def _part(text: str, position: int) -> tuple[int, str | None]:
    """Return where the piece that begins at ``position`` ends, and its expression if it is one."""
    if text[position] == "$":
        end = position + 1
        while end < len(text) and (text[end].isalnum() or text[end] == "_"):
            end += 1
        name = text[position + 1 : end]
        return (end, name) if name.isidentifier() else (position + 1, None)
    if text[position] == "{":
        depth = 0
        for end in range(position, len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                return end + 1, text[position + 1 : end].strip() or None
        return len(text), None
    end = position
    while end < len(text) and text[end] not in "{$":
        end += 1
    return end, None


def _evaluate(expression: str, word: str, variables: Mapping[str, Any]) -> tuple[bool, Any]:
    try:
        code = compile(expression, "<magic>", "eval")
    except SyntaxError:
        return False, None
    try:
        return True, eval(code, {}, variables)
    except NameError as error:
        known = [name for name in variables if not name.startswith("_")]
        raise MagicUsageError(f"{error} in {word!r}{suggestion(error.name or '', known)}") from None
    except Exception as error:
        raise MagicUsageError(f"{word!r} cannot be evaluated: {error!r}") from None
