"""``%%flyte_env NAME``: the functions that a cell defines become the tasks of an environment.

The first line declares the environment and binds its name, so that the body can use
``@NAME.task``. When the cell has ended with success, its public functions become tasks (all of
them, or only the decorated ones if any is), and the cell says which. When it has failed, the
environment, its tasks and their names are again what they were before.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from flyte_jupyter.catalog import Catalog, current
from flyte_jupyter.notebook.arguments import parse, suggestion
from flyte_jupyter.notebook.cells import Cells, OpenCell
from flyte_jupyter.notebook.declare import environment_fields, task_fields
from flyte_jupyter.notebook.options import ENV_OPTIONS
from flyte_jupyter.notebook.panel import armed
from flyte_jupyter.notebook.usage import MagicUsageError
from flyte_jupyter.spec.environment import TaskEnvironment
from flyte_jupyter.spec.naming import variable_name
from flyte_jupyter.spec.task import Task

__all__ = ["environment_name", "open_environment", "play"]

MISSING = object()


def open_environment(
    line: str,
    cells: Cells,
    cell: OpenCell,
    shell: Any,
    catalog: Catalog,
    *,
    quiet: bool = False,
) -> None:
    """Declare the environment of a cell and arrange for the end of the cell.

    Args:
        line: what follows ``%%flyte_env``.
        cells: the cells that are being executed.
        cell: the one of them that this is about.
        shell: the IPython shell.
        catalog: the session's declarations.
        quiet: say nothing at the end of the cell.

    Raises:
        MagicUsageError: no name, two names, or a wrong option.
        SpecError: a value that its field does not take.
    """
    variables = shell.user_ns
    arguments = parse(line, ENV_OPTIONS, variables)
    if not arguments.positionals:
        raise MagicUsageError(
            "%%flyte_env needs a name", remedy="Write %%flyte_env NAME [options] as the first line."
        )
    name, *more = map(str, arguments.positionals)
    if more:
        raise MagicUsageError(
            f"%%flyte_env takes one name, but {' '.join(map(repr, [name, *more]))} were given"
            + _meant_option(more[0])
        )
    if cell.close is not None:
        raise MagicUsageError(
            "this cell already declares an environment; use a cell of its own for each"
        )
    cells.hold(cell)
    before = dict(catalog.environments)
    opened = _Opened(name, cell, shell, variables, quiet)
    cell.close = opened.close
    if name in armed:
        from flyte_jupyter.notebook.panel.writing import take_up

        opened.writing = take_up(name, line, shell, catalog)
        if opened.writing is not None:
            arguments = parse(opened.writing.line, ENV_OPTIONS, variables)
    fields = environment_fields(arguments.values, catalog.find_environment)
    opened.task_fields = task_fields(arguments.values)
    environment = TaskEnvironment(name, **fields)
    opened.environment = environment
    opened.bind()
    declaration = before.get(name)
    if (
        declaration is not None
        and declaration.cell != cell.visit.cell
        and declaration.value.settings != environment.settings
    ):
        opened.notes.append(
            f"`{name}` was declared differently by another cell: this declaration holds now."
        )


def environment_name(line: str) -> str:
    """Return the name that the line of ``%%flyte_env`` gives, ``""`` if there is none."""
    words = parse(line, ENV_OPTIONS, None).positionals
    return str(words[0]) if words else ""


def play(line: str, body: str, cells: Cells, shell: Any, catalog: Catalog) -> None:
    """Execute a whole ``%%flyte_env`` cell at once.

    This is the way of a notebook that was exported as a script; in a notebook the first line is
    rewritten and the cell is executed as any other (see `transform`).
    """
    source = "#\n" + shell.transform_cell("#\n" + body).partition("\n")[2]
    filename = shell.compile.cache(source, shell.execution_count)
    cell = cells.enter(None, source=source)
    success = False
    try:
        open_environment(line, cells, cell, shell, catalog)
        exec(compile(source, filename, "exec"), shell.user_ns)
        success = True
    finally:
        cells.leave(cell, success)


def _meant_option(word: str) -> str:
    flags = [flag for option in ENV_OPTIONS for flag in option.flags]
    return suggestion("--" + word, flags)


class _Opened:
    """An environment whose cell has not ended yet."""

    def __init__(
        self, name: str, cell: OpenCell, shell: Any, variables: dict[str, Any], quiet: bool
    ) -> None:
        self.variable = variable_name(name)
        self.environment: TaskEnvironment | None = None
        self.task_fields: dict[str, Any] = {}
        self.notes: list[str] = []
        self.writing: Any = None
        self._cell = cell
        self._shell = shell
        self._quiet = quiet
        self._variables = variables
        self._before = variables.get(self.variable, MISSING)
        self._tasks_before = {
            key: value for key, value in variables.items() if isinstance(value, Task)
        }

    def bind(self) -> None:
        """Bind the environment to its variable, unless that would hide something else."""
        if self._before is MISSING or isinstance(self._before, TaskEnvironment):
            self._variables[self.variable] = self.environment
            return
        kind = type(self._before).__name__
        self.notes.append(
            f"`{self.variable}` stays the {kind} that it was: "
            "the environment is known by its name only, not bound to a variable."
        )

    def close(self, success: bool) -> None:
        """Make the tasks, or undo everything."""
        if not success or self.environment is None:
            self._undo()
            return
        try:
            tasks = self._tasks()
        except BaseException:
            self._undo()
            raise
        if self.writing is not None:
            source = self._cell.info.raw_cell
            self.notes.append(self.writing.finish(source, self._shell, current()))
        if not self._quiet:
            print(_summary(self.environment, tasks, self.notes))

    def _tasks(self) -> list[Task]:
        """Return the tasks of the cell; plain functions become tasks here."""
        environment = self.environment
        assert environment is not None
        names = list(dict.fromkeys(_functions(self._cell.syntax_tree(self._shell))))
        explicit = [
            value
            for name in names
            if isinstance(value := self._variables.get(name), Task)
            and value.environment is environment
        ]
        if explicit:
            return explicit
        tasks = []
        for name in names:
            value = self._variables.get(name)
            if name.startswith("_") or isinstance(value, Task):
                continue
            if not isinstance(value, FunctionType):
                if name in self._variables:
                    kind = type(value).__name__
                    self.notes.append(f"`{name}` is a {kind} after its decorators and no task.")
                continue
            task = environment.task(value, **self.task_fields)
            self._variables[name] = task
            tasks.append(task)
        return tasks

    def _undo(self) -> None:
        if self._variables.get(self.variable) is self.environment:
            if self._before is MISSING:
                self._variables.pop(self.variable, None)
            else:
                self._variables[self.variable] = self._before
        self._variables.update(self._tasks_before)


def _functions(tree: ast.AST) -> Iterator[str]:
    """Yield the names of the functions that a module defines, inside ``if`` and ``try`` too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, (ast.stmt, ast.ExceptHandler)) and not isinstance(node, ast.ClassDef):
            yield from _functions(node)


