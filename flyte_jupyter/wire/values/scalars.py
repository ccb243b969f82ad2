# ruff: noqa: ARG001 (codecs have one signature)
"""Codecs of single values: numbers and text that JSON cannot say, and bytes."""

from __future__ import annotations

import struct
import types
from base64 import b64decode, b64encode
from typing import Any, Dict

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.values.decoding import Decoder
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.registry import reads, writes

__all__ = ["bytes_of", "keep_bytes"]

#: Bytes up to here stand in the tree; more go into a buffer of their own.
SHORT = 256

Node = Dict[str, Any]


def keep_bytes(node: Node, value: Any, encoder: Encoder) -> Node:
    """Put bytes that count as inline into a node."""
    if len(value) <= SHORT:
        node["v"] = b64encode(value).decode("ascii")
    else:
        node["b"] = encoder.raw(value)
    return node


def bytes_of(node: Node, decoder: Decoder) -> Any:
    """Return what :func:`keep_bytes` put into a node."""
    return decoder.buffer(node["b"]) if "b" in node else b64decode(node["v"], validate=True)


@writes(str)
def encode_str(value: str, encoder: Encoder) -> Any:
    """Text goes as it is; with lone surrogates it is no text for JSON and goes as bytes."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return keep_bytes({"~": "str"}, value.encode("utf-8", "surrogatepass"), encoder)
    return value


@reads("str")
def decode_str(node: Node, decoder: Decoder) -> str:
    """Return text with lone surrogates."""
    return bytes(bytes_of(node, decoder)).decode("utf-8", "surrogatepass")


@writes(int)
def encode_int(value: int, encoder: Encoder) -> Node:
    """Large integers go in hexadecimal, which has no limit of digits."""
    return {"~": "int", "v": hex(value)}


@reads("int")
def decode_int(node: Node, decoder: Decoder) -> int:
    """Return a large integer."""
    return int(node["v"], 16)


@writes(float)
def encode_float(value: float, encoder: Encoder) -> Node:
    """Infinities and not-a-number go as their eight bytes."""
    return {"~": "float", "v": struct.pack(">d", value).hex()}


@reads("float")
def decode_float(node: Node, decoder: Decoder) -> float:
    """Return an infinity or not-a-number."""
    value: float = struct.unpack(">d", bytes.fromhex(node["v"]))[0]
    return value


@writes(complex)
def encode_complex(value: complex, encoder: Encoder) -> Node:
    """A complex number goes as its two parts."""
    return {"~": "complex", "v": [encoder.node(value.real), encoder.node(value.imag)]}


@reads("complex")
def decode_complex(node: Node, decoder: Decoder) -> complex:
    """Return a complex number."""
    real, imag = decoder.values(node["v"])
    return complex(real, imag)


@writes(bytes)
def encode_bytes(value: bytes, encoder: Encoder) -> Node:
    """Bytes go into the tree or into a buffer, by their length."""
    return keep_bytes({"~": "bytes"}, value, encoder)


@reads("bytes")
def decode_bytes(node: Node, decoder: Decoder) -> bytes:
    """Return bytes."""
    return bytes(bytes_of(node, decoder))


@writes(bytearray)
def encode_bytearray(value: bytearray, encoder: Encoder) -> Node:
    """A byte array goes like bytes."""
    return keep_bytes({"~": "bytearray"}, value, encoder)


@reads("bytearray")
def decode_bytearray(node: Node, decoder: Decoder) -> bytearray:
    """Return a byte array."""
    return bytearray(bytes_of(node, decoder))


@writes(range, slice)
def encode_span(value: Any, encoder: Encoder) -> Node:
    """A range or slice goes as its three numbers."""
    span = [encoder.node(value.start), encoder.node(value.stop), encoder.node(value.step)]
    return {"~": type(value).__name__, "v": span}


@reads("range")
def decode_range(node: Node, decoder: Decoder) -> range:
    """Return a range."""
    start, stop, step = decoder.values(node["v"])
    return range(start, stop, step)


@reads("slice")
def decode_slice(node: Node, decoder: Decoder) -> slice:
    """Return a slice."""
    start, stop, step = decoder.values(node["v"])
    return slice(start, stop, step)


CONSTANTS = {"Ellipsis": Ellipsis, "NotImplemented": NotImplemented}


@writes(type(Ellipsis), type(NotImplemented))
def encode_constant(value: Any, encoder: Encoder) -> Node:
    """A constant goes by its name."""
    return {"~": "constant", "v": repr(value)}


@reads("constant")
def decode_constant(node: Node, decoder: Decoder) -> Any:
    """Return a constant."""
    return CONSTANTS[node["v"]]


# Memory


@writes(memoryview)
def encode_memoryview(value: memoryview, encoder: Encoder) -> Node:
    """A view goes as its bytes, with format and shape."""
    node = {"~": "memoryview", "f": value.format, "s": list(value.shape or ())}
    return keep_bytes(node, value.tobytes(), encoder)


@reads("memoryview")
def decode_memoryview(node: Node, decoder: Decoder) -> memoryview:
    """Return a view of memory of its own."""
    view: Any = memoryview(bytearray(bytes_of(node, decoder)))
    if not view.nbytes:
        return memoryview(bytearray())
    shaped: memoryview = view.cast(node["f"], decoder.values(node["s"]))
    return shaped


@writes(types.SimpleNamespace)
def encode_namespace(value: types.SimpleNamespace, encoder: Encoder) -> Any:
    """A namespace goes as its attributes."""
    return encoder.container(value, _write_namespace)


def _write_namespace(value: types.SimpleNamespace, encoder: Encoder) -> Node:
    return {"~": "namespace", "v": encoder.node(vars(value))}


@reads("namespace")
def decode_namespace(node: Node, decoder: Decoder) -> types.SimpleNamespace:
    """Return a namespace."""
    attributes = decoder.value(node["v"])
    if type(attributes) is not dict:
        raise ProtocolError("A namespace needs attributes.")
    space = types.SimpleNamespace()
    space.__dict__.update(attributes)
    return space
