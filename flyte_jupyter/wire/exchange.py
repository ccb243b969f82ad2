"""How a value crosses a stream: small parts inside the frame, large ones by reference.

A value on the wire is a row of *slots*: the first is its tree as JSON text, the others are its
buffers. A slot is one of

======================================= ==========================================================
``0``                                   inside the frame
``[id, size, digest, location]``        a buffer that one side offers; the other pulls it with
                                        ``GET`` when it decodes the value, and never if it only
                                        passes the value on
``[number, offset, size]``              a piece of one of the segments that the frame lends (see
                                        :mod:`flyte_jupyter.wire.segments`), where the stream
                                        carries descriptors
======================================= ==========================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple, Union

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.frames import CHUNK, Frame, dump_json, load_json
from flyte_jupyter.wire.values import Encoded, Ref

__all__ = [
    "INLINE_BUFFER",
    "Laid",
    "Outbox",
    "Packed",
    "lay_out",
    "pack",
    "piece_for",
    "pieces",
    "slots_of",
    "unpack",
    "value_of",
]

INLINE_BUFFER = 64 * 1024

Part = Union[bytes, bytearray, memoryview, Ref]


@dataclass(frozen=True)
class Packed:
    """A value as the engine holds it: bytes and references, never decoded there.

    Args:
        tree: JSON text of the value's tree, or a reference to it.
        buffers: raw buffers, or references to them.
        info: ``type``, ``size`` (bytes, everything) and ``preview`` of the value, for displays.
    """

    tree: Part
    buffers: Tuple[Part, ...] = ()
    info: Dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def size(self) -> int:
        """Bytes of the value, with its buffers."""
        size = size_of(self.tree)
        return size + sum(map(size_of, self.buffers)) if self.buffers else size

    @property
    def complete(self) -> bool:
        """True when nothing of it lies elsewhere."""
        return not isinstance(self.tree, Ref) and Ref not in map(type, self.buffers)


def size_of(part: Part) -> int:
    """Return the bytes of a buffer or of what a reference points to."""
    if type(part) is bytes:
        return len(part)
    return part.size if isinstance(part, Ref) else memoryview(part).nbytes


def pack(encoded: Encoded, **info: Any) -> Packed:
    """Turn an encoded value into the form that travels."""
    return Packed(dump_json(encoded.tree).encode("ascii"), tuple(encoded.buffers), info)


def unpack(packed: Packed, open_ref: Any = None) -> Encoded:
    """Return the encoded value of a packed one; only the tree is opened, buffers stay as they are.

    Raises:
        ProtocolError: the tree is no JSON.
    """
    tree = packed.tree
    if isinstance(tree, Ref):
        if open_ref is None:
            raise ProtocolError("The tree of a value lies elsewhere and nothing can open it.")
        tree = open_ref(tree)
    try:
        return Encoded(load_json(str(tree, "utf-8")), list(packed.buffers))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"The tree of a value is no JSON: {error}.") from None


class Outbox:
    """The buffers that this side offers to the other, by id.

    Args:
        prefix: first letter of the ids, different on the two sides.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._offers: Dict[str, memoryview] = {}
        self._next = 0

    def offer(self, buffer: Any) -> Ref:
        """Keep a buffer for the other side and return the reference to send."""
        self._next += 1
        key = f"{self._prefix}{self._next}"
        view = memoryview(buffer).cast("B")
        self._offers[key] = view
        return Ref(key, view.nbytes, None, "peer")

    def owns(self, ref: Ref) -> bool:
        """True when the reference points to a buffer that this side offered and still holds."""
        return ref.id in self._offers

    def buffer(self, key: str) -> memoryview:
        """Return an offered buffer.

        Raises:
            ProtocolError: nothing is offered under that id.
        """
        try:
            return self._offers[key]
        except KeyError:
            raise ProtocolError(f"No buffer is offered as {key!r}.") from None

    def piece(self, key: str, offset: int, length: int) -> memoryview:
        """Return a piece of at most :data:`CHUNK` bytes of an offered buffer."""
        return self.buffer(key)[offset : offset + min(length, CHUNK)]

    def free(self, keys: Sequence[str]) -> None:
        """Forget buffers that the other side needs no more."""
        for key in keys:
            self._offers.pop(key, None)

    def __len__(self) -> int:
        return len(self._offers)


