# ruff: noqa: B905 (runs on Python 3.9)
"""Round trips of pandas, polars and Arrow, run by an interpreter that has them.

Prints one JSON line for each case: its name, and what is wrong with it ("" for nothing).
"""

from __future__ import annotations

import datetime
import json
import sys
import traceback
import zoneinfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from flyte_jupyter.wire.schema import check, schema_of
from flyte_jupyter.wire.values import Encoded, decode, encode, inline_size, preview, preview_tree

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def journey(value, *, writable=True):
    encoded = encode(value, pickle=False)
    text = json.dumps(encoded.tree, allow_nan=False)
    make = bytearray if writable else bytes
    return decode(Encoded(json.loads(text), [make(buffer) for buffer in encoded.buffers]))


def same_index(one, two):
    pd.testing.assert_index_equal(one, two, exact="equiv", check_exact=True)
    assert type(one) is type(two), (type(one), type(two))
    assert one.dtype == two.dtype, (one.dtype, two.dtype)
    assert getattr(one, "freq", None) == getattr(two, "freq", None)
    assert list(one.names) == list(two.names)
    if isinstance(one, pd.MultiIndex):
        for left, right in zip(one.levels, two.levels):
            same_index(left, right)


def same(one, two):
    assert type(one) is type(two), (type(one), type(two))
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, two, check_exact=True, check_freq=True)
        assert list(one.dtypes) == list(two.dtypes), (list(one.dtypes), list(two.dtypes))
        same_index(one.index, two.index)
        same_index(one.columns, two.columns)
        assert one.attrs == two.attrs
        for at in range(one.shape[1]):
            left, right = one.iloc[:, at], two.iloc[:, at]
            if left.dtype == object:
                assert list(map(type, left)) == list(map(type, right))
    elif isinstance(one, pd.Series):
        pd.testing.assert_series_equal(one, two, check_exact=True, check_freq=True)
        assert one.dtype == two.dtype, (one.dtype, two.dtype)
        same_index(one.index, two.index)
        assert one.attrs == two.attrs
    elif isinstance(one, pd.Index):
        same_index(one, two)
    elif isinstance(one, pd.api.extensions.ExtensionArray):
        pd.testing.assert_extension_array_equal(one, two, check_exact=True)
        assert one.dtype == two.dtype
    elif isinstance(one, (pl.DataFrame, pl.Series)):
        assert one.equals(two)
        if isinstance(one, pl.DataFrame):
            assert one.schema == two.schema, (one.schema, two.schema)
        else:
            assert (one.dtype, one.name) == (two.dtype, two.name)
    elif isinstance(one, (pa.Table, pa.RecordBatch, pa.Schema)):
        assert one.equals(two, check_metadata=True)
    elif isinstance(one, pa.ChunkedArray):
        assert one.equals(two)
        assert one.type == two.type
        assert one.num_chunks == two.num_chunks
    elif one is pd.NaT or one is pd.NA:
        assert one is two
    else:
        assert one == two
        if isinstance(one, pd.Timestamp):
            assert (one.unit, one.tz, one.fold) == (two.unit, two.tz, two.fold)


def mixed():
    return pd.DataFrame(
        {
            "i": np.arange(4, dtype="i2"),
            "f": [1.5, np.nan, np.inf, -0.0],
            "s": ["a", "b", None, "ü"],
            "o": pd.Series(["a", 1, None, (2, 3)], dtype=object),
            "b": [True, False, True, True],
            "t": pd.date_range("2024-01-01", periods=4),
            "z": pd.date_range("2024-03-30", periods=4, freq="D", tz="Europe/Berlin"),
            "d": pd.to_timedelta([1, 2, 3, 4], unit="s"),
            "c": pd.Categorical(["x", "y", "x", None], categories=["y", "x", "w"], ordered=True),
            "I": pd.array([1, None, 3, 4], dtype="Int32"),
            "B": pd.array([True, None, False, True], dtype="boolean"),
            "F": pd.array([1.5, None, 3.0, 4.0], dtype="Float64"),
            "S": pd.array(["p", None, "q", "r\ud800"], dtype=pd.StringDtype("python")),
            "P": pd.period_range("2024-01", periods=4, freq="M"),
            "V": pd.interval_range(0, 4, closed="left"),
            "complex": np.array([1j, 2, 3, 4]),
            "date": [datetime.date(2024, 1, n) for n in (1, 2, 3, 4)],
        }
    )


