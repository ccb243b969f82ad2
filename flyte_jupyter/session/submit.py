"""From a task and its arguments to the message that the engine takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flyte_jupyter import catalog
from flyte_jupyter.capsule import Capsule, CapsuleCache
from flyte_jupyter.engine.events import Event
from flyte_jupyter.engine.request import RunOptions, RunRequest, Unit
from flyte_jupyter.errors import CapsuleError
from flyte_jupyter.session import session
from flyte_jupyter.session.include import included_files
from flyte_jupyter.session.outcome import Opener
from flyte_jupyter.session.run import Run
from flyte_jupyter.session.secret import find_secrets
from flyte_jupyter.spec import Settings, Task
from flyte_jupyter.spec.settings import DEFAULT_MAX_INLINE_IO_BYTES
from flyte_jupyter.wire.exchange import INLINE_BUFFER, Packed, pack
from flyte_jupyter.wire.inputs import check_inputs, check_size
from flyte_jupyter.wire.values import Encoded, Ref, encode, inline_size

__all__ = [
    "RunContext",
    "bare_unit",
    "capsule_of",
    "encode_inputs",
    "new_name",
    "open_for",
    "python_refusal",
    "request_for",
    "request_of",
    "submit",
    "unit_of",
]


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
    given = task.bind(args, kwargs)
    unit = _units.get(task, capsule, context.layer, root=True)
    inputs = encode_inputs(task, capsule, given, unit.settings.max_inline_io_bytes)
    request = request_of(unit, task.short_name, capsule, inputs, context)
    engine = session.engine()
    opener = open_for(capsule)
    # The last step: from here on the engine's thread wants the interpreter for itself.
    return Run(engine, engine.submit(request, context.subscriber), opener)


def capsule_of(task: Task) -> Capsule:
    """Return the capsule of a task, made now if anything it reads has changed."""
    return _capsules.get(task)


def open_for(capsule: Capsule) -> Opener:
    """Return what decodes the results of a task."""
    output = (capsule.interface or {}).get("output", {})
    return Opener(
        classes=_capsules.classes,
        returns_several=output.get("type") == "tuple",
        pickle=session.config().pickle,
    )


def request_for(
    task: Task, capsule: Capsule, inputs: Packed | None, context: RunContext
) -> RunRequest:
    """Return the message for a run."""
    unit = _units.get(task, capsule, context.layer, root=True)
    return request_of(unit, task.short_name, capsule, inputs, context)


def python_refusal(capsule: Capsule, settings: Settings, target: str) -> CapsuleError | None:
    """Return why the Python of an image cannot load a capsule, ``None`` if it can."""
    need = capsule.python
    if need.minimum is None and need.exact is None:
        return None
    version = session.make_target(target).python(settings)
    why = need.refusal(version) if version else ""
    if not why:
        return None
    wanted = need.exact or need.minimum or (0, 0)
    return CapsuleError(
        f"{capsule.name} cannot run in its image: {why}.",
        remedy=f"Take an image with Python {wanted[0]}.{wanted[1]}, such as "
        f"Image.from_debian_base(python_version={wanted}).",
    )


def request_of(
    unit: Unit, short_name: str, capsule: Capsule, inputs: Packed | None, context: RunContext
) -> RunRequest:
    """Return the message for a run of a unit and of all tasks that it may call."""

    def target_of(one: Unit) -> str:
        named = context.target or one.settings.target or session.default_target()
        return session.check_target(named)

    units: dict[str, Unit] = {}
    targets: dict[str, str] = {}
    pending = [(unit, capsule)]
    while pending:
        one, shipped = pending.pop()
        units[one.name] = one
        targets[one.name] = target_of(one)
        refusal = python_refusal(shipped, one.settings, targets[one.name])
        if refusal is not None:
            raise refusal
        for child in map(_declared, shipped.child_tasks.values()):
            if child.name not in units and child.func is not None:
                its = _capsules.get(child)
                pending.append((_units.get(child, its, context.layer, root=False), its))
    return RunRequest(
        name=context.name or new_name(short_name),
        task=unit.name,
        target=targets[unit.name],
        targets={name: one for name, one in targets.items() if one != targets[unit.name]},
        units=units,
        inputs=inputs,
        options=_options(context.labels),
    )


def _options(labels: Mapping[str, str]) -> RunOptions:
    """Return what holds for every action of a run: the same object while nothing else is said."""
    config = session.config()
    known = _known_options.get("last")
    if known is not None and known[0] is config and not labels:
        return known[1]
    options = RunOptions(
        oversize=config.oversize, pickle=config.pickle, labels=labels, project=config.project
    )
    if not labels:
        _known_options["last"] = config, options
    return options


_known_options: dict[str, tuple[session.Config, RunOptions]] = {}


def _declared(task: Task) -> Task:
    """Return a task without the overrides of the call, which travel with the call itself."""
    if not task.overrides:
        return task
    declared = catalog.current().tasks.get(task.name)
    return declared if declared is not None and declared.func is task.func else task


class _Units:
    """The shipped form of tasks, kept while code, declarations and overrides stay the same."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, bool], tuple[Task, Capsule, Unit]] = {}
        self._watching = False

    def get(self, task: Task, capsule: Capsule, layer: Mapping[str, Any], *, root: bool) -> Unit:
        """Return the unit of a task.

        Args:
            task: the task.
            capsule: its code.
            layer: what the run says.
            root: whether it is the task that the run starts with.
        """
        if not self._watching:
            self._watching = True
            catalog.current().on_change(lambda _: self._kept.clear())
        key = (id(task), root)
        kept = self._kept.get(key)
        if kept is not None and kept[0] is task and kept[1] is capsule and not layer:
            return kept[2]
        unit = self._make(task, capsule, layer, root)
        fixed = not unit.secrets and not unit.secret_files and unit.files is None
        if not layer and fixed:
            self._kept[key] = task, capsule, unit
        return unit

    def _make(self, task: Task, capsule: Capsule, layer: Mapping[str, Any], root: bool) -> Unit:
        settings = catalog.current().resolve(task, layer, root=root).settings
        return unit_of(task.name, task.env_name, settings, capsule)


