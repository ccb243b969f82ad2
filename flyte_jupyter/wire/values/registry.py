"""Which codec writes a type, and which reads a tag: two tables, filled by one file per family.

A codec is a pair of functions: ``encode(value, encoder) -> node`` and ``decode(node, decoder) ->
value``. Families of packages that may be missing live in files that are imported when a value or
a tag of theirs is met, so the standard library is all that this room needs. Such a file names its
types in ``encoders()``, which is asked when a value of that package is met: then it is there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from flyte_jupyter.wire.values.decoding import Decoder
    from flyte_jupyter.wire.values.encoding import Encoder

__all__ = ["decoder_of", "encoder_of", "reads", "writes", "writes_kind"]

Encode = Callable[[Any, "Encoder"], Any]
Decode = Callable[[Dict[str, Any], "Decoder"], Any]

#: Codecs by exact type. Only types that live as long as the process stand here.
ENCODERS: Dict[type, Encode] = {}
DECODERS: Dict[str, Decode] = {}

#: Package of a type, or first word of a tag -> the file of its codecs.
PACKAGES = {
    "numpy": "arrays",
    "pandas": "frames",
    "polars": "polars_frames",
    "pyarrow": "arrow",
    "decimal": "standard",
    "fractions": "standard",
    "pathlib": "standard",
    "uuid": "standard",
    "flyte_jupyter": "tasks",
    "pickle": "pickled",
}

#: Codecs by kind of class: the first whose question is answered with yes takes the type.
_KINDS: List[tuple[int, Callable[[type], bool], Encode]] = []
_BY_CLASS: WeakKeyDictionary[type, Encode] = WeakKeyDictionary()


def writes(*types: type) -> Callable[[Encode], Encode]:
    """Register a function as the encoder of exactly these types."""

    def register(encode: Encode) -> Encode:
        for kind in types:
            ENCODERS[kind] = encode
        return encode

    return register


def writes_kind(order: int, question: Callable[[type], bool]) -> Callable[[Encode], Encode]:
    """Register a function as the encoder of all types of a kind.

    Args:
        order: kinds with a smaller number are asked first.
        question: tells from a type whether it is of the kind.
    """

    def register(encode: Encode) -> Encode:
        _KINDS.append((order, question, encode))
        _KINDS.sort(key=lambda kind: kind[0])
        return encode

    return register


def reads(*tags: str) -> Callable[[Decode], Decode]:
    """Register a function as the decoder of these tags."""

    def register(decode: Decode) -> Decode:
        for tag in tags:
            DECODERS[tag] = decode
        return decode

    return register


def encoder_of(kind: type) -> Encode:
    """Return the codec for values whose type is exactly ``kind``."""
    found = ENCODERS.get(kind) or _BY_CLASS.get(kind)
    if found is not None:
        return found
    family = PACKAGES.get(str(getattr(kind, "__module__", "")).partition(".")[0])
    if family is not None:
        ENCODERS.update(import_module("flyte_jupyter.wire.values." + family).encoders())
        found = ENCODERS.get(kind)
        if found is not None:
            return found
    for _, question, encode in _KINDS:
        if question(kind):
            found = encode
            break
    else:
        found = import_module("flyte_jupyter.wire.values.pickled").encode_pickle
    _BY_CLASS[kind] = found
    return found


def decoder_of(tag: Any) -> Optional[Decode]:
    """Return the codec for a tag, None when there is no such tag."""
    if type(tag) is not str:
        return None
    found = DECODERS.get(tag)
    if found is None:
        family = PACKAGES.get(tag.partition(".")[0])
        if family is not None:
            import_module("flyte_jupyter.wire.values." + family)
            found = DECODERS.get(tag)
    return found