def multi():
    index = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["x", None])
    columns = pd.MultiIndex.from_tuples([("u", 1), ("u", 2), ("v", 1)])
    return pd.DataFrame(np.arange(12.0).reshape(4, 3), index=index, columns=columns)


def with_attrs():
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["unit"] = {"a": "m"}
    return frame


def duplicated():
    return pd.DataFrame([[1, "a", 2.5]], columns=["x", "x", "y"], index=["r"])


def cases():
    day = pd.date_range("2024-01-01", periods=3, freq="D", name="day")
    yield "a frame of every kind of column", mixed()
    yield "a frame whose rows were selected", mixed().iloc[[3, 1]]
    yield "a frame with levels on both axes", multi()
    yield "a frame of one type", pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=["a", "b"])
    yield "a frame of one type, by columns", pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    yield "a frame of objects", pd.DataFrame([["a", None], ["b", 1]], dtype=object)
    yield "a frame without rows", mixed().iloc[:0]
    yield "a frame without columns", pd.DataFrame(index=pd.Index([3, 4], name="k"))
    yield "an empty frame", pd.DataFrame()
    yield "a frame with attributes", with_attrs()
    yield "a frame with equal column names", duplicated()
    yield "a frame with numbers as column names", pd.DataFrame({0: [1], 5: ["x"]})
    yield "a frame with times as index", pd.DataFrame({"a": [1, 2, 3]}, index=day)
    yield "a frame with equal index entries", pd.DataFrame({"a": [1, 2], "b": "xy"}, index=[7, 7])
    yield "a frame of bytes wide text", pd.DataFrame({"a": np.array([1, 2], dtype=">i4")})
    yield "a series", pd.Series([1, 2, 3], name="n", index=list("abc"))
    yield "a series of text as objects", pd.Series(["a", "b"], dtype=object)
    yield "a series named by a tuple", pd.Series([1.0], name=("a", 1))
    yield "a series of categories of numbers", pd.Series([1, 2, 1]).astype("category")
    yield "a series of times in seconds", pd.Series(np.array([1, 2], dtype="M8[s]"))
    yield "a series with a fixed zone", pd.Series(day).dt.tz_localize("+02:00")
    yield "a series of Arrow text", pd.Series(["a", None, "c"], dtype=pd.ArrowDtype(pa.string()))
    yield "a series of Arrow numbers", pd.Series([1, None], dtype="int64[pyarrow]")
    yield "a series of text kept by Arrow", pd.Series(["a", None], dtype="string[pyarrow]")
    yield "a series of text with nan", pd.Series(["a", None], dtype="str")
    yield "an empty series", pd.Series([], dtype="f4")
    yield "a range as index", pd.RangeIndex(2, 10, 3, name="r")
    yield "an index of text", pd.Index(["a", "b"], name="t")
    yield "an index of text as objects", pd.Index(["a", "b"], dtype=object)
    yield "an index of days", day
    yield "an index of working days", pd.date_range("2024-01-01", periods=4, freq="W-SUN")
    yield "an index of times without step", pd.DatetimeIndex(["2024-01-01", "2024-03-01"])
    yield "an index of times with zone", pd.date_range("2024", periods=3, freq="h", tz=BERLIN)
    yield "an index of durations", pd.timedelta_range("1h", periods=3)
    yield "an index of categories", pd.CategoricalIndex(["a", "b", "a"], name="c")
    yield "an index of periods", pd.period_range("2024Q1", periods=3, freq="Q")
    yield "an index of intervals", pd.interval_range(0.0, 2.0)
    yield "an index of levels with nan", pd.MultiIndex.from_arrays([["a", None], [1.5, np.nan]])
    yield "an array of categories", pd.Categorical(["a", "b"])
    yield "an array of integers", pd.array([1, None])
    yield "a time stamp", pd.Timestamp("2024-02-29 12:00:00.123456789")
    yield "a time stamp in seconds", pd.Timestamp("2024-02-29").as_unit("s")
    yield (
        "a time stamp in a fold",
        pd.Timestamp(datetime.datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1)),
    )
    yield "a duration", pd.Timedelta("1 days 2 ns")
    yield "no time", pd.NaT
    yield "nothing", pd.NA
    yield (
        "a frame of polars",
        pl.DataFrame(
            {
                "a": [1, None, 3],
                "s": ["x", None, "z"],
                "l": [[1], [], [2, 3]],
                "st": [{"u": 1, "v": "a"}, {"u": 2, "v": "b"}, {"u": None, "v": None}],
                "t": [datetime.datetime(2024, 1, 1), None, datetime.datetime(2024, 1, 2)],
                "d": [datetime.date(2024, 1, 1)] * 3,
            },
            schema_overrides={"a": pl.Int8},
        ),
    )
    yield (
        "a frame of polars with categories",
        pl.DataFrame(
            {"c": ["u", "v", "u"], "e": ["q", "p", "q"]},
            schema={"c": pl.Categorical, "e": pl.Enum(["p", "q"])},
        ),
    )
    yield "a frame of polars without rows", pl.DataFrame(schema={"a": pl.Int64, "b": pl.Utf8})
    yield (
        "a frame of polars with zone and decimals",
        pl.DataFrame(
            {"t": [datetime.datetime(2024, 1, 1, tzinfo=BERLIN)]},
            schema={"t": pl.Datetime("ms", "Europe/Berlin")},
        ),
    )
    yield "a series of polars", pl.Series("n", [1.5, None])
    yield "a series of polars without name", pl.Series([1, 2])
    table = pa.table(
        {"a": pa.array([1, None, 3], pa.int16()), "s": ["x", None, "ü"], "l": [[1], None, []]}
    ).replace_schema_metadata({"k": "v"})
    yield "an Arrow table", table
    yield "an Arrow table that was sliced", table.slice(1, 1)
    yield "an Arrow table of several chunks", pa.concat_tables([table, table])
    yield "an Arrow table without rows", table.slice(0, 0)
    yield (
        "an Arrow table of dictionaries",
        pa.table({"d": pa.array(["u", "v"]).dictionary_encode()}),
    )
    yield "an Arrow batch", table.to_batches()[0]
    yield "an Arrow array in chunks", pa.chunked_array([[1, 2], [3]])
    yield "an Arrow schema", table.schema


