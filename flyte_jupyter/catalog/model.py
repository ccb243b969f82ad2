"""The catalog: the names of a session, and the layers of overrides over them."""

from __future__ import annotations

from collections.abc import Mapping
from threading import RLock
from types import MappingProxyType
from typing import Any

from flyte_jupyter.catalog.names import Change, Names
from flyte_jupyter.catalog.resolve import Resolved, lay, reaching
from flyte_jupyter.catalog.visits import Visits
from flyte_jupyter.errors import NotFoundError
from flyte_jupyter.spec.naming import did_you_mean
from flyte_jupyter.spec.resources import FIELDS as PARTS
from flyte_jupyter.spec.resources import Resources
from flyte_jupyter.spec.settings import Layer, layer, merge_layers
from flyte_jupyter.spec.task import Task

__all__ = ["Catalog"]


class Catalog(Names):
    """Names → declarations, and what a panel has overridden.

    An override belongs to a scope, the name of an environment or the full name of a task, and
    outlives new declarations of it: it can be seen, and cleared.

    Args:
        visits: the executions of cells that declarations belong to; its own if not given.
    """

    def __init__(self, visits: Visits | None = None) -> None:
        super().__init__(visits or Visits())
        self._overrides: dict[str, dict[str, Any]] = {}
        # panels and sidebars may speak on threads of their own
        self._lock = RLock()

    @property
    def overrides(self) -> Mapping[str, Layer]:
        """Return scope → layer of every override that was set here."""
        return MappingProxyType(self._overrides)

    def set_override(self, scope: str, **fields: Any) -> Layer:
        """Override fields of an environment (for all its tasks) or of one task.

        Args:
            scope: name of an environment, or full name of a task.
            fields: as for ``task.override``; they merge into what was overridden before, and
                ``None`` clears the field.

        Returns:
            The layer that now holds for the scope.

        Raises:
            NotFoundError: nothing has that name.
            SpecError: no such field, or a value that it does not take.
        """
        if scope not in self.environments and self.declaration_of(scope) is None:
            known = [*self.environments, *self.tasks]
            raise NotFoundError(
                f"no environment or task is named {scope!r}{did_you_mean(scope, known)}"
            )
        with self._lock:
            merged = merge_layers(self._overrides.get(scope, {}), layer(fields, "panel"))
            self._overrides[scope] = merged
        self._changed(Change(overrides=frozenset([scope])))
        return MappingProxyType(merged)

    def clear_override(self, scope: str, *fields: str) -> None:
        """Take back the override of the named fields, or of all; nothing to take back is fine.

        Args:
            scope: name of an environment, or full name of a task.
            fields: names of fields, or of parts of the resources (``memory``).
        """
        with self._lock:
            if scope not in self._overrides:
                return
            # readers on other threads keep the layer that they have
            kept = dict(self._overrides[scope])
            for name in fields or tuple(kept):
                if name in PARTS:
                    _take_part(kept, name)
                else:
                    kept.pop(name, None)
            if kept:
                self._overrides[scope] = kept
            else:
                del self._overrides[scope]
        self._changed(Change(overrides=frozenset([scope])))

    def resolve(self, task: Task, run_layer: Layer | None = None, *, root: bool = True) -> Resolved:
        """Return the settings that hold for a call of a task, and who said so.

        Args:
            task: the task, with its ``.override()`` if it has one.
            run_layer: what the run says, as `flyte_jupyter.spec.settings.layer` makes it.
            root: whether it is the action that the run starts with.
        """
        panel = self._overrides
        layers = [
            ("task", task.settings),
            ("panel", panel.get(task.env_name)),
            ("panel", panel.get(task.name)),
        ]
        own, run = ("override", task.overrides), ("run", reaching(run_layer, root=root))
        layers += [own, run] if root else [run, own]
        environment = self.environment_of(task)
        return lay(environment.settings, environment.given, layers)


def _take_part(fields: dict[str, Any], name: str) -> None:
    """Take one part of the resources out of a layer."""
    resources = fields.get("resources")
    if resources is None:
        return
    parts = {part: getattr(resources, part) for part in PARTS if part != name}
    fields["resources"] = Resources(**parts)
    if not fields["resources"]:
        del fields["resources"]