_units = _Units()


def unit_of(name: str, environment: str, settings: Settings, capsule: Capsule) -> Unit:
    """Return what is shipped for a task, with its secrets looked up.

    Raises:
        SecretError: a secret is to be found nowhere.
    """
    secrets, secret_files = find_secrets(settings.secrets, environment)
    bare = bare_unit(name, environment, settings, capsule)
    if not secrets and not secret_files:
        return bare
    return replace(bare, secrets=secrets, secret_files=secret_files)


def bare_unit(name: str, environment: str, settings: Settings, capsule: Capsule) -> Unit:
    """Return what is shipped for a task, without the values of its secrets."""
    return Unit(
        name=name,
        environment=environment,
        settings=settings,
        capsule=pack(Encoded(capsule.payload, list(capsule.buffers))),
        capsule_hash=capsule.hash,
        capsule_key=capsule.key,
        modules=capsule.modules,
        files=included_files(settings.include, environment) if settings.include else None,
    )


def encode_inputs(task: Task, capsule: Capsule, given: dict[str, Any], limit: int | None) -> Packed:
    """Encode the inputs of a call, checked against the task's signature.

    Args:
        task: the task.
        capsule: its code.
        given: value by name of the parameter.
        limit: ``max_inline_io_bytes``, ``None`` for the default.

    Raises:
        InputTypeError: an input has another type than its annotation says.
        InlineIOMaxBytesBreached: the inputs are larger than ``max_inline_io_bytes``.
    """
    encoded = encode(given, pickle=session.config().pickle, class_hash=_capsules.class_hash)
    check_inputs(task.func_name, capsule.interface, encoded.tree)
    packed = pack(encoded)
    size = inline_size(encoded) if encoded.buffers else packed.size
    if size > (DEFAULT_MAX_INLINE_IO_BYTES if limit is None else limit):
        largest = max(given, key=lambda name: inline_size(encode(given[name])))
        hint = f"; the largest is {largest!r}" if len(given) > 1 else f" ({largest!r})"
        check_size(size, limit, f"The inputs of {task.name}", hint)
    return Packed(packed.tree, tuple(_frozen(encoded.buffers))) if encoded.buffers else packed


def _frozen(buffers: Iterable[Any]) -> list[Any]:
    """Return what cannot change while the run goes on: on segments what is large, or copies."""
    frozen = list(buffers)
    if any(memoryview(b).nbytes > INLINE_BUFFER for b in frozen if not isinstance(b, Ref)):
        from flyte_jupyter.wire.segments import process_segments

        segments = process_segments()
        if segments is not None:
            return segments.freeze(frozen, copy=True)
    return [b if isinstance(b, (bytes, Ref)) else bytes(b) for b in frozen]


def new_name(task: str) -> str:
    """Return a unique name for a run: the task's, and eight digits that tell runs apart."""
    return f"{task.replace('_', '-').strip('-') or 'run'}-{os.urandom(4).hex()}"
