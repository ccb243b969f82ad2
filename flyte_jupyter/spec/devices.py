"""The values that ask for accelerators: `Device`, and the functions and names that make one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.errors import SpecError, SpecTypeError
from flyte_jupyter.spec.accelerators import (
    RESOURCES,
    DeviceType,
    add_type,
    device_types,
    find_type,
    maker_of,
)
from flyte_jupyter.spec.naming import did_you_mean, kind, listing, shown

__all__ = [
    "AMD_GPU",
    "GPU",
    "HABANA_GAUDI",
    "TPU",
    "Device",
    "DeviceType",
    "GPUAccelerator",
    "Neuron",
    "accelerator_of",
    "device_types",
    "find_type",
    "parse_gpu",
    "register_device",
]


@dataclass(frozen=True)
class Device:
    """A request for accelerators.

    Args:
        device_class: the family, ``"GPU"`` unless said otherwise.
        device: name of the type, or None for any type of the family.
        quantity: how many, at least 1.
        partition: a share of a GPU (``"1g.5gb"``) or a slice of a TPU (``"2x2"``).

    Raises:
        SpecError: a family, count or partition that does not exist.
    """

    device_class: str = "GPU"
    device: str | None = None
    quantity: int = 1
    partition: str | None = None

    def __post_init__(self) -> None:
        if self.device_class not in RESOURCES:
            raise SpecError(
                f"device_class={shown(self.device_class)} is no family of accelerators"
                + (did_you_mean(str(self.device_class), RESOURCES) or f"; take {_classes()}.")
            )
        if self.device is not None:
            if not isinstance(self.device, str) or not self.device.strip():
                raise SpecTypeError(
                    f"device={shown(self.device)} is no type of accelerator; "
                    "give its name, such as 'A100'."
                )
            known = find_type(self.device, self.device_class)
            # A raw Device may name what the catalogue does not know: clusters have their own.
            if known is not None:
                object.__setattr__(self, "device", known.name)
                _check_partition(known, self.partition)
                _check_quantity(self.quantity, known.name, known.most)
                return
        _check_quantity(self.quantity, self.device_class, None)

    def __str__(self) -> str:
        name = self.device or self.device_class
        share = f"/{self.partition}" if self.partition else ""
        return f"{name}{share}:{self.quantity}"

    def with_quantity(self, quantity: int) -> Device:
        """Return the same type in another count."""
        return Device(self.device_class, self.device, quantity, self.partition)

    def _repr_html_(self) -> str:
        from flyte_jupyter.spec.html import table

        rows = [("class", self.device_class), ("type", self.device or "any")]
        rows.append(("quantity", str(self.quantity)))
        if self.partition:
            rows.append(("partition", self.partition))
        return table("Accelerator", rows)


def register_device(
    name: str,
    device_class: str = "GPU",
    *,
    partitions: tuple[str, ...] = (),
    most: int = 8,
    maker: str | None = None,
    node_label: str | None = None,
    aliases: tuple[str, ...] = (),
) -> DeviceType:
    """Add a type of accelerator to the catalogue, or replace one.

    Args:
        name: how the type is written, as in ``gpu="NAME:1"``.
        device_class: its family.
        partitions: the shares or slices it can be cut into.
        most: the largest count that one machine carries.
        maker: first part of its name in `GPUAccelerator`; by family if not given.
        node_label: value of the node label that selects it.
        aliases: other spellings.

    Returns:
        The line of the catalogue.

    Raises:
        SpecError: an unknown family or an unusable name.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][\w .+-]*", name):
        raise SpecError(
            f"name={shown(name)} cannot name a type of accelerator: write letters, digits, "
            "spaces, '.', '+', '_' and '-', a letter first."
        )
    Device(device_class)
    row = DeviceType(
        name,
        device_class,
        maker or maker_of(device_class),
        tuple(partitions),
        most,
        node_label,
    )
    add_type(row, tuple(aliases))
    return row


