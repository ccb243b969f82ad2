"""Accelerators: the catalogue as a table, and the values that ask for one.

A type is looked up without regard to case, spaces, dashes and the maker's name, so ``"a100-80g"``,
``"A100_80GB"`` and ``"nvidia-a100-80gb"`` all name the ``A100 80G``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.errors import SpecError, SpecTypeError
from flyte_jupyter.spec.naming import did_you_mean, listing, shown

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
class DeviceType:
    """One line of the catalogue.

    Args:
        name: how the type is written.
        device_class: its family (``GPU``, ``TPU``, ``NEURON``, ``AMD_GPU``, ``HABANA_GAUDI``).
        maker: first part of its name in `GPUAccelerator`.
        partitions: the shares or slices it can be cut into.
        most: the largest count that one machine carries.
        node_label: value of the node label that selects it on common clusters.
    """

    name: str
    device_class: str
    maker: str
    partitions: tuple[str, ...] = ()
    most: int = 8
    node_label: str | None = None


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
        if self.device_class not in _CLASSES:
            raise SpecError(
                f"device_class={shown(self.device_class)} is no family of accelerators"
                + (did_you_mean(str(self.device_class), _CLASSES) or f"; take {_classes()}.")
            )
        if self.device is not None:
            if not isinstance(self.device, str) or not self.device.strip():
                raise SpecTypeError(
                    f"device={shown(self.device)} is no type of accelerator; "
                    "give its name, such as 'A100'."
                )
            known = _find(self.device, self.device_class)
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


# family: the resource that a Kubernetes device plugin offers for it
_CLASSES = {
    "GPU": "nvidia.com/gpu",
    "TPU": "google.com/tpu",
    "NEURON": "aws.amazon.com/neuron",
    "AMD_GPU": "amd.com/gpu",
    "HABANA_GAUDI": "habana.ai/gaudi",
}

_MIG_40 = ("1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb")
_MIG_80 = ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")
_MIG_141 = ("1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb")
_MIG_180 = ("1g.23gb", "1g.45gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb")
_MIG_RTX = ("1g.24gb", "2g.48gb", "4g.96gb")
_SLICES = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = (
    "2x2x1", "2x2x2", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16", "8x16x16",
    "16x16x16", "16x16x24",
)  # fmt: skip

_AMD = (
    "MI100", "MI210", "MI250", "MI250X", "MI300A", "MI300X", "MI325X", "MI350X", "MI355X",
)  # fmt: skip

_TYPES: dict[str, DeviceType] = {}
_ALIASES: dict[str, str] = {}


def _rows() -> list[DeviceType]:
    def gpu(name: str, label: str | None = None, parts: tuple[str, ...] = ()) -> DeviceType:
        # one machine type carries sixteen of the first A100, every other at most eight
        return DeviceType(name, "GPU", "NVIDIA", parts, 16 if name == "A100" else 8, label)

    rows = [
        gpu("A2"),
        gpu("A10", "nvidia-a10"),
        gpu("A10G", "nvidia-a10g"),
        gpu("A30", None, ("1g.6gb", "2g.12gb", "4g.24gb")),
        gpu("A100", "nvidia-tesla-a100", _MIG_40),
        gpu("A100 80G", "nvidia-a100-80gb", _MIG_80),
        gpu("B200", "nvidia-b200", _MIG_180),
        gpu("GB10"),
        gpu("H100", "nvidia-h100-80gb", _MIG_80),
        gpu("H200", "nvidia-h200-141gb", _MIG_141),
        gpu("K80", "nvidia-tesla-k80"),
        gpu("L4", "nvidia-l4"),
        gpu("L40s", "nvidia-l40s"),
        gpu("M60", "nvidia-tesla-m60"),
        gpu("P4", "nvidia-tesla-p4"),
        gpu("P100", "nvidia-tesla-p100"),
        gpu("RTX PRO 4500"),
        gpu("RTX PRO 6000", "nvidia-rtx-pro-6000", _MIG_RTX),
        gpu("T4", "nvidia-tesla-t4"),
        gpu("V100", "nvidia-tesla-v100"),
    ]
    # a shared type is time-sliced by the cluster under a label of its own
    rows += [gpu(f"{row.name} shared") for row in list(rows) if not row.partitions]
    rows += [gpu(f"{name} shared") for name in ("A100", "A100 80G", "H100", "H200", "B200")]
    for name, slices, label in (
        ("V5E", _SLICES, "tpu-v5-lite-podslice"),
        ("V5P", _CUBES, "tpu-v5p-slice"),
        ("V6E", _SLICES, "tpu-v6e-slice"),
    ):
        rows.append(DeviceType(name, "TPU", "GOOGLE", slices, 8, label))
    rows += [
        DeviceType(name, "NEURON", "AWS", (), 16)
        for name in ("Inf1", "Inf2", "Trn1", "Trn1n", "Trn2", "Trn2u")
    ]
    rows += [DeviceType(name, "AMD_GPU", "AMD") for name in _AMD]
    rows += [DeviceType(name, "HABANA_GAUDI", "HABANA") for name in ("Gaudi1", "Gaudi2", "Gaudi3")]
    return rows


def _key(name: str) -> str:
    # two makers' names may stand before a type: "nvidia-tesla-t4"
    text = re.sub(r"[\s_-]+", "", name.casefold())
    while True:
        shorter = re.sub(r"^(?:nvidia|tesla|geforce|google|aws|amd|habana|tpu)(?=.)", "", text)
        if shorter == text:
            return text
        text = shorter


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
    if maker is None:
        maker = next(row.maker for row in _TYPES.values() if row.device_class == device_class)
    row = DeviceType(name, device_class, maker, tuple(partitions), most, node_label)
    _TYPES[_key(name)] = row
    for alias in aliases:
        _ALIASES[_key(alias)] = _key(name)
    return row


for _row in _rows():
    _TYPES[_key(_row.name)] = _row
for _alias, _name in {
    "A100 80GB": "A100 80G",
    "A100 40G": "A100",
    "A100 40GB": "A100",
    "H100 80G": "H100",
    "H100 80GB": "H100",
    "H200 141GB": "H200",
    "v5litepod": "V5E",
    "Gaudi": "Gaudi1",
}.items():
    _ALIASES[_key(_alias)] = _key(_name)


def device_types(device_class: str | None = None) -> tuple[DeviceType, ...]:
    """Return the catalogue, or the lines of one family, in its order."""
    rows = _TYPES.values()
    return tuple(row for row in rows if device_class in (None, row.device_class))


def find_type(name: str) -> DeviceType | None:
    """Return the catalogue's line for a type in any spelling, or None."""
    return _find(name, None)