class Laid(NamedTuple):
    """A value laid out for a frame.

    Args:
        slots: where its parts are, for the header.
        inline: buffers that go inside the frame.
        offered: ids that were newly offered.
        shared: segments that the frame lends, for the header.
        fds: their descriptors, of those that the other side has not seen.
    """

    slots: List[Any]
    inline: List[Any]
    offered: List[str]
    shared: List[Any]
    fds: List[int]


def slots_of(packed: Packed, outbox: Outbox, channel: Any = None) -> Laid:
    """Lay a value out for a frame.

    Args:
        packed: the value.
        outbox: offers what is pulled.
        channel: lends segments, ``None`` where the stream carries no descriptors.
    """
    tree = packed.tree
    if not packed.buffers and type(tree) is bytes and len(tree) <= CHUNK:
        return Laid([0], [tree], [], [], [])
    laid = Laid([], [], [], [], [])
    slots, inline = laid.slots, laid.inline
    room = CHUNK
    for index, part in enumerate((packed.tree, *packed.buffers)):
        if isinstance(part, Ref):
            slots.append([part.id, part.size, part.digest, part.location])
            continue
        size = memoryview(part).nbytes
        if size <= room and (size <= INLINE_BUFFER or index == 0):
            slots.append(0)
            inline.append(memoryview(part).cast("B") if size else b"")
            room -= size
            continue
        lent = None if channel is None else channel.lay(part, laid.shared, laid.fds)
        if lent is not None:
            slots.append(lent)
            continue
        ref = outbox.offer(part)
        laid.offered.append(ref.id)
        slots.append([ref.id, ref.size, ref.digest, ref.location])
    return laid


def value_of(frame: Frame) -> Packed:
    """Return the value that a frame carries.

    Raises:
        ProtocolError: the slots do not fit the buffers of the frame.
    """
    header = frame.header
    if header.get("value") == [0] and len(frame.buffers) == 1:
        return Packed(frame.buffers[0], (), header.get("info") or {})
    parts: List[Part] = []
    rest = iter(frame.buffers)
    try:
        for slot in header["value"]:
            if not slot:
                parts.append(next(rest))
            elif len(slot) == 3:
                parts.append(_piece_of(header["shared"], *slot))
            else:
                parts.append(Ref(*slot))
    except (KeyError, IndexError, TypeError, StopIteration):
        raise ProtocolError("The slots of a value do not fit its frame.") from None
    if not parts:
        raise ProtocolError("A value without a tree.")
    return Packed(parts[0], tuple(parts[1:]), header.get("info") or {})


def _piece_of(shared: List[memoryview], number: int, start: int, size: int) -> memoryview:
    whole = shared[number]
    if not 0 <= start <= start + size <= whole.nbytes:
        raise ProtocolError("A value lies outside of its segment.")
    return whole[start : start + size]


def pieces(size: int) -> List[Tuple[int, int]]:
    """Return the (offset, length) of the pieces in which a buffer is pulled."""
    return [(at, min(CHUNK, size - at)) for at in range(0, size, CHUNK)]


def lay_out(
    header: Dict[str, Any], packed: Packed, outbox: Outbox, channel: Any = None
) -> Tuple[Dict[str, Any], Laid]:
    """Return the header of a frame that carries a value, and how the value is laid out."""
    laid = slots_of(packed, outbox, channel)
    full = {**header, "value": laid.slots}
    if laid.shared:
        full["shared"] = laid.shared
    if packed.info:
        full["info"] = packed.info
    return full, laid


def piece_for(header: Dict[str, Any], outbox: Outbox) -> Tuple[Dict[str, Any], List[Any]]:
    """Return header and buffers of the ``DATA`` frame that answers a ``GET``."""
    key, offset = header["id"], header["offset"]
    try:
        piece = outbox.piece(key, offset, header["length"])
    except ProtocolError as error:
        return {"id": key, "offset": -1, "error": error.sentence}, []
    return {"id": key, "offset": offset}, [piece]
