"""Classes of the notebook that a signature names: what a call takes or gives may be of them.

Annotations are not evaluated in the container, but a value of such a class can only be opened where
the class is. It travels along where that costs nothing: a class that needs an installed package
stays behind, and its values are handles that can be passed on.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flyte_jupyter.capsule.model import Place
from flyte_jupyter.errors import CapsuleError

if TYPE_CHECKING:
    from flyte_jupyter.capsule.collect import Collector

__all__ = ["ship_named_types"]


def ship_named_types(collector: Collector, function: Any, place: Place) -> None:
    """Add the classes of cells that the annotations of a function name.

    Args:
        collector: what gathers.
        function: the function of a task.
        place: where the task is read.
    """
    for cls in dict.fromkeys(_classes(function)):
        if collector.known(cls) is None and _costs_nothing(collector, cls, place):
            collector.class_entry(cls, place)


def _costs_nothing(collector: Collector, cls: type, place: Place) -> bool:
    trial = type(collector)(collector.root_space)
    try:
        trial.ship(cls, place)
        trial.settle()
    except CapsuleError:
        return False
    return not trial.errors and all(one.kind != "installed" for one in trial.imports.found.values())


def _classes(function: Any) -> Iterator[type]:
    try:
        hints = typing.get_type_hints(function)
    except Exception:
        # Names that only a type checker knows: there is no class to find behind them.
        hints = dict(getattr(function, "__annotations__", {}))
    pending = list(hints.values())
    while pending:
        hint = pending.pop()
        if isinstance(hint, type) and hint.__module__ == "__main__":
            yield hint
        pending.extend(typing.get_args(hint))
