"""From a typed text to what a field takes, and from what holds to the text that would be typed.

Each pair of functions is one row's: what `show` gives, `take` understands. A text is handed on to
the spec as it is wherever the spec takes texts, so that it is the spec that refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from flyte_jupyter.errors import SpecError
from flyte_jupyter.spec.accelerators import find_type
from flyte_jupyter.spec.amounts import parse_span
from flyte_jupyter.spec.devices import GPU, Device, accelerator_of, parse_gpu
from flyte_jupyter.spec.image import Image, image_of
from flyte_jupyter.spec.layers import AptPackages, DebianBase, PipPackages, Reference
from flyte_jupyter.spec.policies import Cache, RetryStrategy, ReusePolicy, Timeout
from flyte_jupyter.spec.quantity import format_bytes, format_cpu
from flyte_jupyter.spec.resources import Resources
from flyte_jupyter.spec.settings import Settings

Show = Callable[[Settings], str]
Taken = Mapping[str, Any]
Take = Callable[[str, Settings], Taken]

_VERSION = re.compile(r"\d+\.\d+")


def span_text(span: timedelta | None) -> str:
    """Return a length of time as it would be typed: ``90s``, ``10m``, ``1h30m``; empty for None."""
    if span is None:
        return ""
    seconds = int(span.total_seconds())
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def span_of(name: str, text: str) -> timedelta:
    """Return the length of time that a text says.

    Raises:
        SpecError: it says none.
    """
    span = parse_span(text)
    if span is None:
        raise SpecError(f"{name}={text!r} is no length of time; write 90, 90s, 10m or 1h30m.")
    return span


# Pairs of request and limit


def _ends(settings: Settings, part: str) -> tuple[str, str]:
    """Return request and limit as they would be typed; one amount for both has no limit here."""
    asked = settings.resources
    if asked is None:
        return "", ""
    write = format_cpu if part == "cpu" else format_bytes
    low, high = getattr(asked, f"{part}_request"), getattr(asked, f"{part}_limit")
    if part == "memory" and low == high:
        high = None
    return (write(low) if low else ""), (write(high) if high else "")


def _pair(part: str, low: str, high: str) -> Taken:
    if not low and not high:
        return {part: None}
    return {part: (low or high, high) if high else low}


def low_end(part: str) -> Show:
    """Return what shows a request."""
    return lambda settings: _ends(settings, part)[0]


def high_end(part: str) -> Show:
    """Return what shows a limit."""
    return lambda settings: _ends(settings, part)[1]


def take_low_end(part: str) -> Take:
    """Return what takes a request; the limit stays."""
    return lambda text, now: _pair(part, text, _ends(now, part)[1])


def take_high_end(part: str) -> Take:
    """Return what takes a limit; the request stays."""
    return lambda text, now: _pair(part, _ends(now, part)[0], text)


# Parts of the resources


def shm(settings: Settings) -> str:
    """Show the size of shared memory."""
    size = settings.resources.shm_bytes if settings.resources else None
    return size if isinstance(size, str) else format_bytes(size) if size else ""


def disk(settings: Settings) -> str:
    """Show the size of the scratch disk."""
    size = settings.resources.disk_bytes if settings.resources else None
    return format_bytes(size) if size else ""


def take_part(part: str) -> Take:
    """Return what takes a size."""
    return lambda text, _: {part: text or None}


def _device(settings: Settings) -> Device | None:
    return settings.resources.device if settings.resources else None


def gpu_count(settings: Settings) -> str:
    """Show how many accelerators there are."""
    device = _device(settings)
    return str(device.quantity) if device else ""


def accelerator(settings: Settings) -> str:
    """Show which type they have; a family that is not NVIDIA's stands for its types."""
    device = _device(settings)
    if device is None:
        return ""
    return device.device or (device.device_class if device.device_class != "GPU" else "")


def partition(settings: Settings) -> str:
    """Show the share of each."""
    device = _device(settings)
    return (device.partition or "") if device else ""


def take_gpu_count(text: str, now: Settings) -> Taken:
    """Take a count, or a type with its count; a bare count keeps the type."""
    if not text:
        return {"gpu": None}
    wanted, have = parse_gpu(text), _device(now)
    if wanted is None:
        return {"gpu": None}
    if wanted.device is None and have is not None:
        return {"gpu": have.with_quantity(wanted.quantity)}
    return {"gpu": wanted}


def take_accelerator(text: str, now: Settings) -> Taken:
    """Take a type; the count stays, the share goes with its type."""
    have = _device(now)
    count = have.quantity if have else 1
    if not text:
        return {"gpu": Device(quantity=count) if have else None}
    if have is not None and text == accelerator(now):
        return {"gpu": have}
    return {"gpu": accelerator_of(text).with_quantity(count)}


