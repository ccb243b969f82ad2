"""The walk: from one function along the names it reads to everything it needs.

Every object becomes one *entry* of the payload, made once however many names it has. Entries stand
in the order in which the container makes them: what a definition reads while it is executed comes
before it, what a function reads when it runs may come in any order, so that mutual recursion is
no special case.
"""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

from flyte_jupyter.capsule import functions, spec_values, values
from flyte_jupyter.capsule.analysis import Read, Reads
from flyte_jupyter.capsule.classes import source_hash
from flyte_jupyter.capsule.hashing import digest_of
from flyte_jupyter.capsule.imports import Imports
from flyte_jupyter.capsule.model import Place, Symbol, called
from flyte_jupyter.capsule.modules import module_kind
from flyte_jupyter.capsule.sources import SourceFile, cell_label
from flyte_jupyter.errors import CapsuleError

__all__ = ["Collector"]


# Functions inside functions: below this, the walk goes on later, so as not to fill the stack.
DEEP = 40


class Collector:
    """Gathers entries; see the module.

    Args:
        space: the globals of the root function.
    """

    def __init__(self, space: dict[str, Any]) -> None:
        self.entries: list[dict[str, Any]] = []
        self.canon: list[Any] = []  # what of each entry counts for the hash
        self.order: list[int] = []
        self.binds: list[tuple[int, str, int]] = []
        self.sources: list[dict[str, Any]] = []
        self.buffers: list[Any] = []
        self.symbols: list[Symbol] = []
        self.warnings: list[str] = []
        self.errors: list[Exception] = []
        self.root_space = space
        self.cell: dict[str, Any] = {}
        self.class_names: list[list[Any]] = []
        self.classes: dict[tuple[str, str], type] = {}
        self.values: list[tuple[Any, bytes]] = []  # what can change, and its digest
        self.functions: list[tuple[types.FunctionType, Any, Any, Any]] = []
        self.holders: list[tuple[Any, dict[str, Any]]] = []  # whose attributes can be set
        self.cells: list[tuple[types.CellType, object]] = []
        self.identities: list[tuple[dict[str, Any], str, object]] = []
        self.child_tasks: dict[str, Any] = {}
        self.needs: list[tuple[tuple[int, int], str]] = []
        self.exact: list[str] = []
        self.imports = Imports(self)
        self._spaces: dict[int, int] = {}
        self.space_names: list[dict[str, Any]] = []
        self._depth = 0
        self._waiting: list[Callable[[], None]] = []
        self._memo: dict[int, int] = {}
        self._alive: list[object] = []  # identities stay valid as long as their objects
        self._bound: dict[tuple[int, str], int] = {}
        self._files: dict[str, int] = {}
        self.space_of(space)

    # Entries

    def new(self, kind: str, **fields: Any) -> int:
        """Add an entry and return its index; ``done`` says when it can be made."""
        self.entries.append({"k": kind, **fields})
        self.canon.append(None)
        return len(self.entries) - 1

    def done(self, index: int, canon: Any) -> int:
        """Say that all that an entry needs has been added, and what of it is hashed."""
        self.canon[index] = canon
        self.order.append(index)
        return index

    def simple(self, kind: str, **fields: Any) -> int:
        """Add an entry that needs nothing and is hashed as it is."""
        return self.done(self.new(kind, **fields), [kind, fields])

    def remember(self, value: object, index: int) -> None:
        """Note that an object has an entry."""
        self._memo[id(value)] = index
        self._alive.append(value)

    def known(self, value: object) -> int | None:
        """Return the entry of an object that was met before."""
        return self._memo.get(id(value))

    def ship(self, value: Any, place: Place) -> int:
        """Return the entry of an object, after adding all that it needs.

        Args:
            value: any object.
            place: where it is read.

        Raises:
            CapsuleError: it cannot be sent.
        """
        if values.is_plain(value):  # not by identity: equal code must give equal entries
            return values.ship_plain(self, value, place)
        known = self._memo.get(id(value))
        if known is not None:
            return known
        for test, handler in _HANDLERS:
            if test(value):
                index = handler(self, value, place)
                if index is not None:
                    self.remember(value, index)
                    return index
        return values.ship_value(self, value, place)

    def nested(self, step: Callable[[], None]) -> None:
        """Take a step of the walk, now or, where the walk is deep already, at its end.

        A function exists in the container before all else, so what it needs may come late.
        """
        if self._depth >= DEEP:
            self._waiting.append(step)
            return
        self._depth += 1
        try:
            step()
        finally:
            self._depth -= 1

    def settle(self) -> None:
        """Take the steps that wait."""
        while self._waiting:
            try:
                self.nested(self._waiting.pop(0))
            except CapsuleError as error:
                self.errors.append(error)

    def ship_root(self, task: Any, function: Any, place: Place) -> int:
        """Add the function of a task; one in a local module is reached by importing that."""
        module = getattr(function, "__module__", "__main__")
        own = sys.modules.get(module)
        name = next((key for key, one in vars(own).items() if one is task), "") if own else ""
        if module != "__main__" and name and module_kind(module) == "local":
            of = self.imports.entry(module, name, place)
            index = self.simple("attr", of=of, path="func")
            self.remember(function, index)
            self.symbols.append(Symbol(name, "function", module, 0, "imported"))
            return index
        return self.ship(function, place)

    def child(self, task: Any) -> None:
        """Note a task that may be called."""
        if task.address not in self.child_tasks:
            self.child_tasks[task.address] = task.without_overrides()

    def class_entry(self, cls: type, place: Place) -> int:
        """Add the class of a value."""
        return self.ship(cls, Place(cls.__name__, place.reader, place.label, place.line))

    def named_class(self, cls: type, index: int) -> None:
        """Note that values name a class that the capsule carries."""
        self.class_names.append([cls.__module__, cls.__qualname__, index, source_hash(cls)])
        self.classes[cls.__module__, cls.__qualname__] = cls
        self.holders.append((cls, dict(vars(cls))))

    def watch_value(self, value: Any, counted: Any) -> None:
        """Note a value that can change in place."""
        self.values.append((value, digest_of(counted)))

    def watch_changing(self, value: Any) -> None:
        """Note a value that is not sent, but would have to be if it changed."""
        self.values.append((value, digest_of(values.counted(value))))

    def watch_function(self, function: types.FunctionType) -> None:
        """Note a function whose parts can be exchanged."""
        given = function.__code__, function.__defaults__, function.__kwdefaults__
        self.functions.append((function, *given))
        self.holders.append((function, dict(vars(function))))
        for cell in function.__closure__ or ():
            self.cells.append((cell, cell_value(cell)))

    # Names

    def space_of(self, namespace: dict[str, Any], module: str = "") -> int:
        """Return the index of a namespace, which becomes a module of its own.

        Args:
            namespace: the globals of functions.
            module: name of the module whose globals they are, if that is imported as it is.
        """
        index = self._spaces.get(id(namespace))
        if index is None:
            index = self._spaces[id(namespace)] = len(self.space_names)
            name = str(namespace.get("__name__", "__main__"))
            self.space_names.append({"name": name, "module": module} if module else {"name": name})
            self._alive.append(namespace)
        return index

    def is_module(self, space: int) -> bool:
        """Say whether a namespace is that of a module which is imported as it is."""
        return "module" in self.space_names[space]

    def source(self, file: SourceFile) -> int:
        """Return the index of a cell or file among the sources that travel."""
        index = self._files.get(file.filename)
        if index is None:
            index = self._files[file.filename] = len(self.sources)
            label = cell_label(file.filename) or file.filename
            self.sources.append({"file": label, "origin": file.filename, "text": file.text})
        return index

    def follow(
        self, names: Mapping[str, Read], namespace: dict[str, Any], reader: str, label: str
    ) -> list[tuple[str, int]]:
        """Bind the names that code reads, values first and definitions last.

        Args:
            names: the names.
            namespace: where they are looked up.
            reader: name of the function or class that reads them.
            label: its cell or file.

        Returns:
            Names and entries, in the order of reading.
        """
        found = []
        for name, read in names.items():
            if name in namespace:
                found.append((_rank(namespace[name]), name, read))
            else:
                self._missing(name, namespace, Place(name, reader, label, read.line))
        for _, name, read in sorted(found, key=lambda one: one[0]):
            value = namespace[name]
            self.identities.append((namespace, name, value))
            try:
                self._bind(name, value, read, namespace, Place(name, reader, label, read.line))
            except CapsuleError as error:
                self.errors.append(error)
        space = self.space_of(namespace)
        return [(name, self._bound[space, name]) for name in names if (space, name) in self._bound]

    def _bind(
        self, name: str, value: Any, read: Read, namespace: dict[str, Any], place: Place
    ) -> None:
        if _is_open_of_ipython(value):
            return  # there the built-in one has that name
        key = (self.space_of(namespace), name)
        index = self._bound.get(key)
        if isinstance(value, types.ModuleType) and self.imports.only_tasks(value, read.chains):
            self.bind(key[0], name, self.imports.facade(value, read.chains, place))
            return
        if index is None:
            index = self.ship(value, place)
            self.bind(key[0], name, index)
        if isinstance(value, types.ModuleType):
            self.imports.become_real(value, index, place)
            self.imports.attributes(value, read.chains, place)

    def bind(self, space: int, name: str, index: int) -> None:
        """Give an entry a name in a namespace."""
        if (space, name) not in self._bound:
            self._bound[space, name] = index
            self.binds.append((space, name, index))

    def _missing(self, name: str, namespace: dict[str, Any], place: Place) -> None:
        self.identities.append((namespace, name, MISSING))
        if name == "display":  # IPython puts it among the built-in names
            self.bind(
                self.space_of(namespace),
                name,
                self.simple("import", module="builtins", attr="print"),
            )
            return
        if name in vars(builtins):
            return
        self.warn(f"{place.who} reads {name!r}, which has no value now ({place}).")

    def changes(
        self,
        reads: Reads,
        changed: Mapping[str, int],
        namespace: dict[str, Any],
        reader: str,
        label: str,
    ) -> None:
        """Report global names that code rebinds, and global values that it changes in place."""
        for name, line in reads.rebound.items():
            self.warn(
                f"{called(reader)} assigns the global name {name!r} ({label}, line {line}); "
                "the new value stays in the container: return it instead."
            )
        for name, line in sorted(changed.items(), key=lambda one: one[1]):
            known = name in reads.late or name in reads.early
            value = namespace.get(name)
            if not known or name in reads.rebound or value is None:
                continue
            if isinstance(value, (types.ModuleType, type, types.FunctionType)):
                continue
            self.warn(
                f"{called(reader)} changes the global value {name!r} ({label}, line {line}); "
                "the change stays in the container: return it instead."
            )

    def warn(self, sentence: str) -> None:
        """Note a warning once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)


MISSING = object()


def cell_value(cell: types.CellType) -> object:
    """Return what a closed-over variable holds, ``MISSING`` if nothing."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def _rank(value: object) -> int:
    if isinstance(value, types.FunctionType):
        return 2
    return 3 if isinstance(value, type) else 1


def _is_open_of_ipython(value: object) -> bool:
    """Say whether it is what IPython puts into every notebook under the name ``open``."""
    return (
        isinstance(value, types.FunctionType)
        and getattr(value, "__wrapped__", None) is open
        and value.__globals__.get("__name__") == "IPython.core.interactiveshell"
    )


def _is_module(value: object) -> bool:
    return isinstance(value, types.ModuleType)


def _ship_module(collector: Collector, value: types.ModuleType, place: Place) -> int | None:
    return collector.imports.module(value, place)


# Who knows what to do with which object; the first that returns an entry has it.
_HANDLERS: tuple[tuple[Callable[[Any], bool], Callable[..., int | None]], ...] = (
    (_is_module, _ship_module),
    (spec_values.is_spec, spec_values.ship_spec),
    (values.is_importable, values.ship_imported),
    (functions.is_code, functions.ship_code),
    (values.is_call, values.ship_call),
)
