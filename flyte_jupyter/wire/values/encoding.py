"""From a value to its tree and buffers, in one walk.

A value is written as a tree: a container that is met twice is written twice and arrives as two
equal ones. One that contains itself has no tree; it goes by pickle, whole.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from flyte_jupyter.errors import SerializationError
from flyte_jupyter.wire.values.model import Buffer, Encoded, Place, Ref
from flyte_jupyter.wire.values.registry import ENCODERS, encoder_of

__all__ = ["MAX_DEPTH", "ClassHash", "Encoder", "encode"]

#: Containers inside containers: below this, a value goes by pickle.
MAX_DEPTH = 100

#: Integers up to here are plain JSON; larger ones some readers would round.
BIG = 1 << 63

#: From this many buffers on, further ones are laid together in one.
MANY = 512
ALIGNMENT = 64

#: How many nodes may be written again because their container is shared.
SHARED = 1_000_000

ClassHash = Callable[[type], Optional[str]]

_NEVER = 1 << 30


def encode(value: Any, *, pickle: bool = True, class_hash: Optional[ClassHash] = None) -> Encoded:
    """Write a value down.

    Args:
        value: anything.
        pickle: whether what no codec knows may go by pickle.
        class_hash: gives the hash of the source of a class that was defined in a cell.

    Returns:
        The value as it travels. Its buffers are the memory of the arrays in it, not copies.

    Raises:
        SerializationError: the value, or something in it, cannot be encoded.
    """
    kind = type(value)
    if value is None or kind is bool or (kind is int and -BIG < value < BIG):
        return Encoded(value)
    encoder = Encoder(pickle, class_hash)
    try:
        tree = encoder.node(value)
    except RecursionError:
        raise SerializationError(
            f"A {kind.__qualname__} is nested too deeply to be encoded.",
            remedy="Pass it on as a flat table of items that refer to each other by number.",
        ) from None
    return Encoded(tree, encoder.finish())


class Encoder:
    """One walk over one value; codecs call it for what is inside theirs."""

    __slots__ = (
        "_buffers",
        "_depth",
        "_head",
        "_packed",
        "_packed_at",
        "_packed_size",
        "_seen",
        "_shared",
        "class_hash",
        "pickle",
    )

    def __init__(self, pickle: bool = True, class_hash: Optional[ClassHash] = None) -> None:
        self.pickle = pickle
        self.class_hash = class_hash
        self._buffers: List[Buffer] = []
        self._packed: Optional[List[Any]] = None
        self._packed_at = 0
        self._packed_size = 0
        # id -> (the container, its node or the depth at which it is still open)
        self._seen: Dict[int, Tuple[Any, Any, int]] = {}
        self._depth = 0
        # the smallest depth that a container still open was met again from: where a cycle starts
        self._head = _NEVER
        self._shared = 0

    def node(self, value: Any) -> Any:
        """Return the node of a value."""
        kind = type(value)
        if kind is str:
            if value.isascii():
                return value
        elif kind is int:
            if -BIG < value < BIG:
                return value
        elif value is None or kind is bool or (kind is float and value - value == 0.0):
            return value
        return (ENCODERS.get(kind) or encoder_of(kind))(value, self)

    def container(self, value: Any, write: Callable[[Any, Encoder], Any]) -> Any:
        """Return the node of a value that holds others, and so might hold itself.

        Args:
            value: the container.
            write: writes its node, with :meth:`node` for what is inside.
        """
        key = id(value)
        seen = self._seen
        met = seen.get(key)
        if met is not None:
            return self._again(met)
        depth = self._depth
        if depth >= MAX_DEPTH:
            return self._too_deep(value)
        seen[key] = (value, None, depth)
        buffers = len(self._buffers)
        self._depth = depth + 1
        node = write(value, self)
        self._depth = depth
        if self._head > depth:
            seen[key] = (value, node, -1)
            return node
        return self._cycle(value, buffers)

    def attempt(self, value: Any, otherwise: Callable[[Any], Any]) -> Any:
        """Return the node of a value, or that of what ``otherwise`` makes of it when it has none.

        Args:
            value: anything.
            otherwise: called with the value if it cannot be encoded.
        """
        seen, depth, head = dict(self._seen), self._depth, self._head
        buffers = len(self._buffers)
        try:
            return self.node(value)
        except Exception:
            self._seen.clear()
            self._seen.update(seen)
            self._depth, self._head = depth, head
            if self._packed is None:
                del self._buffers[buffers:]
            return self.node(otherwise(value))

    def raw(self, buffer: Any) -> Place:
        """Keep bytes and return their place, for a node's ``r`` or ``b``."""
        buffers = self._buffers
        if len(buffers) < MANY:
            buffers.append(buffer)
            return len(buffers) - 1
        if self._packed is None:
            self._packed = []
            self._packed_at = len(buffers)
            buffers.append(b"")
        start = self._packed_size
        size = memoryview(buffer).nbytes
        padding = -size % ALIGNMENT
        self._packed += (buffer, bytes(padding))
        self._packed_size += size + padding
        return [self._packed_at, start, size]

    def keep(self, buffer: Buffer) -> Place:
        """Keep bytes, or a reference to bytes that lie elsewhere, and return their place."""
        if not isinstance(buffer, Ref):
            return self.raw(buffer)
        self._buffers.append(buffer)
        return len(self._buffers) - 1

    def finish(self) -> List[Buffer]:
        """Return the buffers."""
        if self._packed is not None:
            self._buffers[self._packed_at] = b"".join(self._packed)
        return self._buffers

    def _again(self, met: Tuple[Any, Any, int]) -> Any:
        _, node, depth = met
        if depth < 0:
            self._shared += _count(node, SHARED)
            if self._shared <= SHARED:
                return node
            raise SerializationError(
                f"A {type(met[0]).__qualname__} is part of the value so many times that written "
                f"down it would have more than {SHARED:,} items.",
                remedy="Pass the shared part once, as an input of its own.",
            )
        self._head = min(self._head, depth)
        return None

    def _cycle(self, value: Any, buffers: int) -> Any:
        if self._head < self._depth:
            # Part of a larger cycle: what is written here will be thrown away.
            del self._seen[id(value)]
            return None
        self._head = _NEVER
        for key, met in list(self._seen.items()):
            if not 0 <= met[2] < self._depth:
                del self._seen[key]
        if self._packed is None:
            del self._buffers[buffers:]
        if not self.pickle:
            raise SerializationError(
                f"A {type(value).__qualname__} contains itself, so it could only go by pickle, "
                "and pickle is switched off.",
                remedy="Break the circle, or allow it with init(pickle=True).",
            )
        return self._pickled(value)

    def _too_deep(self, value: Any) -> Any:
        if self._head < self._depth:
            return None
        if not self.pickle:
            raise SerializationError(
                f"A {type(value).__qualname__} lies more than {MAX_DEPTH} levels deep, so it "
                "could only go by pickle, and pickle is switched off."
            )
        return self._pickled(value)

    def _pickled(self, value: Any) -> Any:
        from flyte_jupyter.wire.values.pickled import encode_pickle

        return encode_pickle(value, self)


def _count(node: Any, most: int) -> int:
    """Return how many containers and leaves a node has, or ``most`` when there are more."""
    pending, count = [node], 0
    while pending and count < most:
        item = pending.pop()
        count += 1
        if type(item) is dict:
            pending.extend(item.values())
        elif type(item) is list:
            pending.extend(item)
    return count
