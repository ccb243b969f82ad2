"""The catalogue of accelerators: a table of types, looked up in any spelling.

Case, spaces, dashes and the maker's name make no difference, so ``"a100-80g"``, ``"A100_80GB"`` and
``"nvidia-a100-80gb"`` all find the ``A100 80G``.
"""

from __future__ import annotations

import re
from typing import Iterator, NamedTuple, Optional

__all__ = [
    "RESOURCES",
    "DeviceType",
    "add_type",
    "device_types",
    "family_of",
    "find_type",
    "maker_of",
]


class DeviceType(NamedTuple):
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
    node_label: Optional[str] = None


RESOURCES = {
    "GPU": "nvidia.com/gpu",
    "TPU": "google.com/tpu",
    "NEURON": "aws.amazon.com/neuron",
    "AMD_GPU": "amd.com/gpu",
    "HABANA_GAUDI": "habana.ai/gaudi",
}
"""Family to the Kubernetes resource that its device plugin offers."""

_MAKERS = {
    "GPU": "NVIDIA",
    "TPU": "GOOGLE",
    "NEURON": "AWS",
    "AMD_GPU": "AMD",
    "HABANA_GAUDI": "HABANA",
}

_MIG_24 = ("1g.6gb", "2g.12gb", "4g.24gb")
_MIG_40 = ("1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb")
_MIG_80 = ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")
_MIG_141 = ("1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb")
_MIG_180 = ("1g.23gb", "1g.45gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb")
_MIG_96 = ("1g.24gb", "2g.48gb", "4g.96gb")
_SLICES = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = (
    "2x2x1", "2x2x2", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16", "8x16x16",
    "16x16x16", "16x16x24",
)  # fmt: skip

# type, partitions, most on one machine, node label
_GPUS: tuple[tuple[str, tuple[str, ...], int, Optional[str]], ...] = (
    ("A2", (), 8, None),
    ("A10", (), 8, "nvidia-a10"),
    ("A10G", (), 8, "nvidia-a10g"),
    ("A30", _MIG_24, 8, None),
    ("A100", _MIG_40, 16, "nvidia-tesla-a100"),
    ("A100 80G", _MIG_80, 8, "nvidia-a100-80gb"),
    ("B200", _MIG_180, 8, "nvidia-b200"),
    ("GB10", (), 1, None),
    ("H100", _MIG_80, 8, "nvidia-h100-80gb"),
    ("H200", _MIG_141, 8, "nvidia-h200-141gb"),
    ("K80", (), 16, "nvidia-tesla-k80"),
    ("L4", (), 8, "nvidia-l4"),
    ("L40s", (), 8, "nvidia-l40s"),
    ("M60", (), 8, "nvidia-tesla-m60"),
    ("P4", (), 8, "nvidia-tesla-p4"),
    ("P100", (), 8, "nvidia-tesla-p100"),
    ("RTX PRO 4500", (), 8, None),
    ("RTX PRO 6000", _MIG_96, 8, "nvidia-rtx-pro-6000"),
    ("T4", (), 8, "nvidia-tesla-t4"),
    ("V100", (), 8, "nvidia-tesla-v100"),
)
_TPUS = (
    ("V5E", _SLICES, 8, "tpu-v5-lite-podslice"),
    ("V5P", _CUBES, 4, "tpu-v5p-slice"),
    ("V6E", _SLICES, 8, "tpu-v6e-slice"),
)
# family, most on one machine, types
_PLAIN = (
    ("NEURON", 16, ("Inf1", "Inf2", "Trn1", "Trn1n", "Trn2", "Trn2u")),
    ("AMD_GPU", 8, ("MI100", "MI210", "MI250", "MI250X", "MI300A", "MI300X", "MI325X", "MI350X",
                    "MI355X")),
    ("HABANA_GAUDI", 8, ("Gaudi1", "Gaudi2", "Gaudi3")),
)  # fmt: skip
_SPELLINGS = {
    "A100 80GB": "A100 80G",
    "A100 40G": "A100",
    "A100 40GB": "A100",
    "H100 80G": "H100",
    "H100 80GB": "H100",
    "H200 141GB": "H200",
    "v5litepod": "V5E",
    "Gaudi": "Gaudi1",
}

# filled when first asked: most sessions never name an accelerator
_types: dict[str, DeviceType] = {}
_aliases: dict[str, str] = {}


def device_types(device_class: str | None = None) -> tuple[DeviceType, ...]:
    """Return the catalogue, or the lines of one family, in its order."""
    return tuple(row for row in _table().values() if device_class in (None, row.device_class))


def find_type(name: str, device_class: str | None = None) -> DeviceType | None:
    """Return the line for a type in any spelling, of one family if given; or None."""
    table, key = _table(), _key(name)
    row = table.get(_aliases.get(key, key))
    return row if row is not None and device_class in (None, row.device_class) else None


def family_of(kind: str) -> str:
    """Return the family of a type, of a part of one (``A100/1g.5gb``) or of a family's own name.

    What the catalogue does not know is a GPU.
    """
    whole = kind.partition("/")[0]
    row = find_type(whole) if whole and whole not in RESOURCES else None
    return row.device_class if row is not None else whole if whole in RESOURCES else "GPU"


def add_type(row: DeviceType, aliases: tuple[str, ...] = ()) -> None:
    """Add a line to the catalogue, or replace the one of its name."""
    _table()[_key(row.name)] = row
    for alias in aliases:
        _aliases[_key(alias)] = _key(row.name)


def maker_of(device_class: str) -> str:
    """Return who makes the types of a family."""
    return _MAKERS[device_class]


def _table() -> dict[str, DeviceType]:
    if not _types:
        _types.update((_key(row.name), row) for row in _rows())
        _aliases.update((_key(alias), _key(name)) for alias, name in _SPELLINGS.items())
    return _types


def _rows() -> Iterator[DeviceType]:
    for name, partitions, most, label in _GPUS:
        yield DeviceType(name, "GPU", "NVIDIA", partitions, most, label)
    # a shared GPU is time-sliced by the cluster, under a label of its own, and cannot be cut
    for name, _, most, _ in _GPUS:
        yield DeviceType(f"{name} shared", "GPU", "NVIDIA", (), most)
    for name, partitions, most, label in _TPUS:
        yield DeviceType(name, "TPU", "GOOGLE", partitions, most, label)
    for device_class, most, names in _PLAIN:
        for name in names:
            yield DeviceType(name, device_class, _MAKERS[device_class], (), most)


def _key(name: str) -> str:
    text = re.sub(r"[\s_-]+", "", name.casefold())
    # two such words may stand before a type: "nvidia-tesla-t4"
    return re.sub(r"^(?:nvidia|tesla|geforce|google|aws|amd|habana|tpu)+(?=.)", "", text)
