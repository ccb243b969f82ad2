"""A recorded run, run again: its inputs, its target, what was said of it, all open to change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from inspect import Parameter
from pathlib import Path
from typing import Any

from flyte_jupyter import catalog
from flyte_jupyter.engine.events import Phase
from flyte_jupyter.engine.journal import load_value
from flyte_jupyter.errors import NotFoundError
from flyte_jupyter.session import session
from flyte_jupyter.session.history import find_run, reading
from flyte_jupyter.session.reference import reference_task
from flyte_jupyter.session.run import Run
from flyte_jupyter.session.submit import RunContext, open_for, submit
from flyte_jupyter.spec import Task
from flyte_jupyter.spec.binding import spread
from flyte_jupyter.spec.settings import from_plain, merge_layers
from flyte_jupyter.store.folders import state_folder

__all__ = ["Recorded", "arguments", "context_for", "inputs_of", "recorded", "rerun", "task_of"]

ROOT = "a0"
# what runs have no inputs that could be given again
WITHOUT_INPUTS = {
    "map": "is a map of many calls, not one call with inputs",
    "cell": "is the body of a %%flyte_run cell, not a task",
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the journal keeps of a run, for another one like it.

    Args:
        name: of the run.
        task: full name of its task; of a deployed one followed by ``@`` and a hash.
        target: name of the target that it ran on.
        phase: where it stands.
        layer: what the run said: overrides, queue, environment variables.
        override: what ``.override()`` said of the task.
        said_target: the target that the run itself named, ``None`` if it named none.
        labels: of the run.
        inputs: the block of bytes of its inputs, ``None`` where it is not kept.
    """

    name: str
    task: str
    target: str
    phase: Phase
    layer: Mapping[str, Any] = field(default_factory=dict)
    override: Mapping[str, Any] = field(default_factory=dict)
    said_target: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    inputs: bytes | None = None


def recorded(run: str | Run = "") -> Recorded:
    """Return what is kept of a run.

    Args:
        run: the run, its name or the beginning of that; without it, the last one of this kernel,
            or of this folder.

    Raises:
        NotFoundError: there is no such run, or it is none that can be run again.
    """
    word = run.name if isinstance(run, Run) else str(run)
    found, _ = find_run((word,) if word and word != "last" else ())
    folder = session.config().state or state_folder()
    with reading(folder) as db:
        (options,) = db.execute("SELECT options FROM runs WHERE name = ?", (found.name,)).fetchone()
        row = db.execute(
            "SELECT inputs FROM actions WHERE run = ? AND name = ?", (found.name, ROOT)
        ).fetchone()
    told = json.loads(options or "{}")
    said = told.get("said", {})
    if why := WITHOUT_INPUTS.get(said.get("what", "")):
        raise NotFoundError(
            f"{found.name} {why}.", remedy="Execute its cell again to run it again."
        )
    return Recorded(
        name=found.name,
        task=found.task,
        target=found.target,
        phase=found.phase,
        layer=from_plain(said.get("layer", {})),
        override=from_plain(said.get("override", {})),
        said_target=said.get("target"),
        labels=told.get("labels", {}),
        inputs=(row[0] if row else None) or _written(folder, found.name),
    )


def _written(folder: Path, run: str) -> bytes | None:
    """Return inputs that were too large for the journal itself, if their file is still kept."""
    path = folder / "values" / run / f"{ROOT}.inputs.value"
    try:
        return path.read_bytes()
    except OSError:
        return None


def task_of(run: Recorded) -> Task:
    """Return the task of a recorded run as it is declared now, under its ``.override()``.

    Raises:
        NotFoundError: it is declared no more, or deployed no more.
    """
    plain, _, deployed = run.task.partition("@")
    if deployed:
        task: Task = reference_task(plain)
    else:
        declaration = catalog.current().declaration_of(run.task)
        if declaration is None:
            raise NotFoundError(
                f"{run.name} is a run of {run.task}, which is not declared in this kernel.",
                remedy="Run the cell that declares it; then it can be run again.",
            )
        task = declaration.value
    return task.override(**run.override) if run.override else task


def inputs_of(run: Recorded) -> dict[str, Any]:
    """Return the inputs of a recorded run, by parameter.

    What cannot be opened in this kernel is a handle that can be passed on.

    Raises:
        NotFoundError: they are not kept any more.
    """
    if run.inputs is None:
        raise NotFoundError(
            f"The inputs of {run.name} are not kept any more.",
            remedy=f"Call {run.task} with new ones.",
        )
    strict = "@" in run.task
    inputs: dict[str, Any] = open_for({}, strict=strict).value(load_value(run.inputs))
    return inputs


def context_for(run: Recorded, context: RunContext, task: Task) -> RunContext:
    """Return what is said about the next run: what ``context`` says, over what was said then.

    Args:
        run: the recorded run.
        context: what is said now.
        task: its task.
    """
    if not context.keep:
        return replace(context, again=run.name)
    target = context.target or run.said_target
    layer = merge_layers(run.layer, context.layer)
    if target is None:
        settings = catalog.current().resolve(task, layer).settings if task.func else None
        here = (settings.target if settings else None) or session.default_target()
        # where nothing names a target, it goes to where it went, whatever the default is now
        target = run.target if here != run.target else None
    return replace(
        context,
        target=target,
        layer=layer,
        labels={**run.labels, **context.labels},
        again=run.name,
    )


def rerun(run: Recorded, changes: Mapping[str, Any], context: RunContext) -> Run:
    """Run a recorded run again.

    Args:
        run: the recorded run.
        changes: inputs that are to be others, by name.
        context: what is said about the new run.

    Raises:
        NotFoundError: its task is declared no more, or its inputs are not kept any more.
        InputError: an input that the task does not take, or not any more.
        CapsuleError: the task's code cannot be shipped.
    """
    task = task_of(run)
    args, kwargs = arguments(task, inputs_of(run), changes)
    return submit(task, args, kwargs, context_for(run, context, task))


def arguments(
    task: Task, inputs: Mapping[str, Any], changes: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call with recorded inputs, some of them changed.

    Args:
        task: the task.
        inputs: the recorded ones, by parameter.
        changes: the others, by name.

    Raises:
        InputError: one that the task does not take, or not any more.
    """
    parameters = task.signature.parameters
    values, more = dict(inputs), dict[str, Any]()
    for name, value in changes.items():
        known = name in parameters and parameters[name].kind is not Parameter.VAR_KEYWORD
        (values if known else more)[name] = value
    args, kwargs = spread(task.signature, values)
    stale = {name: value for name, value in values.items() if name not in parameters}
    kwargs |= {**stale, **more}
    task.bind(args, kwargs)
    return tuple(args), kwargs
