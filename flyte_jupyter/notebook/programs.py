"""A file that declares tasks, read for one of them: a module, or the needed part of a notebook.

A notebook runs things as well as declaring them; asking it for a task must not run them again.
So its cells are cut into statements, and only those are executed that the task needs: what binds a
name that it uses, what those statements use, and so on. A ``%%flyte_env`` cell is one statement.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import json
import linecache
import symtable
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flyte_jupyter.catalog import Catalog, visits
from flyte_jupyter.errors import DuplicateNameError, NotFoundError
from flyte_jupyter.notebook.cells import Cells
from flyte_jupyter.notebook.environment_cell import environment_name, open_environment
from flyte_jupyter.notebook.usage import MagicUsageError
from flyte_jupyter.spec.environment import TaskEnvironment
from flyte_jupyter.spec.listeners import on_environment
from flyte_jupyter.spec.naming import did_you_mean, variable_name
from flyte_jupyter.spec.task import Task

__all__ = ["load_declarations", "load_task"]

MARK = "%%flyte_env"
# the tag of a cell that fails on purpose, as nbclient and nbval know it
MAY_FAIL = "raises-exception"
# what is called where an environment is declared or changed
DECLARING = frozenset({"TaskEnvironment", "add_dependency", "clone_with"})


def load_task(path: str, name: str, catalog: Catalog) -> Task:
    """Return a task that a file declares.

    Args:
        path: a ``.py`` file or a notebook.
        name: short name of the task, or its full one (``env.task``).
        catalog: the session's declarations.

    Raises:
        NotFoundError: no such file, or no such task in it.
        MagicUsageError: no file of Python.
    """
    file = Path(path)
    if not file.is_file():
        raise NotFoundError(f"there is no file {path!r}")
    if file.suffix == ".py":
        namespace = _module(file)
    elif file.suffix == ".ipynb":
        namespace = _notebook(file, name, catalog)
    else:
        raise MagicUsageError(f"{path!r} is neither a .py file nor a notebook (.ipynb)")
    tasks = {key: value for key, value in namespace.items() if isinstance(value, Task)}
    found = [task for key, task in tasks.items() if name in (key, task.name, task.func_name)]
    if not found:
        known = [task.func_name for task in tasks.values()]
        raise NotFoundError(
            f"{file.name} has no task {name!r}"
            + (did_you_mean(name, known) or (f"; it has {', '.join(known)}" if known else ""))
        )
    return found[-1]


def load_declarations(path: str, catalog: Catalog) -> None:
    """Declare the environments and tasks of a file, and run nothing else of it.

    Args:
        path: a ``.py`` file or a notebook.
        catalog: the session's declarations.

    Raises:
        NotFoundError: no such file, or it declares no environment.
        MagicUsageError: no file of Python.
        DuplicateNameError: it declares two different environments of one name.
    """
    file = Path(path)
    if not file.is_file():
        raise NotFoundError(f"there is no file {path!r}")
    before = catalog.generation
    declared: list[TaskEnvironment] = []
    stop = on_environment(declared.append)
    try:
        _declare(file, path, catalog)
    finally:
        stop()
    if catalog.generation == before:
        raise NotFoundError(
            f"{file.name} declares no environment",
            remedy="Declare one with flyte.TaskEnvironment(...) or %%flyte_env.",
        )
    _refuse_twins(declared)


def _declare(file: Path, path: str, catalog: Catalog) -> None:
    if file.suffix == ".py":
        _module(file)
    elif file.suffix == ".ipynb":
        units = list(_units(file))
        wanted = [index for index, unit in enumerate(units) if _declares(unit)]
        _play(file, units, {need for index in wanted for need in _needed(units, index)}, catalog)
    else:
        raise MagicUsageError(f"{path!r} is neither a .py file nor a notebook (.ipynb)")


def _refuse_twins(declared: Iterable[TaskEnvironment]) -> None:
    """Refuse two different environments of one name: nobody has chosen, as who runs cells does."""
    known: dict[str, TaskEnvironment] = {}
    for one in declared:
        other = known.setdefault(one.name, one)
        if other != one:
            raise DuplicateNameError(
                f"two different environments are named {one.name!r}; rename one of them.",
                evidence=[f"declared in {each.origin}" for each in (other, one)],
            )


def _declares(unit: _Unit) -> bool:
    """Return whether a unit declares an environment or a task, or changes one."""
    if unit.line is not None:
        return True
    for statement in unit.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and any(
            isinstance(node, ast.Attribute) and node.attr == "task"
            for decorator in statement.decorator_list
            for node in ast.walk(decorator)
        ):
            return True
        for node in _own(statement):
            if isinstance(node, ast.Call):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else ""
                name = called.id if isinstance(called, ast.Name) else name
                if name in DECLARING:
                    return True
    return False


def _module(file: Path) -> dict[str, Any]:
    """Import a file under its own name, as its neighbours would import it."""
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = file.stem
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    if spec is None or spec.loader is None:
        raise MagicUsageError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return vars(module)


@dataclass(slots=True)
class _Unit:
    """A statement of a notebook, or a whole ``%%flyte_env`` cell."""

    number: int
    filename: str
    body: list[ast.stmt]
    line: str | None = None
    binds: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)
    deferred: bool = False


def _notebook(file: Path, name: str, catalog: Catalog) -> dict[str, Any]:
    units = list(_units(file))
    short = name.rpartition(".")[2]
    environment = variable_name(name.rpartition(".")[0]) if "." in name else ""
    wanted = [
        index
        for index, unit in enumerate(units)
        if short in unit.binds and (not environment or environment in unit.uses | unit.binds)
    ]
    if not wanted:
        known = {bound for unit in units for bound in unit.binds}
        raise NotFoundError(f"{file.name} has no task {name!r}{did_you_mean(name, known)}")
    return _play(file, units, _needed(units, wanted[-1]), catalog)


def _play(file: Path, units: list[_Unit], needed: set[int], catalog: Catalog) -> dict[str, Any]:
    """Execute some units of a notebook in its order, and return the names that there are then."""
    shell = _Shell({"__name__": "__main__", "__file__": str(file.resolve())})
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    for index in sorted(needed):
        _execute(units[index], shell, catalog, file)
    return shell.user_ns


def _units(file: Path) -> Iterator[_Unit]:
    """Yield the statements of a notebook in its order."""
    try:
        cells = json.loads(file.read_text("utf-8"))["cells"]
    except (ValueError, KeyError, TypeError):
        raise MagicUsageError(f"{file} is no notebook of format 4") from None
    number = 0
    for cell in cells:
        if cell.get("cell_type") != "code":
            continue
        number += 1
        if MAY_FAIL in cell.get("metadata", {}).get("tags", ()):
            continue  # what is shown to be refused declares nothing
        source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        line, text = _python(source)
        filename = f"<{file.name}, cell {number}>"
        try:
            tree = ast.parse(text, filename)
        except SyntaxError:
            continue  # a cell in another language, or one that never worked
        lines = text.splitlines(keepends=True)
        linecache.cache[filename] = (len(text), None, lines, filename)
        for body in [tree.body] if line is not None else ([node] for node in tree.body):
            unit = _Unit(number, filename, body, line)
            _look(unit)
            yield unit


def _python(source: str) -> tuple[str | None, str]:
    """Return the line of ``%%flyte_env``, if it is such a cell, and the cell as Python."""
    line = None
    if MARK in source:
        from flyte_jupyter.notebook.transform import flyte_cells

        lines = source.splitlines(keepends=True)
        rewritten = flyte_cells(lines)
        changed = next(
            (i for i, (a, b) in enumerate(zip(lines, rewritten, strict=False)) if a != b), None
        )
        if changed is not None and lines[changed].startswith(MARK):
            call = ast.parse(rewritten[changed]).body[0]
            assert isinstance(call, ast.Expr)
            assert isinstance(call.value, ast.Call)
            line = ast.literal_eval(call.value.args[1])
            rewritten[changed] = "#\n"
            source = "".join(rewritten)
    if any(mark in source for mark in "%!?"):
        from IPython.core.inputtransformer2 import TransformerManager

        source = TransformerManager().transform_cell(source)
    return line, source


def _look(unit: _Unit) -> None:
    """Note which names a unit binds, changes and uses."""
    if unit.line is not None:
        unit.binds.add(variable_name(environment_name(unit.line)))
    for statement in unit.body:
        unit.binds.update(_bound(statement))
        unit.changes.update(_changed(statement))
        unit.uses.update(_used(symtable.symtable(ast.unparse(statement), unit.filename, "exec")))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    unit.deferred = unit.line is not None or isinstance(unit.body[0], functions)


def _used(table: symtable.SymbolTable) -> Iterator[str]:
    """Yield the names of the notebook that code looks up, not those of its own functions."""
    outermost = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (outermost or symbol.is_global()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _used(inner)


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement gives a new value."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
        return
    own = list(_own(statement))
    passing = {
        id(part)
        for node in own
        if isinstance(node, ast.comprehension)
        for part in ast.walk(node.target)
    }
    for node in own:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            if id(node) not in passing:
                yield node.id
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name


def _changed(statement: ast.stmt) -> Iterator[str]:
    """Yield the names whose value a statement changes in place: ``x.append(1)``, ``x[0] = 1``."""
    for node in _own(statement):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
            yield from _root(node)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        function = statement.value.func
        if isinstance(function, ast.Attribute):
            yield from _root(function)
    if isinstance(statement, ast.AugAssign):
        yield from _root(statement.target)


def _own(statement: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a statement without the bodies of functions and classes."""
    yield statement
    for node in ast.iter_child_nodes(statement):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield node
        else:
            yield from _own(node)


