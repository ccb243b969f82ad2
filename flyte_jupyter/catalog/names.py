"""Names → current declarations, with where each was made: the one model of a session.

A name has one current declaration, the last that was executed. A task refers to its environment by
name, so the tasks of other cells follow a new declaration. A declaration goes when its own cell is
run again without it. Nothing here displays anything; magics, panels and sidebars edit this model
and are told of changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from flyte_jupyter.catalog.visits import Visit, Visits
from flyte_jupyter.errors import NotFoundError
from flyte_jupyter.spec.environment import TaskEnvironment
from flyte_jupyter.spec.naming import did_you_mean, variable_name
from flyte_jupyter.spec.task import Task

__all__ = ["Change", "Declaration", "Names"]

Declared = TypeVar("Declared", TaskEnvironment, Task)


@dataclass(frozen=True, slots=True)
class Declaration(Generic[Declared]):
    """A name's current declaration.

    Args:
        value: the environment or the task.
        cell: identity of the notebook cell that made it, ``None`` where cells have none.
    """

    value: Declared
    cell: str | None = None

    @property
    def origin(self) -> Any:
        """Return file or cell and line of the declaration."""
        return self.value.origin


@dataclass(frozen=True, slots=True)
class Change:
    """What changed at once.

    Args:
        environments: names of environments that were declared, replaced or removed.
        tasks: full names of such tasks.
        overrides: scopes (environments or tasks) whose panel override changed.
    """

    environments: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()
    overrides: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.environments or self.tasks or self.overrides)


class Names:
    """The declarations of a session by name.

    Args:
        visits: the executions of cells that declarations belong to.
    """

    def __init__(self, visits: Visits) -> None:
        self._environments: dict[str, Declaration[TaskEnvironment]] = {}
        self._tasks: dict[str, Declaration[Task]] = {}
        self._visits = visits
        self._held: dict[Visit, tuple[dict[str, Any], dict[str, Any]]] = {}
        visits.watch(self._hold, self._end)
        self._callbacks: list[Callable[[Change], None]] = []
        self.generation = 0
        """Grows with every change; what is derived from the catalog can be kept by it."""

    # Reading

    @property
    def environments(self) -> Mapping[str, Declaration[TaskEnvironment]]:
        """Return name → declaration of every environment, in the order of first declaration."""
        return MappingProxyType(self._environments)

    @property
    def tasks(self) -> Mapping[str, Task]:
        """Return full name → task, in the order of first declaration."""
        return {name: declaration.value for name, declaration in self._tasks.items()}

    def declaration_of(self, task_name: str) -> Declaration[Task] | None:
        """Return the current declaration of a task by its full name, ``None`` if there is none."""
        return self._tasks.get(task_name)

    def tasks_of(self, environment: str) -> list[Task]:
        """Return the tasks of an environment by its name, in the order of first declaration."""
        tasks = (declaration.value for declaration in self._tasks.values())
        return [task for task in tasks if task.env_name == environment]

    def environment_in_force(self, name: str) -> TaskEnvironment | None:
        """Return the current environment of a name, ``None`` if there is none."""
        declaration = self._environments.get(name)
        return declaration.value if declaration is not None else None

    def find_environment(self, name: str) -> TaskEnvironment:
        """Return the current environment of a name, or of the variable that it binds to.

        Raises:
            NotFoundError: there is none; the closest name is suggested.
        """
        if (declaration := self._environments.get(name)) is not None:
            return declaration.value
        for declaration in self._environments.values():
            if variable_name(declaration.value.name) == name:
                return declaration.value
        raise NotFoundError(
            f"no environment is named {name!r}" + _hint(name, self._environments, "environment")
        )

    def find_task(self, name: str) -> Task:
        """Return a task by its full name (``env.task``), or by its short one if only one has it.

        Raises:
            NotFoundError: no task has that name, or several do.
        """
        if (declaration := self._tasks.get(name)) is not None:
            return declaration.value
        same = [full for full in self._tasks if full.rpartition(".")[2] == name]
        if len(same) == 1:
            return self._tasks[same[0]].value
        if same:
            raise NotFoundError(
                f"several tasks are named {name!r}: {', '.join(same)}",
                remedy="Write the full name of the one you mean.",
            )
        short = {full.rpartition(".")[2] for full in self._tasks}
        raise NotFoundError(
            f"no task is named {name!r}" + _hint(name, [*short, *self._tasks], "task")
        )

    def environment_of(self, task: Task) -> TaskEnvironment:
        """Return the environment that a task runs in: the current one of the name it refers to.

        Raises:
            NotFoundError: the task is only a signature, and no environment has that name.
        """
        declaration = self._environments.get(task.env_name)
        if declaration is not None:
            return declaration.value
        if task.environment is not None:
            return task.environment
        return self.find_environment(task.env_name)

    # Declaring

    def declare_environment(self, environment: TaskEnvironment) -> None:
        """Make ``environment`` the current one of its name."""
        visit = self._visits.innermost
        name = environment.name
        self._environments[name] = Declaration(environment, visit.cell if visit else None)
        if visit is not None:
            visit.environments.add(name)
        self._changed(Change(environments=frozenset([name])))

    def declare_task(self, task: Task) -> None:
        """Make ``task`` the current one of its full name."""
        visit = self._visits.innermost
        self._tasks[task.name] = Declaration(task, visit.cell if visit else None)
        if visit is not None:
            visit.tasks.add(task.name)
        self._changed(Change(tasks=frozenset([task.name])))

    def forget(self, name: str) -> None:
        """Remove an environment with its tasks, or one task by its full name.

        Raises:
            NotFoundError: nothing has that name.
        """
        if name in self._environments:
            tasks = frozenset(task.name for task in self.tasks_of(name))
            del self._environments[name]
            for full in tasks:
                del self._tasks[full]
            self._changed(Change(frozenset([name]), tasks))
        elif name in self._tasks:
            del self._tasks[name]
            self._changed(Change(tasks=frozenset([name])))
        else:
            raise NotFoundError(f"no environment or task is named {name!r}")

    # Telling

    def on_change(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``callback`` after every change, on the thread that made it.

        Returns:
            A function that ends the subscription.
        """
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return unsubscribe

    def _changed(self, change: Change) -> None:
        if not change:
            return
        self.generation += 1
        if not change.overrides and any(visit.held for visit in self._visits.open):
            return  # told when the cell has succeeded
        for callback in tuple(self._callbacks):
            callback(change)

    def _hold(self, visit: Visit) -> None:
        self._held[visit] = dict(self._environments), dict(self._tasks)

    def _end(self, visit: Visit, success: bool) -> None:
        """Close a visit.

        With success, what an earlier execution of the same cell declared and this one did not is
        removed; an environment that tasks of other cells still use stays.
        """
        held = self._held.pop(visit, None)
        if not success:
            if held is not None:
                self._restore(visit, *held)
            return
        gone = self._gone(visit)
        if visit.held:  # its own changes have not been told yet
            gone = Change(gone.environments | visit.environments, gone.tasks | visit.tasks)
        self._changed(gone)

    def _restore(self, visit: Visit, environments: dict[str, Any], tasks: dict[str, Any]) -> None:
        for name in visit.environments:
            _put_back(self._environments, environments, name)
        for name in visit.tasks:
            _put_back(self._tasks, tasks, name)
        self.generation += 1

    def _gone(self, visit: Visit) -> Change:
        if visit.cell is None:
            return Change()
        tasks = [
            name
            for name, declaration in self._tasks.items()
            if declaration.cell == visit.cell and name not in visit.tasks
        ]
        for name in tasks:
            del self._tasks[name]
        used = {declaration.value.env_name for declaration in self._tasks.values()}
        environments = [
            name
            for name, declaration in self._environments.items()
            if declaration.cell == visit.cell
            and name not in visit.environments
            and name not in used
        ]
        for name in environments:
            del self._environments[name]
        return Change(frozenset(environments), frozenset(tasks))


def _put_back(now: dict[str, Any], before: Mapping[str, Any], name: str) -> None:
    if name in before:
        now[name] = before[name]
    else:
        now.pop(name, None)


def _hint(name: str, candidates: Any, kind: str) -> str:
    names = list(candidates)
    if not names:
        return f"; no {kind} is declared yet"
    return did_you_mean(name, names) or f"; declared are {', '.join(sorted(names)[:12])}"
