"""The body of a ``%%flyte_run`` cell made shippable, as a function without parameters."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

from flyte_jupyter.capsule.analysis import changed_names, read_names
from flyte_jupyter.capsule.build import finish
from flyte_jupyter.capsule.canonical import canonical
from flyte_jupyter.capsule.collect import Collector
from flyte_jupyter.capsule.model import Capsule, Place, Symbol
from flyte_jupyter.capsule.sources import SourceFile, short_label
from flyte_jupyter.capsule.syntax import minimum_python
from flyte_jupyter.errors import CapsuleError
from flyte_jupyter.wire.code import compile_body

__all__ = ["build_cell"]


def build_cell(
    source: str,
    namespace: dict[str, Any],
    name: str,
    *,
    filename: str = "<cell>",
    first_line: int = 1,
    future: tuple[str, ...] = (),
) -> Capsule:
    """Make the body of a cell shippable.

    What it reads travels by value; a call of what is loaded gives ``{"assigned": {name: value},
    "value": value of the last expression, "kept": {name: why it stays there}}``.

    Args:
        source: the body.
        namespace: the notebook's names.
        name: full name for messages and the journal.
        filename: of the cell's code, for tracebacks.
        first_line: line of the cell on which the body starts.
        future: names of the ``__future__`` features that are in force.

    Raises:
        SyntaxError: the body is no Python.
        CapsuleError: something that it reads cannot be sent.
    """
    collector = gather_cell(source, namespace, filename, first_line, future)
    if collector.errors:
        raise collector.errors[0]
    return finish_cell(collector, name)


def gather_cell(
    source: str,
    namespace: dict[str, Any],
    filename: str = "<cell>",
    first_line: int = 1,
    future: tuple[str, ...] = (),
) -> Collector:
    """Walk from the body of a cell to all that it needs; errors are left in the collector."""
    text = "\n" * (first_line - 1) + source
    file = SourceFile(filename, text.splitlines(keepends=True))
    tree = ast.parse(text, filename)
    shape = canonical(tree)
    changed, (version, why) = (
        changed_names(ast.walk(tree)),
        minimum_python(ast.walk(tree), bool(future), source),
    )
    code = compile_body(tree.body, future, filename)
    certain = frozenset(_certain(ast.parse(text).body))
    reads = read_names(code, early=True, certain=certain)
    for one in reads.bound:  # functions of the body see what the body has assigned
        if one in certain or one not in namespace:
            reads.late.pop(one, None)
        if one not in namespace:
            reads.early.pop(one, None)

    collector = Collector(namespace)
    label = short_label(filename)
    index = collector.source(file)
    reader = "The cell"
    names = collector.follow({**reads.late, **reads.early}, namespace, reader, label)
    for module, taken, line in reads.imports:
        place = Place(module, reader, label, line)
        try:
            collector.imports.statement(module, taken, place)
        except CapsuleError as error:
            collector.errors.append(error)
    collector.settle()
    assigned = list(dict.fromkeys([*reads.bound, *reads.rebound]))
    for one in assigned:
        changed.pop(one, None)
    reads.rebound.clear()
    collector.changes(reads, changed, namespace, reader, label)
    if version > (3, 9):
        collector.needs.append((version, f"{why} in the cell"))
    collector.symbols.append(Symbol("the cell's body", "function", label, len(source)))
    collector.cell = {
        "file": index,
        "future": list(future),
        "assigned": assigned,
        "maybe": [one for one in assigned if one not in certain | _extended(tree)],
        "silent": text.rstrip().endswith(";"),
        "is_async": bool(code.co_flags & inspect.CO_COROUTINE),
        "shape": [shape, names],
    }
    return collector


def finish_cell(collector: Collector, name: str) -> Capsule:
    """Put together what was gathered for a cell."""
    cell = dict(collector.cell)
    is_async = cell.pop("is_async")
    shape = cell.pop("shape")
    counted = [shape, cell["assigned"], cell["silent"], cell["future"]]
    return finish(collector, -1, name=name, is_async=is_async, cell=cell, counted=counted)


def _extended(tree: ast.Module) -> set[str]:
    """Return names that an augmented assignment may change in place."""
    return {
        one.target.id
        for one in ast.walk(tree)
        if isinstance(one, ast.AugAssign) and isinstance(one.target, ast.Name)
    }


def _certain(body: list[ast.stmt]) -> Iterator[str]:
    """Yield names that statements assign whatever happens."""
    for one in body:
        targets: list[ast.expr] = []
        if isinstance(one, ast.Assign):
            targets = one.targets
        elif isinstance(one, (ast.AnnAssign, ast.AugAssign)) and one.value is not None:
            targets = [one.target]
        elif isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield one.name
        elif isinstance(one, (ast.Import, ast.ImportFrom)):
            for alias in one.names:
                yield alias.asname or alias.name.partition(".")[0]
        elif isinstance(one, (ast.With, ast.AsyncWith)):
            targets = [item.optional_vars for item in one.items if item.optional_vars]
            yield from _certain(one.body)
        for target in targets:
            yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))
