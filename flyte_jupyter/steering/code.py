"""A value of the spec as the Python expression that makes it again.

Expressions speak of ``flyte``, the name that ``import flyte_jupyter as flyte`` gives; times are in
seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flyte_jupyter.spec import layers
from flyte_jupyter.spec.devices import Device
from flyte_jupyter.spec.fields import FIELD_TABLE
from flyte_jupyter.spec.image import Image, image_of
from flyte_jupyter.spec.pod import PodTemplate
from flyte_jupyter.spec.policies import Backoff, Cache, RetryStrategy, ReusePolicy, Timeout
from flyte_jupyter.spec.quantity import format_bytes, format_cpu
from flyte_jupyter.spec.resources import Resources
from flyte_jupyter.spec.secret import Secret
from flyte_jupyter.spec.settings import Settings
from flyte_jupyter.spec.variables import Variables

__all__ = ["arguments", "expression"]


def arguments(fields: Mapping[str, Any]) -> str:
    """Return fields as the arguments of a call: ``retries=3, resources=flyte.Resources(cpu=2)``."""
    parts = []
    for name in FIELD_TABLE:
        if name in fields:
            parts.append(f"{name}={expression(fields[name])}")
    return ", ".join(parts)


def expression(value: Any) -> str:
    """Return the Python expression of a value that a field of the settings has."""
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return str(write(value))
    if isinstance(value, tuple):
        return f"[{', '.join(map(expression, value))}]"
    return repr(value)


def resources_parts(resources: Resources) -> dict[str, str]:
    """Return part of the resources → its Python expression, of those that are asked for."""
    low, high = resources.memory_request, resources.memory_limit
    shm = resources.shm_bytes
    parts = {
        "cpu": _pair(resources.cpu_request, resources.cpu_limit, _cores),
        "memory": _pair(low, None if low == high else high, _size),
        "gpu": None if resources.device is None else _device(resources.device),
        "disk": None if resources.disk_bytes is None else _size(resources.disk_bytes),
        "shm": None if shm is None else repr(shm) if isinstance(shm, str) else _size(shm),
    }
    cleared = dict.fromkeys(resources.cleared, "0")
    return {name: text for name, text in {**parts, **cleared}.items() if text is not None}


def _resources(resources: Resources) -> str:
    parts = resources_parts(resources)
    return f"flyte.Resources({', '.join(f'{name}={text}' for name, text in parts.items())})"


def _pair(low: int | None, high: int | None, write: Any) -> str | None:
    if high is None:
        return None if low is None else str(write(low))
    return f"({write(low or 0)}, {write(high)})"


def _cores(millis: int) -> str:
    return str(millis // 1000) if millis % 1000 == 0 else repr(format_cpu(millis))


def _size(count: int) -> str:
    return repr(format_bytes(count)) if count else "0"


def _device(device: Device) -> str:
    from flyte_jupyter.spec.accelerators import find_type

    if device.partition is None and device.device_class == "GPU" and device.device is None:
        # a bare count leaves the type of what it is merged over
        return f"flyte.GPU(quantity={device.quantity})"
    row = find_type(device.device) if device.device else None
    if device.partition is None and row is not None and row.device_class == device.device_class:
        return repr(f"{device.device}:{device.quantity}")
    given = {
        "device_class": device.device_class,
        "device": device.device,
        "quantity": device.quantity,
        "partition": device.partition,
    }
    return _call("Device", {name: value for name, value in given.items() if value is not None})


def _call(name: str, given: Mapping[str, Any]) -> str:
    inner = ", ".join(f"{key}={expression(value)}" for key, value in given.items())
    return f"flyte.{name}({inner})"


def _changed(value: Any, default: Any) -> dict[str, Any]:
    """Return the fields in which a value differs from the default of its class."""
    return {name: text for name, text in vars(value).items() if text != getattr(default, name)}


def _cache(cache: Cache) -> str:
    given = _changed(cache, Cache())
    if set(given) <= {"behavior"}:
        return repr(cache.behavior)
    return _call("Cache", {"behavior": cache.behavior, **given})


def _retries(retries: RetryStrategy) -> str:
    if retries.backoff is None:
        return str(retries.count)
    return _call("RetryStrategy", {"count": retries.count, "backoff": retries.backoff})


def _timeout(timeout: Timeout) -> str:
    given = _changed(timeout, Timeout())
    if set(given) == {"max_runtime"}:
        return _span(timeout.max_runtime or timedelta())
    return _call("Timeout", given)


def _backoff(backoff: Backoff) -> str:
    return _call("Backoff", {"base": backoff.base, **_changed(backoff, Backoff(backoff.base))})


def _reuse(reuse: ReusePolicy) -> str:
    low, high = reuse.replicas
    given = {**_changed(reuse, ReusePolicy())}
    replicas = expression(low) if low == high else f"({low}, {high})"
    rest = ", ".join(f"{k}={expression(v)}" for k, v in given.items() if k != "replicas")
    return f"flyte.ReusePolicy({', '.join(filter(None, (f'replicas={replicas}', rest)))})"


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    return str(int(seconds)) if seconds == int(seconds) else repr(seconds)


def _secret(secret: Secret) -> str:
    given = _changed(secret, Secret(secret.key))
    return repr(secret.key) if not given else _call("Secret", {"key": secret.key, **given})


def _pod(template: PodTemplate) -> str:
    plain = template.to_plain()
    names = {"spec": "pod_spec", "primary": "primary_container_name"}
    given = {names.get(name, name): value for name, value in plain.items() if value}
    return f"flyte.PodTemplate({', '.join(f'{k}={v!r}' for k, v in given.items())})"


# Images


def _image(image: Image) -> str:
    """Return the calls that make an image."""
    named = {
        name: getattr(image, name)
        for name in ("name", "registry", "platform", "registry_secret")
        if getattr(image, name)
    }
    if isinstance(image.base, layers.Reference) and not image.layers and not named:
        return repr(image.base.uri)
    text = _base(image.base) + "".join(map(_layer, image.layers))
    if named:
        text += f".clone({', '.join(f'{k}={v!r}' for k, v in named.items())})"
    return text


def _base(base: layers.Base) -> str:
    if isinstance(base, layers.DebianBase):
        if base == image_of(None).base:
            return "flyte.Image.from_debian_base()"
        return "flyte.Image.from_debian_base(python_version={!r})".format(
            "{}.{}".format(*base.python)
        )
    if isinstance(base, layers.Reference):
        return f"flyte.Image.from_base({base.uri!r})"
    if isinstance(base, layers.DockerfileBase):
        return f"flyte.Image.from_dockerfile({base.path!r})"
    return f"flyte.Image.from_uv_script({base.path!r})"


def _layer(layer: Any) -> str:
    name, first = _LAYERS[type(layer)](layer)
    options = {
        key: getattr(layer, key)
        for key in ("index_url", "extra_index_urls", "pre", "extra_args", "secret_mounts")
        if getattr(layer, key, None)
    }
    inner = [first, *(f"{key}={expression(value)}" for key, value in options.items())]
    return f".with_{name}({', '.join(filter(None, inner))})"


def _words(words: tuple[str, ...]) -> str:
    return ", ".join(map(repr, words))


_LAYERS: dict[type, Any] = {
    layers.PipPackages: lambda one: ("pip_packages", _words(one.packages)),
    layers.Requirements: lambda one: ("requirements", repr(one.path)),
    layers.UvProject: lambda one: (
        "uv_project",
        repr(one.pyproject)
        + (f", {one.uvlock!r}" if one.uvlock else "")
        + (", project_install_mode='install_project'" if one.install_project else ""),
    ),
    layers.AptPackages: lambda one: ("apt_packages", _words(one.packages)),
    layers.Commands: lambda one: ("commands", repr(list(one.commands))),
    layers.EnvVars: lambda one: ("env_vars", repr(dict(one.items))),
    layers.WorkDir: lambda one: ("workdir", repr(one.path)),
    layers.SourceFile: lambda one: ("source_file", f"{one.src!r}, {one.dst!r}"),
    layers.SourceFolder: lambda one: (
        "source_folder",
        f"{one.src!r}, {one.dst!r}"
        + (", copy_contents_only=True" if one.copy_contents_only else ""),
    ),
}
_WRITERS: dict[type, Any] = {
    Settings: lambda settings: arguments(dict(settings.given())),
    Resources: _resources,
    Device: _device,
    Image: _image,
    Cache: _cache,
    RetryStrategy: _retries,
    Timeout: _timeout,
    Backoff: _backoff,
    ReusePolicy: _reuse,
    timedelta: _span,
    Secret: _secret,
    PodTemplate: _pod,
    Variables: lambda variables: repr(dict(variables)),
}
