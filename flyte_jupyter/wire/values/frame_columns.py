# ruff: noqa: ARG001 (codecs have one signature)
"""Codecs of the arrays that pandas makes columns of: NumPy's, and those of its own types."""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict

from flyte_jupyter.wire.values.decoding import Decoder, Missing
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.model import TAG
from flyte_jupyter.wire.values.registry import reads

__all__ = ["decode_column", "encode_column"]

Node = Dict[str, Any]


def encode_column(array: Any, encoder: Encoder) -> Any:
    """Return the node of the array behind a column.

    Args:
        array: what ``Series.array`` or ``Index.array`` returns.
        encoder: the walk that it belongs to.
    """
    kind = array.dtype
    if isinstance(kind, sys.modules["numpy"].dtype) or type(kind).__name__ in _NUMPY:
        return encoder.node(array.to_numpy())
    write = _WRITERS.get(type(kind).__name__)
    if write is None:
        from flyte_jupyter.wire.values.pickled import encode_pickle

        return encode_pickle(array, encoder)
    return write(array, kind, encoder)


def decode_column(node: Any, decoder: Decoder) -> Any:
    """Return the array behind a column."""
    return decoder.value(node)


#: Names that pandas gave, over time, to the dtype of an array that is NumPy's.
_NUMPY = ("NumpyEADtype", "PandasDtype")


def _write_categories(array: Any, kind: Any, encoder: Encoder) -> Node:
    return {
        TAG: "pandas.categorical",
        "k": encoder.node(array.codes),
        "v": encoder.node(kind.categories),
        "o": bool(kind.ordered),
    }


@reads("pandas.categorical")
def decode_categories(node: Node, decoder: Decoder) -> Any:
    """Return an array of categories."""
    pandas = decoder.package("pandas")
    kind = pandas.CategoricalDtype(decoder.value(node["v"]), ordered=node["o"])
    return pandas.Categorical.from_codes(decoder.value(node["k"]), dtype=kind)


def _write_masked(array: Any, kind: Any, encoder: Encoder) -> Node:
    return {
        TAG: "pandas.masked",
        "k": type(array).__name__,
        "v": encoder.node(array._data),
        "m": encoder.node(array._mask),
    }


_MASKED = ("IntegerArray", "FloatingArray", "BooleanArray")


@reads("pandas.masked")
def decode_masked(node: Node, decoder: Decoder) -> Any:
    """Return an array of numbers, some of which are missing."""
    pandas = decoder.package("pandas")
    make = getattr(pandas.arrays, _MASKED[_MASKED.index(node["k"])])
    return make(decoder.value(node["v"]), decoder.value(node["m"]))


def _write_text(array: Any, kind: Any, encoder: Encoder) -> Node:
    numpy = sys.modules["numpy"]
    absent = array.isna()
    node: Node = {TAG: "pandas.text", "s": kind.storage}
    node["na"] = "NA" if kind.na_value is sys.modules["pandas"].NA else "nan"
    items = array.to_numpy(object)
    if absent.any():
        items = items.copy()
        items[absent] = ""
        node["m"] = encoder.node(numpy.packbits(absent))
    node["v"] = encoder.node(items)
    return node


@reads("pandas.text")
def decode_text(node: Node, decoder: Decoder) -> Any:
    """Return an array of text; where its storage is missing, of the other one."""
    pandas, numpy = decoder.package("pandas"), decoder.package("numpy")
    items = decoder.value(node["v"])
    if "m" in node:
        bits = numpy.unpackbits(decoder.value(node["m"]), count=len(items))
        items[bits.astype(bool)] = None
    return pandas.array(items, dtype=_text_dtype(node, pandas))


def _text_dtype(node: Node, pandas: Any) -> Any:
    storage = node["s"]
    if storage == "pyarrow":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            storage = "python"
    if node["na"] == "NA":
        return pandas.StringDtype(storage)
    try:
        return pandas.StringDtype(storage, na_value=float("nan"))
    except TypeError:
        # Before pandas 2.3 text had only one sign for what is missing.
        return pandas.StringDtype(storage)


def _write_zoned(array: Any, kind: Any, encoder: Encoder) -> Node:
    moments = array.tz_convert("UTC").tz_localize(None).to_numpy()
    return {TAG: "pandas.zoned", "v": encoder.node(moments), "z": encoder.node(kind.tz)}


@reads("pandas.zoned")
def decode_zoned(node: Node, decoder: Decoder) -> Any:
    """Return an array of time stamps with a zone."""
    pandas = decoder.package("pandas")
    index = pandas.DatetimeIndex(decoder.value(node["v"]), copy=False)
    return index.tz_localize("UTC").tz_convert(decoder.value(node["z"])).array


def _write_periods(array: Any, kind: Any, encoder: Encoder) -> Node:
    return {
        TAG: "pandas.periods",
        "v": encoder.node(array.asi8),
        "f": kind.name[len("period[") : -1],
    }


@reads("pandas.periods")
def decode_periods(node: Node, decoder: Decoder) -> Any:
    """Return an array of periods."""
    pandas = decoder.package("pandas")
    kind = pandas.PeriodDtype(node["f"])
    return pandas.arrays.PeriodArray(decoder.value(node["v"]), dtype=kind)


def _write_intervals(array: Any, kind: Any, encoder: Encoder) -> Node:
    return {
        TAG: "pandas.intervals",
        "l": encoder.node(array.left),
        "h": encoder.node(array.right),
        "o": kind.closed,
    }


@reads("pandas.intervals")
def decode_intervals(node: Node, decoder: Decoder) -> Any:
    """Return an array of intervals."""
    pandas = decoder.package("pandas")
    left, right = decoder.value(node["l"]), decoder.value(node["h"])
    return pandas.arrays.IntervalArray.from_arrays(left, right, closed=node["o"])


def _write_arrow(array: Any, kind: Any, encoder: Encoder) -> Node:
    pyarrow = sys.modules["pyarrow"]
    column = array.__arrow_array__()
    if not isinstance(column, pyarrow.ChunkedArray):
        column = pyarrow.chunked_array([column])
    return {TAG: "pandas.arrow", "v": encoder.node(column)}


@reads("pandas.arrow")
def decode_arrow(node: Node, decoder: Decoder) -> Any:
    """Return an array that is Arrow's."""
    pandas = decoder.package("pandas")
    decoder.package("pyarrow")
    make = getattr(pandas.arrays, "ArrowExtensionArray", None)
    if make is None:
        raise Missing("pandas", "it is too old for columns of Arrow's types")
    return make(decoder.value(node["v"]))


#: Name of a dtype of pandas -> how an array of it is written; others go by pickle.
_WRITERS: Dict[str, Callable[[Any, Any, Encoder], Node]] = {
    "CategoricalDtype": _write_categories,
    "StringDtype": _write_text,
    "DatetimeTZDtype": _write_zoned,
    "PeriodDtype": _write_periods,
    "IntervalDtype": _write_intervals,
    "ArrowDtype": _write_arrow,
    "BooleanDtype": _write_masked,
    **{f"{sign}Int{bits}Dtype": _write_masked for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"Float{bits}Dtype": _write_masked for bits in (32, 64)},
}
