"""The text behind live code: cells, scripts, and which definition in them is the one that runs.

Cells are found in ``linecache``, where IPython keeps them under the file name of their code
objects; scripts are read from disk. A definition counts as the source of a function only if it
compiles to the function's very code: a cell that was edited, or a file that changed since its
import, is noticed here.
"""

from __future__ import annotations
import __future__

import ast
import linecache
import os
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flyte_jupyter.wire.code import compile_function, parse_piece

__all__ = ["Definition", "SourceFile", "future_names", "recent_files", "source_file"]

_FUTURE = {name: getattr(__future__, name).compiler_flag for name in __future__.all_feature_names}
# These have been the law in every Python that we run on.
_FUTURE_NOW = {
    name: flag
    for name, flag in _FUTURE.items()
    if getattr(__future__, name).mandatory is None
    or getattr(__future__, name).mandatory > (3, 9, 0, "", 0)
}
_FUTURE_MASK = sum(set(_FUTURE_NOW.values()))


def future_names(code: types.CodeType) -> list[str]:
    """Return the ``__future__`` features that a code object was compiled with."""
    return [name for name, flag in _FUTURE_NOW.items() if code.co_flags & flag]


@dataclass(eq=False)
class Definition:
    """A function or class as it is written in a file.

    Args:
        file: where it is written.
        node: its syntax tree.
        parents: names of the functions and classes around it.
        scopes: for each of these, whether it is a class.
    """

    file: SourceFile
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
    parents: tuple[str, ...] = ()
    scopes: tuple[bool, ...] = ()
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Name of the function or class."""
        return getattr(self.node, "name", "<lambda>")

    @property
    def qualname(self) -> str:
        """Qualified name, as in ``__qualname__``."""
        parts = []
        for parent, is_class in zip(self.parents, self.scopes, strict=True):
            parts += [parent] if is_class else [parent, "<locals>"]
        return ".".join([*parts, self.name])

    @property
    def decorators(self) -> list[ast.expr]:
        """Decorators, the outermost first."""
        return getattr(self.node, "decorator_list", [])

    @property
    def first_line(self) -> int:
        """Line of the first decorator, or of the definition."""
        return min([self.node.lineno, *(one.lineno for one in self.decorators)])

    @property
    def in_function(self) -> bool:
        """Whether it is defined when another function runs."""
        return not all(self.scopes)

    def piece(
        self, source: int, *, keep: int = 0, free: tuple[str, ...] = (), future: list[str]
    ) -> dict[str, Any]:
        """Describe its lines for the container, see ``wire.code``."""
        node = self.node
        last = node.end_lineno or node.lineno
        at = [self.first_line, last]
        if isinstance(node, ast.Lambda):
            at = [node.lineno, node.col_offset, last, node.end_col_offset or 0]
        piece = {
            "file": source,
            "at": at,
            "name": self.name,
            "indent": node.col_offset > 0,
            "keep": keep,
            "future": future,
        }
        return {**piece, "free": list(free)} if free else piece


class SourceFile:
    """The text of one cell or file.

    Args:
        filename: as in the code objects.
        lines: with their ends.
    """

    def __init__(self, filename: str, lines: list[str]) -> None:
        self.filename = filename
        self.lines = lines
        self._tree: ast.Module | None = None
        self._definitions: dict[tuple[int, str], list[Definition]] | None = None
        self._codes: dict[int, dict[tuple[int, str], list[types.CodeType]]] = {}

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.lines)

    def segment(self, definition: Definition) -> str:
        """Return the lines of a definition."""
        end = definition.node.end_lineno or definition.first_line
        return "".join(self.lines[definition.first_line - 1 : end])

    @property
    def tree(self) -> ast.Module:
        """Its syntax tree, empty if it cannot be parsed."""
        if self._tree is None:
            try:
                self._tree = ast.parse(self.text)
            except (SyntaxError, ValueError):
                self._tree = ast.Module(body=[], type_ignores=[])
        return self._tree

    @property
    def label(self) -> str:
        """What a notebook calls it: ``Cell In[3]``; of a file its path."""
        return cell_label(self.filename) or self.filename

    def definitions(self) -> dict[tuple[int, str], list[Definition]]:
        """Return all definitions by first line and name."""
        if self._definitions is None:
            self._definitions = {}
            for found in self._walk(self.tree, (), ()):
                self._definitions.setdefault((found.first_line, found.name), []).append(found)
        return self._definitions

    def _walk(
        self, node: ast.AST, parents: tuple[str, ...], scopes: tuple[bool, ...]
    ) -> Iterator[Definition]:
        for child in _children(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
                found = Definition(self, child, parents, scopes)
                yield found
                is_class = isinstance(child, ast.ClassDef)
                yield from self._walk(child, (*parents, found.name), (*scopes, is_class))
            else:
                yield from self._walk(child, parents, scopes)

    def classes(self, qualname: str) -> list[Definition]:
        """Return the classes of that qualified name, the last one first."""
        found = [
            one
            for group in self.definitions().values()
            for one in group
            if isinstance(one.node, ast.ClassDef) and one.qualname == qualname
        ]
        return sorted(found, key=lambda one: -one.first_line)

    def find(self, code: types.CodeType) -> Definition | None:
        """Return the definition that a live code object was compiled from, if it still is."""
        group = self.definitions().get((code.co_firstlineno, code.co_name), [])
        if not group or not self.holds(code):
            return None
        if len(group) == 1 or not isinstance(group[0].node, ast.Lambda):
            return group[-1]
        return _which_lambda(code, group)

    def holds(self, code: types.CodeType) -> bool:
        """Say whether the present text compiles to that code object."""
        flags = code.co_flags & _FUTURE_MASK
        if flags not in self._codes:
            self._codes[flags] = self._compile(flags)
        group = self._codes[flags].get((code.co_firstlineno, code.co_name), [])
        return any(one == code or _same(one, code) for one in group)

    def _compile(self, flags: int) -> dict[tuple[int, str], list[types.CodeType]]:
        found: dict[tuple[int, str], list[types.CodeType]] = {}
        flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        # IPython compiles each statement of a cell by itself; that gives other code than the whole
        # text where a statement calls functions of a module that another one imports
        units: list[str | ast.Module] = [self.text]
        units += [ast.Module([statement], []) for statement in self.tree.body]
        try:
            stack: list[types.CodeType] = [
                compile(unit, self.filename, "exec", flags, dont_inherit=True) for unit in units
            ]
        except (SyntaxError, ValueError):
            return found
        while stack:
            code = stack.pop()
            found.setdefault((code.co_firstlineno, code.co_name), []).append(code)
            stack += [const for const in code.co_consts if isinstance(const, types.CodeType)]
        return found


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            for item in value:
                if isinstance(item, ast.AST):
                    yield item
        elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
            yield value


def _same(one: types.CodeType, other: types.CodeType) -> bool:
    """Compare what two code objects do, not where they stand."""
    same = (
        one.co_code == other.co_code
        and one.co_names == other.co_names
        and one.co_varnames == other.co_varnames
        and one.co_freevars == other.co_freevars
        and len(one.co_consts) == len(other.co_consts)
    )
    if not same:
        return False
    for a, b in zip(one.co_consts, other.co_consts, strict=True):
        if isinstance(a, types.CodeType) and isinstance(b, types.CodeType):
            if not _same(a, b):
                return False
        elif type(a) is not type(b) or a != b:
            return False
    return True


def _which_lambda(code: types.CodeType, group: list[Definition]) -> Definition | None:
    """Return which of several lambdas on one line a code object belongs to."""
    spots = [
        (line, column)
        for line, _, column, _ in code.co_positions()
        if line is not None and column is not None and (line, column) != (code.co_firstlineno, 0)
    ]
    group = sorted(group, key=lambda one: (one.node.lineno, one.node.col_offset), reverse=True)
    for one in group:  # the innermost first
        start = (one.node.lineno, one.node.col_offset)
        end = (one.node.end_lineno or 0, one.node.end_col_offset or 0)
        if not all(start <= spot < end for spot in spots):
            continue
        piece = one.piece(0, free=code.co_freevars, future=future_names(code))
        node = parse_piece(one.file.lines, piece)
        if _same(compile_function(node, piece, one.file.filename), code):
            return one
    return None


_files: dict[str, SourceFile] = {}


def source_file(filename: str) -> SourceFile | None:
    """Return the present text of a cell or file, ``None`` if there is none."""
    entry = linecache.cache.get(filename)
    if entry is None or len(entry) == 1 or entry[1] is not None:
        linecache.checkcache(filename)
        lines = linecache.getlines(filename)
    else:
        lines = entry[2]
    if not lines:
        return None
    known = _files.get(filename)
    if known is not None and (known.lines is lines or known.lines == lines):
        return known
    _files[filename] = found = SourceFile(filename, lines)
    return found


def recent_files() -> Iterator[SourceFile]:
    """Yield cells, the last executed first, then the script that runs."""
    numbers = _cell_numbers()
    cells = [
        name for name, entry in linecache.cache.items() if len(entry) == 4 and entry[1] is None
    ]
    cells.reverse()
    cells.sort(key=lambda name: -numbers.get(name, 0))
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    for name in [*cells, *([script] if script else [])]:
        found = source_file(name)
        if found is not None:
            yield found


def _cell_numbers() -> dict[str, int]:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(getattr(shell, "compile", None), "_filename_map", {})


def cell_label(filename: str) -> str | None:
    """Return ``Cell In[3]`` for the file name of a cell's code, ``None`` for other names."""
    number = _cell_numbers().get(filename)
    return f"Cell In[{number}]" if number else None


def short_label(filename: str) -> str:
    """Return a name for messages: the cell, or the file without its folders."""
    return cell_label(filename) or os.path.basename(filename)
