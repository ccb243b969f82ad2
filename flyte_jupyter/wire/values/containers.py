"""Codecs of the containers of the standard library."""

from __future__ import annotations

import array
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from math import isfinite
from typing import Any, Callable, Dict, List

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.values.decoding import Decoder
from flyte_jupyter.wire.values.encoding import BIG, Encoder
from flyte_jupyter.wire.values.model import TAG, dump
from flyte_jupyter.wire.values.registry import reads, writes

__all__ = ["copy_if_plain", "pairs_of"]

Node = Dict[str, Any]

#: Lists at least this long are looked at as a whole before they are walked.
LONG = 16

# Type of all items of a list -> whether they all are plain JSON, told at the speed of C.
_ALL_PLAIN: Dict[type, Callable[[Any], bool]] = {
    int: lambda items: min(items) > -BIG and max(items) < BIG,
    float: lambda items: isfinite(sum(items)),
    str: lambda items: all(map(str.isascii, items)),
    bool: bool,
    type(None): bool,
}


def copy_if_plain(items: Any) -> Any:
    """Return a list of items that are nodes already, None when some are not."""
    if len(items) < LONG:
        return None
    kinds = set(map(type, items))
    if len(kinds) == 1:
        plain = _ALL_PLAIN.get(kinds.pop())
        if plain is not None and plain(items):
            return list(items)
    return None


def _items(value: Any, encoder: Encoder) -> List[Any]:
    node = encoder.node
    return copy_if_plain(value) or [node(item) for item in value]


@writes(list)
def encode_list(value: List[Any], encoder: Encoder) -> Any:
    """A list is a list."""
    return encoder.container(value, _items)


@writes(tuple)
def encode_tuple(value: Any, encoder: Encoder) -> Any:
    """A tuple is a node with a list."""
    return encoder.container(value, _write_tuple)


def _write_tuple(value: Any, encoder: Encoder) -> Node:
    return {TAG: "tuple", "v": _items(value, encoder)}


@reads("tuple")
def decode_tuple(node: Node, decoder: Decoder) -> Any:
    """Return a tuple."""
    return tuple(decoder.values(node["v"]))


@writes(set)
def encode_set(value: Any, encoder: Encoder) -> Any:
    """A set goes as the list of its items, in an order that is the same in every process."""
    return encoder.container(value, _write_set)


@writes(frozenset)
def encode_frozenset(value: Any, encoder: Encoder) -> Any:
    """A frozen set goes like a set."""
    return encoder.container(value, _write_set)


def _write_set(value: Any, encoder: Encoder) -> Node:
    kinds = set(map(type, value))
    if kinds == {str} or kinds == {int}:
        items = _items(sorted(value), encoder)
    else:
        items = sorted((encoder.node(item) for item in value), key=dump)
    return {TAG: type(value).__name__, "v": items}


@reads("set")
def decode_set(node: Node, decoder: Decoder) -> Any:
    """Return a set."""
    return set(decoder.values(node["v"]))


@reads("frozenset")
def decode_frozenset(node: Node, decoder: Decoder) -> Any:
    """Return a frozen set."""
    return frozenset(decoder.values(node["v"]))


@writes(dict)
def encode_dict(value: Dict[Any, Any], encoder: Encoder) -> Any:
    """A dictionary whose keys are text is a dictionary, any other a node with pairs."""
    return encoder.container(value, _write_dict)


def _write_dict(value: Dict[Any, Any], encoder: Encoder) -> Any:
    of = encoder.node
    node = {}
    for key, item in value.items():
        if type(key) is not str or not key.isascii() or key == TAG:
            break
        node[key] = of(item)
    else:
        return node
    return _write_pairs(value, encoder)


def _write_pairs(value: Dict[Any, Any], encoder: Encoder) -> Any:
    of = encoder.node
    keys = [of(key) for key in value]
    items = [of(item) for item in value.values()]
    if TAG not in value and all(type(key) is str for key in keys):
        return dict(zip(keys, items))
    return {TAG: "dict", "k": keys, "v": items}


def pairs_of(node: Node, decoder: Decoder) -> Any:
    """Return the pairs of a node with keys and values."""
    keys, values = decoder.values(node["k"]), decoder.values(node["v"])
    if len(keys) != len(values):
        raise ProtocolError("A dictionary has not as many values as keys.")
    return zip(keys, values)


@reads("dict")
def decode_dict(node: Node, decoder: Decoder) -> Dict[Any, Any]:
    """Return a dictionary."""
    return dict(pairs_of(node, decoder))


@writes(OrderedDict, Counter)
def encode_mapping(value: Any, encoder: Encoder) -> Any:
    """A mapping of a class of its own goes as its pairs."""
    return encoder.container(value, _write_mapping)


def _write_mapping(value: Any, encoder: Encoder) -> Node:
    of = encoder.node
    return {
        TAG: type(value).__name__,
        "k": [of(key) for key in value],
        "v": [of(item) for item in value.values()],
    }


@reads("OrderedDict")
def decode_ordered(node: Node, decoder: Decoder) -> Any:
    """Return an ordered dictionary."""
    return OrderedDict(pairs_of(node, decoder))


@reads("Counter")
def decode_counter(node: Node, decoder: Decoder) -> Any:
    """Return a counter."""
    counter: Counter[Any] = Counter()
    for key, count in pairs_of(node, decoder):
        counter[key] = count
    return counter


@writes(defaultdict)
def encode_default(value: Any, encoder: Encoder) -> Any:
    """A dictionary with a default goes as its pairs and the function that makes the default."""
    return encoder.container(value, _write_default)


def _write_default(value: Any, encoder: Encoder) -> Node:
    node = _write_mapping(value, encoder)
    node["d"] = encoder.node(value.default_factory)
    return node


@reads("defaultdict")
def decode_default(node: Node, decoder: Decoder) -> Any:
    """Return a dictionary with a default."""
    return defaultdict(decoder.value(node["d"]), pairs_of(node, decoder))


@writes(deque)
def encode_deque(value: Any, encoder: Encoder) -> Any:
    """A double-ended queue goes as its items and its bound."""
    return encoder.container(value, _write_deque)


def _write_deque(value: Any, encoder: Encoder) -> Node:
    return {TAG: "deque", "v": _items(value, encoder), "m": value.maxlen}


@reads("deque")
def decode_deque(node: Node, decoder: Decoder) -> Any:
    """Return a double-ended queue."""
    return deque(decoder.values(node["v"]), decoder.value(node["m"]))


@writes(array.array)
def encode_array(value: Any, encoder: Encoder) -> Node:
    """An array of the standard library goes as its bytes, in this machine's order."""
    return {
        TAG: "array",
        "t": value.typecode,
        "e": sys.byteorder,
        "w": value.itemsize,
        "r": [encoder.raw(memoryview(value).cast("B") if value else b"")],
    }


@reads("array")
def decode_array(node: Node, decoder: Decoder) -> Any:
    """Return an array of the standard library."""
    items = array.array(node["t"])
    if items.itemsize != node["w"]:
        raise ProtocolError(f"An item of array {node['t']!r} has another size here.")
    items.frombytes(decoder.one(node))
    if node["e"] != sys.byteorder:
        items.byteswap()
    return items
