"""What would happen if a task was run: what is shipped, where to, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from flyte_jupyter import catalog
from flyte_jupyter.capsule.explain import Explanation, explain
from flyte_jupyter.engine.admission import Admission
from flyte_jupyter.engine.plans import need_of
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.session import session
from flyte_jupyter.session.submit import capsule_of, encode_inputs, python_refusal
from flyte_jupyter.spec import Settings, Task
from flyte_jupyter.spec.amounts import readable_bytes
from flyte_jupyter.targets.protocol import Honour, Target

__all__ = ["explain_task"]


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
    settings = [
        f"{name} = {text}  ({resolved.origin(name)})" for name, text in resolved.settings.rows()
    ]
    try:
        # whoever admits is met by this, and can say more of itself then
        errors += [_refusal(place, task, resolved.settings)]
    except FlyteError as error:
        errors.append(error)
    if shipped.ok:
        need = capsule_of(task).python
        errors += [python_refusal(task.name, need, resolved.settings, place.name)]
    sections = (
        ("inputs", tuple(inputs)),
        ("settings", tuple(settings)),
        (f"on {place.name}", tuple(_notes(place, resolved.settings))),
    )
    return replace(shipped, errors=tuple(filter(None, errors)), sections=sections)


def _notes(place: Target, settings: Settings) -> Iterator[str]:
    yield from place.describe(settings)
    for field, capability in place.capabilities(settings).items():
        if capability.honour is not Honour.HONOURED and capability.note:
            yield f"{field}: {capability.note}"


def _refusal(place: Target, task: Task, settings: Settings) -> FlyteError | None:
    if not place.admits:
        return None
    has = place.inventory()
    if session.config().oversize == "clamp":
        return None
    return Admission(has, ()).check(task.name, need_of(settings, has))
