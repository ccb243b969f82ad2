from __future__ import annotations

import numpy as np
import pytest
from values_cases import journey

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.values import Encoded, decode, encode, inline_size, preview, preview_tree

RECORD = np.dtype([("id", "<i4"), ("at", ">f8", (2,)), ("name", "U3")])
ALIGNED = np.dtype([("a", "i1"), ("b", "f8")], align=True)
GAPS = np.dtype({"names": ["x", "y"], "formats": ["i2", "f4"], "offsets": [4, 12], "itemsize": 20})

ARRAYS = {
    "floats": np.array([0.1, np.nan, -0.0, np.inf]),
    "small integers": np.arange(5, dtype="i1"),
    "big-endian": np.arange(5, dtype=">i4"),
    "flags": np.array([True, False]),
    "complex": np.array([1j, np.nan]),
    "halves": np.array([1.5], dtype="f2"),
    "long doubles": np.array([np.longdouble(1) / 3]),
    "text": np.array(["a", "bcd", "é"]),
    "text of no length": np.zeros(3, "U0"),
    "bytes": np.array([b"a", b"bc"]),
    "raw": np.array([b"ab"], dtype="V2"),
    "moments": np.array(["2024-01-01", "NaT"], dtype="M8[D]"),
    "moments of nanoseconds": np.array([1, 2], dtype="M8[ns]"),
    "moments of odd steps": np.array([1, 2], dtype="M8[25s]"),
    "durations": np.array([1, -5], dtype="m8[ms]"),
    "records": np.array([(1, (2.0, 3.0), "x")], dtype=RECORD),
    "aligned records": np.array([(1, 2.0)], dtype=ALIGNED),
    "records with gaps": np.zeros(2, GAPS),
    "objects": np.array([1, "a", None, (1, 2), {"k": [3]}], dtype=object),
    "objects that are text": np.array(["a", "é", "\ud800", ""], dtype=object),
    "objects that are text with zeros": np.array(["a\0b", ""], dtype=object),
    "objects in columns": np.array([[1, "a"], [None, 2.5]], dtype=object, order="F"),
    "no objects": np.array([], dtype=object),
    "arrays in objects": np.array([np.arange(3), None], dtype=object),
    "a matrix": np.arange(6).reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "transposed": np.arange(24).reshape(2, 3, 4).T,
    "every second": np.arange(10)[::2],
    "backwards": np.arange(10)[::-1],
    "a middle axis": np.arange(24).reshape(2, 3, 4)[:, 1],
    "moved axes": np.moveaxis(np.arange(24).reshape(2, 3, 4), 0, 1),
    "broadcast": np.broadcast_to(np.arange(3), (4, 3)),
    "no dimension": np.array(2.5),
    "an object without dimension": np.array({"a": 1}, dtype=object),
    "empty": np.array([]),
    "empty with shape": np.zeros((0, 3), dtype=">f4"),
    "empty in columns": np.zeros((3, 0), order="F"),
    "one row": np.arange(3).reshape(1, 3),
}


def alike(one, two):
    assert type(one) is type(two)
    assert one.dtype == two.dtype
    assert one.dtype.str == two.dtype.str
    assert one.shape == two.shape
    if one.dtype.hasobject:
        for left, right in zip(one.ravel(), two.ravel(), strict=True):
            if isinstance(left, np.ndarray):
                alike(left, right)
            else:
                assert (type(left), left) == (type(right), right)
    else:
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("writable", [True, False], ids=["writable", "read-only"])
@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back_as_it_was(name, writable):
    array = ARRAYS[name]
    back = journey(array, writable=writable)
    alike(array, back)
    assert back.flags.writeable
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        assert back.flags.f_contiguous
    assert '"pickle"' not in str(encode(array, pickle=False).tree)


@pytest.mark.parametrize("value", [np.dtype(t) for t in ("<f8", ">M8[us]", RECORD, ALIGNED, GAPS)])
def test_a_dtype_comes_back_as_it_was(value):
    back = journey(value)
    assert back == value
    assert (back.itemsize, back.isalignedstruct) == (value.itemsize, value.isalignedstruct)


