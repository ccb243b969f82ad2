"""What holds for an environment or one task, field by field, and who said so.

Later wins: environment, task, panel (of the environment, then of the task), ``.override()``, run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.errors import SpecError
from flyte_jupyter.spec.settings import Layer, Settings, apply_layer, layer, merge_layers
from flyte_jupyter.spec.task import Task
from flyte_jupyter.steering import texts
from flyte_jupyter.steering.fields import FIELDS, Field

__all__ = ["Level", "State", "reset", "says", "set_text", "settings_at", "state_of", "states"]

ORIGINS = {
    "default": "default",
    "environment": "environment",
    "task": "task",
    "panel of the environment": "panel, for the environment",
    "panel": "panel",
    "override": "override",
    "run": "run",
}


@dataclass(frozen=True, slots=True)
class Level:
    """Where something is edited: an environment with all its tasks, or one task.

    Args:
        environment: name of the environment.
        task: full name of the task, ``""`` for all of the environment.
    """

    environment: str
    task: str = ""

    @property
    def scope(self) -> str:
        """The name under which its overrides stand in the catalog."""
        return self.task or self.environment

    @property
    def label(self) -> str:
        """What displays call it."""
        return self.task.rpartition(".")[2] if self.task else self.environment


@dataclass(frozen=True, slots=True)
class State:
    """One field at one level.

    Args:
        field: the row of the table.
        text: what holds, as it would be typed; ``""`` where nothing is said.
        declared: what would hold without the override of this level.
        origin: who had the last word: ``default``, ``environment``, ``task``, ``panel, for the
            environment``, ``panel``, ``override`` or ``run``.
        overridden: whether this level overrides it.
        fixed: why it cannot be changed at this level, ``""`` if it can.
        note: what else is to be known: tasks that say otherwise.
    """

    field: Field
    text: str
    declared: str
    origin: str
    overridden: bool
    fixed: str = ""
    note: str = ""


def states(
    catalog: Catalog, level: Level, *, call: Task | None = None, run: Layer | None = None
) -> list[State]:
    """Return the state of every field, in the order of the table.

    Args:
        catalog: the session's declarations.
        level: where it is looked at.
        call: the task with an ``.override()`` of its own, to see what holds for that call.
        run: what a run says, likewise.

    Raises:
        NotFoundError: there is no such environment or task.
    """
    found = _Layers(catalog, level, call, run)
    return [_state(catalog, level, field, found) for field in FIELDS]


def state_of(catalog: Catalog, level: Level, field: Field) -> State:
    """Return the state of one field."""
    return _state(catalog, level, field, _Layers(catalog, level))


def settings_at(catalog: Catalog, level: Level) -> Settings:
    """Return what holds at a level."""
    return _Layers(catalog, level).settings


def set_text(catalog: Catalog, level: Level, field: Field, text: str) -> None:
    """Override a field by a text, as it is typed; what holds anyway is no override.

    Raises:
        NotFoundError: there is no such environment or task.
        SpecError: the text is nothing that the field takes; in the words that code gets.
    """
    now = _Layers(catalog, level)
    taken = dict(field.take(text.strip(), now.settings))
    if field.name == "env_vars":
        declared: Mapping[str, Any] = now.beneath.env_vars or {}
        taken["env_vars"] = _changed(taken["env_vars"], declared) or None
        if taken["env_vars"] is None:
            catalog.clear_override(level.scope, "env_vars")
            return
    checked = layer(taken, "panel")
    own = {} if field.name == "env_vars" else now.own
    after = apply_layer(now.beneath, merge_layers(own, checked))
    if texts.same(after, now.beneath, field.setting, field.part) and not _tasks_say(
        catalog, level, field
    ):
        catalog.clear_override(level.scope, field.about)
        return
    if field.name == "env_vars":
        # variables merge: what was overridden before and is not any more has to go first
        catalog.clear_override(level.scope, "env_vars")
    catalog.set_override(level.scope, **taken)


def reset(catalog: Catalog, level: Level, field: Field | None = None) -> None:
    """Take back the override of a field at a level, or of all.

    Of what is overridden together (request and limit, count and type) only this row goes back,
    where that is possible.
    """
    if field is None:
        catalog.clear_override(level.scope)
        return
    if _is_shared(field):
        declared = field.show(_Layers(catalog, level).beneath)
        with contextlib.suppress(SpecError):
            set_text(catalog, level, field, declared)
            return
    catalog.clear_override(level.scope, field.about)


class _Layers:
    """What is said at a level, the one that wins last.

    Args:
        catalog: the session's declarations.
        level: the level.
        call: the task with an ``.override()``.
        run: what a run says.
    """

    def __init__(
        self, catalog: Catalog, level: Level, call: Task | None = None, run: Layer | None = None
    ) -> None:
        environment = catalog.find_environment(level.environment)
        panel: Mapping[str, Any] = catalog.overrides
        given = {name: getattr(environment.settings, name) for name in environment.given}
        of_environment = panel.get(environment.name) or {}
        self.own: Mapping[str, Any] = panel.get(level.scope) or {}
        beneath: list[tuple[str, Layer]] = []
        task: Task | None = None
        if level.task:
            task = call or catalog.find_task(level.task)
            beneath = [("task", task.settings), ("panel of the environment", of_environment)]
        above: list[tuple[str, Layer]] = [("panel", self.own)]
        if task is not None:
            above += [("override", task.overrides), ("run", run or {})]
        self.beneath: Settings = _laid(environment.settings, beneath)
        self.settings: Settings = _laid(self.beneath, above)
        self._said = [("environment", given), *beneath, *above]

    def origin(self, field: Field, but: str = "") -> str:
        """Return who had the last word on a field, or would have had it but for one layer."""
        said = (who for who, fields in reversed(self._said) if who != but and says(fields, field))
        return next(said, "default")


def says(fields: Layer, field: Field) -> bool:
    """Return whether a layer says something of a field."""
    if field.setting not in fields:
        return False
    value = fields[field.setting]
    return not field.part or value is None or getattr(value, field.part) is not None


def _laid(settings: Settings, layers: list[tuple[str, Layer]]) -> Settings:
    for _, fields in layers:
        settings = apply_layer(settings, fields)
    return settings


def _state(catalog: Catalog, level: Level, field: Field, found: _Layers) -> State:
    text, declared = field.show(found.settings), field.show(found.beneath)
    fixed = "" if field.of_a_task or not level.task else field.elsewhere
    own = says(found.own, field)
    # parts of one field are overridden together, and only one of them may differ
    overridden = own and (text != declared or not _is_shared(field))
    origin = found.origin(field)
    if origin == "panel" and not overridden:
        origin = found.origin(field, but="panel")
    return State(
        field,
        text,
        declared,
        ORIGINS[origin],
        overridden,
        fixed,
        "; ".join(_tasks_say(catalog, level, field)),
    )


def _is_shared(field: Field) -> bool:
    return sum(other.about == field.about for other in FIELDS) > 1


def _changed(wanted: Mapping[str, str | None], beneath: Mapping[str, Any]) -> dict[str, Any]:
    return {name: text for name, text in wanted.items() if beneath.get(name) != text}


def _tasks_say(catalog: Catalog, level: Level, field: Field) -> list[str]:
    """Return which tasks of an environment say otherwise than it, each in a few words."""
    return [] if level.task else list(_others(catalog, level, field))


def _others(catalog: Catalog, level: Level, field: Field) -> Iterator[str]:
    for task in catalog.tasks_of(level.environment):
        if says(task.settings, field):
            text = field.show(apply_layer(Settings(), task.settings))
            if text or not _is_shared(field):
                yield f"{task.func_name} declares {text or field.empty}"
        own = catalog.overrides.get(task.name) or {}
        if says(own, field):
            text = field.show(apply_layer(Settings(), own))
            if text or not _is_shared(field):
                yield f"{task.func_name} is overridden to {text or field.empty}"