def _root(node: ast.AST) -> Iterator[str]:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _needed(units: list[_Unit], start: int) -> set[int]:
    """Return the units that a unit needs, itself included."""
    needed: set[int] = set()
    waiting = [start]
    while waiting:
        index = waiting.pop()
        if index in needed:
            continue
        needed.add(index)
        unit = units[index]
        for name in unit.uses | unit.changes:
            waiting.extend(_givers(units, name, index, unit.deferred))
    stars = (i for i, unit in enumerate(units) if "*" in unit.binds)
    return needed | set(stars)


def _givers(units: list[_Unit], name: str, index: int, deferred: bool) -> Iterable[int]:
    """Return the units that give a name the value that a unit sees: the last before it.

    A function sees what its name means when it is called, which is the last of all.
    """
    if hasattr(builtins, name) and not any(name in unit.binds for unit in units):
        return []
    binders = [i for i, unit in enumerate(units) if name in unit.binds and i != index]
    before = [i for i in binders if i < index]
    chosen = binders if deferred or not before else before
    if not chosen:
        return []
    last = chosen[-1]
    later = (i for i, unit in enumerate(units) if name in unit.changes and i > last)
    return [last, *(i for i in later if deferred or i < index)]


class _Shell:
    """As much of an IPython shell as declaring an environment needs."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.user_ns = namespace


def _execute(unit: _Unit, shell: _Shell, catalog: Catalog, file: Path) -> None:
    if any(
        isinstance(node, ast.Name) and node.id == "get_ipython"
        for statement in unit.body
        for node in ast.walk(statement)
    ):
        names = ", ".join(sorted(unit.binds)) or "a value"
        raise MagicUsageError(
            f"cell {unit.number} of {file.name} makes {names} with a magic, which is not run here",
            remedy="Hand the value to the task as an input, or make it without a magic.",
        )
    module = ast.Module(unit.body, type_ignores=[])
    code = compile(module, unit.filename, "exec")
    if unit.line is None:
        exec(code, shell.user_ns)
        return
    cells = Cells(shell, visits)
    cell = cells.enter(None, source=ast.unparse(module))
    success = False
    try:
        open_environment(unit.line, cells, cell, shell, catalog, quiet=True)
        exec(code, shell.user_ns)
        success = True
    finally:
        cells.leave(cell, success)
