"""Deployed tasks found by name, and made into what a run takes."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flyte_jupyter.catalog.resolve import reaching
from flyte_jupyter.deployment import shipping
from flyte_jupyter.deployment.records import EnvironmentRecord, ParameterRecord, TaskRecord
from flyte_jupyter.engine.request import Unit
from flyte_jupyter.errors import DeploymentError, SpecTypeError
from flyte_jupyter.session.lookup import choose, gone, ledger_of, record_of, task_of
from flyte_jupyter.session.secret import find_secrets
from flyte_jupyter.spec.naming import kind, shown
from flyte_jupyter.spec.reference import Deployed, ReferenceTask
from flyte_jupyter.spec.settings import Layer, apply_layer
from flyte_jupyter.store.ledger import Ledger, Row

__all__ = ["Found", "deployed_units", "find", "pinned_of", "reference_task", "reference_tasks"]

# units of runs of late, which are unpacked once
MOST = 512


@dataclass(frozen=True, slots=True)
class Found:
    """A deployed task.

    Args:
        record: the environment as it was deployed.
        task: the task in it.
        ledger: where it lies.
        note: what is worth a word before it is run, or nothing.
    """

    record: EnvironmentRecord
    task: TaskRecord
    ledger: Ledger
    note: str = ""

    @property
    def interface(self) -> Mapping[str, Any]:
        """What the task takes and gives, as schemas."""
        return self.task.interface or {}


def reference_task(
    name: str,
    *,
    version: str | None = None,
    project: str | None = None,
    target: str | None = None,
) -> ReferenceTask:
    """Return a task that was deployed, by its full name; its code and packages are not needed here.

    It is looked for in this project first, then in the only other one that has it; likewise on the
    default target first.

    Args:
        name: ``environment.task``.
        version: the version to call; without it, each run takes the one that is current then.
        project: the project that it was deployed in.
        target: name of the target that it was deployed to.

    Returns:
        A task for ``flyte.run``, ``flyte.map`` and for calls in the body of other tasks.

    Raises:
        NotFoundError: nothing of that name or version is deployed, or several projects have it.
        TargetError: there is no such target.
    """
    if not isinstance(name, str):
        raise SpecTypeError(
            f"{shown(name)} is {kind(name)}; name a deployed task: 'environment.task'."
        )
    ledger, row = choose(name, version, project, target)
    record = record_of(ledger, row)
    task = task_of(record, name)
    return _reference(record, task, version)


def reference_tasks(
    *names: str,
    version: str | None = None,
    project: str | None = None,
    target: str | None = None,
) -> tuple[ReferenceTask, ...]:
    """Return several deployed tasks; see :func:`reference_task`."""
    return tuple(
        reference_task(name, version=version, project=project, target=target) for name in names
    )


def _reference(record: EnvironmentRecord, task: TaskRecord, version: str | None) -> ReferenceTask:
    environment, _, function = task.name.rpartition(".")
    return ReferenceTask(
        env_name=environment,
        func_name=function,
        signature=_signature(task),
        is_async=task.is_async,
        place=Deployed(
            project=record.project,
            target=record.target,
            version=version,
            found=record.version,
            when=time.strftime("%Y-%m-%d %H:%M", time.localtime(record.deployed)),
            source=str(record.source),
        ),
        interface=task.interface,
        doc=task.doc,
    )


class _Written:
    """An annotation or a default as it was written elsewhere; what it means is not known here."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _signature(task: TaskRecord) -> inspect.Signature:
    returns: Any = _Written(task.returns) if task.returns else inspect.Signature.empty
    return inspect.Signature(
        [_parameter(one) for one in task.parameters], return_annotation=returns
    )


def _parameter(one: ParameterRecord) -> inspect.Parameter:
    empty = inspect.Parameter.empty
    return inspect.Parameter(
        one.name,
        inspect._ParameterKind(one.kind),
        default=empty if one.default is None else _Written(one.default),
        annotation=_Written(one.annotation) if one.annotation else empty,
    )


# Looking it up


