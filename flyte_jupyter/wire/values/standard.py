# ruff: noqa: ARG001 (codecs have one signature)
"""Codecs of the standard library's types that many programs never import: nor does this room."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Tuple

from flyte_jupyter.wire.values.decoding import Decoder
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.registry import reads

if TYPE_CHECKING:
    import decimal
    import fractions
    import pathlib
    import uuid

__all__ = ["encoders"]

Node = Dict[str, Any]

_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")


def encoders() -> Dict[type, Callable[[Any, Encoder], Any]]:
    """Return the codecs of the types whose modules are imported."""
    table: Dict[type, Callable[[Any, Encoder], Any]] = {}
    rows: Tuple[Tuple[str, str, Callable[[Any, Encoder], Any]], ...] = (
        ("decimal", "Decimal", encode_decimal),
        ("fractions", "Fraction", encode_fraction),
        ("uuid", "UUID", encode_uuid),
        *(("pathlib", name, encode_path) for name in _PATHS),
    )
    for module, name, encode in rows:
        if module in sys.modules:
            table[getattr(sys.modules[module], name)] = encode
    return table


def encode_decimal(value: decimal.Decimal, encoder: Encoder) -> Node:
    """A decimal goes as its text, which keeps its exponent."""
    return {"~": "decimal.Decimal", "v": str(value)}


@reads("decimal.Decimal")
def decode_decimal(node: Node, decoder: Decoder) -> decimal.Decimal:
    """Return a decimal."""
    import decimal

    return decimal.Decimal(node["v"])


def encode_fraction(value: fractions.Fraction, encoder: Encoder) -> Node:
    """A fraction goes as numerator and denominator."""
    parts = [encoder.node(value.numerator), encoder.node(value.denominator)]
    return {"~": "fractions.Fraction", "v": parts}


@reads("fractions.Fraction")
def decode_fraction(node: Node, decoder: Decoder) -> fractions.Fraction:
    """Return a fraction."""
    import fractions

    numerator, denominator = decoder.values(node["v"])
    return fractions.Fraction(numerator, denominator)


def encode_uuid(value: uuid.UUID, encoder: Encoder) -> Node:
    """A UUID goes as its text."""
    return {"~": "uuid.UUID", "v": str(value)}


@reads("uuid.UUID")
def decode_uuid(node: Node, decoder: Decoder) -> uuid.UUID:
    """Return a UUID."""
    import uuid

    return uuid.UUID(node["v"])


def encode_path(value: pathlib.PurePath, encoder: Encoder) -> Node:
    """A path goes as its text; the file it names stays where it is."""
    return {"~": "pathlib.path", "k": type(value).__name__, "v": encoder.node(str(value))}


@reads("pathlib.path")
def decode_path(node: Node, decoder: Decoder) -> pathlib.PurePath:
    """Return a path; one of the other family of systems becomes a pure one."""
    import pathlib

    kind = getattr(pathlib, _PATHS[_PATHS.index(node["k"])])
    if issubclass(kind, pathlib.Path) and kind is not type(pathlib.Path()):
        kind = getattr(pathlib, "Pure" + node["k"])
    path: pathlib.PurePath = kind(decoder.value(node["v"]))
    return path