def kubernetes_resource(device_class: str) -> str:
    """Return the name of the Kubernetes resource that a family is requested by."""
    return _CLASSES[device_class]


def _find(name: str, device_class: str | None) -> DeviceType | None:
    key = _key(name)
    row = _TYPES.get(_ALIASES.get(key, key))
    return row if row is not None and device_class in (None, row.device_class) else None


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
            f"{field}={shown(value)} is a {type(value).__name__}; give a count (1), a type with "
            "its count ('A100:2') or GPU('A100', 2)."
        )
    if isinstance(value, int):
        return _counted(value, field, value)
    name, colon, count = (part.strip() for part in value.rpartition(":"))
    if not colon:
        name, count = (value.strip(), "1")
        if re.fullmatch(r"[+-]?\d+", name):
            return _counted(int(name), field, value)
    row = _find(name, None) if name else None
    if row is None:
        raise SpecError(f"{field}={value!r} names no type of accelerator{_type_hint(name)}")
    if not re.fullmatch(r"\d+", count):
        raise SpecError(
            f"{field}={value!r} has no count after the colon; write '{row.name}:1', "
            f"or as many as you need."
        )
    _check_quantity(int(count), row.name, row.most)
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
            f"device={shown(name)} is a {type(name).__name__}; "
            f"give a type, such as {_example(device_class)!r}."
        )
    row = _find(name, device_class)
    if row is None:
        other = _find(name, None)
        if other is not None:
            raise SpecError(
                f"device={name!r} is no {device_class}; "
                f"write {_MAKERS[other.device_class]}({other.name!r})."
            )
        raise SpecError(f"device={name!r} names no {device_class}{_type_hint(name, device_class)}")
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
    return listing([repr(name) for name in _CLASSES])


def _counted(count: int, field: str, value: Any) -> Device | None:
    if count < 0:
        raise SpecError(f"{field}={value!r} is negative; give 0 or more.")
    return Device("GPU", None, count) if count else None


def _check_quantity(quantity: Any, name: str, most: int | None) -> None:
    if isinstance(quantity, bool) or not isinstance(quantity, int):
        raise SpecTypeError(
            f"quantity={shown(quantity)} is a {type(quantity).__name__}; give a whole number."
        )
    if quantity < 1:
        raise SpecError(f"quantity={quantity} of {name} is none; give at least 1.")
    if most is not None and quantity > most:
        raise SpecError(f"quantity={quantity} of {name} is more than one machine has; "
                        f"give at most {most}.")  # fmt: skip


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
            for row in _TYPES.values():
                if _member(row) == name:
                    return Device(row.device_class, row.name)
            maker, _, rest = name.partition("_")
            known = _find(rest, None)
            if known is not None and known.maker == maker:
                return Device(known.device_class, known.name)
        raise AttributeError(f"GPUAccelerator has no {name}{did_you_mean(name, dir(cls)) or '.'}")

    def __dir__(cls) -> list[str]:
        return [_member(row) for row in _TYPES.values()]


def _member(row: DeviceType) -> str:
    return re.sub(r"\W+", "_", f"{row.maker}_{row.name}").upper()


class GPUAccelerator(metaclass=_Names):
    """Types of accelerators by name: ``GPUAccelerator.NVIDIA_A10G``, ``AMD_MI300X`` and so on."""
