"""Which cell is being executed: its beginning and its end, paired by identity.

IPython tells both through events that nested cells (``%%capture``, ``%%time``) fire as well; the
``info`` object of the beginning is found again in the result of the end. A cell that
``%%flyte_env`` opened is closed here: its functions become tasks if it succeeded, and nothing of
it stays if it failed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.catalog.visits import Visit, Visits
from flyte_jupyter.notebook.usage import MagicUsageError

__all__ = ["Cells", "OpenCell"]


@dataclass(slots=True, eq=False)
class OpenCell:
    """A cell that is being executed.

    Args:
        info: what IPython says about it; ``None`` for a cell that a script plays.
        visit: the catalog's record of what the cell declares.
        source: the Python that is executed, read when the cell ends.
        close: what to do at its end, given whether it succeeded; set by ``%%flyte_env``.
    """

    info: Any
    visit: Visit
    source: str | None = None
    close: Callable[[bool], None] | None = None

    def syntax_tree(self, shell: Any) -> ast.Module:
        """Return the syntax tree of the Python that was executed."""
        source = self.source
        if source is None:
            source = getattr(self.info, "transformed_cell", None)
        if source is None:  # IPython before 9.16 does not keep it
            source = shell.transform_cell(self.info.raw_cell)
        return _unwrapped(ast.parse(source), shell)


class Cells:
    """The cells of one shell that are being executed, the innermost last.

    Args:
        shell: the IPython shell.
        visits: the catalog's records of them.
    """

    def __init__(self, shell: Any, visits: Visits) -> None:
        self._shell = shell
        self._visits = visits
        self._open: list[OpenCell] = []

    def before(self, info: Any) -> None:
        """Take note that a cell begins; a callback of IPython's ``pre_run_cell``."""
        self.enter(getattr(info, "cell_id", None), info)

    def after(self, result: Any) -> None:
        """Close the cell that ends; a callback of IPython's ``post_run_cell``."""
        for cell in reversed(self._open):
            if cell.info is result.info:
                break
        else:
            return  # it began before the extension was loaded
        try:
            self.leave(cell, bool(result.success))
        except Exception as error:
            # a callback's error would only be printed: make it the error of the cell
            result.error_in_exec = error
            self._shell.showtraceback((type(error), error, error.__traceback__))

    def enter(self, cell_id: str | None, info: Any = None, source: str | None = None) -> OpenCell:
        """Begin a cell and return it."""
        cell = OpenCell(info, self._visits.begin(cell_id), source)
        self._open.append(cell)
        return cell

    def leave(self, cell: OpenCell, success: bool) -> None:
        """End a cell; if it was opened by ``%%flyte_env`` and cannot be closed, it has failed."""
        self._open.remove(cell)
        try:
            if cell.close is not None:
                cell.close(success)
        except BaseException:
            self._visits.end(cell.visit, success=False)
            raise
        self._visits.end(cell.visit, success=success)

    def current(self) -> OpenCell:
        """Return the innermost cell that is being executed.

        Raises:
            MagicUsageError: none is (a silent execution, or a call from a thread).
        """
        if not self._open:
            raise MagicUsageError(
                "%flyte_env works only in a cell that is being executed",
                remedy="Use flyte.TaskEnvironment(...) here.",
            )
        return self._open[-1]

    def hold(self, cell: OpenCell) -> None:
        """Keep nothing of what a cell declares unless it succeeds."""
        self._visits.hold(cell.visit)

    def abandon(self) -> None:
        """Forget every open cell (the extension is unloaded); plain declarations stay."""
        while self._open:
            cell = self._open.pop()
            if cell.close is not None:
                cell.close(False)
            self._visits.end(cell.visit, success=cell.close is None)


def _unwrapped(tree: ast.Module, shell: Any) -> ast.Module:
    """Return the tree of the body that another cell magic (``%%time``) executes in this cell."""
    match tree.body:
        case [
            ast.Expr(
                ast.Call(
                    ast.Attribute(attr="run_cell_magic"),
                    [_, _, ast.Constant(value=str(body))],
                )
            )
        ]:
            return _unwrapped(ast.parse(shell.transform_cell(body)), shell)
    return tree
