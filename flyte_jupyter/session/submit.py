"""From a task and its arguments to the message that the engine takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flyte_jupyter import catalog
from flyte_jupyter.capsule import Capsule, CapsuleCache
from flyte_jupyter.capsule.model import PythonNeed
from flyte_jupyter.deployment.shipping import need_of
from flyte_jupyter.engine.events import Event
from flyte_jupyter.engine.request import RunOptions, RunRequest, Unit
from flyte_jupyter.errors import CapsuleError
from flyte_jupyter.session import session
from flyte_jupyter.session.include import included_files
from flyte_jupyter.session.outcome import Opener
from flyte_jupyter.session.overridden import overridden
from flyte_jupyter.session.reference import Found, deployed_units, find
from flyte_jupyter.session.run import Run
from flyte_jupyter.session.secret import find_secrets
from flyte_jupyter.spec import Settings, Task
from flyte_jupyter.spec.reference import ReferenceTask
from flyte_jupyter.spec.settings import DEFAULT_MAX_INLINE_IO_BYTES, to_plain
from flyte_jupyter.wire.exchange import INLINE_BUFFER, Packed, pack
from flyte_jupyter.wire.inputs import check_inputs, check_size
from flyte_jupyter.wire.values import Encoded, Ref, encode, inline_size
from flyte_jupyter.wire.values.decoding import Missing

__all__ = [
    "RunContext",
    "Start",
    "bare_unit",
    "capsule_of",
    "encode_inputs",
    "new_name",
    "open_for",
    "python_refusal",
    "request_of",
    "start_of",
    "submit",
    "unit_of",
]


_capsules = CapsuleCache()
FACE = "flyte_jupyter.worker.face"


@dataclass(frozen=True, slots=True)
class RunContext:
    """What was said about one run.

    Args:
        name: name of the run; made up if not given.
        target: where it runs; the session's target if not given.
        layer: normalised overrides: those of every action reach all, the others the root.
        labels: recorded with the run.
        subscriber: called on the engine's thread with every event.
        keep: whether a rerun keeps what was said of the recorded run, where nothing is said here.
        again: name of the run that this one repeats, empty for none.
    """

    name: str | None = None
    target: str | None = None
    layer: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    subscriber: Callable[[Event], None] | None = None
    keep: bool = True
    again: str = ""


def submit(task: Task, args: tuple[Any, ...], kwargs: dict[str, Any], context: RunContext) -> Run:
    """Start a run of a task.

    Raises:
        InputError: the arguments do not fit the signature.
        CapsuleError: the task's code cannot be shipped.
    """
    start = start_of(task, context)
    given = task.bind(args, kwargs)
    limit = start.unit.settings.max_inline_io_bytes
    inputs = encode_inputs(task, start.interface, given, limit)
    request = start.request(inputs)
    if said := _said(task, context):
        request = replace(request, said=said)
    engine = session.engine()
    opener = start.opener()
    # The last step: from here on the engine's thread wants the interpreter for itself.
    return Run(engine, engine.submit(request, context.subscriber), opener)


def _said(task: Task, context: RunContext) -> dict[str, Any]:
    """Return what was said about a run as JSON values: names of secrets, never their values."""
    said = {
        "target": context.target,
        "layer": to_plain(context.layer) if context.layer else None,
        "override": to_plain(task.overrides) if task.overrides else None,
        "again": context.again,
    }
    return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Start:
    """What a run begins with: a task of this kernel, or a deployed one.

    Args:
        unit: the task as it is shipped.
        short_name: what the run is named after.
        interface: what the task takes and gives, as schemas.
        context: what was said about the run.
        shipped: its code, or the deployment that has it.
    """

    unit: Unit
    short_name: str
    interface: Mapping[str, Any]
    context: RunContext
    shipped: Capsule | tuple[Found, list[Unit]]

    def request(self, inputs: Packed | None) -> RunRequest:
        """Return the message for the run.

        Raises:
            CapsuleError: a task that may be called cannot be shipped, or not to its image.
        """
        return request_of(self.unit, self.short_name, self.shipped, inputs, self.context)

    def opener(self) -> Opener:
        """Return what decodes the results."""
        return open_for(self.interface, strict=isinstance(self.shipped, tuple))


def start_of(task: Task, context: RunContext) -> Start:
    """Return what a run of a task begins with.

    Raises:
        CapsuleError: the task's code cannot be shipped.
        SecretError: a secret is to be found nowhere.
        NotFoundError: a deployed task is not there any more.
        DeploymentError: a deployed task has another signature now.
    """
    if isinstance(task, ReferenceTask):
        found = find(task)
        units = deployed_units(found, context.layer, task.overrides)
        name = units[0].settings.short_name or task.func_name
        return Start(units[0], name, found.interface, context, (found, units))
    capsule = _capsules.get(task)
    unit = _units.get(task, capsule, context.layer, root=True)
    return Start(unit, task.short_name, capsule.interface, context, capsule)


def capsule_of(task: Task) -> Capsule:
    """Return the capsule of a task, made now if anything it reads has changed."""
    return _capsules.get(task)


def open_for(interface: Mapping[str, Any], *, strict: bool = False) -> Opener:
    """Return what decodes the results of a task.

    Args:
        interface: what the task gives.
        strict: whether a class of this notebook counts only if it is written as there.
    """
    output = interface.get("output", {})
    return Opener(
        classes=_same_class if strict else _capsules.classes,
        returns_several=output.get("type") == "tuple",
        pickle=session.config().pickle,
    )


def _same_class(module: str, qualname: str, digest: str | None = None) -> type | None:
    """Find a class of the notebook that is written as where the value comes from.

    Raises:
        Missing: there is none; another class of that name would make another value of it.
    """
    found = _capsules.classes(module, qualname, digest)
    if found is not None and digest is not None and _capsules.class_hash(found) == digest:
        return found
    if module != "__main__":
        return None
    raise Missing(f"{module}.{qualname}", f"this notebook has no such {qualname!r}")


def python_refusal(
    name: str, need: PythonNeed, settings: Settings, target: str
) -> CapsuleError | None:
    """Return why the Python of an image cannot load the code of a task, ``None`` if it can."""
    if need.minimum is None and need.exact is None:
        return None
    version = session.make_target(target).python(settings)
    why = need.refusal(version) if version else ""
    if not why:
        return None
    wanted = need.exact or need.minimum or (0, 0)
    return CapsuleError(
        f"{name} cannot run in its image: {why}.",
        remedy=f"Take an image with Python {wanted[0]}.{wanted[1]}, such as "
        f"Image.from_debian_base(python_version={wanted}).",
    )


def request_of(
    unit: Unit,
    short_name: str,
    shipped: Capsule | tuple[Found, list[Unit]],
    inputs: Packed | None,
    context: RunContext,
) -> RunRequest:
    """Return the message for a run of a unit and of all tasks that it may call.

    Raises:
        CapsuleError: a task cannot be shipped, or not to its image.
    """
    load = _Load(context)
    root = unit.name
    if isinstance(shipped, tuple):
        root = load.add_deployed(*shipped)
    else:
        load.add(unit, shipped)
    return RunRequest(
        name=context.name or new_name(short_name),
        task=root,
        target=load.targets[root],
        targets={n: one for n, one in load.targets.items() if one != load.targets[root]},
        units=load.units,
        inputs=inputs,
        options=_options(context.labels),
        notes=tuple(load.notes),
        overridden=tuple(overridden((one.name, one.environment) for one in load.units.values())),
    )


class _Load:
    """The units of a run, gathered from where it begins.

    Args:
        context: what was said about the run.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self.units: dict[str, Unit] = {}
        self.targets: dict[str, str] = {}
        self.notes: list[str] = []

    def add(self, unit: Unit, capsule: Capsule) -> None:
        """Add a task of this kernel and all that it may call."""
        pending = [(unit, capsule)]
        while pending:
            one, shipped = pending.pop()
            if one.name in self.units:
                continue
            calls: dict[str, str] = {}
            # known before what it calls, which may be itself under other settings
            self.units[one.name] = one
            target = self.targets[one.name] = self._target_of(one, None)
            self._check(one, shipped.python, target)
            for address, child in shipped.child_tasks.items():
                if isinstance(child, ReferenceTask):
                    found = find(child)
                    units = deployed_units(found, self._context.layer)
                    calls[address] = self.add_deployed(found, units)
                    continue
                task = _declared(child)
                if task.name not in self.units and task.func is not None:
                    its = _capsules.get(task)
                    layer = self._context.layer
                    pending.append((_units.get(task, its, layer, root=False), its))
            if calls:
                self.units[one.name] = replace(one, calls=calls)

    def add_deployed(self, found: Found, units: list[Unit]) -> str:
        """Add a deployed task and all that it may call; return its name in the run."""
        if found.note and found.note not in self.notes:
            self.notes.append(found.note)
        places = {one.name: self._target_of(one, found.record.target) for one in units}
        names = {name: name for name in places}
        if any(self.targets.get(name, place) != place for name, place in places.items()):
            # the same code, deployed to two targets
            names = {name: f"{name} on {found.record.target}" for name in places}
        for one in units:
            name, place = names[one.name], places[one.name]
            self._check(one, need_of(found.record.units[one.name]), place)
            if name != one.name:
                calls = {address: names[key] for address, key in one.calls.items()}
                one = replace(one, name=name, calls=calls)
            self.units.setdefault(name, one)
            self.targets[name] = place
        return names[units[0].name]

    def _target_of(self, unit: Unit, deployed: str | None) -> str:
        """Return where a unit runs: where the run says, or it itself, or where it was deployed."""
        named = self._context.target or unit.settings.target
        return session.check_target(named or deployed or session.default_target())

    def _check(self, unit: Unit, need: PythonNeed, target: str) -> None:
        refusal = python_refusal(unit.name, need, unit.settings, target)
        if refusal is not None:
            raise refusal


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
        modules=_preloaded(capsule),
        files=included_files(settings.include, environment) if settings.include else None,
    )


def _preloaded(capsule: Capsule) -> tuple[str, ...]:
    """Return what a worker that waits for the next call may import: what the code imports."""
    if any(one.kind == "flyte" for one in capsule.report.imports):
        # declarations beside the task, as in the module that it is from, need all of the face
        return (*capsule.modules, FACE)
    return capsule.modules


def encode_inputs(
    task: Task, interface: Mapping[str, Any], given: dict[str, Any], limit: int | None
) -> Packed:
    """Encode the inputs of a call, checked against the task's signature.

    Args:
        task: the task.
        interface: what it takes, as schemas.
        given: value by name of the parameter.
        limit: ``max_inline_io_bytes``, ``None`` for the default.

    Raises:
        InputTypeError: an input has another type than its annotation says.
        InlineIOMaxBytesBreached: the inputs are larger than ``max_inline_io_bytes``.
    """
    encoded = encode(given, pickle=session.config().pickle, class_hash=_capsules.class_hash)
    check_inputs(task.func_name, interface, encoded.tree)
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
