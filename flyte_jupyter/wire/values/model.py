"""An encoded value: a tree of plain JSON values, and the buffers that it points to.

What JSON cannot say is a *node*: a dictionary with the key ``"~"``, whose value is the tag of the
codec that wrote it. The other keys belong to the codec, except for those that mean the same in
every node:

======== =======================================================================
``b``    where the bytes lie that count as inline: a :data:`Place`
``r``    a list of the places of raw buffers, which do not count as inline
``c``    the class of the value: ``[module, qualified name]``, and a hash of its source if known
``of``   the classes it inherits from, as dotted names, nearest first
``p``    a preview, made where the value was
======== =======================================================================
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Union

__all__ = ["TAG", "Buffer", "Encoded", "Place", "Ref", "dump", "nodes_of", "relocated", "size_of"]

TAG = "~"

#: Number of a buffer, or ``[number, offset, length]`` of a piece of one.
Place = Union[int, List[int]]

dump = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False).encode


@dataclass(frozen=True)
class Ref:
    """A buffer that lies elsewhere.

    Args:
        id: its name where it lies.
        size: its length in bytes.
        digest: hash of its content, if somebody needed it.
        location: the place that ``id`` is a name in.
    """

    id: str
    size: int
    digest: Optional[str] = None
    location: str = ""


Buffer = Union[bytes, bytearray, memoryview, Ref]


class Encoded(NamedTuple):
    """A value as it travels.

    Args:
        tree: None, bool, int, float, str, and lists and dictionaries of these.
        buffers: bytes, or references to them, that nodes of the tree point to by number. A buffer
            may be the memory of the encoded value itself: change that, and you change this.
    """

    tree: Any
    buffers: Sequence[Buffer] = ()


def size_of(buffer: Buffer) -> int:
    """Return the bytes of a buffer, or of what a reference points to."""
    return buffer.size if isinstance(buffer, Ref) else memoryview(buffer).nbytes


def nodes_of(tree: Any) -> Iterator[Dict[str, Any]]:
    """Yield every tagged node of a tree, outer ones first."""
    pending = [tree]
    while pending:
        item = pending.pop()
        if type(item) is dict:
            if TAG in item:
                yield item
            pending.extend(reversed(list(item.values())))
        elif type(item) is list:
            pending.extend(reversed(item))


def relocated(tree: Any, move: Callable[[Place], Place]) -> Any:
    """Return a copy of a tree in which every place of a buffer is moved.

    Args:
        tree: the tree.
        move: gives the new place for an old one.
    """
    if type(tree) is list:
        return [relocated(item, move) for item in tree]
    if type(tree) is not dict:
        return tree
    if TAG not in tree:
        return {key: relocated(item, move) for key, item in tree.items()}
    node: Dict[str, Any] = {}
    for key, item in tree.items():
        if key == "b":
            node[key] = move(item)
        elif key == "r":
            node[key] = [move(place) for place in item]
        elif key in ("c", "of"):
            node[key] = item
        else:
            node[key] = relocated(item, move)
    return node
