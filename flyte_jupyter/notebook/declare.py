"""From the options of a magic to the fields of a `TaskEnvironment`, a task or a run.

Each function takes the parsed values of `arguments` and gives keyword arguments; the checks of the
values themselves are the spec's, so a wrong one fails with the same sentence as in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flyte_jupyter.notebook.usage import MagicUsageError
from flyte_jupyter.spec.amounts import parse_span
from flyte_jupyter.spec.environment import TaskEnvironment
from flyte_jupyter.spec.image import Image
from flyte_jupyter.spec.policies import ReusePolicy
from flyte_jupyter.spec.resources import Resources

__all__ = ["environment_fields", "length_of_time", "pairs", "run_fields", "task_fields"]

RESOURCES = ("cpu", "memory", "gpu", "disk", "shm")
# fields of the environment that are taken as they were written
AS_WRITTEN = (
    "accelerator",
    "description",
    "cache",
    "interruptible",
    "network",
    "service_account",
    "pod_template",
    "max_inline_io_bytes",
)


def environment_fields(
    values: Mapping[str, Any], find_environment: Callable[[str], TaskEnvironment]
) -> dict[str, Any]:
    """Return keyword arguments for `TaskEnvironment` from the options of ``%%flyte_env``.

    Args:
        values: the parsed options.
        find_environment: finds the environments that ``--depends-on`` names.
    """
    fields = {name: values[name] for name in AS_WRITTEN if name in values}
    if (image := _image(values)) is not None:
        fields["image"] = image
    if (resources := _resources(values)) is not None:
        fields["resources"] = resources
    if "env_vars" in values:
        fields["env_vars"] = pairs("--env-vars", values["env_vars"])
    if "secret" in values:
        fields["secrets"] = list(_items(values["secret"]))
    if "depends_on" in values:
        fields["depends_on"] = [
            _environment(item, find_environment) for item in _items(values["depends_on"])
        ]
    if "include" in values:
        fields["include"] = tuple(_items(values["include"]))
    if "task_queue" in values:
        fields["queue"] = values["task_queue"]
    if "on" in values:
        fields["target"] = values["on"]
    if "reusable" in values:
        fields["reusable"] = _reuse(values["reusable"])
    return fields


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
    if (resources := _resources(values)) is not None:
        overrides["resources"] = resources
    for name in ("cache", "interruptible", "service_account", "max_inline_io_bytes"):
        if name in values:
            overrides[name] = values[name]
    if overrides:
        fields["overrides"] = overrides
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


def _image(values: Mapping[str, Any]) -> Any:
    image = values.get("image")
    layers = [name for name in ("pip", "apt", "requirements") if values.get(name)]
    python = values.get("python")
    if python is not None:
        if image is not None:
            raise MagicUsageError(
                "--python and --image both say which Python is used; give one of them"
            )
        image = Image.from_debian_base(python_version=python)
    if not layers:
        return image
    if image is None:
        image = Image.from_debian_base()
    elif isinstance(image, str):
        image = Image.from_base(image)
    if values.get("apt"):
        image = image.with_apt_packages(*_items(values["apt"]))
    for path in values.get("requirements", ()):
        image = image.with_requirements(path)
    if values.get("pip"):
        image = image.with_pip_packages(*_flat(values["pip"]))
    return image


def _resources(values: Mapping[str, Any]) -> Resources | None:
    given = {name: _pair(values[name]) for name in RESOURCES if name in values}
    return Resources(**given) if given else None


def _pair(value: Any) -> Any:
    """Return ``request,limit`` as a pair and anything else as it is."""
    if isinstance(value, str) and "," in value:
        request, _, limit = value.partition(",")
        return request.strip(), limit.strip()
    return value


def _environment(item: Any, find: Callable[[str], TaskEnvironment]) -> TaskEnvironment:
    return item if isinstance(item, TaskEnvironment) else find(str(item))


def _items(values: Iterable[Any]) -> Iterable[Any]:
    """Yield words that may also be joined by commas: ``--depends-on a,b`` and ``a b``."""
    for value in _flat(values):
        if isinstance(value, str):
            yield from (part for part in value.split(",") if part)
        else:
            yield value


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    """Yield words, and the members of a list that was given as ``{variable}``."""
    for value in values:
        if isinstance(value, (list, tuple, set, frozenset)):
            yield from value
        else:
            yield value


def _reuse(value: Any) -> Any:
    if value is True:
        return ReusePolicy()
    if not isinstance(value, str):
        return value
    if value.isdigit():
        return ReusePolicy(replicas=int(value))
    fields = pairs("--reusable", value.split(","))
    return ReusePolicy(**{name: _number(text) for name, text in fields.items()})


def _number(text: str) -> Any:
    return int(text) if text.isdigit() else text


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
