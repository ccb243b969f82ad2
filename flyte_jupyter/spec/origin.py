"""Where something was declared: file or cell, and line."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from types import FrameType
from typing import Any, Callable, Optional

__all__ = ["Origin", "number_cells_by", "origin_of_caller", "origin_of_function"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

Numbers = Callable[[str], Optional[int]]


@dataclass(frozen=True)
class Origin:
    """A place in source.

    Args:
        file: file name as the code object has it; for a cell, the name that its kernel made up.
        line: line in it, from 1.
        module: ``__name__`` of the module that ran; ``"__main__"`` in a notebook.
        cell: number of the execution of the cell, as the notebook shows it; None where there is
            none or it is not known.
    """

    file: str
    line: int
    module: str = "__main__"
    cell: Optional[int] = None

    @property
    def label(self) -> str:
        """A few words for displays: ``tasks.py:12``, ``cell 7, line 3`` or ``a cell, line 3``."""
        if self.cell is not None:
            return f"cell {self.cell}, line {self.line}"
        if self.is_cell:
            # a notebook that is read as a file names its cells itself
            named = self.file[1:-1] if ", cell " in self.file else "a cell"
            return f"{named}, line {self.line}"
        return f"{os.path.basename(self.file)}:{self.line}"

    @property
    def is_cell(self) -> bool:
        """Whether the file name is one that a kernel makes up for a cell."""
        return self.file.startswith("<") or "ipykernel_" in self.file

    def __str__(self) -> str:
        return self.label


def number_cells_by(numbers: Numbers) -> Callable[[], None]:
    """Ask ``numbers`` for the number of the execution behind a file name, from now on.

    Args:
        numbers: file name to number; None for a file that is no cell.

    Returns:
        A function that ends it, unless others have taken its place.
    """
    global _numbers
    _numbers = numbers

    def stop() -> None:
        global _numbers
        if _numbers is numbers:
            _numbers = None

    return stop


_numbers: Numbers | None = None


def origin_of_caller() -> Origin:
    """Return the place of the nearest frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_between(frame):
        frame = frame.f_back
    name = str(frame.f_globals.get("__name__", "__main__"))
    return _origin(frame.f_code.co_filename, frame.f_lineno, name)


def origin_of_function(function: Any) -> Origin:
    """Return the place of a function's definition, or of the caller where it has no code."""
    code = getattr(function, "__code__", None)
    if code is None:
        return origin_of_caller()
    return _origin(code.co_filename, code.co_firstlineno, function.__module__)


def _origin(file: str, line: int, module: str) -> Origin:
    # the number is asked for now: the same cell, run again, has the same file name
    return Origin(file, line, module, _numbers(file) if _numbers is not None else None)


def _is_between(frame: FrameType) -> bool:
    """Return whether a frame is this package's, or IPython's on the way from a cell to a magic."""
    if frame.f_code.co_filename.startswith(_PACKAGE):
        return True
    return str(frame.f_globals.get("__name__", "")).startswith("IPython.")