def take_partition(text: str, now: Settings) -> Taken:
    """Take a share of the type that is there."""
    have = _device(now)
    if have is None or have.device is None:
        if not text:
            return {"gpu": have}
        return {"gpu": GPU(None, have.quantity if have else 1, partition=text)}
    return {"gpu": replace(have, partition=text or None)}


def partitions_of(settings: Settings) -> tuple[str, ...]:
    """Return the shares that the type in force can be cut into."""
    device = _device(settings)
    row = find_type(device.device) if device and device.device else None
    return row.partitions if row is not None else ()


# The image


def _image(settings: Settings) -> Image:
    return settings.image or image_of(None)


def base(settings: Settings) -> str:
    """Show what an image stands on."""
    found = _image(settings).base
    if isinstance(found, DebianBase):
        return "{}.{}".format(*found.python)
    return found.uri if isinstance(found, Reference) else str(found)


def take_base(text: str, now: Settings) -> Taken:
    """Take another base; what is laid on it stays."""
    image = _image(now)
    if text == base(now):
        return {"image": image}
    if _VERSION.fullmatch(text):
        other = Image.from_debian_base(python_version=text)
    else:
        other = image_of(text or None)
    return {"image": replace(image, base=other.base)}


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for line in text.splitlines() if (word := line.strip().rstrip(",")))


def _layer_at(image: Image, kind: type) -> int | None:
    found = [index for index, layer in enumerate(image.layers) if isinstance(layer, kind)]
    return found[-1] if found else None


def _packages_shown(kind: type[PipPackages] | type[AptPackages]) -> Show:
    def show(settings: Settings) -> str:
        image = _image(settings)
        at = _layer_at(image, kind)
        return "" if at is None else "\n".join(image.layers[at].packages)  # type: ignore[union-attr]

    return show


def _packages_taken(kind: type[PipPackages] | type[AptPackages]) -> Take:
    def take(text: str, now: Settings) -> Taken:
        image, words = _image(now), _words(text)
        at = _layer_at(image, kind)
        if not words:
            kept = [layer for index, layer in enumerate(image.layers) if index != at]
            return {"image": replace(image, layers=tuple(kept))}
        add = Image.with_pip_packages if kind is PipPackages else Image.with_apt_packages
        # the spec's own check of each
        checked = add(Image(image.base), *words).layers[0]
        if at is not None:
            changed = replace(cast(Any, image.layers[at]), packages=cast(Any, checked).packages)
            layers = (*image.layers[:at], changed, *image.layers[at + 1 :])
        elif kind is AptPackages:  # what they bring may be needed by packages that are compiled
            layers = (checked, *image.layers)
        else:
            layers = (*image.layers, checked)
        return {"image": replace(image, layers=layers)}

    return take


packages = _packages_shown(PipPackages)
apt = _packages_shown(AptPackages)
take_packages = _packages_taken(PipPackages)
take_apt = _packages_taken(AptPackages)


# Variables


def variables(settings: Settings) -> str:
    """Show environment variables, one a line."""
    return "\n".join(f"{name}={text}" for name, text in (settings.env_vars or {}).items())


def take_variables(text: str, now: Settings) -> Taken:
    """Take all variables: those that are missing are removed."""
    wanted: dict[str, str | None] = dict.fromkeys(now.env_vars or {})
    for line in text.splitlines():
        if not line.strip():
            continue
        name, equals, value = line.strip().partition("=")
        if not equals:
            raise SpecError(f"env_vars: {line.strip()!r} has no '='; write {line.strip()}=value.")
        wanted[name.strip()] = value
    return {"env_vars": wanted}


def secrets(settings: Settings) -> str:
    """Show the names of secrets, one a line; never their values."""
    return "\n".join(secret.key for secret in settings.secrets or ())


def take_secrets(text: str, now: Settings) -> Taken:
    """Take names of secrets; those that are there stay as they are."""
    known = {secret.key: secret for secret in now.secrets or ()}
    return {"secrets": [known.get(name, name) for name in _words(text)] or None}


# Words and policies


def word(name: str) -> Show:
    """Return what shows a field that is a text."""
    return lambda settings: getattr(settings, name) or ""


def take_word(name: str) -> Take:
    """Return what takes such a text."""
    return lambda text, _: {name: text or None}


def pod_template(settings: Settings) -> str:
    """Show the name of a template of the cluster, or that there is one of its own."""
    template = settings.pod_template
    return str(template) if template is not None else ""


def take_pod_template(text: str, now: Settings) -> Taken:
    """Take the name of a template of the cluster; one of its own is written in code."""
    return {"pod_template": now.pod_template if text == pod_template(now) else text or None}


def inline_size(settings: Settings) -> str:
    """Show how much of inputs and outputs may be inline."""
    size = settings.max_inline_io_bytes
    return "" if size is None else format_bytes(size)