def GPU(  # noqa: N802 - Flyte's name
    device: str | None = None, quantity: int = 1, partition: str | None = None
) -> Device:
    """Ask for NVIDIA GPUs: ``GPU("A100", 2)``, ``GPU("A100", 1, partition="1g.5gb")``.

    Args:
        device: the type, or None for any.
        quantity: how many.
        partition: a MIG share, named as NVIDIA names it.

    Raises:
        SpecError: no such type, count or share.
    """
    return _device("GPU", device, quantity, partition)


def TPU(  # noqa: N802 - Flyte's name
    device: str | None = None, partition: str | None = None, quantity: int = 1
) -> Device:
    """Ask for a TPU: ``TPU("V5P", "2x2x1")``.

    Args:
        device: the generation.
        partition: the slice.
        quantity: chips on this machine.

    Raises:
        SpecError: no such generation or slice.
    """
    return _device("TPU", device, quantity, partition)


def Neuron(device: str | None = None, quantity: int = 1) -> Device:  # noqa: N802 - Flyte's name
    """Ask for AWS Inferentia or Trainium: ``Neuron("Trn1")``.

    Raises:
        SpecError: no such type or count.
    """
    return _device("NEURON", device, quantity, None)


def AMD_GPU(device: str | None = None, quantity: int = 1) -> Device:  # noqa: N802 - Flyte's name
    """Ask for AMD GPUs: ``AMD_GPU("MI300X")``.

    Raises:
        SpecError: no such type or count.
    """
    return _device("AMD_GPU", device, quantity, None)


def HABANA_GAUDI(  # noqa: N802 - Flyte's name
    device: str | None = None, quantity: int = 1
) -> Device:
    """Ask for Intel Gaudi: ``HABANA_GAUDI("Gaudi1")``.

    Raises:
        SpecError: no such type or count.
    """
    return _device("HABANA_GAUDI", device, quantity, None)


def parse_gpu(value: Any, field: str = "gpu") -> Device | None:
    """Return the accelerators that ``gpu=`` asks for; None for a count of 0.

    Args:
        value: a count (``1``, ``"1"``), a type with an optional count (``"A100:2"``, ``"t4"``), a
            `Device`, or a member of `GPUAccelerator`.
        field: the name of the parameter, for the error.

    Raises:
        SpecTypeError: none of these.
        SpecError: an unknown type or an impossible count.
    """
    if isinstance(value, Device):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise SpecTypeError(
            f"{field}={shown(value)} is {kind(value)}; give a count (1), a type with "
            "its count ('A100:2') or GPU('A100', 2)."
        )
    if isinstance(value, int):
        return _counted(value, field, value)
    name, colon, count = (part.strip() for part in value.rpartition(":"))
    if not colon:
        name, count = (value.strip(), "1")
        if re.fullmatch(r"[+-]?[0-9]+", name):
            return _counted(int(name), field, value)
    row = find_type(name) if name else None
    if row is None:
        raise SpecError(f"{field}={value!r} names no type of accelerator{_type_hint(name)}")
    if not re.fullmatch(r"[0-9]+", count):
        raise SpecError(
            f"{field}={value!r} has no count after the colon; write '{row.name}:1', "
            f"or as many as you need."
        )
    _check_quantity(int(count), row.name, row.most, f"{field}={value!r}")
    return Device(row.device_class, row.name, int(count))


def accelerator_of(value: Any) -> Device:
    """Return the type that ``accelerator=`` asks for, in the count of 1 unless it says more.

    Raises:
        SpecError: it names no type.
    """
    device = parse_gpu(value, "accelerator")
    if device is None or device.device is None:
        raise SpecError(
            f"accelerator={shown(value)} names no type; give one, such as "
            "GPUAccelerator.NVIDIA_A10G, and the count as gpu= in the resources."
        )
    return device


