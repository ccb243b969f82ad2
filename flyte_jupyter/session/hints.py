"""What only the kernel knows: hints for errors of the user's code, beside those of `diagnose`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

__all__ = ["hint_for"]


def _missing_variable(match: re.Match[str], environ: Mapping[str, str]) -> str:
    name = match.group(1)
    if name not in environ:
        return ""
    return (
        f"{name} is set in the notebook's environment; a task gets only what it is given: "
        f"env_vars={{'{name}': ...}}, or secrets=\"{name}\" if it is one."
    )


def _missing_file(match: re.Match[str], _: Mapping[str, str]) -> str:
    path = match.group(1)
    if not os.path.exists(os.path.expanduser(path)):
        return ""
    return (
        f"{path} exists beside the notebook; a task works in an empty folder of its own. Pass the "
        f'content as an input, or ship the file with include=("{path}",).'
    )


Row = tuple[str, re.Pattern[str], Callable[[re.Match[str], Mapping[str, str]], str]]

HINTS: tuple[Row, ...] = (
    ("KeyError", re.compile(r"^'(\w+)'$"), _missing_variable),
    ("FileNotFoundError", re.compile(r"No such file or directory: '(.+)'"), _missing_file),
)


def hint_for(kind: str, sentence: str, environ: Mapping[str, str]) -> str:
    """Return what to do about an exception of user code, empty if nothing is known.

    Args:
        kind: class name of the exception.
        sentence: its text.
        environ: the kernel's environment variables.
    """
    for name, pattern, say in HINTS:
        match = pattern.search(sentence) if kind == name else None
        if match is not None:
            return say(match, environ)
    return ""
