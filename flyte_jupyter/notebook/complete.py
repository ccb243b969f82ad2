"""What can be typed next in a line of ours, as candidates with a type.

`candidates` is a pure function of the line and the session; `matching` hands it to IPython.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.notebook.matching import LINE
from flyte_jupyter.notebook.options import (
    CELL_RUN_OPTIONS,
    CLEAN_OPTIONS,
    DEPLOY_OPTIONS,
    DEPLOYMENTS_OPTIONS,
    ENV_OPTIONS,
    EXPLAIN_OPTIONS,
    GRAPH_OPTIONS,
    IMAGES_OPTIONS,
    LAUNCH_OPTIONS,
    LOGS_OPTIONS,
    PANEL_OPTIONS,
    PS_OPTIONS,
    RERUN_OPTIONS,
    ROLLBACK_OPTIONS,
    RUN_OPTIONS,
    UNDEPLOY_OPTIONS,
    Kind,
    Option,
)
from flyte_jupyter.notebook.splitting import split
from flyte_jupyter.spec.task import Task

__all__ = ["Candidate", "Completion", "candidates"]

TABLES = {
    ("%", "flyte_env"): ENV_OPTIONS,
    ("%%", "flyte_env"): ENV_OPTIONS,
    ("%", "flyte_run"): RUN_OPTIONS,
    ("%%", "flyte_run"): CELL_RUN_OPTIONS,
    ("%", "flyte_explain"): EXPLAIN_OPTIONS,
    ("%", "flyte_launch"): LAUNCH_OPTIONS,
    ("%", "flyte_logs"): LOGS_OPTIONS,
    ("%", "flyte_rerun"): RERUN_OPTIONS,
    ("%", "flyte_ps"): PS_OPTIONS,
    ("%", "flyte_clean"): CLEAN_OPTIONS,
    ("%", "flyte_images"): IMAGES_OPTIONS,
    ("%", "flyte_deploy"): DEPLOY_OPTIONS,
    ("%", "flyte_deployments"): DEPLOYMENTS_OPTIONS,
    ("%", "flyte_rollback"): ROLLBACK_OPTIONS,
    ("%", "flyte_undeploy"): UNDEPLOY_OPTIONS,
    ("%", "flyte_graph"): GRAPH_OPTIONS,
    ("%", "flyte_panel"): PANEL_OPTIONS,
}
# what takes names of environments
OF_ENVIRONMENTS = (
    "flyte_deploy",
    "flyte_deployments",
    "flyte_graph",
    "flyte_panel",
    "flyte_rollback",
    "flyte_undeploy",
)
OPEN_CALL = re.compile(r"([A-Za-z_][\w.-]*)\(([^()]*)$")
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
CACHE = ("auto", "override", "disable")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that can stand next.

    Args:
        text: what replaces the fragment.
        type: what it is: ``option``, ``environment``, ``task``, ``param``, ``value``.
    """

    text: str
    type: str


@dataclass(frozen=True, slots=True)
class Completion:
    """The candidates for a fragment, the piece of the line that they replace."""

    fragment: str
    candidates: tuple[Candidate, ...]


def candidates(line: str, catalog: Catalog, variables: Mapping[str, Any] = {}) -> Completion | None:
    """Return what can complete a line, ``None`` where it is none of ours or IPython knows better.

    Args:
        line: the line up to the cursor.
        catalog: the session's declarations.
        variables: the names of the notebook.
    """
    match = LINE.match(line)
    if match is None:
        return None
    mark, magic = match["mark"], match["magic"]
    rest = line[match.end() :]
    if magic == "flyte_envs":
        fragment = _last_word(rest)
        return _completion(fragment, _named(catalog.environments, "environment"))
    options = TABLES.get((mark, magic))
    if options is None:
        return None
    if mark == "%" and magic in ("flyte_run", "flyte_explain", "flyte_launch"):
        call = OPEN_CALL.search(rest)
        if call is not None:
            return _parameters(call, catalog, variables)
    fragment = _last_word(rest)
    before = rest[: len(rest) - len(fragment)]
    option = _waiting(before, options)
    if fragment.startswith("-"):
        return _completion(fragment, _options(options))
    if option is not None:
        values = _values(option, catalog)
        if fragment or option.kind is not Kind.MANY:
            return _completion(fragment, values)
        return _completion(fragment, [*values, *_options(options)])
    if magic == "flyte_env":
        if not before.strip():
            return _completion(fragment, _named(catalog.environments, "environment"))
        return _completion(fragment, _options(options))
    if mark == "%%" or magic in ("flyte_ps", "flyte_clean", "flyte_images"):
        return _completion(fragment, _options(options))
    if magic in OF_ENVIRONMENTS:
        named = _named(catalog.environments, "environment")
        return _completion(fragment, [*named, *_options(options)])
    if magic == "flyte_rerun":
        return _completion(fragment, [*_runs(), *_options(options)])
    if magic == "flyte_logs":
        return _completion(fragment, [*_runs(), *_tasks(catalog, variables), *_options(options)])
    return _completion(fragment, [*_tasks(catalog, variables), *_options(options)])


