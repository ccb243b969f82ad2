"""What a form launches, as code: the call in Python, and the line of the magic."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.launching.said import run_fields
from flyte_jupyter.launching.settings import SETTINGS, Settings
from flyte_jupyter.launching.values import Filled
from flyte_jupyter.launching.written import Writer
from flyte_jupyter.spec import Task
from flyte_jupyter.spec.binding import spread

__all__ = ["Call", "magic_of", "python_of"]

PACKAGE = "flyte_jupyter"
PARTS = ("cpu", "memory", "gpu", "disk", "shm")


@dataclass(frozen=True, slots=True)
class Call:
    """What a form launches.

    Args:
        task: the task.
        inputs: those that were filled in, by parameter.
        settings: what was said of the run.
        notebook: the names that code may use.
        writer: what was imported for the inputs.
    """

    task: Task
    inputs: Mapping[str, Filled]
    settings: Settings
    notebook: Mapping[str, Any]
    writer: Writer

    @property
    def repeats(self) -> str:
        """Name of the recorded run, empty where there is none."""
        return self.settings.recorded.name if self.settings.recorded is not None else ""

    @property
    def said(self) -> tuple[dict[str, Any], bool]:
        """What is said of the run, and whether what was said of the recorded run holds beside it.

        A rerun repeats what was said; where something of that is taken back, all is said anew.
        """
        keeps = not self.settings.taken_back
        return self.settings.values(everything=not keeps), keeps


def python_of(call: Call) -> str:
    """Return the Python of a call, with the imports that it needs above it."""
    writer = call.writer
    flyte = _flyte(call)
    first = repr(call.repeats) if call.repeats else _task(call) or repr(call.task.name)
    verb = "rerun" if call.repeats else "run"
    said, keeps = call.said
    inputs = _inputs(call)
    parameters = call.task.signature.parameters
    if said.keys() == {"task_queue"} and keeps and "task_queue" not in parameters:
        inputs.append(f"task_queue={said['task_queue']!r}")
        said = {}
    if said or not keeps:
        options = _options(said, writer) + ([] if keeps else ["keep=False"])
        flyte = f"{flyte}.with_runcontext({', '.join(options)})"
    line = f"{flyte}.{verb}({', '.join([first, *inputs])})"
    return "\n".join([*writer.imports, line])


def magic_of(call: Call) -> str:
    """Return the magic's line of a call, with the imports that it needs above it."""
    said, keeps = call.said
    words = []
    for setting in SETTINGS:
        if setting.name not in said:
            continue
        value = said[setting.name]
        if setting.switch:
            words.append(setting.flag if value else "--no-" + setting.flag[2:])
        else:
            for one in value if setting.many else [value]:
                words += [setting.flag, _quoted(one)]
    if not keeps:
        words.append("--no-keep")
    inputs = _inputs(call)
    magic = "%flyte_rerun" if call.repeats else "%flyte_run"
    if call.repeats:
        target = call.repeats + (f"({', '.join(inputs)})" if inputs else "")
    else:
        target = f"{_task(call) or call.task.name}({', '.join(inputs)})"
    return "\n".join([*call.writer.imports, " ".join([magic, *words, target])])


def _inputs(call: Call) -> list[str]:
    """Return the written arguments of a call, in the order of the signature."""
    codes = {name: one.code for name, one in call.inputs.items()}
    parameters = call.task.signature.parameters
    values: dict[str, Any] = dict(codes)
    for name, parameter in parameters.items():
        if name in values and parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            values[name] = [f"*{codes[name]}"]
        elif name in values and parameter.kind is inspect.Parameter.VAR_KEYWORD:
            values[name] = {}
    args, kwargs = spread(call.task.signature, values)
    by_name = not any(
        one.kind in (one.POSITIONAL_ONLY, one.VAR_POSITIONAL)
        for name, one in parameters.items()
        if name in values
    )
    names = [one for one in parameters if one in values][: len(args)]
    written = [f"{n}={code}" if by_name else code for n, code in zip(names, args, strict=False)]
    written += [f"{name}={code}" for name, code in kwargs.items()]
    gathered = [n for n, one in parameters.items() if one.kind is one.VAR_KEYWORD and n in codes]
    return written + [f"**{codes[name]}" for name in gathered]


def _flyte(call: Call) -> str:
    import sys

    package = sys.modules[PACKAGE]
    for name in ("flyte", PACKAGE):
        if call.notebook.get(name) is package:
            return name
    call.writer.imports[f"import {PACKAGE} as flyte"] = None
    return "flyte"


def _task(call: Call) -> str:
    """Return the variable that holds the task here, empty without one."""
    bound = {name: value for name, value in list(call.notebook.items()) if isinstance(value, Task)}
    for name, value in bound.items():
        if value is call.task and not name.startswith("_"):
            return name
    if call.task.overrides:
        call.writer.imports[f"# {call.task.func_name} is meant with what .override() said"] = None
    for name, value in bound.items():
        if value.name == call.task.name and not value.overrides and not name.startswith("_"):
            return name
    return ""


def _options(said: Mapping[str, Any], writer: Writer) -> list[str]:
    fields = run_fields(said)
    overrides = dict(fields.pop("overrides", {}))
    resources = overrides.pop("resources", None)
    parts = {name: getattr(resources, name) for name in PARTS if resources is not None}
    overrides = {**{k: v for k, v in parts.items() if v is not None}, **overrides}
    if "timeout" in overrides:
        overrides["timeout"] = overrides["timeout"].total_seconds()
    if overrides:
        fields["overrides"] = overrides
    return [f"{name}={writer.write(value)}" for name, value in fields.items()]


def _quoted(text: str) -> str:
    return shlex.quote(text) if any(one in text for one in " '\"{}$\\") or not text else text
