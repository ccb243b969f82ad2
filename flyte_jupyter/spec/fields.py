"""The table of fields: how each is spelled, where it may be given, checked, merged and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping

from flyte_jupyter.errors import SpecError, SpecTypeError
from flyte_jupyter.spec import checks, plain
from flyte_jupyter.spec.image import Image, image_of
from flyte_jupyter.spec.naming import did_you_mean, listing, shown
from flyte_jupyter.spec.pod import pod_template_of
from flyte_jupyter.spec.policies import Cache, RetryStrategy, ReusePolicy, Timeout
from flyte_jupyter.spec.resources import FIELDS as PARTS
from flyte_jupyter.spec.resources import Resources, check_resources, combine
from flyte_jupyter.spec.secret import secrets_of
from flyte_jupyter.spec.variables import CLEARED as NO_VARIABLES
from flyte_jupyter.spec.variables import Variables

__all__ = [
    "ANY",
    "FIELD_TABLE",
    "LEVELS",
    "SPELLINGS",
    "UNSET",
    "FieldRow",
    "Unset",
    "normalise",
    "overridable",
]


class Unset:
    """The type of `UNSET`."""

    _only: Unset | None = None

    def __new__(cls) -> Unset:
        """Return the one of its kind."""
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "UNSET"


UNSET = Unset()
"""A parameter that was not given, where None is a value of its own."""

LEVELS = ("environment", "task", "panel", "override", "run")
"""Where settings come from; later wins."""

ANY = "any"
"""The level of what was checked before: every field is taken."""

_CALLS = frozenset({"task", "panel", "override", "run"})
_DECLARED = frozenset({"environment", "panel"})


@dataclass(frozen=True)
class FieldRow:
    """One field of the settings.

    Args:
        check: turns what a user gives into the value that is kept, or raises; a value that is kept
            passes unchanged.
        levels: where it may be given.
        cleared: for a field that merges (values have ``merge`` and ``settled``), the value that
            clears what it is merged over; None for a field that is replaced.
        to_plain: turns a value into JSON values.
        from_plain: turns it back.
        elsewhere: where it is to be given instead, for the error.
    """

    check: Callable[[Any], Any]
    levels: frozenset[str] = frozenset(LEVELS)
    cleared: Any = None
    to_plain: Callable[[Any], Any] = lambda value: value
    from_plain: Callable[[Any], Any] = lambda value: value
    elsewhere: str = ""


_BELONGS = "it belongs to the environment; make another with clone_with(name, {}=...)"

FIELD_TABLE: dict[str, FieldRow] = {
    "image": FieldRow(
        image_of,
        _DECLARED,
        to_plain=lambda value: value.to_plain(),
        from_plain=Image.from_plain,
        elsewhere=_BELONGS.format("image"),
    ),
    "resources": FieldRow(
        lambda value: check_resources("resources", value),
        cleared=Resources(cpu=0, memory=0, gpu=0, disk=0, shm=0),
        to_plain=lambda value: value.to_plain(),
        from_plain=Resources.from_plain,
    ),
    "env_vars": FieldRow(
        checks.env_vars, cleared=NO_VARIABLES, to_plain=dict, from_plain=Variables
    ),
    "secrets": FieldRow(secrets_of, to_plain=plain.secrets_plain, from_plain=plain.secrets_value),
    "description": FieldRow(
        checks.line("description"), _DECLARED, elsewhere=_BELONGS.format("description")
    ),
    "short_name": FieldRow(
        checks.line("short_name"), _CALLS, elsewhere="it belongs to a task; write it on @env.task"
    ),
    "docs": FieldRow(
        checks.docs,
        frozenset({"task"}),
        elsewhere="it is said where a task is declared, on "
        "@env.task; an environment has description=",
    ),
    "cache": FieldRow(Cache.of, to_plain=plain.cache_plain, from_plain=plain.cache_value),
    "retries": FieldRow(
        RetryStrategy.of,
        _CALLS,
        to_plain=plain.retries_plain,
        from_plain=plain.retries_value,
        elsewhere="it belongs to a task; write @env.task(retries=...)",
    ),
    "timeout": FieldRow(
        Timeout.of,
        _CALLS,
        to_plain=plain.timeout_plain,
        from_plain=plain.timeout_value,
        elsewhere="it belongs to a task; write @env.task(timeout=...)",
    ),
    "reusable": FieldRow(
        ReusePolicy.of,
        frozenset(LEVELS) - {"task"},
        to_plain=plain.reuse_plain,
        from_plain=plain.reuse_value,
        elsewhere="containers are kept for an environment; write it on the TaskEnvironment",
    ),
    "queue": FieldRow(checks.queue),
    "interruptible": FieldRow(checks.flag("interruptible")),
    "include": FieldRow(
        checks.include,
        frozenset({"environment"}),
        to_plain=list,
        from_plain=tuple,
        elsewhere=_BELONGS.format("include"),
    ),
    "pod_template": FieldRow(pod_template_of, to_plain=plain.pod_plain, from_plain=plain.pod_value),
    "service_account": FieldRow(checks.account),
    "max_inline_io_bytes": FieldRow(checks.inline),
    "network": FieldRow(checks.flag("network")),
    "report": FieldRow(
        checks.flag("report"), _CALLS, elsewhere="it belongs to a task; write it on @env.task"
    ),
    "target": FieldRow(
        checks.target,
        frozenset(LEVELS) - {"run"},
        elsewhere="it is said of a whole run; write with_runcontext(target=...)",
    ),
    "entrypoint": FieldRow(
        checks.flag("entrypoint"), _CALLS, elsewhere="it belongs to a task; write it on @env.task"
    ),
}

SPELLINGS = {
    "task_queue": "queue",
    "mem": "memory",
    "requests": "resources",
    "container_image": "image",
    "environment": "env_vars",
    "secret_requests": "secrets",
}
"""Other spellings of a field, from every generation of Flyte."""

_INTO_RESOURCES = frozenset({"limits", "accelerator", *PARTS})

# what Flyte takes and only a Flyte backend can do
_FOREIGN = {
    "plugin_config": "plugins run inside a Flyte backend; pod_template= shapes a pod of your own",
    "triggers": "triggers are started by a Flyte backend; start the run yourself",
    "links": "links are shown by a Flyte backend",
    "task_resolver": "the code of a task is collected from its cells; there is nothing to resolve",
    "produces_artifacts": "artifacts are kept by a Flyte backend",
}

_FIXED = {
    "name": "a task keeps its name; short_name= changes what displays call it",
    "interface": "a task keeps its signature; declare another function",
    "depends_on": _BELONGS.format("depends_on"),
}

_OWNERS = {
    "environment": "TaskEnvironment",
    "task": "@env.task",
    "panel": "the panel",
    "override": "override",
    "run": "a run",
    ANY: "settings",
}


def normalise(given: Mapping[str, Any], level: str) -> dict[str, Any]:
    """Return what is given at one level under its own names, checked.

    See `flyte_jupyter.spec.settings.layer`.
    """
    values: dict[str, Any] = {}
    words: dict[str, str] = {}
    for word, value in given.items():
        if value is UNSET:
            continue
        name = SPELLINGS.get(word, word)
        if name in words:
            raise SpecError(f"{words[name]}= and {word}= are two spellings of one field; give one.")
        if _is_taken(name, word, value, level):
            values[name], words[name] = value, word
    result: dict[str, Any] = {}
    for name, value in values.items():
        about = "resources" if name in _INTO_RESOURCES else name
        if about in result:
            continue
        try:
            result[about] = (
                _resources(values) if about == "resources" else FIELD_TABLE[name].check(value)
            )
        except SpecError as error:
            raise _respelled(error, words) from None
    if level == "environment":
        _refuse_removal(result.get("env_vars"))
    return result


def overridable(level: str = "override") -> tuple[str, ...]:
    """Return every name that may be given at a level, other spellings included, sorted."""
    names = {name for name, row in FIELD_TABLE.items() if level in (*row.levels, ANY)}
    names |= {name for name in _INTO_RESOURCES if level != "environment" or name not in PARTS}
    names |= {word for word, name in SPELLINGS.items() if name in names}
    return tuple(sorted(names))


def merge_value(name: str, earlier: Any, later: Any) -> Any:
    """Return the value of a field in the layer that has the effect of two."""
    clearing = FIELD_TABLE[name].cleared
    if clearing is None:
        return later
    return (earlier or clearing).merge(clearing if later is None else later)


def settle_value(name: str, earlier: Any, later: Any) -> Any:
    """Return the value of a field when a layer is laid over settings, and nothing more."""
    if FIELD_TABLE[name].cleared is None or later is None:
        return later
    return (later if earlier is None else earlier.merge(later)).settled()


def _is_taken(name: str, word: str, value: Any, level: str) -> bool:
    """Return whether a parameter counts at a level; raise if it cannot be given there."""
    row = FIELD_TABLE.get(name)
    if name in _FOREIGN:
        if not value:
            return False
        raise SpecError(f"{word}= is not taken: {_FOREIGN[name]}.")
    if name in ("limits", "accelerator") and value is None:
        return False  # nothing to clear: what they said became part of the resources
    if row is None and name not in _INTO_RESOURCES:
        raise _unknown(word, level)
    if row is not None and level not in row.levels and level != ANY:
        raise SpecTypeError(f"{word}= cannot be given here: {row.elsewhere}.")
    if level == "environment" and name in PARTS:
        raise SpecTypeError(
            f"{word}= belongs to the resources; "
            f"did you mean resources=Resources({word}={shown(value)})?"
        )
    return True


def _resources(values: Mapping[str, Any]) -> Resources | None:
    """Return what all parameters about resources ask for together; a part of None clears."""
    whole = check_resources("resources", values.get("resources"))
    parts = {name: 0 if values[name] is None else values[name] for name in PARTS if name in values}
    if parts:
        whole = (whole or Resources()).merge(Resources(**parts))
    return combine(whole, values.get("limits"), values.get("accelerator"))


def _refuse_removal(variables: Variables | None) -> None:
    for name, text in (variables or {}).items():
        if text is None:
            raise SpecTypeError(
                f"env_vars: {name}=None is no text; give a string, or leave {name} out."
            )


def _respelled(error: SpecError, words: Mapping[str, str]) -> SpecError:
    """Return the error with the parameter named as the user spelled it."""
    for name, word in words.items():
        if name != word and error.sentence.startswith((f"{name}=", f"{name}:")):
            return type(error)(word + error.sentence[len(name) :])
    return error


def _unknown(word: str, level: str) -> SpecTypeError:
    if level != "environment" and word in _FIXED:
        return SpecTypeError(f"{word}= cannot be given here: {_FIXED[word]}.")
    known = overridable(level)
    own = [name for name in known if name not in SPELLINGS]
    hint = did_you_mean(word, known) or f"; it takes {listing(own, 'and')}."
    return SpecTypeError(f"{_OWNERS[level]} has no parameter {word!r}{hint}")
