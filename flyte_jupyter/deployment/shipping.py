"""Shipped tasks as records that stand for themselves, and records as what a run takes.

What a deployed task may call is pinned: its unit names the very units that it calls, of whatever
environment, so a later deployment of these changes nothing for it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flyte_jupyter.capsule.model import Capsule, PythonNeed
from flyte_jupyter.capsule.spec_values import interface_of_task
from flyte_jupyter.deployment.components import components
from flyte_jupyter.deployment.records import ParameterRecord, TaskRecord, UnitRecord
from flyte_jupyter.engine.journal import dump_value, load_value
from flyte_jupyter.engine.request import Unit
from flyte_jupyter.errors import EngineError
from flyte_jupyter.spec import Settings, Task
from flyte_jupyter.spec.naming import shown
from flyte_jupyter.spec.reference import ReferenceTask
from flyte_jupyter.spec.settings import to_plain

__all__ = [
    "Pinned",
    "Shipment",
    "closure",
    "content_of",
    "need_of",
    "reachable",
    "references",
    "ship",
    "task_record",
    "unit_of",
]

# of a hash, what tells versions of one task apart
DIGITS = 8


@dataclass(frozen=True, slots=True)
class Pinned:
    """A deployed task that the code of another one refers to.

    Args:
        key: of its unit.
        units: this and all that it may call, by key.
        blobs: what these need, by digest.
    """

    key: str
    units: Mapping[str, UnitRecord]
    blobs: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Shipment:
    """Tasks made into records.

    Args:
        keys: key of its unit by full name of each task.
        units: these units, and those of the deployed tasks that they refer to, by key.
        blobs: what all of them need, by digest.
    """

    keys: Mapping[str, str]
    units: Mapping[str, UnitRecord]
    blobs: Mapping[str, bytes] = field(repr=False)

    def units_of(self, tasks: Iterable[str]) -> dict[str, UnitRecord]:
        """Return the units of tasks by full name, and of all that they may call, by key."""
        return closure((self.keys[name] for name in tasks), self.units)

    def blobs_of(self, units: Mapping[str, UnitRecord]) -> dict[str, bytes]:
        """Return what units need, by digest."""
        wanted = (digest for one in units.values() for digest in (one.capsule, *one.files[1:2]))
        return {digest: self.blobs[digest] for digest in wanted}


def reachable(
    tasks: Iterable[Task], capsule_of: Callable[[Task], Capsule]
) -> dict[str, tuple[Task, Capsule]]:
    """Return tasks and all tasks that they may call, with their capsules, by full name.

    Tasks whose code is elsewhere are left out; :func:`references` finds those.

    Args:
        tasks: where to begin.
        capsule_of: makes the capsule of a task.

    Raises:
        CapsuleError: the code of one of them cannot be shipped.
    """
    found: dict[str, tuple[Task, Capsule]] = {}
    waiting = list(tasks)
    for task in waiting:  # grows while it is walked
        if task.name in found or task.func is None:
            continue
        capsule = capsule_of(task)
        found[task.name] = task, capsule
        waiting.extend(capsule.child_tasks.values())
    return found


def references(capsules: Iterable[Capsule]) -> dict[str, ReferenceTask]:
    """Return the deployed tasks that code may call, by what the code calls."""
    return {
        address: task
        for capsule in capsules
        for address, task in capsule.child_tasks.items()
        if isinstance(task, ReferenceTask)
    }


def ship(
    units: Mapping[str, Unit],
    capsules: Mapping[str, Capsule],
    pinned: Mapping[str, Pinned] | None = None,
) -> Shipment:
    """Make tasks into records.

    Args:
        units: what is shipped of each task, by full name, of all that can be reached from them.
        capsules: their code, likewise.
        pinned: for each of their :func:`references` the deployed task that it stands for.
    """
    pinned = pinned or {}
    calls = {name: _calls(capsules[name], units) for name in units}
    blobs: dict[str, bytes] = {}
    drafts = {name: _draft(units[name], need_of(capsules[name]), blobs) for name in units}
    keys = _keys(drafts, calls, {address: one.key for address, one in pinned.items()})
    shipped: dict[str, UnitRecord] = {}
    for one in pinned.values():
        shipped.update(one.units)
        blobs.update(one.blobs)
    for name, draft in drafts.items():
        known = {address: _key_of(address, callee, keys) for address, callee in calls[name]}
        shipped[keys[name]] = UnitRecord(key=keys[name], calls=known, **draft)
    return Shipment({name: keys[name] for name in units}, shipped, blobs)


def _calls(capsule: Capsule, units: Mapping[str, Unit]) -> list[tuple[str, str]]:
    """Return what code calls, with the name under which the key of that is found."""
    return [
        (address, child.name if child.name in units and child.func is not None else address)
        for address, child in sorted(capsule.child_tasks.items())
    ]


def _key_of(address: str, callee: str, keys: Mapping[str, str]) -> str:
    if callee not in keys:
        raise EngineError(f"{address} is called by a task that is deployed, and was not found.")
    return keys[callee]


def _draft(unit: Unit, need: PythonNeed, blobs: dict[str, bytes]) -> dict[str, Any]:
    """Return the fields of a record that need no other record, and put its blobs aside."""
    files: tuple[str, ...] = ()
    if unit.files is not None:
        files = (unit.files[0], _put(dump_value(unit.files[1]), blobs))
    return {
        "name": unit.name,
        "environment": unit.environment,
        "settings": to_plain(unit.settings),
        "capsule": _put(dump_value(unit.capsule), blobs),
        "capsule_hash": unit.capsule_hash,
        "capsule_key": unit.capsule_key,
        "modules": unit.modules,
        "files": files,
        "minimum": need.minimum or (),
        "exact": need.exact or (),
        "why": need.why,
    }


def _put(block: bytes, blobs: dict[str, bytes]) -> str:
    digest = hashlib.sha256(block).hexdigest()
    blobs[digest] = block
    return digest


# what lies in another cell now, or at another line, is the same task
_PLACED = frozenset({"capsule", "capsule_key"})


def _keys(
    drafts: Mapping[str, Mapping[str, Any]],
    calls: Mapping[str, list[tuple[str, str]]],
    fixed: Mapping[str, str],
) -> dict[str, str]:
    """Return the key of each task: it tells apart what differs in anything that can be reached.

    Tasks that call each other in a circle are hashed together, as none of them comes first.
    """
    keys = dict(fixed)
    own = {
        name: _hash([{key: one for key, one in draft.items() if key not in _PLACED}])
        for name, draft in drafts.items()
    }
    below = {name: [callee for _, callee in calls[name] if callee in drafts] for name in drafts}
    for circle in components(below):
        inside = set(circle)
        outward = sorted(
            (address, _key_of(address, callee, keys))
            for name in circle
            for address, callee in calls[name]
            if callee not in inside
        )
        together = [sorted((name, own[name]) for name in circle), outward]
        for name in circle:
            keys[name] = f"{name}@{_hash([name, together])[:DIGITS]}"
    return keys


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def closure(keys: Iterable[str], units: Mapping[str, UnitRecord]) -> dict[str, UnitRecord]:
    """Return units and all that these may call, by key.

    Args:
        keys: where to begin.
        units: where all of them are found.
    """
    found: dict[str, UnitRecord] = {}
    waiting = list(keys)
    for key in waiting:  # grows while it is walked
        if key not in found:
            found[key] = units[key]
            waiting.extend(units[key].calls.values())
    return found


def task_record(task: Task, unit: str) -> TaskRecord:
    """Return a task as others see it.

    Args:
        task: a task with a function.
        unit: key of its unit.
    """
    signature = task.signature
    return TaskRecord(
        name=task.name,
        is_async=task.is_async,
        parameters=tuple(_parameter(one) for one in signature.parameters.values()),
        returns=_written(signature.return_annotation),
        interface=interface_of_task(task),
        settings=to_plain(task.settings),
        unit=unit,
        doc=task.doc,
        origin=task.origin.label if task.origin else "",
    )


def _parameter(one: inspect.Parameter) -> ParameterRecord:
    default = None if one.default is one.empty else shown(one.default)
    return ParameterRecord(one.name, int(one.kind), _written(one.annotation), default)


def _written(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def need_of(one: Capsule | UnitRecord) -> PythonNeed:
    """Return which Python versions can load what is shipped."""
    if isinstance(one, Capsule):
        return one.python
    return PythonNeed(_pair(one.minimum), _pair(one.exact), one.why)


def _pair(version: tuple[int, ...]) -> tuple[int, int] | None:
    return (version[0], version[1]) if version else None


def content_of(record: UnitRecord, digest: str, blob: Callable[[str], bytes | None]) -> bytes:
    """Return a blob of a unit.

    Raises:
        EngineError: it is not there any more.
    """
    block = blob(digest)
    if block is None:
        raise EngineError(
            f"The code of {record.key} is not among the deployments any more.",
            remedy="Deploy its environment again.",
        )
    return block


def unit_of(record: UnitRecord, blob: Callable[[str], bytes | None]) -> Unit:
    """Return what a run takes, without secrets: these are looked up where the run begins.

    Args:
        record: what is kept of it.
        blob: gives the content behind a digest.

    Raises:
        EngineError: a blob is not there any more.
    """

    def read(digest: str) -> Any:
        return load_value(content_of(record, digest, blob))

    return Unit(
        name=record.key,
        environment=record.environment,
        settings=Settings.from_plain(record.settings),
        capsule=read(record.capsule),
        capsule_hash=record.capsule_hash,
        capsule_key=record.capsule_key,
        modules=record.modules,
        files=(record.files[0], read(record.files[1])) if record.files else None,
        calls=record.calls,
    )