def _device(device_class: str, name: Any, quantity: Any, partition: Any) -> Device:
    if name is None:
        if partition is not None:
            raise SpecError(
                f"partition={shown(partition)} needs a type to cut; "
                f"give one, such as {_example(device_class)!r}."
            )
        return Device(device_class, None, quantity)
    if not isinstance(name, str):
        raise SpecTypeError(
            f"device={shown(name)} is {kind(name)}; "
            f"give a type, such as {_example(device_class)!r}."
        )
    row = find_type(name, device_class)
    if row is None:
        other = find_type(name)
        if other is not None:
            raise SpecError(
                f"device={name!r} is no {_MAKERS[device_class]}; "
                f"write {_MAKERS[other.device_class]}({other.name!r})."
            )
        raise SpecError(
            f"device={name!r} names no {_MAKERS[device_class]}{_type_hint(name, device_class)}"
        )
    return Device(device_class, row.name, quantity, partition)


_MAKERS = {
    "GPU": "GPU",
    "TPU": "TPU",
    "NEURON": "Neuron",
    "AMD_GPU": "AMD_GPU",
    "HABANA_GAUDI": "HABANA_GAUDI",
}


def _example(device_class: str) -> str:
    return {"GPU": "A100"}.get(device_class) or device_types(device_class)[0].name


def _type_hint(name: str, device_class: str | None = None) -> str:
    names = [row.name for row in device_types(device_class)]
    found = did_you_mean(name, names) if name else ""
    if found:
        return found
    plain = [text for text in names if not text.endswith(" shared")]
    some = plain if len(plain) <= 9 else ["T4", "L4", "A10G", "A100", "H100"]
    tail = "" if some is plain else "; register_device() adds a type"
    return f"; take one such as {listing(some)}{tail}."


def _classes() -> str:
    return listing([repr(name) for name in RESOURCES])


def _counted(count: int, field: str, value: Any) -> Device | None:
    if count < 0:
        raise SpecError(f"{field}={value!r} is negative; give 0 or more.")
    return Device("GPU", None, count) if count else None


def _check_quantity(quantity: Any, name: str, most: int | None, given: str = "") -> None:
    if isinstance(quantity, bool) or not isinstance(quantity, int):
        raise SpecTypeError(f"quantity={shown(quantity)} is {kind(quantity)}; give a whole number.")
    given = given or f"quantity={quantity}"
    if quantity < 1:
        raise SpecError(f"{given} asks for no {name}; give at least 1.")
    if most is not None and quantity > most:
        raise SpecError(f"{given} asks for {quantity} {name}, but one machine has at most {most}.")


def _check_partition(row: DeviceType, partition: Any) -> None:
    if partition is None:
        return
    if not row.partitions:
        raise SpecError(f"partition={shown(partition)}: {row.name} cannot be cut; leave it out.")
    if partition not in row.partitions:
        raise SpecError(
            f"partition={shown(partition)} is no share of {row.name}"
            + (did_you_mean(str(partition), row.partitions) or f"; take {listing(row.partitions)}.")
        )


class _Names(type):
    """Gives `GPUAccelerator` its members from the catalogue, as it stands at that moment."""

    def __getattr__(cls, name: str) -> Device:
        if not name.startswith("_"):
            for row in device_types():
                if _member(row) == name:
                    return Device(row.device_class, row.name)
            maker, _, rest = name.partition("_")
            known = find_type(rest)
            if known is not None and known.maker == maker:
                return Device(known.device_class, known.name)
        raise AttributeError(f"GPUAccelerator has no {name}{did_you_mean(name, dir(cls)) or '.'}")

    def __dir__(cls) -> list[str]:
        return [_member(row) for row in device_types()]


def _member(row: DeviceType) -> str:
    return re.sub(r"\W+", "_", f"{row.maker}_{row.name}").upper()


class GPUAccelerator(metaclass=_Names):
    """Types of accelerators by name: ``GPUAccelerator.NVIDIA_A10G``, ``AMD_MI300X`` and so on."""