def _summary(environment: TaskEnvironment, tasks: list[Task], notes: list[str]) -> str:
    names = [task.func_name for task in tasks]
    if not names:
        lines = [f"Environment {environment.name}: declared, without tasks."]
    else:
        plural = "task" if len(names) == 1 else "tasks"
        lines = [f"Environment {environment.name}: {plural} {', '.join(names)}."]
    lines.extend(_calls(tasks))
    lines.extend(notes)
    return "\n".join(lines)


def _calls(tasks: list[Task]) -> Iterator[str]:
    """Say of each task which others call it: that call leaves the container."""
    for task in tasks:
        name = task.func_name
        callers = [
            other.func_name
            for other in tasks
            if other is not task and other.func is not None and name in _names_of(other.func)
        ]
        if callers:
            who = " and ".join(f"`{caller}`" for caller in callers)
            yield (
                f"`{name}` is called by {who}: it runs in its own container; "
                f"`_{name}` keeps it inline."
            )


def _names_of(function: Any) -> set[str]:
    """Return the global names that a function and the functions inside it read."""
    from dis import get_instructions

    names: set[str] = set()
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        for instruction in get_instructions(code):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                names.add(str(instruction.argval))
        codes.extend(const for const in code.co_consts if hasattr(const, "co_names"))
    return names