def take_inline_size(text: str, now: Settings) -> Taken:
    """Take a size with its unit."""
    kept = now.max_inline_io_bytes if text == inline_size(now) else text or None
    return {"max_inline_io_bytes": kept}


def flag(name: str) -> Show:
    """Return what shows a field that is yes or no."""
    said = {None: "", True: "yes", False: "no"}
    return lambda settings: said[getattr(settings, name)]


def take_flag(name: str) -> Take:
    """Return what takes yes or no."""
    means: dict[str, Any] = {"": None, "yes": True, "no": False}
    return lambda text, _: {name: means.get(text.lower(), text)}


def whole(text: str) -> Any:
    """Return a whole number, or the text itself, which the spec refuses then."""
    return int(text) if re.fullmatch(r"[+-]?\d+", text.strip()) else text


def replicas(settings: Settings) -> str:
    """Show how many workers are kept."""
    reuse = settings.reusable
    if reuse is None:
        return ""
    low, high = reuse.replicas
    return str(low) if low == high else f"{low}, {high}"


def take_replicas(text: str, now: Settings) -> Taken:
    """Take a count, or fewest and most; nothing and ``off`` keep none."""
    if text.strip().lower() in ("", "off", "no"):
        return {"reusable": None}
    parts = [whole(part) for part in text.split(",")]
    return {"reusable": _reuse(now, replicas=parts[0] if len(parts) == 1 else tuple(parts))}


def idle_time(settings: Settings) -> str:
    """Show after how long kept workers end."""
    return span_text(settings.reusable.idle_ttl) if settings.reusable else ""


def take_idle_time(text: str, now: Settings) -> Taken:
    """Take the time after which kept workers end; nothing means the default."""
    if not text:
        return {"reusable": _reuse(now, idle_ttl=None) if now.reusable else None}
    return {"reusable": _reuse(now, idle_ttl=span_of("idle_ttl", text))}


def concurrency(settings: Settings) -> str:
    """Show how many calls share a kept worker."""
    return str(settings.reusable.concurrency) if settings.reusable else ""


def take_concurrency(text: str, now: Settings) -> Taken:
    """Take how many calls share a kept worker."""
    if not text:
        return {"reusable": _reuse(now, concurrency=1) if now.reusable else None}
    return {"reusable": _reuse(now, concurrency=whole(text))}


def _reuse(now: Settings, **changes: Any) -> ReusePolicy:
    have = now.reusable or ReusePolicy()
    fields = {
        "replicas": have.replicas,
        "idle_ttl": have.idle_ttl,
        "concurrency": have.concurrency,
        "scaledown_ttl": have.scaledown_ttl,
        "scope": have.scope,
    }
    return ReusePolicy(**{**fields, **changes})


def retries(settings: Settings) -> str:
    """Show how often a failed attempt is made again."""
    return str(settings.retries.count) if settings.retries else ""


def take_retries(text: str, now: Settings) -> Taken:
    """Take a count of repetitions; the waits between them stay."""
    if not text:
        return {"retries": None}
    checked = RetryStrategy.of(whole(text))
    if checked is not None and now.retries is not None:
        checked = replace(now.retries, count=checked.count)
    return {"retries": checked}


def timeout(settings: Settings) -> str:
    """Show the longest time of one attempt."""
    return span_text(settings.timeout.max_runtime) if settings.timeout else ""


def take_timeout(text: str, now: Settings) -> Taken:
    """Take the longest time of one attempt; the other limits stay."""
    have = now.timeout or Timeout()
    span = span_of("timeout", text) if text else None
    return {"timeout": replace(have, max_runtime=span) or None}


def cache(settings: Settings) -> str:
    """Show how results of earlier calls are used."""
    return settings.cache.behavior if settings.cache else ""


def take_cache(text: str, now: Settings) -> Taken:
    """Take a behaviour; what else is said of the cache stays."""
    if not text:
        return {"cache": None}
    checked = Cache.of(text)
    if checked is not None and now.cache is not None:
        checked = replace(now.cache, behavior=checked.behavior)
    return {"cache": checked}


def same(one: Settings, other: Settings, setting: str, part: str) -> bool:
    """Return whether two settings agree on a field, or on a part of the resources."""
    if not part:
        return bool(getattr(one, setting) == getattr(other, setting))
    names = _PARTS[part]
    first, second = one.resources or Resources(), other.resources or Resources()
    return all(getattr(first, name) == getattr(second, name) for name in names)


_PARTS = {
    "cpu": ("cpu_request", "cpu_limit"),
    "memory": ("memory_request", "memory_limit"),
    "gpu": ("device",),
    "disk": ("disk_bytes",),
    "shm": ("shm_bytes",),
}
