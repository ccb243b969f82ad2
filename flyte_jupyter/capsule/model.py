"""What a capsule is: a payload that a container can load, and the account of what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Capsule", "Import", "LocalFile", "Place", "PythonNeed", "Report", "Symbol"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name is read.

    Args:
        name: the name.
        reader: the function, class or cell that reads it.
        label: the cell or file.
        line: line in it, 0 if not known.
    """

    name: str
    reader: str = ""
    label: str = ""
    line: int = 0

    @property
    def who(self) -> str:
        """The reader, in words."""
        return called(self.reader)

    def __str__(self) -> str:
        return f"{self.label}, line {self.line}" if self.line else self.label


def called(reader: str) -> str:
    """Return a function's name as it is written in a sentence."""
    return f"{reader}()" if reader.isidentifier() else reader or "The task"


@dataclass(frozen=True, slots=True)
class Symbol:
    """One thing that a capsule carries.

    Args:
        name: what the code calls it.
        kind: ``"function"``, ``"class"``, ``"value"``, ``"task"``, ``"environment"`` or
            ``"pickle"``.
        origin: the cell or file and line of its definition, or where a value is read.
        bytes: size in the payload.
        note: type of a value, or what is special.
    """

    name: str
    kind: str
    origin: str
    bytes: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Import:
    """A module that the code imports in the container.

    Args:
        module: its full name.
        kind: ``"standard"``, ``"installed"``, ``"local"`` or ``"flyte"``.
        needed_by: who reads it first.
    """

    module: str
    kind: str
    needed_by: str = ""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of a local module that travels along.

    Args:
        path: where it lies in the container, relative to the import folder.
        origin: where it lies here.
        bytes: its size.
        note: what is special, such as a change since the import.
    """

    path: str
    origin: str
    bytes: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class PythonNeed:
    """Which Python versions can load a capsule.

    Args:
        minimum: the oldest, because of syntax.
        exact: the only one, because code objects travel.
        why: what needs it.
    """

    minimum: tuple[int, int] | None = None
    exact: tuple[int, int] | None = None
    why: str = ""

    def refusal(self, version: tuple[int, ...]) -> str:
        """Return why a version cannot load the capsule, empty if it can.

        Args:
            version: of the container's Python, ``(3, 12)``.
        """
        given = f"{version[0]}.{version[1]}"
        if self.exact is not None and tuple(version[:2]) != self.exact:
            wanted = f"{self.exact[0]}.{self.exact[1]}"
            return f"{self.why} travels as bytecode and needs Python {wanted}, not {given}"
        if self.minimum is not None and tuple(version[:2]) < self.minimum:
            wanted = f"{self.minimum[0]}.{self.minimum[1]}"
            return f"{self.why} needs Python {wanted} or newer, not {given}"
        return ""


@dataclass(frozen=True, slots=True)
class Report:
    """The account of a capsule, for explain and displays."""

    symbols: tuple[Symbol, ...] = ()
    imports: tuple[Import, ...] = ()
    files: tuple[LocalFile, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[Exception, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Capsule:
    """A task's code made shippable.

    Args:
        name: full name of the task.
        hash: stable across kernels; differs when anything reachable differs.
        key: of this very payload, cell numbers and line numbers included; a worker keeps what it
            has loaded under this.
        payload: what ``worker.load.load`` takes, JSON-able.
        buffers: bytes-like objects that the payload refers to by index.
        children: full names of the tasks that it may call, of deployed ones with their place.
        modules: top-level names of the modules that it imports, not of the standard library.
        python: which Python versions can load it.
        report: the account.
        task: the task it was made from, ``None`` for the body of a cell.
        child_tasks: the tasks that it may call, by what a call of them names, without overrides.
        classes: the notebook's classes that it carries, by module and qualified name, as they
            were when it was made.
        size: bytes of payload and buffers.
    """

    name: str
    hash: str
    key: str
    payload: dict[str, Any]
    buffers: tuple[Any, ...]
    children: tuple[str, ...]
    modules: tuple[str, ...]
    python: PythonNeed
    report: Report
    task: Any = field(default=None, repr=False)
    child_tasks: Mapping[str, Any] = field(default_factory=dict, repr=False)
    classes: Mapping[tuple[str, str], type] = field(default_factory=dict, repr=False)
    size: int = 0

    @property
    def interface(self) -> dict[str, Any]:
        """What the task takes and gives, as schemas; empty for the body of a cell."""
        return self.payload["interface"] or {}
