"""The parts that a front end shows, as plain data in words: the kernel alone knows what they mean.

`environments` and `runs` are read from memory and from the journal, quickly; `standings`,
`targets` and `leftovers` may ask engines and clusters, and take as long as these do.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from typing import Any

from flyte_jupyter.catalog import current
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.session import session
from flyte_jupyter.spec.quantity import format_cpu
from flyte_jupyter.spec.settings import Settings, apply_layer
from flyte_jupyter.spec.task import Task

__all__ = ["environments", "leftovers", "runs", "standings", "targets"]

Plain = dict[str, Any]
READY, MISSING, UNKNOWN = "ready", "made by the first run", ""
NOT_ASKED = "not used in this session"


def environments(known: Mapping[str, Mapping[str, str]]) -> Plain:
    """Return the environments of the session with their tasks.

    Args:
        known: what `standings` has found, by name.
    """
    catalog = current()
    overrides = catalog.overrides
    rows = []
    for name, declaration in list(catalog.environments.items()):
        environment = declaration.value
        over = overrides.get(name, {})
        settings = apply_layer(environment.settings, over) if over else environment.settings
        asked = dict(settings.resources.rows() if settings.resources else ())
        accelerator = asked.pop("gpu", "")
        rows.append(
            {
                "name": name,
                "cell": declaration.cell,
                "origin": environment.origin.label,
                "target": settings.target or _default_target(),
                "image": str(settings.image) if settings.image is not None else "default image",
                "resources": ", ".join(f"{what} {text}" for what, text in asked.items()),
                "accelerator": accelerator,
                "overridden": sorted(over),
                "tasks": [_task(task) for task in catalog.tasks_of(name)],
                "image_state": UNKNOWN,
                "deployed": "",
                **known.get(name, {}),
            }
        )
    return {"environments": rows}


def _task(task: Task) -> Plain:
    declaration = current().declaration_of(task.name)
    return {
        "name": task.name,
        "label": task.func_name,
        "cell": declaration.cell if declaration is not None else None,
        "origin": task.origin.label if task.origin is not None else "",
        "call": _call(task),
    }


def _call(task: Task) -> str:
    """Return how the task is called: with a place for each input that has to be given."""
    plain = inspect.Parameter
    missing = [
        f"{one.name}="
        for one in task.signature.parameters.values()
        if one.default is plain.empty and one.kind not in (plain.VAR_POSITIONAL, plain.VAR_KEYWORD)
    ]
    return f"{task.name}({', '.join(missing)})"


def standings() -> dict[str, dict[str, str]]:
    """Return, by the name of each environment, how its image and its deployment stand."""
    from flyte_jupyter.session.deployments import standing

    declared = {name: one.value.settings for name, one in list(current().environments.items())}
    try:
        deployed = standing(declared)
    except FlyteError:
        deployed = {}  # nobody answers who knows of deployments
    found = {}
    for name, settings in declared.items():
        said = {"image_state": _image_state(settings)}
        one = deployed.get(name)
        if one is not None:
            said["deployed"] = one.sentence or f"{one.word} as {one.record.version}"
        found[name] = said
    return found


def _image_state(settings: Settings) -> str:
    target = settings.target or _default_target()
    if target not in session.places():
        return UNKNOWN
    try:
        return READY if session.make_target(target).ready_made(settings) else MISSING
    except FlyteError:
        return UNKNOWN


def runs(most: int = 30) -> Plain:
    """Return the last runs, those that go on first."""
    from flyte_jupyter.session.recent import glances

    found = glances(most)
    rows = [
        {
            "name": one.name,
            "task": one.task,
            "target": one.target,
            "phase": "lost" if one.lost else one.phase.value,
            "goes_on": one.goes_on,
            "mine": one.mine,
            "created": one.created,
            "seconds": None if one.ended is None else round(one.ended - one.created, 3),
            "calls": _counted(one.calls),
            "error": one.error,
        }
        for one in sorted(found, key=lambda one: not one.goes_on)
    ]
    return {"runs": rows}


def _counted(calls: Mapping[str, int]) -> str:
    if sum(calls.values()) < 2:
        return ""
    return ", ".join(f"{count} {phase.replace('_', ' ')}" for phase, count in sorted(calls.items()))


def targets() -> Plain:
    """Return the targets with what they have and what of it is free."""
    used = session.places()
    default = _default_target()
    rows = []
    for name in session.target_names():
        row: Plain = {"name": name, "default": name == default, "rows": [], "trouble": ""}
        if name in used:
            row.update(_capacity(name))
        else:
            row["trouble"] = NOT_ASKED
        rows.append(row)
    return {"targets": rows}


def _capacity(name: str) -> Plain:
    from flyte_jupyter.spec.amounts import readable_bytes

    try:
        has = session.make_target(name).inventory()
    except FlyteError as error:
        return {"trouble": error.sentence}
    free = has.free or session.free_of(name)
    rows = []
    if has.cpu:
        rows.append(("cpu", format_cpu(has.cpu), free and format_cpu(free.cpu)))
    if has.memory:
        rows.append(("memory", readable_bytes(has.memory), free and readable_bytes(free.memory)))
    for kind, count in sorted(has.accelerators.items()):
        left = None if free is None else str(free.accelerators.get(kind, 0))
        rows.append((kind or "accelerators", str(count), left))
    return {
        "rows": [
            {"what": what, "amount": total if left is None else f"{left} of {total} free"}
            for what, total, left in rows
        ],
        "trouble": "" if rows else "it does not tell what it has",
    }


def leftovers() -> Plain:
    """Return what kernels that have ended, or that nobody sees from here, have on the targets."""
    from flyte_jupyter.notebook.tables import age
    from flyte_jupyter.session.leftovers import present
    from flyte_jupyter.spec.amounts import readable_bytes

    try:
        found = present()
    except FlyteError as error:
        return {"leftovers": [], "living": 0, "trouble": error.sentence}
    now = time.time()
    rows = [
        {
            "name": one.what.name,
            "target": one.target,
            "kind": one.what.kind,
            "what": one.what.description,
            "state": one.what.state,
            "age": "" if one.what.created is None else age(now - one.what.created),
            "memory": "" if one.what.memory is None else readable_bytes(one.what.memory),
            "dead": one.what.alive is False,
        }
        for one in found
        if not one.mine and not one.what.alive
    ]
    return {"leftovers": rows, "living": len(found) - len(rows), "trouble": ""}


def _default_target() -> str:
    try:
        return session.default_target()
    except FlyteError:
        return "local"
