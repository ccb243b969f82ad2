"""Which value holds for a field, and who said so: the layers of a session, later wins.

For the action that a run starts with: environment, task, panel, ``.override()``, run. For every
action below it, what the run says (queue, environment variables, …) stands under an ``.override()``
at the call, and what the run says of resources, retries, timeout and cache does not reach it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.spec.resources import FIELDS as PARTS
from flyte_jupyter.spec.settings import Layer, Settings, apply_layer

__all__ = ["EVERY_ACTION", "Resolved", "lay", "reaching"]

EVERY_ACTION = frozenset({"queue", "env_vars", "interruptible", "service_account"})
"""Fields that reach every action when a run gives them; the others touch its root alone."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings that hold for a task.

    Args:
        settings: the value of every field.
        origins: for each field that is set, and each part of the resources, the layer that had the
            last word on it: ``environment``, ``task``, ``panel``, ``override`` or ``run``.
    """

    settings: Settings
    origins: Mapping[str, str]

    def origin(self, field: str) -> str:
        """Return the layer that had the last word on a field, ``default`` if none spoke.

        Args:
            field: name of the field, or of a part of the resources (``memory``).
        """
        return self.origins.get(field, "default")


def lay(
    base: Settings, given: Iterable[str], layers: Sequence[tuple[str, Layer | None]]
) -> Resolved:
    """Return the settings of an environment with further layers laid over them.

    Args:
        base: the settings of the environment.
        given: the fields that it was given; the others are defaults.
        layers: name and fields of each layer, the one that wins last.
    """
    settings = base
    said = {name: getattr(base, name) for name in given}
    origins = dict.fromkeys([*said, *_parts(said)], "environment")
    for origin, fields in layers:
        if fields:
            settings = apply_layer(settings, fields)
            origins.update(dict.fromkeys([*fields, *_parts(fields)], origin))
    return Resolved(settings, origins)


def _parts(fields: Layer) -> list[str]:
    """Return the parts of the resources that a layer speaks of; who clears them speaks of all."""
    if "resources" not in fields:
        return []
    resources = fields["resources"]
    return [name for name in PARTS if resources is None or getattr(resources, name) is not None]


def reaching(fields: Mapping[str, Any] | None, *, root: bool) -> dict[str, Any]:
    """Return the part of a run's layer that reaches the root, or the actions below it."""
    if not fields:
        return {}
    return {name: value for name, value in fields.items() if root or name in EVERY_ACTION}