@pytest.mark.parametrize(
    "value",
    [
        np.float64(0.1),
        np.float32(0.1),
        np.int64(-1),
        np.bool_(True),
        np.str_("é"),
        np.str_(""),
        np.bytes_(b"a"),
        np.complex128(1j),
        np.datetime64("2024-01-01T00:00", "ns"),
        np.timedelta64(5, "s"),
        np.array([(1, (2.0, 3.0), "x")], dtype=RECORD)[0],
        np.float64,
        np.sin,
    ],
    ids=repr,
)
def test_a_scalar_or_name_comes_back_as_it_was(value):
    back = journey(value)
    assert type(back) is type(value)
    assert back == value


def test_a_masked_array_comes_back_as_it_was():
    array = np.ma.masked_array([1.0, 2.0], mask=[True, False], fill_value=-1.0)
    back = journey(array)
    assert back.mask.tolist() == [True, False]
    assert back.data.tolist() == [1.0, 2.0]
    assert back.fill_value == -1.0
    assert journey(np.ma.masked_array([1, 2])).mask is np.ma.nomask


def test_a_memory_map_goes_as_an_array(tmp_path):
    array = np.memmap(tmp_path / "m", dtype="f4", mode="w+", shape=(3,))
    array[:] = 2
    assert journey(array).tolist() == [2, 2, 2]


def test_an_array_is_not_copied_on_the_way_out():
    for array in (np.arange(1000.0), np.asfortranarray(np.ones((30, 40)))):
        (buffer,) = encode(array).buffers
        assert np.shares_memory(np.frombuffer(buffer, "u1"), array)


def test_an_array_uses_the_writable_memory_it_came_in():
    encoded = encode(np.arange(1000.0))
    memory = bytearray(encoded.buffers[0])
    back = decode(Encoded(encoded.tree, [memory]))
    assert np.shares_memory(np.frombuffer(memory, "u1"), back)


def test_an_array_in_unaligned_memory_is_copied():
    encoded = encode(np.arange(10.0))
    memory = bytearray(81)
    memory[1:] = encoded.buffers[0]
    back = decode(Encoded(encoded.tree, [memoryview(memory)[1:]]))
    assert back.flags.aligned
    assert back.tolist() == list(range(10))


def test_an_array_that_is_met_twice_is_sent_once():
    array = np.arange(1000.0)
    assert len(encode({"a": array, "b": [array]}).buffers) == 1


def test_arrays_do_not_count_as_inline():
    assert inline_size(encode({"a": np.zeros(1_000_000)})) < 300
    assert inline_size(encode(np.array(["text"] * 100_000, dtype=object))) < 300


def test_many_arrays_travel_in_few_buffers():
    arrays = [np.full(3, n) for n in range(5000)]
    encoded = encode(arrays)
    assert len(encoded.buffers) < 1000
    assert [int(back[0]) for back in journey(arrays)] == list(range(5000))


def test_an_array_that_holds_itself_comes_back():
    array = np.empty(1, object)
    array[0] = array
    back = journey(array)
    assert back[0] is back


def test_a_preview_tells_type_shape_and_first_items():
    assert preview(np.arange(6.0).reshape(2, 3)) == (
        "array of 2 by 3 float64: 0.0, 1.0, 2.0, 3.0, …"
    )
    assert preview_tree(encode([np.zeros(2)]).tree) == "[array of 2 float64: 0.0, 0.0]"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"s": [11]}, "An array of shape (11,) and float64 is not 80 bytes long."),
        ({"s": [-10]}, "[-10] is no shape of an array."),
        ({"s": [1 << 62, 1 << 62]}, "is not 80 bytes long."),
        ({"s": "x"}, "'x' is no shape of an array."),
        ({"d": "|O"}, "A node 'numpy.array' of a value is malformed: KeyError: 'v'"),
        ({"d": "nonsense"}, "data type 'nonsense' not understood"),
        ({"d": {"names": ["a"]}}, "malformed: KeyError: 'formats'"),
        ({"r": [5]}, "The value has 1 buffers, none is 5."),
        ({"r": [[0, 0, 99]]}, "A buffer of 80 bytes has no place [0, 0, 99]."),
        ({"r": [[0, -8, 80]]}, "[0, -8, 80] is no place in a buffer."),
        ({"r": []}, "malformed: ValueError: not enough values to unpack"),
    ],
)
def test_a_malformed_array_is_refused(change, sentence):
    encoded = encode(np.arange(10.0))
    with pytest.raises(ProtocolError) as caught:
        decode(Encoded({**encoded.tree, **change}, encoded.buffers))
    assert sentence in str(caught.value)
