"""The input transformer: a cell of ours stays an ordinary Python cell.

``%%flyte_env NAME ...`` becomes one line of Python that declares the environment; every other line
stays where it is. So tracebacks, top-level ``await``, the last expression, ``inspect.getsource``
and completion work as in any cell. What the cell declared is collected when it ends (`cells`).

``%%flyte_run ...`` takes the whole body, which runs elsewhere; the body keeps its line numbers
because the lines above it are kept as comments.

Comments and empty lines may stand above the magic, which IPython alone does not allow; a line that
ends in a backslash goes on in the next one.
"""

from __future__ import annotations

import re

__all__ = ["flyte_cells", "magic_line_of"]

MARK = re.compile(r"%%(flyte_env|flyte_run)(?![\w])(.*)", re.DOTALL)


def flyte_cells(lines: list[str]) -> list[str]:
    """Rewrite a cell of ours; return any other cell as it is.

    Args:
        lines: the lines of the cell with their ends, as IPython hands them to a transformer.
    """
    first = _first_code_line(lines)
    if first is None or not (match := MARK.match(lines[first])):
        return lines
    magic, rest = match.group(1), match.group(2)
    argument, after = _joined(rest, lines, first + 1)
    if argument.lstrip().startswith("?") or argument.rstrip().endswith("?"):
        return lines  # %%flyte_env? asks for help
    if magic == "flyte_env":
        call = f"get_ipython().run_line_magic({magic!r}, {argument!r})\n"
        return [*lines[:first], call, *["\n"] * (after - first - 1), *lines[after:]]
    body = "#\n" * after + "".join(lines[after:])
    return [f"get_ipython().run_cell_magic('_flyte_run_cell', {argument!r}, {body!r})\n"]


def magic_line_of(lines: list[str]) -> tuple[int, int] | None:
    """Return where the magic line of a cell of ours begins, and the index of the line after it.

    Args:
        lines: the lines of the cell with their ends, as they are written.
    """
    first = _first_code_line(lines)
    if first is None or not (match := MARK.match(lines[first])):
        return None
    return first, _joined(match.group(2), lines, first + 1)[1]


def _first_code_line(lines: list[str]) -> int | None:
    for index, line in enumerate(lines):
        text = line.strip()
        if text and not text.startswith("#"):
            return index
    return None


def _joined(rest: str, lines: list[str], after: int) -> tuple[str, int]:
    """Return the arguments with continued lines joined, and the index of the line after them."""
    parts = [rest.strip()]
    while parts[-1].endswith("\\") and after < len(lines):
        parts[-1] = parts[-1][:-1].rstrip()
        parts.append(lines[after].strip())
        after += 1
    return " ".join(part for part in parts if part), after
