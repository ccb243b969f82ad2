# ruff: noqa: ARG001 (codecs have one signature)
"""Codecs of pandas: frames, series and indexes by the memory of their columns.

A column travels as the array it is made of. A frame of one NumPy type travels as one matrix. What
is made again on the other side is made with the public constructors, so that the two sides may
have different versions of pandas.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, List

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.values.decoding import Decoder
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.frame_columns import decode_column, encode_column
from flyte_jupyter.wire.values.model import TAG
from flyte_jupyter.wire.values.registry import reads

__all__ = ["encoders", "preview"]

Node = Dict[str, Any]
Write = Callable[[Any, Encoder], Any]


def encoders() -> Dict[type, Write]:
    """Return the codecs of the exact types of pandas."""
    pandas = sys.modules["pandas"]
    table: Dict[type, Write] = {
        pandas.DataFrame: _in_container(_write_frame),
        pandas.Series: _in_container(_write_series),
        pandas.Categorical: encode_column,
        pandas.RangeIndex: _write_range_index,
        pandas.MultiIndex: _in_container(_write_multi_index),
        pandas.Timestamp: _write_timestamp,
        pandas.Timedelta: _write_timedelta,
        type(pandas.NaT): _write_constant,
        type(pandas.NA): _write_constant,
    }
    for name in _INDEXES:
        table[getattr(pandas, name)] = _in_container(_write_index)
    for name in _ARRAYS:
        if hasattr(pandas.arrays, name):
            table[getattr(pandas.arrays, name)] = encode_column
    return table


_INDEXES = (
    "Index",
    "DatetimeIndex",
    "TimedeltaIndex",
    "CategoricalIndex",
    "PeriodIndex",
    "IntervalIndex",
)

_ARRAYS = (
    "ArrowStringArray",
    "BooleanArray",
    "FloatingArray",
    "IntegerArray",
    "IntervalArray",
    "PeriodArray",
    "StringArray",
)


def _in_container(write: Write) -> Write:
    return lambda value, encoder: encoder.container(value, write)


def preview(value: Any) -> str:
    """Return a frame, series or index in a few words, "" for what ``repr`` tells well enough."""
    pandas = sys.modules["pandas"]
    if isinstance(value, pandas.DataFrame):
        rows, columns = value.shape
        named = [f"{n}: {t}" for n, t in zip(value.columns[:6], value.dtypes.iloc[:6])]
        more = ["…"] if columns > 6 else []
        return f"{rows:,} rows, {columns} columns ({', '.join(named + more)})"
    if isinstance(value, (pandas.Series, pandas.Index)):
        name = f" {value.name!r}" if isinstance(value.name, str) else ""
        kind = "" if isinstance(value, pandas.MultiIndex) else f" of {value.dtype}"
        return f"{type(value).__name__}{name}, {len(value):,} items{kind}"
    return ""


# Frames


def _write_frame(frame: Any, encoder: Encoder) -> Node:
    node: Node = {TAG: "pandas.frame", "p": encoder.node(preview(frame))}
    kinds = {id(kind): kind for kind in frame.dtypes.tolist()}
    same = frame.shape[1] > 1 and len(set(map(str, kinds.values()))) == 1
    if same and _is_numpy(next(iter(kinds.values()))):
        node["m"] = encoder.node(frame.to_numpy())
    else:
        node["a"] = [
            encode_column(frame.iloc[:, at].array, encoder) for at in range(frame.shape[1])
        ]
    node["i"] = encoder.node(frame.index)
    node["h"] = encoder.node(frame.columns)
    if frame.attrs:
        node["x"] = encoder.node(dict(frame.attrs))
    return node


def _is_numpy(kind: Any) -> bool:
    return isinstance(kind, sys.modules["numpy"].dtype)


@reads("pandas.frame")
def decode_frame(node: Node, decoder: Decoder) -> Any:
    """Return a frame."""
    pandas = decoder.package("pandas")
    index, header = decoder.value(node["i"]), decoder.value(node["h"])
    if "m" in node:
        matrix = decoder.value(node["m"])
        # The type is given so that pandas does not look for a better one.
        frame = pandas.DataFrame(matrix, index=index, dtype=matrix.dtype, copy=False)
    else:
        columns = [decode_column(item, decoder) for item in node["a"]]
        series = {
            at: pandas.Series(column, index=index, dtype=column.dtype, copy=False)
            for at, column in enumerate(columns)
        }
        frame = pandas.DataFrame(series, index=index, copy=False)
    if frame.shape != (len(index), len(header)):
        raise ProtocolError("The columns of a frame do not fit its index and its header.")
    frame.columns = header
    if "x" in node:
        frame.attrs.update(decoder.value(node["x"]))
    return frame


def _write_series(series: Any, encoder: Encoder) -> Node:
    node: Node = {TAG: "pandas.series", "p": encoder.node(preview(series))}
    node["a"] = encode_column(series.array, encoder)
    node["i"] = encoder.node(series.index)
    if series.name is not None:
        node["n"] = encoder.node(series.name)
    if series.attrs:
        node["x"] = encoder.node(dict(series.attrs))
    return node


@reads("pandas.series")
def decode_series(node: Node, decoder: Decoder) -> Any:
    """Return a series."""
    pandas = decoder.package("pandas")
    column = decode_column(node["a"], decoder)
    name = decoder.value(node.get("n"))
    index = decoder.value(node["i"])
    series = pandas.Series(column, index=index, name=name, dtype=column.dtype, copy=False)
    if "x" in node:
        series.attrs.update(decoder.value(node["x"]))
    return series


# Indexes


def _write_range_index(index: Any, encoder: Encoder) -> Node:
    span = [index.start, index.stop, index.step]
    return {TAG: "pandas.rangeindex", "v": span, "n": encoder.node(index.name)}


@reads("pandas.rangeindex")
def decode_range_index(node: Node, decoder: Decoder) -> Any:
    """Return an index that is a range."""
    pandas = decoder.package("pandas")
    return pandas.RangeIndex(*decoder.values(node["v"]), name=decoder.value(node["n"]))


def _write_index(index: Any, encoder: Encoder) -> Node:
    node: Node = {TAG: "pandas.index", "n": encoder.node(index.name)}
    node["k"] = type(index).__name__
    node["a"] = encode_column(index.array, encoder)
    frequency = getattr(index, "freq", None)
    if frequency is not None and node["k"] != "PeriodIndex":
        offset = sys.modules["pandas"].tseries.frequencies.to_offset
        text = frequency.freqstr
        node["f"] = text if offset(text) == frequency else encoder.node(frequency)
    return node


@reads("pandas.index")
def decode_index(node: Node, decoder: Decoder) -> Any:
    """Return an index."""
    pandas = decoder.package("pandas")
    column = decode_column(node["a"], decoder)
    index = pandas.Index(column, dtype=column.dtype, name=decoder.value(node["n"]), copy=False)
    if node["k"] not in _INDEXES or type(index).__name__ != node["k"]:
        raise ProtocolError(f"A pandas index of {column.dtype} is no {node['k']!r}.")
    if "f" in node:
        index.freq = decoder.value(node["f"])
    return index


def _write_multi_index(index: Any, encoder: Encoder) -> Node:
    return {
        TAG: "pandas.multiindex",
        "l": [encoder.node(level) for level in index.levels],
        "k": [encoder.node(sys.modules["numpy"].asarray(codes)) for codes in index.codes],
        "n": [encoder.node(name) for name in index.names],
    }


@reads("pandas.multiindex")
def decode_multi_index(node: Node, decoder: Decoder) -> Any:
    """Return an index of several levels."""
    pandas = decoder.package("pandas")
    levels: List[Any] = decoder.values(node["l"])
    names = decoder.values(node["n"])
    return pandas.MultiIndex(levels=levels, codes=decoder.values(node["k"]), names=names)


# Single values


def _write_timestamp(value: Any, encoder: Encoder) -> Node:
    naive = value.tz_convert("UTC").tz_localize(None) if value.tzinfo is not None else value
    return {
        TAG: "pandas.timestamp",
        "v": int(naive.asm8.view("i8")),
        "u": value.unit,
        "z": encoder.node(value.tzinfo),
        "p": str(value),
    }


@reads("pandas.timestamp")
def decode_timestamp(node: Node, decoder: Decoder) -> Any:
    """Return a time stamp of pandas."""
    pandas, numpy = decoder.package("pandas"), decoder.package("numpy")
    moment = pandas.Timestamp(numpy.datetime64(node["v"], node["u"])).as_unit(node["u"])
    zone = decoder.value(node["z"])
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(zone)


def _write_timedelta(value: Any, encoder: Encoder) -> Node:
    return {
        TAG: "pandas.timedelta",
        "v": int(value.asm8.view("i8")),
        "u": value.unit,
        "p": str(value),
    }


@reads("pandas.timedelta")
def decode_timedelta(node: Node, decoder: Decoder) -> Any:
    """Return a duration of pandas."""
    pandas, numpy = decoder.package("pandas"), decoder.package("numpy")
    return pandas.Timedelta(numpy.timedelta64(node["v"], node["u"])).as_unit(node["u"])


def _write_constant(value: Any, encoder: Encoder) -> Node:
    return {TAG: "pandas.constant", "v": "NA" if value is sys.modules["pandas"].NA else "NaT"}


@reads("pandas.constant")
def decode_constant(node: Node, decoder: Decoder) -> Any:
    """Return one of the signs of pandas for what is missing."""
    pandas = decoder.package("pandas")
    return {"NA": pandas.NA, "NaT": pandas.NaT}[node["v"]]
