"""Where something was declared: file or cell, and line."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from types import FrameType

__all__ = ["Origin", "origin_of_caller"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


@dataclass(frozen=True)
class Origin:
    """A place in source.

    Args:
        file: file name as the code object has it; for a cell, the name that its kernel made up.
        line: line in it, from 1.
        module: ``__name__`` of the module that ran; ``"__main__"`` in a notebook.
    """

    file: str
    line: int
    module: str = "__main__"

    @property
    def label(self) -> str:
        """A few words for displays: ``tasks.py:12``, or ``a cell, line 3``."""
        if self.is_cell:
            return f"a cell, line {self.line}"
        return f"{os.path.basename(self.file)}:{self.line}"

    @property
    def is_cell(self) -> bool:
        """Whether the file name is one that a kernel makes up for a cell."""
        return self.file.startswith("<") or "ipykernel_" in self.file

    def __str__(self) -> str:
        return self.label


def origin_of_caller() -> Origin:
    """Return the place of the nearest frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_between(frame):
        frame = frame.f_back
    name = str(frame.f_globals.get("__name__", "__main__"))
    return Origin(frame.f_code.co_filename, frame.f_lineno, name)


def _is_between(frame: FrameType) -> bool:
    """Return whether a frame is this package's, or IPython's on the way from a cell to a magic."""
    if frame.f_code.co_filename.startswith(_PACKAGE):
        return True
    return str(frame.f_globals.get("__name__", "")).startswith("IPython.")
