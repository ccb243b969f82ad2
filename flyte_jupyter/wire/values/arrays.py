"""Codecs of NumPy: arrays by their own memory, dtypes, and scalars."""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from math import prod
from typing import Any, Callable, Dict, List, Optional

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.values.decoding import Decoder
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.model import TAG
from flyte_jupyter.wire.values.registry import reads, writes_kind

__all__ = ["decode_array", "encode_array", "encoders", "preview"]

Node = Dict[str, Any]

#: A text array is one buffer; this stands between its items, and none may contain it.
BETWEEN = "\0"


def encoders() -> Dict[type, Callable[[Any, Encoder], Any]]:
    """Return the codecs of the exact types of NumPy."""
    numpy = sys.modules["numpy"]
    table: Dict[type, Callable[[Any, Encoder], Any]] = {
        numpy.ndarray: encode_array,
        numpy.memmap: encode_array,
    }
    masked = sys.modules.get("numpy.ma")
    if masked is not None:
        table[masked.MaskedArray] = encode_masked
    return table


def preview(value: Any) -> str:
    """Return an array in a few words, "" for what ``repr`` tells well enough."""
    numpy = sys.modules["numpy"]
    if not isinstance(value, numpy.ndarray):
        return ""
    shape = " by ".join(map(str, value.shape)) or "one item"
    words = f"array of {shape} {value.dtype}"
    if value.dtype.kind not in "biufcUSmM" or not value.size:
        return words
    first = value.reshape(-1)[:4] if value.flags.c_contiguous else value.flat[:4]
    shown = ", ".join(str(item)[:20] for item in first)
    return f"{words}: {shown}{', …' if value.size > 4 else ''}"


# Arrays


def encode_array(value: Any, encoder: Encoder) -> Any:
    """An array goes as its dtype, shape and order, and its own memory."""
    return encoder.container(value, _write_array)


def _write_array(value: Any, encoder: Encoder) -> Any:
    dtype = dtype_node(value.dtype)
    if dtype is None:
        from flyte_jupyter.wire.values.pickled import encode_pickle

        return encode_pickle(value, encoder)
    flags = value.flags
    order = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
    node: Node = {TAG: "numpy.array", "d": dtype, "s": list(value.shape), "p": preview(value)}
    if order == "F":
        node["o"] = order
    flat = value.T if order == "F" else value
    if value.dtype.hasobject:
        _keep_objects(node, flat.reshape(-1).tolist(), encoder)
    elif value.nbytes:
        if not flat.flags.c_contiguous:
            flat = flat.copy(order="C")
        uint8 = sys.modules["numpy"].uint8
        node["r"] = [encoder.raw(memoryview(flat.reshape(-1).view(uint8)))]
    return node


def _keep_objects(node: Node, items: List[Any], encoder: Encoder) -> None:
    if items and set(map(type, items)) == {str}:
        text = BETWEEN.join(items)
        if text.count(BETWEEN) == len(items) - 1:
            node["t"] = "text"
            node["r"] = [encoder.raw(text.encode("utf-8", "surrogatepass"))]
            return
    node["v"] = encoder.node(items)


@reads("numpy.array")
def decode_array(node: Node, decoder: Decoder) -> Any:
    """Return an array, on the memory of its buffer if that is writable."""
    numpy = decoder.package("numpy")
    dtype = dtype_of(node["d"], numpy)
    shape = _shape_of(node["s"])
    if dtype.hasobject:
        return _objects(node, decoder, numpy, shape)
    if not (prod(shape) and dtype.itemsize):
        if prod(shape):
            # Items of no bytes: text of length zero.
            return numpy.zeros(shape, dtype, order=node.get("o", "C"))
        return numpy.empty(shape, dtype, order=node.get("o", "C"))
    buffer = decoder.one(node)
    if buffer.nbytes != prod(shape) * dtype.itemsize:
        raise ProtocolError(
            f"An array of shape {tuple(shape)} and {dtype} is not {buffer.nbytes} bytes long."
        )
    flat = numpy.frombuffer(buffer, dtype)
    if not (flat.flags.writeable and flat.flags.aligned):
        # Byte by byte, for a copy of the items would leave out what lies between their fields.
        flat = numpy.frombuffer(buffer, "u1").copy().view(dtype)
    if node.get("o") == "F":
        return flat.reshape(shape[::-1]).T
    return flat.reshape(shape)


def _objects(node: Node, decoder: Decoder, numpy: Any, shape: List[int]) -> Any:
    if node.get("t") == "text":
        items = str(decoder.one(node), "utf-8", "surrogatepass").split(BETWEEN)
    else:
        items = decoder.values(node["v"])
    if len(items) != prod(shape):
        raise ProtocolError(f"An array of shape {tuple(shape)} has not {len(items)} items.")
    flat = numpy.empty(len(items), object)
    for at, item in enumerate(items):
        flat[at] = item
    return flat.reshape(shape[::-1]).T if node.get("o") == "F" else flat.reshape(shape)


