"""The one model of a session: names → declarations with their origins, overrides, changes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from flyte_jupyter.catalog.visits import Visit, Visits

if TYPE_CHECKING:
    from flyte_jupyter.catalog.model import Catalog
    from flyte_jupyter.catalog.names import Change, Declaration
    from flyte_jupyter.catalog.resolve import EVERY_ACTION, Resolved

__all__ = [
    "EVERY_ACTION",
    "Catalog",
    "Change",
    "Declaration",
    "Resolved",
    "Visit",
    "Visits",
    "current",
    "visits",
]

# imported when first asked for: they import the whole of `spec`, which loading the extension
# must not wait for
_WHERE = {
    "Catalog": "model",
    "Change": "names",
    "Declaration": "names",
    "EVERY_ACTION": "resolve",
    "Resolved": "resolve",
}

visits = Visits()
"""The executions of cells in this session."""

_current: Catalog | None = None


def current() -> Catalog:
    """Return the catalog of this session; it knows every declaration made since the first call."""
    global _current
    if _current is None:
        from flyte_jupyter.catalog.model import Catalog
        from flyte_jupyter.spec.listeners import look_up_by, on_environment, on_task

        _current = Catalog(visits)
        on_environment(_current.declare_environment)
        on_task(_current.declare_task)
        look_up_by(_current.environment_in_force)
    return _current


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
