"""Environments of this session as they would be deployed: their tasks shipped, nothing kept."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from flyte_jupyter import catalog
from flyte_jupyter.capsule import Capsule
from flyte_jupyter.deployment import shipping
from flyte_jupyter.deployment.plan import Draft
from flyte_jupyter.deployment.records import EnvironmentRecord, ImageRecord, Source
from flyte_jupyter.engine.admission import Admission
from flyte_jupyter.engine.plans import need_of
from flyte_jupyter.engine.request import Unit
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.session import session
from flyte_jupyter.session.submit import bare_unit, capsule_of, python_refusal
from flyte_jupyter.spec import Task, TaskEnvironment
from flyte_jupyter.spec.hashing import digest
from flyte_jupyter.spec.settings import to_plain
from flyte_jupyter.targets.protocol import Honour, Inventory, Target

__all__ = ["Targets", "draft", "source_of", "target_of"]

# how hosts of notebooks tell a kernel which notebook it belongs to
NOTEBOOK = "JPY_SESSION_NAME"
VSCODE = "__vsc_ipynb_file__"
DIGITS = 12


def source_of(notebook: str = "") -> Source:
    """Return what this kernel is, for what it deploys.

    Args:
        notebook: path of the notebook or file, if the caller knows it.
    """
    main = sys.modules.get("__main__")
    program = str(getattr(main, "__file__", None) or "")
    found = (
        notebook
        or os.environ.get(NOTEBOOK, "")
        or str(getattr(main, VSCODE, ""))
        # a command such as flyte-jupyter is no program of the user
        or (program if program.endswith(".py") else "")
    )
    path = str(Path(found).resolve()) if found else ""
    return Source(socket.gethostname(), os.getcwd(), path)


def target_of(environment: TaskEnvironment, named: str | None) -> str:
    """Return the name of the target that an environment is deployed to.

    Args:
        environment: the environment.
        named: what the deployment says, if it does.

    Raises:
        TargetError: there is no such target.
    """
    name = named or environment.settings.target or session.default_target()
    return session.check_target(name)


def draft(
    environment: TaskEnvironment, target: str, source: Source, version: str | None = None
) -> Draft:
    """Return an environment as it would be deployed.

    Args:
        environment: the environment.
        target: name of the target that it would go to.
        source: from where.
        version: name of the version; the beginning of a hash of the content if not given.

    Raises:
        CapsuleError: the code of one of its tasks cannot be shipped, or not to its image.
    """
    tasks = catalog.current().tasks_of(environment.name)
    found = shipping.reachable(tasks, capsule_of)
    capsules = {name: capsule for name, (_, capsule) in found.items()}
    units = {name: _unit(task, capsule) for name, (task, capsule) in found.items()}
    for task in tasks:
        need = capsules[task.name].python
        refusal = python_refusal(task.name, need, units[task.name].settings, target)
        if refusal is not None:
            raise refusal
    shipment = shipping.ship(units, capsules, _pinned(capsules.values()))
    records = {task.name: shipping.task_record(task, shipment.keys[task.name]) for task in tasks}
    needed = shipment.units_of(records)
    settings = to_plain(environment.settings)
    depends_on = tuple(one.name for one in environment.depends_on)
    content = digest(
        "environment",
        json.dumps(settings, sort_keys=True),
        tuple(sorted(depends_on)),
        tuple(_identity(record.name, record.unit, record.settings) for record in records.values()),
    )
    return Draft(
        EnvironmentRecord(
            name=environment.name,
            project=session.config().project,
            version=version or content[:DIGITS],
            content=content,
            target=target,
            deployed=0.0,
            source=source,
            settings=settings,
            depends_on=depends_on,
            image=ImageRecord(str(environment.settings.image or "default image")),
            tasks=records,
            units=needed,
        ),
        shipment.blobs_of(needed),
        tuple(_uncovered(environment, found)),
    )


def _unit(task: Task, capsule: Capsule) -> Unit:
    settings = catalog.current().resolve(task, root=False).settings
    return bare_unit(task.name, task.env_name, settings, capsule)


def _pinned(capsules: Iterable[Capsule]) -> Mapping[str, shipping.Pinned]:
    named = shipping.references(capsules)
    if not named:
        return {}
    from flyte_jupyter.session.reference import pinned_of

    return {address: pinned_of(task) for address, task in named.items()}


def _identity(name: str, unit: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    return (name, unit, json.dumps(settings, sort_keys=True))


def _uncovered(
    environment: TaskEnvironment, found: Mapping[str, tuple[Task, Capsule]]
) -> Iterator[str]:
    """Yield which calls lead to environments whose images are not made with this one."""
    callees = {
        child.env_name: (capsule.name, child.name)
        for _, capsule in found.values()
        for child in capsule.child_tasks.values()
        if child.func is not None and child.env_name != environment.name
    }
    covered = _below(environment) if callees else set()
    for name, (caller, callee) in callees.items():
        if name not in covered:
            yield (
                f"{caller} calls {callee}, and {environment.name} does not depend on {name}: the "
                f"image of {name} is made at the first call."
            )


def _below(environment: TaskEnvironment) -> set[str]:
    """Return the names of an environment and of everything that it depends on."""
    names = {environment.name}
    waiting = [environment]
    for one in waiting:  # grows while it is walked
        for other in one.depends_on:
            if other.name not in names:
                names.add(other.name)
                waiting.append(other)
    return names


class Targets:
    """What targets make of environments; each is asked once what it has."""

    def __init__(self) -> None:
        self._has: dict[str, Inventory | None] = {}

    def notes(self, environment: TaskEnvironment, target: str) -> Iterator[str]:
        """Yield what is worth a word before an environment goes to a target."""
        place = session.make_target(target)
        for field, capability in place.capabilities(environment.settings).items():
            if capability.honour is not Honour.HONOURED and capability.note:
                yield f"{field}: {capability.note}"
        has = self._inventory(place)
        if has is not None:
            refusal = Admission(has, ()).check("it", need_of(environment.settings, has))
            if refusal is not None:
                yield refusal.sentence

    def _inventory(self, place: Target) -> Inventory | None:
        """Return what a target has, None where it does not count that or does not answer."""
        if place.name not in self._has:
            self._has[place.name] = None
            if place.admits:
                # its images will not be had either, and that says why
                with contextlib.suppress(FlyteError):
                    self._has[place.name] = place.inventory()
        return self._has[place.name]
