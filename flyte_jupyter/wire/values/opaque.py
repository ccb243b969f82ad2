"""A value that cannot be opened here: it can be passed on, shown, and nothing else."""

from __future__ import annotations

from typing import Any, Dict, List, NoReturn, Sequence, Tuple

from flyte_jupyter.errors import OpaqueValueError, ProtocolError
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.model import Buffer, Encoded, Place, Ref, dump, relocated, size_of
from flyte_jupyter.wire.values.registry import writes

__all__ = ["Opaque", "opaque_of"]


class Opaque:
    """A handle for a value whose package is missing here.

    Passing it on costs nothing and keeps the value as it is. Comparing it, its truth, its
    attributes, its items and its length raise :class:`~flyte_jupyter.errors.OpaqueValueError`.
    """

    __slots__ = ("__weakref__", "_encoded", "_missing", "_preview", "_type", "_why")

    def __init__(self, encoded: Encoded, type_name: str, missing: str, why: str) -> None:
        from flyte_jupyter.wire.values.previews import preview_tree

        put = object.__setattr__
        put(self, "_encoded", encoded)
        put(self, "_type", type_name)
        put(self, "_missing", missing)
        put(self, "_why", why)
        put(self, "_preview", preview_tree(encoded.tree))

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        reason = f"{self._missing} is missing here"
        if self._why:
            reason += f" ({self._why})"
        raise OpaqueValueError(
            f"This {self._type} cannot be opened: {reason}.",
            evidence=[self._preview],
            remedy="Pass it on to a task as it is, or add what is missing to this image.",
        )

    def __getattr__(self, name: str) -> Any:
        # Protocols are asked for by names with underscores, by code that expects "no".
        if name.startswith("_"):
            raise AttributeError(name)
        return self._refuse()

    def __repr__(self) -> str:
        from flyte_jupyter.wire.values.previews import in_bytes

        encoded = self._encoded
        size = len(dump(encoded.tree)) + sum(map(size_of, encoded.buffers))
        return f"<opaque {self._type}, {in_bytes(size)}: {self._preview}>"

    def __reduce__(self) -> Any:
        encoded = self._encoded
        owned = [b if isinstance(b, Ref) else bytes(b) for b in encoded.buffers]
        return Opaque, (Encoded(encoded.tree, owned), self._type, self._missing, self._why)

    def __copy__(self) -> Opaque:
        return self

    def __deepcopy__(self, memo: Any) -> Opaque:
        return self

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __hash__ = __bool__ = __len__ = __iter__ = __contains__ = __call__ = _refuse
    __getitem__ = __setitem__ = __delitem__ = __setattr__ = __delattr__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _refuse
    __rtruediv__ = __neg__ = __abs__ = __int__ = __float__ = __index__ = __matmul__ = _refuse
    __enter__ = __exit__ = __await__ = __next__ = _refuse


def opaque_of(node: Dict[str, Any], buffers: Sequence[Buffer], missing: str, why: str) -> Opaque:
    """Return a handle for a node, with just the buffers that are its own.

    Args:
        node: the part of a tree that cannot be opened.
        buffers: the buffers of the whole.
        missing: what is missing, by name.
        why: more about it, or nothing.
    """
    from flyte_jupyter.wire.values.naming import type_of_node

    moved: Dict[int, int] = {}
    own: List[Buffer] = []

    def move(place: Place) -> Place:
        index, span = _split(place)
        if index not in moved:
            own.append(buffers[index])
            moved[index] = len(own) - 1
        return [moved[index], *span] if span else moved[index]

    try:
        tree = relocated(node, move)
    except (IndexError, TypeError, ValueError):
        raise ProtocolError("A node points to a buffer that the value does not have.") from None
    return Opaque(Encoded(tree, own), type_of_node(node), missing, why)


@writes(Opaque)
def encode_opaque(value: Opaque, encoder: Encoder) -> Any:
    """A handle goes as what it stands for."""
    places: Dict[int, Place] = {}
    encoded: Encoded = value._encoded

    def move(place: Place) -> Place:
        index, span = _split(place)
        if index not in places:
            places[index] = encoder.keep(encoded.buffers[index])
        whole = places[index]
        if not span:
            return whole
        start, packed = _split(whole)
        return [start, span[0] + (packed[0] if packed else 0), span[1]]

    return relocated(encoded.tree, move)


def _split(place: Place) -> Tuple[int, List[int]]:
    """Return the number of a buffer, and offset and length of the piece, if it is a piece."""
    return (place, []) if isinstance(place, int) else (place[0], place[1:])
