"""From a task and its arguments to the message that the engine takes."""

from __future__ import annotations

import base64
import os
import secrets as random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flyte_jupyter import catalog
from flyte_jupyter.capsule import Capsule, CapsuleCache
from flyte_jupyter.engine.events import Event
from flyte_jupyter.engine.request import RunOptions, RunRequest, Unit
from flyte_jupyter.session import session
from flyte_jupyter.session.outcome import Opener
from flyte_jupyter.session.run import Run
from flyte_jupyter.session.secret import secret_values
from flyte_jupyter.spec import Settings, Task
from flyte_jupyter.spec.settings import DEFAULT_MAX_INLINE_IO_BYTES
from flyte_jupyter.wire.exchange import Packed, pack
from flyte_jupyter.wire.inputs import check_inputs, check_size
from flyte_jupyter.wire.values import Encoded, encode, inline_size

__all__ = ["RunContext", "capsule_of", "encode_inputs", "new_name", "open_for", "request_for", "submit"]


_capsules = CapsuleCache()


@dataclass(frozen=True, slots=True)
class RunContext:
    """What was said about one run.

    Args:
        name: name of the run; made up if not given.
        target: where it runs; the session's target if not given.
        layer: normalised overrides: those of every action reach all, the others the root.
        labels: recorded with the run.
        subscriber: called on the engine's thread with every event.
    """

    name: str | None = None
    target: str | None = None
    layer: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    subscriber: Callable[[Event], None] | None = None


def submit(task: Task, args: tuple[Any, ...], kwargs: dict[str, Any], context: RunContext) -> Run:
    """Start a run of a task.

    Raises:
        InputError: the arguments do not fit the signature.
        CapsuleError: the task's code cannot be shipped.
    """
    capsule = _capsules.get(task)
    inputs = encode_inputs(task, capsule, task.bind(args, kwargs))
    request = request_for(task, capsule, inputs, context)
    engine = session.engine()
    state = engine.submit(request, context.subscriber)
    return Run(engine, state, open_for(task))


def capsule_of(task: Task) -> Capsule:
    """Return the capsule of a task, made now if anything it reads has changed."""
    return _capsules.get(task)


def open_for(task: Task) -> Opener:
    """Return what decodes the results of a task."""
    capsule = _capsules.get(task)
    output = (capsule.payload["interface"] or {}).get("output", {})
    return Opener(
        classes=_classes_of(capsule),
        returns_several=output.get("type") == "tuple",
        pickle=session.config().pickle,
    )


def _classes_of(capsule: Capsule) -> Callable[..., Any]:
    """Return what finds a class of a cell: the notebook's own, as it was when the run began."""
    held = capsule.classes

    def find(module: str, qualname: str, source: str | None = None) -> Any:
        del source
        return held.get(f"{module}.{qualname}")

    return find


def request_for(
    task: Task, capsule: Capsule, inputs: Packed | None, context: RunContext
) -> RunRequest:
    """Return the message for a run."""
    config = session.config()
    every = {k: v for k, v in context.layer.items() if k in catalog.EVERY_ACTION}
    units = {task.name: _unit(task, capsule, context.layer)}
    pending = list(capsule.child_tasks.values())
    while pending:
        child = pending.pop()
        if child.name not in units:
            shipped = _capsules.get(child)
            units[child.name] = _unit(child, shipped, every)
            pending.extend(shipped.child_tasks.values())
    return RunRequest(
        name=context.name or new_name(task.short_name),
        task=task.name,
        target=session.check_target(context.target or config.target),
        units=units,
        inputs=inputs,
        options=RunOptions(
            oversize=config.oversize,
            pickle=config.pickle,
            layer=every,
            labels=context.labels,
            project=config.project,
        ),
    )


def _unit(task: Task, capsule: Capsule, layer: Mapping[str, Any]) -> Unit:
    for error in capsule.report.errors:
        raise error
    settings = catalog.current().resolve(task, dict(layer)).settings
    return Unit(
        name=task.name,
        environment=task.env_name,
        settings=settings,
        capsule=pack(Encoded(capsule.payload, list(capsule.buffers))),
        capsule_hash=capsule.hash,
        capsule_key=capsule.key,
        modules=capsule.modules,
        secrets=secret_values(settings.secrets, task.env_name),
    )


def encode_inputs(task: Task, capsule: Capsule, given: dict[str, Any]) -> Packed:
    """Encode the inputs of a call, checked against the task's signature.

    Raises:
        InputTypeError: an input has another type than its annotation says.
        InlineIOMaxBytesBreached: the inputs are larger than ``max_inline_io_bytes``.
    """
    encoded = encode(given, pickle=session.config().pickle)
    check_inputs(task.func_name, capsule.payload["interface"], encoded.tree)
    settings: Settings = catalog.current().resolve(task).settings
    size = inline_size(encoded)
    limit = settings.max_inline_io_bytes
    if size > (DEFAULT_MAX_INLINE_IO_BYTES if limit is None else limit):
        largest = max(given, key=lambda name: inline_size(encode(given[name])))
        hint = f"; the largest is {largest!r}" if len(given) > 1 else f" ({largest!r})"
        check_size(size, limit, f"The inputs of {task.name}", hint)
    return pack(Encoded(encoded.tree, _frozen(encoded.buffers)))


def _frozen(buffers: Iterable[Any]) -> list[Any]:
    """Return copies of what the user may change while the run goes on."""
    return [b if isinstance(b, bytes) else bytes(b) for b in buffers]


def new_name(task: str) -> str:
    """Return a unique name for a run: the task's, and six letters that tell runs apart."""
    letters = base64.b32encode(random.token_bytes(4)).decode().lower()[:6]
    return f"{task.replace('_', '-').strip('-') or 'run'}-{letters}"
