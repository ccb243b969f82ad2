"""What an environment or a task runs under now, as the lines of code that say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.spec.fields import FIELD_TABLE
from flyte_jupyter.spec.settings import merge_layers
from flyte_jupyter.steering.code import arguments, expression
from flyte_jupyter.steering.levels import Level, settings_at
from flyte_jupyter.steering.options import line_of, options_of

__all__ = ["magic_line", "overrides_of", "python_lines"]

# `%flyte_run` takes these; the others have to be said where the task is declared, or on the call
OF_A_RUN = (
    "resources", "env_vars", "cache", "retries", "timeout", "target", "queue", "interruptible",
    "service_account", "max_inline_io_bytes",
)  # fmt: skip


def python_lines(catalog: Catalog, level: Level) -> str:
    """Return the Python that says what holds now, without a panel.

    Of an environment its declaration, of a task the call of ``.override()`` and the decorator.
    """
    return _of_task(catalog, level) if level.task else _of_environment(catalog, level)


def magic_line(catalog: Catalog, level: Level) -> str:
    """Return the magic line that says what holds now: ``%%flyte_env`` or ``%flyte_run``."""
    if level.task:
        taken = {k: v for k, v in overrides_of(catalog, level).items() if k in OF_A_RUN}
        options = options_of(taken)
        if variables := options.get("--env-vars"):  # a run takes one a time
            options["--env-vars"] = (" --env-vars ".join(variables),)
        line = line_of(options)
        return " ".join(filter(None, ("%flyte_run", line, f"{level.label}(...)")))
    environment = catalog.find_environment(level.environment)
    fields = {**_common(catalog, level), **_declared(catalog, level)}
    options = options_of(fields)
    if environment.depends_on:
        options["--depends-on"] = tuple(each.name for each in environment.depends_on)
    return " ".join(filter(None, (f"%%flyte_env {environment.name}", line_of(options))))


def overrides_of(catalog: Catalog, level: Level) -> dict[str, Any]:
    """Return what the panel overrides for a level: for a task, that of its environment below."""
    of_environment = catalog.overrides.get(level.environment) or {}
    own = catalog.overrides.get(level.scope) or {}
    return merge_layers(of_environment, own) if level.task else dict(own)


def _declared(catalog: Catalog, level: Level) -> dict[str, Any]:
    """Return the fields that a declaration has to give: not what is the default anyway."""
    environment = catalog.find_environment(level.environment)
    given = set(environment.given) | set(catalog.overrides.get(level.environment) or {})
    holds = dict(settings_at(catalog, level).given())
    return {name: value for name, value in holds.items() if name in given}


def _common(catalog: Catalog, level: Level) -> dict[str, Any]:
    """Return what all tasks of an environment say alike, of what their magic line can say."""
    tasks = catalog.tasks_of(level.environment)
    return {
        name: tasks[0].settings[name]
        for name in ("retries", "timeout")
        if tasks
        and all(task.settings.get(name) is not None for task in tasks)
        and all(task.settings[name] == tasks[0].settings[name] for task in tasks)
    }


def _of_environment(catalog: Catalog, level: Level) -> str:
    environment = catalog.find_environment(level.environment)
    fields = _declared(catalog, level)
    own = {k: v for k, v in fields.items() if "environment" in FIELD_TABLE[k].levels}
    parts = [f"name={environment.name!r}", arguments(own)]
    if environment.depends_on:
        names = ", ".join(each.variable_name for each in environment.depends_on)
        parts.append(f"depends_on=[{names}]")
    variable = environment.variable_name
    lines = [f"{variable} = flyte.TaskEnvironment({', '.join(filter(None, parts))})"]
    of_tasks = {k: v for k, v in fields.items() if k not in own}
    if of_tasks:
        lines.append(f"@{variable}.task({arguments(of_tasks)})")
    return "\n".join(lines)


def _of_task(catalog: Catalog, level: Level) -> str:
    task = catalog.find_task(level.task)
    over = overrides_of(catalog, level)
    own = {k: v for k, v in over.items() if "override" in FIELD_TABLE[k].levels}
    lines = [f"{task.func_name}.override({arguments(own)})" if own else task.func_name]
    declared = {
        name: value
        for name, value in merge_layers(task.settings, own).items()
        if "task" in FIELD_TABLE[name].levels and value is not None
    }
    variable = catalog.environment_of(task).variable_name
    lines.append(f"@{variable}.task({arguments(declared)})" if declared else f"@{variable}.task")
    lines += [
        f"# {name}={expression(value)} belongs to the environment"
        for name, value in _of_its_environment(over).items()
    ]
    return "\n".join(lines)


def _of_its_environment(over: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in over.items() if "override" not in FIELD_TABLE[k].levels}
