"""Everything a task runs under, as one value, and the one way in which layers of it merge.

A *layer* is a dict from field to normalised value, as `layer` makes it from what a user gives: a
field that is missing is inherited, ``None`` clears. Resources and environment variables merge field
by field and variable by variable; every other field is replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Mapping

from flyte_jupyter.spec.fields import (
    ANY,
    FIELD_TABLE,
    UNSET,
    Unset,
    merge_value,
    normalise,
    overridable,
    settle_value,
)
from flyte_jupyter.spec.image import Image
from flyte_jupyter.spec.limits import DEFAULT_MAX_INLINE_IO_BYTES
from flyte_jupyter.spec.pod import PodTemplate
from flyte_jupyter.spec.policies import Cache, RetryStrategy, ReusePolicy, Timeout
from flyte_jupyter.spec.resources import Resources
from flyte_jupyter.spec.secret import Secret
from flyte_jupyter.spec.variables import Variables

__all__ = [
    "DEFAULT_MAX_INLINE_IO_BYTES",
    "UNSET",
    "Layer",
    "Settings",
    "Unset",
    "apply_layer",
    "from_plain",
    "layer",
    "merge_layers",
    "merge_settings",
    "overridable",
    "to_plain",
]

Layer = Mapping[str, Any]


@dataclass(frozen=True)
class Settings:
    """What a task runs under; None means not set.

    Attributes:
        image: the container image.
        resources: CPU, memory, accelerators, disk, shared memory.
        env_vars: environment variables, a mapping.
        secrets: secrets it needs.
        description: what the environment is for.
        short_name: what displays call the task.
        docs: what the task is for.
        cache: whether results are taken from earlier calls.
        retries: how often a failed attempt is repeated.
        timeout: how long it may take.
        reusable: whether containers are kept for many calls.
        queue: name of the queue it goes to.
        interruptible: whether it may run on a machine that can be taken away.
        include: files that travel with the code, beside what it imports.
        pod_template: settings of the pod, or the name of a template in the cluster.
        service_account: account that the pod runs under.
        max_inline_io_bytes: how much all inputs, or all outputs, may be inline, in bytes.
        network: False for no network.
        target: where it runs, whatever the target of the session is.
        report: whether it makes a report.
        entrypoint: whether it is a way into its program, for displays.
    """

    image: Image | None = None
    resources: Resources | None = None
    env_vars: Variables | None = None
    secrets: tuple[Secret, ...] | None = None
    description: str | None = None
    short_name: str | None = None
    docs: str | None = None
    cache: Cache | None = None
    retries: RetryStrategy | None = None
    timeout: Timeout | None = None
    reusable: ReusePolicy | None = None
    queue: str | None = None
    interruptible: bool | None = None
    include: tuple[str, ...] | None = None
    pod_template: PodTemplate | str | None = None
    service_account: str | None = None
    max_inline_io_bytes: int | None = None
    network: bool | None = None
    target: str | None = None
    report: bool | None = None
    entrypoint: bool | None = None

    def rows(self) -> list[tuple[str, str]]:
        """Return the fields that are set, as pairs of name and text, for displays."""
        return [(name, _text(name, value)) for name, value in self.given()]

    def given(self) -> list[tuple[str, Any]]:
        """Return name and value of the fields that are set."""
        pairs = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return [(name, value) for name, value in pairs if value is not None]

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Settings:
        """Return the settings that `to_plain` described."""
        return cls(**from_plain(plain))

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.given())})"

    def _repr_html_(self) -> str:
        from flyte_jupyter.spec.html import table

        return table("Settings", self.rows())


def layer(given: Mapping[str, Any], level: str = "override") -> dict[str, Any]:
    """Return what a user gives at one level as a layer.

    Args:
        given: field or another spelling of it, to value. `UNSET` is left out; None, ``0`` and
            ``{}`` clear.
        level: ``"environment"``, ``"task"``, ``"panel"``, ``"override"`` or ``"run"``: which
            fields may be given.

    Returns:
        Field to normalised value.

    Raises:
        SpecTypeError: no such field at that level, or a value of the wrong type.
        SpecError: a value that the field does not take.
    """
    return normalise(given, level)


def merge_layers(earlier: Layer, later: Layer) -> dict[str, Any]:
    """Return the one layer that has the effect of both, one after the other."""
    merged = dict(earlier)
    for name, value in later.items():
        merged[name] = merge_value(name, merged[name], value) if name in merged else value
    return merged


def apply_layer(base: Settings, over: Layer) -> Settings:
    """Return ``base`` with a layer laid over it.

    Args:
        base: the settings so far.
        over: a layer, as `layer` returns it.
    """
    if not over:
        return base
    return replace(
        base,
        **{name: settle_value(name, getattr(base, name), value) for name, value in over.items()},
    )


def merge_settings(base: Settings, **overrides: Any) -> Settings:
    """Return ``base`` with overrides merged field by field.

    Args:
        base: the settings so far.
        **overrides: any field in any spelling, as a user would give it or as a layer holds it.

    Raises:
        SpecTypeError: no such field, or a value of the wrong type.
        SpecError: a value that the field does not take.
    """
    return apply_layer(base, normalise(overrides, ANY))


def to_plain(settings: Settings | Layer) -> dict[str, Any]:
    """Return settings, or a layer of them, as JSON values.

    Of settings the fields that are set are written; of a layer every field, cleared ones as None.
    `Settings.from_plain` and `from_plain` turn them back, equal to the original.
    """
    pairs = settings.given() if isinstance(settings, Settings) else settings.items()
    return {
        name: None if value is None else FIELD_TABLE[name].to_plain(value) for name, value in pairs
    }


def from_plain(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layer that `to_plain` described."""
    return {
        name: None if value is None else FIELD_TABLE[name].from_plain(value)
        for name, value in plain.items()
    }


def _text(name: str, value: Any) -> str:
    if name == "env_vars":
        return " ".join(f"{key}={item}" for key, item in value.items())
    if name == "secrets":
        return ", ".join(secret.key for secret in value)
    return ", ".join(value) if isinstance(value, tuple) else str(value)
