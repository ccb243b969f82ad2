"""The modules that code needs: imported where they are there, shipped where they are yours."""

from __future__ import annotations

import ast
import os
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.capsule.canonical import canonical
from flyte_jupyter.capsule.model import Import, LocalFile, Place
from flyte_jupyter.capsule.modules import (
    differs_from_disk,
    imported_names,
    module_kind,
    read_package,
)
from flyte_jupyter.capsule.sources import SourceFile
from flyte_jupyter.errors import CapsuleError

if TYPE_CHECKING:
    from flyte_jupyter.capsule.collect import Collector

__all__ = ["Imports"]

FACE = "flyte_jupyter"
# What the container has under its own name.
GUEST_ROOMS = (
    "flyte_jupyter.errors",
    "flyte_jupyter.remote",
    "flyte_jupyter.spec",
    "flyte_jupyter.wire",
)


class Imports:
    """Modules and local files of one capsule.

    Args:
        collector: whose they are.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._entries: dict[tuple[str, str], int] = {}
        self._packages: set[str] = set()
        self.found: dict[str, Import] = {}
        self.files: list[LocalFile] = []
        self.contents: dict[str, Any] = {}
        self.digests: list[tuple[str, str]] = []
        self.stamps: dict[str, int] = {}

    @property
    def top_names(self) -> tuple[str, ...]:
        """Top-level names of installed modules, in the order of their use."""
        tops = [
            one.module.partition(".")[0] for one in self.found.values() if one.kind == "installed"
        ]
        return tuple(dict.fromkeys(tops))

    def module(self, value: types.ModuleType, place: Place) -> int:
        """Add a module object."""
        name = value.__name__
        if name != "__main__" and sys.modules.get(name) is not value and name != FACE:
            raise CapsuleError(
                f"{place.who} reads {place.name!r}, a module made at run time, which no "
                f"import gives ({place}).",
                remedy="Put its functions into a file or a cell.",
            )
        return self.entry(name, "", place)

    def entry(self, module: str, attribute: str, place: Place) -> int:
        """Return the entry of a module, or of something in it."""
        kind = self.need(module, place)
        if kind == "flyte" and not (module + ".").startswith(tuple(r + "." for r in GUEST_ROOMS)):
            module = FACE + module[len(module.partition(".")[0]) :]
        known = self._entries.get((module, attribute))
        if known is None:
            known = self._collector.simple("import", module=module, attr=attribute)
            self._entries[module, attribute] = known
        return known

    def only_tasks(self, module: types.ModuleType, chains: list[tuple[str, ...]]) -> bool:
        """Say whether code takes nothing but tasks and environments from a local module."""
        from flyte_jupyter.capsule.spec_values import is_spec

        named = all(chain and is_spec(getattr(module, chain[0], None)) for chain in chains)
        return named and module_kind(module.__name__) == "local"

    def facade(self, module: types.ModuleType, chains: list[tuple[str, ...]], place: Place) -> int:
        """Return the entry of a stand-in that has only tasks: the module's packages stay away."""
        known = self._collector.known(module)
        if known is None:
            known = self._collector.new("facade", module=module.__name__, attrs={})
            self._collector.remember(module, known)
            self._collector.done(known, ["facade", self._collector.entries[known]["attrs"]])
        entry = self._collector.entries[known]
        if entry["k"] == "facade":
            for chain in chains:
                where = Place(chain[0], place.reader, place.label, place.line)
                task = getattr(module, chain[0])
                entry["attrs"][chain[0]] = self._collector.ship(task, where)
        return known

    def become_real(self, module: types.ModuleType, index: int, place: Place) -> None:
        """Import a module after all, for which a stand-in was enough before."""
        entry = self._collector.entries[index]
        if entry["k"] == "facade":
            self.need(module.__name__, place)
            entry.clear()
            entry.update(k="import", module=module.__name__, attr="")
            self._collector.canon[index] = ["import", module.__name__]

    def face(self, value: object, module: str, qualname: str, place: Place) -> int:
        """Return the entry of something of ours: a room that the container has, or its face."""
        if (module + ".").startswith(tuple(room + "." for room in GUEST_ROOMS)):
            return self.entry(module, qualname, place)
        public = getattr(sys.modules[FACE], place.name, None) is value
        return self.entry(FACE, place.name if public else qualname, place)

    def need(self, module: str, place: Place) -> str:
        """Note that a module is imported, and return its kind; a local one is shipped."""
        if module == "__main__":
            return "standard"
        kind = module_kind(module)
        if kind == "unknown":  # not here, so it has to be in the image
            kind = "installed"
        if module not in self.found:
            self.found[module] = Import(module, kind, place.reader)
        if kind == "local":
            self._ship(module.partition(".")[0])
        return kind

    def statement(self, module: str, names: tuple[str, ...], place: Place) -> None:
        """Note an import statement inside a function; it is executed when the function runs."""
        if module.startswith("."):
            return
        self.need(module, place)
        for name in names:
            inside = f"{module}.{name}"
            if inside in sys.modules:
                self.need(inside, place)

    def attributes(
        self, module: types.ModuleType, chains: list[tuple[str, ...]], place: Place
    ) -> None:
        """Import the submodules that code reaches as attributes: ``scipy.sparse.eye``."""
        for chain in chains:
            here: Any = module
            for attribute in chain:
                inside = vars(here).get(attribute)
                if not isinstance(inside, types.ModuleType):
                    break
                if inside.__name__ != f"{here.__name__}.{attribute}":
                    break
                here = inside
            if here is not module and module.__name__.partition(".")[0] != FACE:
                self.entry(here.__name__, "", place)

    # Local modules

    def _ship(self, top: str) -> None:
        if top in self._packages:
            return
        self._packages.add(top)
        try:
            package = read_package(top)
        except LookupError:
            self._collector.warn(f"The files of the local module {top!r} are not to be found.")
            return
        for sentence in package.left_out:
            self._collector.warn(f"{sentence} and does not travel with {top!r}.")
        folders = {str(file.parent) for _, file in package.files}
        for folder in folders:
            self.stamps[folder] = os.stat(folder).st_mtime_ns
        for path, file in package.files:
            self._file(path, file)
        self._tasks_of(top)

    def _file(self, path: str, file: Path) -> None:
        content = _read(file)
        self.stamps[str(file)] = content.stamp
        self.digests.append((path, content.digest))
        self.contents[path] = content.data
        note = _changes(file, content)
        if note:
            note = f"differs from what was imported: {note}"
            self._collector.warn(
                f"{file.name} {note}; the container gets the file as it is now. "
                "Reload the module to have the same here."
            )
        self.files.append(LocalFile(path, str(file), len(content.data), note))
        for name in content.imports:
            if name.partition(".")[0] not in self._packages and module_kind(name) != "unknown":
                self.need(name, Place(name, path))

    def _tasks_of(self, top: str) -> None:
        from flyte_jupyter.spec.reference import ReferenceTask
        from flyte_jupyter.spec.task import Task

        for name, module in list(sys.modules.items()):
            if name == top or name.startswith(top + "."):
                for key, value in list(vars(module).items()):
                    if isinstance(value, ReferenceTask):
                        # its file makes it again there, and can look nothing up
                        self._collector.ship(value, Place(key, name))
                    elif isinstance(value, Task):
                        self._collector.child(value)


