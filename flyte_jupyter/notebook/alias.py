"""``import flyte`` answered by this package, where the official one is not installed.

A finder on ``sys.meta_path`` gives ``flyte`` and ``flyte.x`` the very module objects of
``flyte_jupyter`` and ``flyte_jupyter.x``: a class is the same whichever way it was imported.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = ["FlyteAlias", "official_is_installed"]

OURS = "flyte_jupyter"
ALIAS = "flyte"


def official_is_installed() -> bool:
    """Return whether the official ``flyte`` package can be imported here."""
    module = sys.modules.get(ALIAS)
    if module is not None:
        return module.__name__ != OURS
    for finder in sys.meta_path:
        if isinstance(finder, FlyteAlias) or not hasattr(finder, "find_spec"):
            continue
        found = finder.find_spec(ALIAS, None)
        # a mere folder of that name beside the notebook has no origin
        if found is not None and found.origin is not None:
            return True
    return False


class FlyteAlias:
    """The finder; `install` and `remove` put it in place and take it away."""

    def install(self) -> None:
        """Answer imports of ``flyte`` from now on."""
        if self not in sys.meta_path:
            # before the finder of files, which would load a second copy of each module
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Stop answering, and forget the modules that were imported under the other name."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in [name for name in sys.modules if _is_alias(name)]:
            module = sys.modules[name]
            if module.__name__.partition(".")[0] == OURS:
                del sys.modules[name]

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return a spec for ``flyte`` and ``flyte.x`` where this package has such a module."""
        del path, target
        if not _is_alias(fullname):
            return None
        original = OURS + fullname[len(ALIAS) :]
        try:
            found = find_spec(original)
        except ModuleNotFoundError:
            found = None
        if found is None:
            return None
        loader: Any = _SameModule(original)
        return ModuleSpec(fullname, loader, is_package=True)


class _SameModule:
    """Gives the module that is already known by its own name.

    The import system writes the alias's spec into a module that `create_module` returns, which
    would rename the original; it is put back before anything can see it.
    """

    def __init__(self, original: str) -> None:
        self._original = original
        self._attributes: dict[str, object] = {}

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the original, importing it if need be."""
        del spec
        module = importlib.import_module(self._original)
        names = ("__name__", "__loader__", "__package__", "__path__", "__spec__", "__file__")
        self._attributes = {name: vars(module)[name] for name in names if name in vars(module)}
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Put back what the import system has overwritten; nothing is executed again."""
        vars(module).update(self._attributes)


def _is_alias(name: str) -> bool:
    return name == ALIAS or name.startswith(ALIAS + ".")
