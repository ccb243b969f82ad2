"""Settings as the options of a magic line: ``--cpu 2 --memory 4Gi --pip pandas``.

What no plain word can say is written as ``{an expression}`` of `code`, which the line evaluates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from flyte_jupyter.spec import layers
from flyte_jupyter.spec.devices import Device
from flyte_jupyter.spec.image import Image, image_of
from flyte_jupyter.spec.policies import Timeout
from flyte_jupyter.spec.quantity import format_bytes, format_cpu
from flyte_jupyter.spec.resources import Resources
from flyte_jupyter.steering.code import expression
from flyte_jupyter.steering.texts import span_text

__all__ = ["FLAGS", "Options", "line_of", "options_of", "word"]

Options = dict[str, tuple[str, ...]]
"""Flag → the words behind it, each as it stands in the line."""

LEAST = 1 << 20


def options_of(fields: Mapping[str, Any]) -> Options:
    """Return fields of the settings as options; what is cleared or not set has none.

    Args:
        fields: name → value, as a layer or `Settings.given` has them.
    """
    found: Options = {}
    for name, write in _WRITERS.items():
        value = fields.get(name)
        if value is not None:
            found.update(write(value))
    return found


FLAGS: Mapping[str, tuple[str, ...]] = {
    "image": ("--image", "--python", "--apt", "--requirements", "--pip"),
    "cpu": ("--cpu",),
    "memory": ("--memory",),
    "gpu": ("--gpu", "--accelerator"),
    "disk": ("--disk",),
    "shm": ("--shm",),
    "env_vars": ("--env-vars",),
    "secrets": ("--secret",),
    "description": ("--description",),
    "cache": ("--cache",),
    "retries": ("--retries",),
    "timeout": ("--timeout",),
    "reusable": ("--reusable",),
    "target": ("--on",),
    "queue": ("--task-queue",),
    "interruptible": ("--interruptible", "--no-interruptible"),
    "include": ("--include",),
    "network": ("--network", "--no-network"),
    "service_account": ("--service-account",),
    "pod_template": ("--pod-template",),
    "max_inline_io_bytes": ("--max-inline-io-bytes",),
}
"""Name of a field, or of a part of the resources → the options that say it."""


def line_of(options: Options) -> str:
    """Return options as the end of a line."""
    return " ".join(" ".join((flag, *words)) for flag, words in options.items())


def word(text: str) -> str:
    """Return a text as one word of a line, in quotes where it needs them."""
    if text and re.fullmatch(r"[^\s'\"\\{}$]+", text) and not text.startswith("-"):
        return text
    if "'" not in text and "\n" not in text:
        return f"'{text}'"  # keeps braces as they are
    if re.search(r"[{}$\n]", text):
        return evaluated(repr(text))
    return _in_double_quotes(text)


def evaluated(python: str) -> str:
    """Return a Python expression as one word of a line."""
    return _in_double_quotes(f"{{{python}}}")


def _in_double_quotes(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _one(flag: str) -> Callable[[Any], Options]:
    return lambda value: {flag: (word(value) if isinstance(value, str) else _python(value),)}


def _python(value: Any) -> str:
    return evaluated(expression(value))


def _many(flag: str) -> Callable[[Any], Options]:
    return lambda values: {flag: tuple(map(_each, values))}


def _each(value: Any) -> str:
    """Return one of several values as a word; a line takes a comma for the end of one."""
    if isinstance(value, str):
        if "," not in value:
            return word(value)
        return evaluated(f"__import__('pathlib').Path({value!r})")
    plain = expression(value) == repr(getattr(value, "key", None))
    return word(value.key) if plain else _python(value)


def _switch(flag: str) -> Callable[[Any], Options]:
    return lambda on: {f"--{'' if on else 'no-'}{flag}": ()}


def _resources(resources: Resources) -> Options:
    found: Options = {}
    cpu = _pair(resources.cpu_request, resources.cpu_limit, format_cpu)
    low, high = resources.memory_request, resources.memory_limit
    memory = _pair(low, None if low == high else high, format_bytes)
    for flag, text in (("--cpu", cpu), ("--memory", memory)):
        if text:
            found[flag] = (text,)
    if resources.device is not None:
        found["--gpu"] = (_device(resources.device),)
    if resources.disk_bytes:
        found["--disk"] = (format_bytes(resources.disk_bytes),)
    if resources.shm_bytes:
        size = resources.shm_bytes
        found["--shm"] = (size if isinstance(size, str) else format_bytes(size),)
    return found


def _pair(low: int | None, high: int | None, write: Callable[[int], str]) -> str:
    if high is None:
        return write(low) if low else ""
    return f"{write(low or 0)},{write(high)}"


def _device(device: Device) -> str:
    written = expression(device)
    if device.device is None and device.device_class == "GPU" and device.partition is None:
        return str(device.quantity)
    return word(written[1:-1]) if written.startswith("'") else evaluated(written)


def _image(image: Image) -> Options:
    found: Options = {}
    rest: list[Any] = list(image.layers)
    plain = image == Image(image.base, image.layers)
    if isinstance(image.base, layers.DebianBase):
        if image.base != image_of(None).base:
            found["--python"] = ("{}.{}".format(*image.base.python),)
    elif isinstance(image.base, layers.Reference):
        found["--image"] = (word(image.base.uri),)
    else:
        plain = False
    # in the order in which the options are laid on
    if rest and isinstance(rest[0], layers.AptPackages):
        plain = plain and _is_bare(rest[0])
        found["--apt"] = tuple(map(word, rest.pop(0).packages))
    files: list[str] = []
    while rest and isinstance(rest[0], layers.Requirements):
        plain = plain and _is_bare(rest[0])
        files.append(word(rest.pop(0).path))
    if files:  # each behind a flag of its own
        found["--requirements"] = (" --requirements ".join(files),)
    if rest and isinstance(rest[0], layers.PipPackages):
        plain = plain and _is_bare(rest[0])
        found["--pip"] = tuple(map(word, rest.pop(0).packages))
    return found if plain and not rest else {"--image": (_python(image),)}


def _is_bare(layer: Any) -> bool:
    names = ("index_url", "extra_index_urls", "pre", "extra_args", "secret_mounts")
    return not any(getattr(layer, name, None) for name in names)


def _variables(variables: Mapping[str, Any]) -> Options:
    kept = {name: text for name, text in variables.items() if text is not None}
    if any("\n" in text for text in kept.values()):
        return {"--env-vars": (evaluated(repr(kept)),)}
    return {"--env-vars": tuple(word(f"{name}={text}") for name, text in kept.items())}


def _retries(retries: Any) -> Options:
    return {"--retries": (str(retries.count) if retries.backoff is None else _python(retries),)}


def _timeout(timeout: Timeout) -> Options:
    text = span_text(timeout.max_runtime)
    plain = timeout == Timeout.of(timeout.max_runtime) and timeout.max_runtime is not None
    whole = plain and timeout.max_runtime.total_seconds().is_integer()  # type: ignore[union-attr]
    return {"--timeout": (text if whole else _python(timeout),)}


def _cache(cache: Any) -> Options:
    written = expression(cache)
    return {"--cache": (written[1:-1] if written.startswith("'") else evaluated(written),)}


def _reuse(reuse: Any) -> Options:
    written = expression(reuse)
    plain = re.fullmatch(r"flyte\.ReusePolicy\(((?:\w+=\d+(?:, )?)+)\)", written)
    if plain is None:
        return {"--reusable": (evaluated(written),)}
    text = plain.group(1).replace(", ", ",")
    return {"--reusable": (text.removeprefix("replicas=") if "," not in text else text,)}


def _bytes(count: int) -> Options:
    text = format_bytes(count)
    plain = count >= LEAST and not text.isdigit()
    return {"--max-inline-io-bytes": (text if plain else evaluated(str(count)),)}


_WRITERS: Mapping[str, Callable[[Any], Options]] = {
    "image": _image,
    "resources": _resources,
    "env_vars": _variables,
    "secrets": _many("--secret"),
    "description": _one("--description"),
    "cache": _cache,
    "retries": _retries,
    "timeout": _timeout,
    "reusable": _reuse,
    "target": _one("--on"),
    "queue": _one("--task-queue"),
    "interruptible": _switch("interruptible"),
    "include": _many("--include"),
    "network": _switch("network"),
    "service_account": _one("--service-account"),
    "pod_template": _one("--pod-template"),
    "max_inline_io_bytes": _bytes,
}