def _completion(fragment: str, found: Iterable[Candidate]) -> Completion:
    low = fragment.lower().replace("_", "-") if fragment.startswith("--") else fragment.lower()
    fitting = {each.text: each for each in found if each.text.lower().startswith(low)}
    return Completion(fragment, tuple(fitting.values()))


def _last_word(text: str) -> str:
    """Return the word that is being typed, empty after a space."""
    words = split(text, tolerant=True)
    return text[words[-1].start :] if words and words[-1].end == len(text) else ""


def _waiting(before: str, options: tuple[Option, ...]) -> Option | None:
    """Return the option whose value is about to be typed."""
    words = [word.text for word in split(before, tolerant=True)]
    for distance, word in enumerate(reversed(words)):
        if word.startswith("--"):
            flag = word.replace("_", "-")
            for option in options:
                if flag in option.flags and option.kind not in (Kind.FLAG, Kind.SWITCH):
                    return option if distance == 0 or option.kind is Kind.MANY else None
            return None
    return None


def _options(options: tuple[Option, ...]) -> list[Candidate]:
    flags = []
    for option in options:
        flags.append(Candidate(option.flags[0], "option"))
        if option.kind is Kind.SWITCH:
            flags.append(Candidate("--no-" + option.flags[0].lstrip("-"), "option"))
    return sorted(flags, key=lambda each: each.text)


def _values(option: Option, catalog: Catalog) -> list[Candidate]:
    source = _SOURCES.get(option.source)
    return source(catalog) if source is not None else []


def _named(names: Iterable[str], kind: str) -> list[Candidate]:
    return [Candidate(name, kind) for name in names]


def _tasks(catalog: Catalog, variables: Mapping[str, Any]) -> list[Candidate]:
    bound = [name for name, value in variables.items() if isinstance(value, Task)]
    here = {variables[name].name for name in bound}
    others = [name for name in catalog.tasks if name not in here]
    return _named([*(name for name in bound if not name.startswith("_")), *others], "task")


def _runs() -> list[Candidate]:
    from flyte_jupyter.session.history import recent_runs

    return _named(recent_runs(), "run")


def _parameters(
    call: re.Match[str], catalog: Catalog, variables: Mapping[str, Any]
) -> Completion | None:
    """Return the parameters that can be named next, ``None`` inside a value."""
    name, arguments = call.group(1), call.group(2)
    piece = arguments.rpartition(",")[2].lstrip()
    if "=" in piece or not (piece == "" or piece.isidentifier()):
        return None
    task = variables.get(name)
    if not isinstance(task, Task):
        task = catalog.tasks.get(name)
    if task is None:
        return None
    given = set(re.findall(r"(\w+)\s*=", arguments))
    names = [
        parameter.name + "="
        for parameter in task.signature.parameters.values()
        if parameter.kind
        in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        and parameter.name not in given
    ]
    completion = _completion(piece, _named(names, "param"))
    return completion if completion.candidates else None


def _environments(catalog: Catalog) -> list[Candidate]:
    return _named(catalog.environments, "environment")


def _queues(catalog: Catalog) -> list[Candidate]:
    settings = [declaration.value.settings for declaration in catalog.environments.values()]
    return _named(sorted({each.queue for each in settings if each.queue}), "value")


def _accelerators(_catalog: Catalog) -> list[Candidate]:
    from flyte_jupyter.spec.devices import GPUAccelerator

    names = [name for name in dir(GPUAccelerator) if name.isupper()]
    return _named(names, "value")


def _devices(_catalog: Catalog) -> list[Candidate]:
    from flyte_jupyter.spec.devices import device_types

    return _named([kind.name.replace(" ", "_") for kind in device_types()], "value")


def _targets(_catalog: Catalog) -> list[Candidate]:
    from flyte_jupyter.session.session import target_names

    return _named(target_names(), "value")


_SOURCES: dict[str, Callable[[Catalog], list[Candidate]]] = {
    "environments": _environments,
    "queues": _queues,
    "accelerators": _accelerators,
    "devices": _devices,
    "targets": _targets,
    "pythons": lambda _: _named(PYTHONS, "value"),
    "cache": lambda _: _named(CACHE, "value"),
    "runs": lambda _: [Candidate("last", "run"), *_runs()],
    "shm": lambda _: _named(("auto",), "value"),
}
