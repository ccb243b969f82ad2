"""What would happen if a task was run: what is shipped, where to, and what stands in the way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from flyte_jupyter import catalog
from flyte_jupyter.capsule.explain import Explanation, explain
from flyte_jupyter.catalog.resolve import Resolved
from flyte_jupyter.deployment.shipping import need_of as need_of_python
from flyte_jupyter.engine.admission import Admission
from flyte_jupyter.engine.plans import need_of
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.session import session
from flyte_jupyter.session.manifests import manifest_of, written
from flyte_jupyter.session.reference import Found, deployed_units, find
from flyte_jupyter.session.submit import capsule_of, encode_inputs, python_refusal
from flyte_jupyter.spec import Settings, Task
from flyte_jupyter.spec.amounts import readable_bytes
from flyte_jupyter.spec.reference import ReferenceTask
from flyte_jupyter.spec.settings import apply_layer
from flyte_jupyter.targets.protocol import Honour, Target

__all__ = ["explain_task"]

# of an image's digest, what is shown
DIGITS = 19


def explain_task(
    task: Task, args: tuple[Any, ...], kwargs: dict[str, Any], target: str | None
) -> Explanation:
    """Say what would happen if a task was run; nothing is run, and nothing wrong raises.

    Args:
        task: the task.
        args: inputs by position; none if only the task is asked about.
        kwargs: inputs by name.
        target: name of the target, the session's if not given.

    Raises:
        TargetError: there is no such target.
    """
    if isinstance(task, ReferenceTask):
        return _explain_deployed(task, args, kwargs, target)
    shipped = explain(task)
    resolved = catalog.current().resolve(task)
    place = session.make_target(target or resolved.settings.target or session.default_target())
    errors: list[Exception | None] = list(shipped.errors)
    inputs: list[str] = []
    if (args or kwargs) and shipped.ok:
        try:
            given = task.bind(args, kwargs)
            limit = resolved.settings.max_inline_io_bytes
            packed = encode_inputs(task, capsule_of(task).interface, given, limit)
            inputs = [f"{', '.join(given)}: {readable_bytes(packed.size)}"]
        except FlyteError as error:
            errors.append(error)
    settings = [_said(resolved, name, text) for name, text in resolved.settings.rows()]
    try:
        # whoever admits is met by this, and can say more of itself then
        errors += [_refusal(place, task, resolved.settings)]
    except FlyteError as error:
        errors.append(error)
    if shipped.ok:
        need = capsule_of(task).python
        errors += [python_refusal(task.name, need, resolved.settings, place.name)]
        errors += list(_missing(task))
    sections = (
        ("inputs", tuple(inputs)),
        ("settings", tuple(settings)),
        (f"on {place.name}", tuple(_notes(place, resolved.settings))),
    )
    manifest = manifest_of(place, resolved.settings, task.env_name)
    return replace(
        shipped,
        errors=tuple(filter(None, errors)),
        sections=(*sections, *_declared(manifest)),
        manifest=manifest,
    )


def _said(resolved: Resolved, name: str, text: str) -> str:
    """Return a setting with who said so; parts of the resources have each their own."""
    resources = resolved.settings.resources
    parts = resources.rows() if name == "resources" and resources is not None else []
    origins = {resolved.origin(part) for part, _ in parts} or {resolved.origin(name)}
    if len(origins) == 1:
        return f"{name} = {text}  ({origins.pop()})"
    return f"{name} = " + ", ".join(f"{p} {amount} ({resolved.origin(p)})" for p, amount in parts)


def _missing(task: Task) -> Iterator[FlyteError]:
    """Yield why deployed tasks that the code calls cannot be."""
    for child in capsule_of(task).child_tasks.values():
        if isinstance(child, ReferenceTask):
            try:
                find(child)
            except FlyteError as error:
                yield error


def _explain_deployed(
    task: ReferenceTask, args: tuple[Any, ...], kwargs: dict[str, Any], target: str | None
) -> Explanation:
    """Say what would happen if a deployed task was run: all of it is known but its code."""
    try:
        found = find(task)
    except FlyteError as error:
        return Explanation(task.name, errors=(error,))
    unit = found.record.units[found.task.unit]
    settings = apply_layer(Settings.from_plain(unit.settings), task.overrides)
    place = session.make_target(target or settings.target or found.record.target)
    errors: list[Exception | None] = []
    inputs: list[str] = []
    size = 0
    try:
        size = deployed_units(found, {})[0].capsule.size
        if args or kwargs:
            given = task.bind(args, kwargs)
            packed = encode_inputs(task, found.interface, given, settings.max_inline_io_bytes)
            inputs = [f"{', '.join(given)}: {readable_bytes(packed.size)}"]
    except FlyteError as error:
        errors.append(error)
    need = need_of_python(unit)
    try:
        errors += [_refusal(place, task, settings)]
        errors += [python_refusal(task.name, need, settings, place.name)]
    except FlyteError as error:
        errors.append(error)
    sections = (
        ("deployed", tuple(_deployed(task, found))),
        ("inputs", tuple(inputs)),
        ("settings", tuple(f"{name} = {text}" for name, text in settings.rows())),
        (f"on {place.name}", tuple(_notes(place, settings))),
    )
    manifest = manifest_of(place, settings, task.env_name)
    return Explanation(
        task.name,
        children=tuple(unit.calls.values()),
        warnings=(found.note,) if found.note else (),
        errors=tuple(filter(None, errors)),
        bytes=size,
        hash=unit.key.rpartition("@")[2],
        python=need,
        sections=(*sections, *_declared(manifest)),
        manifest=manifest,
    )


def _deployed(task: ReferenceTask, found: Found) -> Iterator[str]:
    record = found.record
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.deployed))
    yield f"{'async ' if found.task.is_async else ''}def {task.func_name}{task.signature}"
    yield f"version {record.version} of {record.project}, deployed {when} from {record.source}"
    yield f"image: {record.image.description} {record.image.digest[:DIGITS]}".rstrip()


def _notes(place: Target, settings: Settings) -> Iterator[str]:
    yield from place.describe(settings)
    for field, capability in place.capabilities(settings).items():
        if capability.honour is not Honour.HONOURED and capability.note:
            yield f"{field}: {capability.note}"


def _declared(manifest: Mapping[str, Any] | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    if manifest is not None:
        yield str(manifest["kind"]).lower(), tuple(written(manifest).split("\n"))


def _refusal(place: Target, task: Task, settings: Settings) -> FlyteError | None:
    if not place.admits:
        return None
    has = place.inventory()
    if session.config().oversize == "clamp":
        return None
    return Admission(has, ()).check(task.name, need_of(settings, has))
