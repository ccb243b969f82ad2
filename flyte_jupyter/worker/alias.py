"""The name ``flyte`` inside a task: this package, ahead of an official one in the image."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from typing import Any, Optional, Sequence

__all__ = ["install_alias"]

# modules of the notebook's side that have another one in their place here
INSTEAD = {"flyte_jupyter.remote": "flyte_jupyter.worker.remote"}


class _Alias:
    """Finds ``flyte`` and what is below it under the name of this package."""

    def find_spec(self, name: str, path: Optional[Sequence[str]] = None, target: Any = None) -> Any:
        """Return a spec for ``flyte`` and its modules."""
        del path, target
        if name == "flyte" or name.startswith("flyte.") or name in INSTEAD:
            loader: Any = self
            return ModuleSpec(name, loader)
        return None

    def create_module(self, spec: Any) -> Any:
        """Return the module of the same place in this package."""
        name = spec.name
        if name not in INSTEAD:
            name = "flyte_jupyter" + name[len("flyte") :]
        return import_module(INSTEAD.get(name, name))

    def exec_module(self, module: Any) -> None:
        """Do nothing: the module has run under its own name."""


def install_alias() -> None:
    """Make ``import flyte`` give this package."""
    if not any(isinstance(finder, _Alias) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Alias())