class _Content:
    """A file as it was read last."""

    def __init__(self, file: Path, stamp: int) -> None:
        import hashlib

        self.stamp = stamp
        self.data = file.read_bytes()
        self.imports: list[str] = []
        self.source: SourceFile | None = None
        counted = self.data
        if file.suffix == ".py":
            text = self.data.decode(errors="replace")
            self.source = SourceFile(str(file), text.splitlines(keepends=True))
            self.imports = list(dict.fromkeys(imported_names(self.source.tree)))
            if self.source.tree.body:
                counted = canonical(self.source.tree).encode()
        self.digest = hashlib.sha256(counted).hexdigest()


_contents: dict[str, _Content] = {}


def _read(file: Path) -> _Content:
    stamp = file.stat().st_mtime_ns
    known = _contents.get(str(file))
    if known is None or known.stamp != stamp:
        known = _contents[str(file)] = _Content(file, stamp)
    return known


def _changes(file: Path, content: _Content) -> str:
    """Name what the imported module has otherwise than its file."""
    if content.source is None:
        return ""
    module = next(
        (one for one in list(sys.modules.values()) if getattr(one, "__file__", None) == str(file)),
        None,
    )
    if module is None or not isinstance(content.source.tree, ast.Module):
        return ""
    changed = differs_from_disk(module, content.source.tree)
    for name, value in list(vars(module).items()):
        inner = value if isinstance(value, types.FunctionType) else getattr(value, "func", None)
        if not isinstance(inner, types.FunctionType) or inner.__code__.co_filename != str(file):
            continue
        if inner.__module__ == module.__name__ and not content.source.holds(inner.__code__):
            changed.append(name)
    return ", ".join(changed[:5])
