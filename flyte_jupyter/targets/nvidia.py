"""NVIDIA's devices of this machine, and the words of the catalogue for them."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator

from flyte_jupyter.spec.accelerators import find_type

__all__ = ["nvidia_devices", "read_listing", "type_of"]

PATIENCE = 20
# GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-…), and below it one line for each of its partitions
_DEVICE = re.compile(r"GPU (\d+): (.+) \(UUID: (\S+)\)")
_PARTITION = re.compile(r"\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (\S+)\)")


@functools.cache
def nvidia_devices() -> tuple[tuple[str, str], ...]:
    """Return (id, type) of each device of this machine; nothing where there is none.

    The id of a whole device is its index, that of a partition (MIG) its UUID.
    """
    if not os.path.isdir("/proc/driver/nvidia/gpus") or not shutil.which("nvidia-smi"):
        return ()
    try:
        result = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(read_listing(result.stdout))


def read_listing(text: str) -> Iterator[tuple[str, str]]:
    """Yield (id, type) of each device that ``nvidia-smi -L`` lists.

    A device that is cut is not handed out itself; the type of a part of it is told as
    ``A100/1g.5gb``.
    """
    kind = ""
    whole: tuple[str, str] | None = None
    for line in text.splitlines():
        device, part = _DEVICE.match(line), _PARTITION.match(line)
        if device:
            if whole is not None:
                yield whole
            whole = (device[1], type_of(device[2]))
            kind = whole[1]
        elif part:
            whole = None
            yield part[2], f"{kind}/{part[1]}"
    if whole is not None:
        yield whole


def type_of(product: str) -> str:
    """Return the catalogue's word for a product such as ``NVIDIA A100-SXM4-40GB``.

    A product that the catalogue does not know is called by its own name, without its maker's.
    """
    words = re.split(r"[\s_-]+", product.strip())
    while words and words[0].casefold() in ("nvidia", "tesla", "graphics"):
        words.pop(0)
    if not words:
        return ""
    # the longest name that stands at the front, with the size of its memory if that tells more
    known = None
    for count in range(len(words), 0, -1):
        known = find_type(" ".join(words[:count]), "GPU")
        if known is not None:
            break
    if known is None:
        return " ".join(words)
    size = next((word for word in words if re.fullmatch(r"\d+GB", word, re.IGNORECASE)), "")
    sized = find_type(f"{known.name} {size}", "GPU") if size else None
    return (sized or known).name