def find(task: ReferenceTask) -> Found:
    """Return the deployment that a reference means now.

    Raises:
        NotFoundError: it is not there any more.
        DeploymentError: the task takes or gives something else than when the reference was made.
    """
    place = task.place
    ledger = ledger_of(place.target)
    rows = ledger.rows(place.project, task.env_name)
    current = next((row for row in rows if row.current), None)
    wanted = [row for row in rows if row.version == place.version] if place.version else [current]
    if not wanted or wanted[0] is None:
        raise gone(task.name, rows, place.version, f" in {place.project} on {place.target}")
    row = wanted[0]
    record = record_of(ledger, row)
    known = task_of(record, task.name)
    _check_face(task, known, record)
    return Found(record, known, ledger, _note(task, row, current))


def _note(task: ReferenceTask, row: Row, current: Row | None) -> str:
    if current is None or row.version == current.version:
        return ""
    return f"{task.name}: version {row.version} is called; the current one is {current.version}."


def _check_face(task: ReferenceTask, known: TaskRecord, record: EnvironmentRecord) -> None:
    """Refuse a task that takes or gives something else than the reference says."""
    signature = _signature(known)
    now = _shape(signature), known.is_async, known.interface
    if now == (_shape(task.signature), task.is_async, task.interface):
        return
    raise DeploymentError(
        f"{task.name} was deployed again as version {record.version}, with another signature.",
        evidence=[
            f"then: {_written(task.func_name, task.signature, task.is_async)}",
            f"now:  {_written(task.func_name, signature, known.is_async)}",
        ],
        remedy=f"Run reference_task({task.name!r}) again, and give it what it takes now.",
    )


def _shape(signature: inspect.Signature) -> list[tuple[str, int, bool]]:
    return [
        (one.name, int(one.kind), one.default is one.empty) for one in signature.parameters.values()
    ]


def _written(name: str, signature: inspect.Signature, is_async: bool) -> str:
    return f"{'async ' if is_async else ''}def {name}{signature}"


# Taking it along

_units: dict[tuple[str, str], Unit] = {}


def pinned_of(task: ReferenceTask) -> shipping.Pinned:
    """Return the deployed task that a reference means now, to be deployed with what calls it.

    Raises:
        NotFoundError: it is not there any more.
        DeploymentError: it takes or gives something else than when the reference was made.
    """
    found = find(task)
    units = shipping.closure([found.task.unit], found.record.units)
    blobs = {}
    for one in units.values():
        for digest in (one.capsule, *one.files[1:2]):
            blobs[digest] = shipping.content_of(one, digest, found.ledger.blob)
    return shipping.Pinned(found.task.unit, units, blobs)


def deployed_units(found: Found, run: Layer, overrides: Layer | None = None) -> list[Unit]:
    """Return a deployed task and all that it may call as a run takes them, with their secrets.

    Args:
        found: the task.
        run: what the run says.
        overrides: what the reference says, where the run starts with it; ``None`` elsewhere.

    Raises:
        SecretError: a secret is to be found nowhere.
        EngineError: its code is not among the deployments any more.
    """
    units = []
    for key, record in shipping.closure([found.task.unit], found.record.units).items():
        unit = _unit_of(found, key)
        root = overrides is not None and key == found.task.unit
        settings = unit.settings
        if root and overrides:
            settings = apply_layer(settings, overrides)
        settings = apply_layer(settings, reaching(run, root=root))
        secrets, secret_files = find_secrets(settings.secrets, record.environment)
        if settings is not unit.settings or secrets or secret_files:
            unit = replace(unit, settings=settings, secrets=secrets, secret_files=secret_files)
        units.append(unit)
    return units


def _unit_of(found: Found, key: str) -> Unit:
    """Return a unit, unpacked once, so that its settings stay the same object from run to run."""
    record = found.record.units[key]
    known = _units.get((key, record.capsule))
    if known is None:
        known = shipping.unit_of(record, found.ledger.blob)
        while len(_units) >= MOST:
            del _units[next(iter(_units))]
        _units[key, record.capsule] = known
    return known
