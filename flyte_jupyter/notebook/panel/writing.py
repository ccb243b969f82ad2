"""Writing overrides into the first line of the cell that declares the environment.

A kernel can change only the cell that it executes: the cell is run again, says the new line from
then on, and is declared by it, so that the overrides are not needed any more.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.errors import NotFoundError
from flyte_jupyter.notebook.arguments import find_option, parse
from flyte_jupyter.notebook.live import is_interactive
from flyte_jupyter.notebook.options import ENV_OPTIONS, Kind
from flyte_jupyter.notebook.panel import armed
from flyte_jupyter.notebook.splitting import split
from flyte_jupyter.notebook.transform import magic_line_of
from flyte_jupyter.spec.resources import FIELDS as PARTS
from flyte_jupyter.steering.levels import Level, settings_at
from flyte_jupyter.steering.options import FLAGS, Options, options_of

__all__ = ["Writing", "rewritten", "take_up", "why_not"]


@dataclass(frozen=True, slots=True)
class Writing:
    """A line that is being written.

    Args:
        line: what stands behind ``%%flyte_env`` from now on.
        name: name of the environment.
    """

    line: str
    name: str

    def finish(self, source: str, shell: Any, catalog: Catalog) -> str:
        """Put the line into the cell that is executed, whose declaration has succeeded.

        Args:
            source: the cell as it was executed.
            shell: the IPython shell.
            catalog: the session's declarations; the overrides go.

        Returns:
            What to say about it.
        """
        armed.discard(self.name)
        catalog.clear_override(self.name)
        first, after = magic_line_of(source.splitlines(keepends=True)) or (0, 1)
        lines = source.splitlines(keepends=True)
        end = "\n" if lines[after - 1].endswith("\n") else ""
        lines[first:after] = [f"%%flyte_env {self.line}{end}"]
        shell.set_next_input("".join(lines), replace=True)
        return f"The panel's overrides of {self.name} stand in its first line now."


def take_up(name: str, line: str, shell: Any, catalog: Catalog) -> Writing | None:
    """Return what is to be written into the cell of an environment, if a panel has asked for it.

    Args:
        name: name of the environment.
        line: what stands behind ``%%flyte_env`` now.
        shell: the IPython shell.
        catalog: the session's declarations.
    """
    level = Level(name)
    try:
        if why_not(catalog, level, shell):
            return None
    except NotFoundError:
        return None
    return Writing(rewritten(line, *_said(catalog, level)), name)


def why_not(catalog: Catalog, level: Level, shell: Any) -> str:
    """Return why what a panel holds cannot be written to a cell, ``""`` if it can."""
    if level.task:
        return "A magic line speaks of an environment with all its tasks; copy the code instead."
    if not catalog.overrides.get(level.environment):
        return "Nothing is overridden here."
    if not is_interactive(shell) or not hasattr(shell, "set_next_input"):
        return "Only a notebook has cells that can be written to."
    origin = catalog.find_environment(level.environment).origin
    if "flyte_env" not in linecache.getline(origin.file, origin.line or 0):
        return f"{level.environment} is declared in Python, not by %%flyte_env; copy the code."
    return ""


def rewritten(line: str, options: Options, flags: set[str]) -> str:
    """Return the arguments of ``%%flyte_env`` with some options said otherwise.

    Args:
        line: the arguments; what is not spoken of stays as it was written.
        options: what is said instead, each where it stood, or at the end.
        flags: every option that is taken out.
    """
    pieces: list[str] = []
    left = dict(options)
    for flag, text in _pieces(line):
        if flag not in flags:
            pieces.append(text)
        elif flag in left:
            pieces.append(" ".join((flag, *left.pop(flag))))
    pieces += [" ".join((flag, *words)) for flag, words in left.items()]
    return " ".join(pieces)


def _said(catalog: Catalog, level: Level) -> tuple[Options, set[str]]:
    """Return the options for what is overridden, and every option that these take the place of."""
    own = catalog.overrides.get(level.environment) or {}
    names = [name for name in own if name != "resources"]
    resources = own.get("resources")
    if "resources" in own:
        names += [p for p in PARTS if resources is None or getattr(resources, p) is not None]
    flags = {flag for name in names for flag in FLAGS.get(name, ())}
    holds = options_of(dict(settings_at(catalog, level).given()))
    return {flag: words for flag, words in holds.items() if flag in flags}, flags


def _pieces(line: str) -> Iterator[tuple[str, str]]:
    """Yield the first spelling of each option, or nothing, and the text of it with its values."""
    words = split(line)
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if line[word.start] in "'\"" or not word.text.startswith("-") or word.text == "--":
            yield "", line[word.start : word.end]
            continue
        row, attached, on = find_option(word.text, ENV_OPTIONS)
        last = word
        most = 0 if attached is not None or row.kind in (Kind.FLAG, Kind.SWITCH) else 1
        if row.kind is Kind.MANY and most:
            most = len(words)
        while most and at < len(words) and not words[at].text.startswith("--"):
            piece = line[word.start : words[at].end]
            if row.kind is Kind.MAYBE and parse(piece, (row,), None).positionals:
                break
            last, at, most = words[at], at + 1, most - 1
        yield (
            row.flags[0] if on else "--no-" + row.flags[0].lstrip("-"),
            line[word.start : last.end],
        )
