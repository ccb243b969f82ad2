"""What is different between two versions of an environment, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flyte_jupyter.deployment.records import EnvironmentRecord, TaskRecord, UnitRecord
from flyte_jupyter.spec.image import Image
from flyte_jupyter.spec.settings import Settings

__all__ = ["changes"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def changes(before: EnvironmentRecord, after: EnvironmentRecord) -> tuple[str, ...]:
    """Return what is different, nothing if both are the same.

    Args:
        before: what was deployed.
        after: what is declared now.
    """
    if before.content == after.content:
        return ()
    words = [
        *_of_tasks(before, after),
        *_of_settings(before.settings, after.settings),
        *_of_names("depends on", before.depends_on, after.depends_on),
        *_of_callees(before, after),
    ]
    return tuple(dict.fromkeys(words)) or ("something that its tasks read",)


def _of_tasks(before: EnvironmentRecord, after: EnvironmentRecord) -> Iterator[str]:
    for name, task in after.tasks.items():
        known = before.tasks.get(name)
        if known is None:
            yield f"task {_short(name)} is new"
        elif _differs(before.units[known.unit], after.units[task.unit], known, task):
            yield f"task {_short(name)}" + (f" ({task.origin})" if task.origin else "")
    for name in before.tasks:
        if name not in after.tasks:
            yield f"task {_short(name)} is gone"


def _differs(old: UnitRecord, new: UnitRecord, known: TaskRecord, task: TaskRecord) -> bool:
    return (
        old.capsule_hash != new.capsule_hash
        or old.files != new.files
        or known.settings != task.settings
        or known.interface != task.interface
    )


def _of_callees(before: EnvironmentRecord, after: EnvironmentRecord) -> Iterator[str]:
    """Yield what changed of tasks of other environments that its own may call."""
    known = {unit.name: unit for unit in before.units.values()}
    for unit in after.units.values():
        old = known.get(unit.name)
        if unit.environment == after.name or old is None:
            continue
        if old.capsule_hash != unit.capsule_hash or old.settings != unit.settings:
            yield f"it calls {unit.name}, which has changed"


def _of_settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = Settings.from_plain(before), Settings.from_plain(after)
    rows, others = dict(old.rows()), dict(new.rows())
    for name in dict.fromkeys((*rows, *others)):
        if getattr(old, name) == getattr(new, name):
            continue
        if name == "image":
            yield from _of_images(old.image, new.image)
        elif name == "env_vars":
            yield from _of_names("variable", dict(old.env_vars or {}), dict(new.env_vars or {}))
        else:
            yield f"{name} {rows.get(name, 'not set')} → {others.get(name, 'not set')}"


def _of_images(before: Image | None, after: Image | None) -> Iterator[str]:
    old, new = _packages(before), _packages(after)
    for name, wanted in new.items():
        if name not in old:
            yield f"package {wanted} is new"
        elif old[name] != wanted:
            yield f"package {old[name]} → {wanted}"
    for name, wanted in old.items():
        if name not in new:
            yield f"package {wanted} is gone"
    bases = [None if image is None else image.base for image in (before, after)]
    if bases[0] != bases[1]:
        yield f"image {bases[0] or 'default'} → {bases[1] or 'default'}"
    elif old == new:
        yield f"image {before or 'default'} → {after or 'default'}"


def _packages(image: Image | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for layer in image.layers if image is not None else ():
        for wanted in getattr(layer, "packages", ()):
            name = NAME.match(wanted)
            found[name.group().lower().replace("_", "-") if name else wanted] = wanted
    return found


def _of_names(what: str, before: Any, after: Any) -> Iterator[str]:
    old, new = _pairs(before), _pairs(after)
    for name, value in new.items():
        if name not in old:
            yield f"{what} {name} is new"
        elif old[name] != value:
            yield f"{what} {name}"
    for name in old:
        if name not in new:
            yield f"{what} {name} is gone"


def _pairs(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else dict.fromkeys(given)


def _short(name: str) -> str:
    return name.rpartition(".")[2]
