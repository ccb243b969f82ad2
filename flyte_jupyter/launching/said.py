"""From what is said of a run, as text by the names of its options, to what the run takes.

The options of ``%flyte_run`` and the fields of a launch form are read by this; the checks of the
values themselves are the spec's, so a wrong one fails with the same sentence as in Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flyte_jupyter.launching.usage import MagicUsageError
from flyte_jupyter.spec.amounts import parse_span
from flyte_jupyter.spec.resources import Resources

__all__ = ["length_of_time", "pairs", "resources_of", "run_fields", "task_fields"]

RESOURCES = ("cpu", "memory", "gpu", "disk", "shm")


def task_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments for ``env.task`` from the options of ``%%flyte_env``."""
    fields: dict[str, Any] = {}
    if "retries" in values:
        fields["retries"] = _whole("--retries", values["retries"])
    if "timeout" in values:
        fields["timeout"] = length_of_time("--timeout", values["timeout"])
    return fields


def run_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments for `with_runcontext` from the options of ``%flyte_run``.

    What touches the root action alone is under ``overrides``, the rest beside it.
    """
    fields: dict[str, Any] = {}
    for option, name in (("on", "target"), ("name", "name"), ("task_queue", "queue")):
        if option in values:
            fields[name] = values[option]
    if "env_vars" in values:
        fields["env_vars"] = pairs("--env-vars", values["env_vars"])
    if "label" in values:
        fields["labels"] = pairs("--label", values["label"])
    overrides = task_fields(values)
    if (resources := resources_of(values)) is not None:
        overrides["resources"] = resources
    for name in ("accelerator", "cache", "interruptible", "service_account", "max_inline_io_bytes"):
        if name in values:
            overrides[name] = values[name]
    if overrides:
        fields["overrides"] = overrides
    if "keep" in values:
        fields["keep"] = values["keep"]
    return fields


def pairs(flag: str, items: Iterable[Any]) -> dict[str, str]:
    """Return ``KEY=VALUE`` words as a dict; a dict given as ``{variable}`` is taken as it is.

    Raises:
        MagicUsageError: a word without ``=``.
    """
    result: dict[str, str] = {}
    for item in items:
        if isinstance(item, Mapping):
            result.update(item)
            continue
        key, equals, value = str(item).partition("=")
        if not equals or not key:
            raise MagicUsageError(f"{flag} takes KEY=VALUE, but {item!r} was given")
        result[key] = value
    return result


def _whole(flag: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not value.isdigit():
        raise MagicUsageError(f"{flag} takes a whole number, not {value!r}")
    return int(value)


def length_of_time(flag: str, value: Any) -> Any:
    """Return a length of time such as ``90``, ``90s`` or ``1h30m``; no text is taken as it is.

    Raises:
        MagicUsageError: the text is no length of time.
    """
    if not isinstance(value, str):
        return value
    span = parse_span(value)
    if span is None:
        raise MagicUsageError(f"{flag} takes a time such as 90, 90s, 10m or 1h30m, not {value!r}")
    return span


def resources_of(values: Mapping[str, Any]) -> Resources | None:
    """Return what the options about resources ask for together, ``None`` if none was given."""
    given = {name: _pair(values[name]) for name in RESOURCES if name in values}
    return Resources(**given) if given else None


def _pair(value: Any) -> Any:
    """Return ``request,limit`` as a pair and anything else as it is."""
    if isinstance(value, str) and "," in value:
        request, _, limit = value.partition(",")
        return request.strip(), limit.strip()
    return value