def check_memory():
    """The memory of columns is neither copied on the way out nor, if writable, on the way in."""
    matrix = np.arange(20.0).reshape(10, 2)
    frame = pd.DataFrame(matrix, columns=["a", "b"], copy=False)
    encoded = encode(frame)
    assert any(np.shares_memory(np.frombuffer(b, "u1"), matrix) for b in encoded.buffers)
    parts = [bytearray(buffer) for buffer in encoded.buffers]
    back = decode(Encoded(encoded.tree, parts))
    assert any(np.shares_memory(np.frombuffer(p, "u1"), back.to_numpy()) for p in parts)
    back.iloc[0, 0] = 7
    assert back.iloc[0, 0] == 7


def check_inline():
    """Columns do not count as inline, whatever they hold."""
    frame = pd.DataFrame({"n": np.zeros(100_000), "s": ["text"] * 100_000})
    assert inline_size(encode(frame)) < 2_000, inline_size(encode(frame))


def check_types():
    """Annotations are held against the encoded value."""
    pairs = [(pd.DataFrame, mixed()), (pd.Series, pd.Series([1])), (pl.DataFrame, pl.DataFrame())]
    pairs += [
        (pa.Table, pa.table({})),
        (pd.Index, pd.RangeIndex(3)),
        (pd.Timestamp, pd.Timestamp(0)),
    ]
    for annotation, value in pairs:
        assert check(schema_of(annotation), encode(value).tree) is None, annotation
    mismatch = check(schema_of(pd.DataFrame), encode(pl.DataFrame({"a": [1]})).tree)
    found = mismatch.sentence("Input 'x' of f()")
    assert found == (
        "Input 'x' of f() must be pandas.DataFrame, but it is polars.DataFrame: "
        "1 rows, 1 columns (a: Int64)"
    ), found


def check_previews():
    """A preview is the same before and after."""
    for name, value in cases():
        words = preview_tree(encode(value).tree)
        assert words, name
        assert "0x" not in words, (name, words)
        assert len(preview(value)) <= 160


def main():
    for name, value in cases():
        for writable in (True, False):
            problem = ""
            try:
                same(value, journey(value, writable=writable))
            except Exception:
                problem = traceback.format_exc()
            print(json.dumps([f"{name}, {'writable' if writable else 'read-only'}", problem]))
    for function in (check_memory, check_inline, check_types, check_previews):
        problem = ""
        try:
            function()
        except Exception:
            problem = traceback.format_exc()
        print(json.dumps([function.__name__, problem]))


if __name__ == "__main__":
    sys.exit(main())