def _shape_of(shape: Any) -> List[int]:
    if type(shape) is not list or not all(type(n) is int and n >= 0 for n in shape):
        raise ProtocolError(f"{shape!r} is no shape of an array.")
    return shape


def encode_masked(value: Any, encoder: Encoder) -> Any:
    """An array of which some items are hidden goes as its data and the places of these."""
    return encoder.container(value, _write_masked)


def _write_masked(value: Any, encoder: Encoder) -> Node:
    numpy = sys.modules["numpy"]
    hidden = None if value.mask is numpy.ma.nomask else numpy.asarray(value.mask)
    return {
        TAG: "numpy.masked",
        "p": preview(value),
        "a": encoder.node(numpy.asarray(value.data)),
        "m": encoder.node(hidden),
        "f": encoder.node(None if value._fill_value is None else value._fill_value[()]),
        "h": bool(value.hardmask),
    }


@reads("numpy.masked")
def decode_masked(node: Node, decoder: Decoder) -> Any:
    """Return an array of which some items are hidden."""
    masked = decoder.package("numpy.ma")
    hidden = decoder.value(node["m"])
    return masked.MaskedArray(
        decoder.value(node["a"]),
        mask=masked.nomask if hidden is None else hidden,
        fill_value=decoder.value(node["f"]),
        hard_mask=node["h"],
        copy=False,
    )


# What an item is


def dtype_node(dtype: Any) -> Optional[Any]:
    """Return a dtype in JSON, None when it has no form that another NumPy would understand."""
    numpy = sys.modules["numpy"]
    if dtype.fields is not None:
        return _fields_node(dtype)
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        of = dtype_node(base)
        return None if of is None else {"of": of, "shape": list(shape)}
    if dtype.kind not in "biufcmMSUVO" or dtype.type is numpy.record:
        return None
    return dtype.str if numpy.dtype(dtype.str) == dtype else None


def _fields_node(dtype: Any) -> Optional[Any]:
    fields = [dtype.fields[name] for name in dtype.names]
    formats = [dtype_node(field[0]) for field in fields]
    titled = any(len(field) > 2 for field in fields)
    if None in formats or dtype.hasobject or titled or dtype.type.__name__ != "void":
        return None
    return {
        "names": list(dtype.names),
        "formats": formats,
        "offsets": [field[1] for field in fields],
        "itemsize": dtype.itemsize,
        "aligned": bool(dtype.isalignedstruct),
    }


def dtype_of(node: Any, numpy: Any, depth: int = 0) -> Any:
    """Return the dtype that was written by :func:`dtype_node`."""
    if depth > 20:
        raise ProtocolError("A dtype is nested too deeply.")
    if type(node) is str:
        return numpy.dtype(node)
    if "of" in node:
        return numpy.dtype(
            (dtype_of(node["of"], numpy, depth + 1), tuple(_shape_of(node["shape"])))
        )
    formats = [dtype_of(item, numpy, depth + 1) for item in node["formats"]]
    spec = {"names": node["names"], "formats": formats}
    spec.update(offsets=node["offsets"], itemsize=node["itemsize"])
    return numpy.dtype(spec, align=node["aligned"])


@writes_kind(20, lambda kind: _is_numpy(kind, "dtype"))
def encode_dtype(value: Any, encoder: Encoder) -> Any:
    """A dtype goes as its text, or as its fields."""
    node = dtype_node(value)
    if node is None:
        from flyte_jupyter.wire.values.pickled import encode_pickle

        return encode_pickle(value, encoder)
    return {TAG: "numpy.dtype", "v": node}


@reads("numpy.dtype")
def decode_dtype(node: Node, decoder: Decoder) -> Any:
    """Return a dtype."""
    return dtype_of(node["v"], decoder.package("numpy"))


# Scalars


@writes_kind(20, lambda kind: _is_numpy(kind, "generic"))
def encode_scalar(value: Any, encoder: Encoder) -> Any:
    """A scalar goes as its dtype and its bytes."""
    dtype = dtype_node(value.dtype)
    if dtype is None or value.dtype.hasobject:
        from flyte_jupyter.wire.values.pickled import encode_pickle

        return encode_pickle(value, encoder)
    return {
        TAG: "numpy.scalar",
        "d": dtype,
        "n": type(value).__name__,
        "v": b64encode(value.tobytes()).decode("ascii"),
        "p": encoder.node(str(value)[:80]),
    }


@reads("numpy.scalar")
def decode_scalar(node: Node, decoder: Decoder) -> Any:
    """Return a scalar."""
    numpy = decoder.package("numpy")
    dtype = dtype_of(node["d"], numpy)
    if not dtype.itemsize:
        return numpy.zeros((), dtype)[()]
    data = bytearray(b64decode(node["v"], validate=True))
    return numpy.frombuffer(data, dtype, count=1).copy()[0]


def _is_numpy(kind: type, name: str) -> bool:
    numpy = sys.modules.get("numpy")
    base = getattr(numpy, name, None)
    if base is None or not issubclass(kind, base):
        return False
    return kind.__module__.partition(".")[0] == "numpy" and kind.__name__ != "record"
