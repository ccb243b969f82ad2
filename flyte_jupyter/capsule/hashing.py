"""A hash over nested plain data in which no two different values share their bytes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flyte_jupyter.wire.values.model import TAG, Encoded

__all__ = ["digest_of", "feed"]

# Nodes whose items have no order of their own: two kernels may list them differently.
UNORDERED = frozenset(["set", "frozenset"])


def feed(digest: Any, value: Any) -> None:
    """Add a value: type, length and content of each part.

    Args:
        digest: an object of ``hashlib``.
        value: None, scalars, bytes, lists, tuples, dictionaries and encoded values.
    """
    if isinstance(value, Encoded):
        digest.update(b"V")
        feed(digest, _settled(value.tree))
        for buffer in value.buffers:
            feed(digest, buffer)
    elif isinstance(value, (list, tuple)):
        digest.update(b"L%d;" % len(value))
        for one in value:
            feed(digest, one)
    elif isinstance(value, dict):
        digest.update(b"D%d;" % len(value))
        for key, one in value.items():
            feed(digest, key)
            feed(digest, one)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        raw = memoryview(value).cast("B")
        digest.update(b"B%d;" % raw.nbytes)
        digest.update(raw)
    elif isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        digest.update(b"S%d;" % len(text))
        digest.update(text)
    else:
        digest.update(b"O" + repr(value).encode() + b";")


def _settled(tree: Any) -> Any:
    """Return a tree in which the items of sets stand in a fixed order."""
    if isinstance(tree, list):
        return [_settled(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    settled = {key: _settled(one) for key, one in tree.items()}
    if tree.get(TAG) in UNORDERED:
        for key, one in settled.items():
            if isinstance(one, list):
                settled[key] = sorted(one, key=lambda item: json.dumps(item, sort_keys=True))
    return settled


def digest_of(value: Any) -> bytes:
    """Return the hash of a value."""
    digest = hashlib.sha256()
    feed(digest, value)
    return digest.digest()
