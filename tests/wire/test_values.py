from __future__ import annotations

import functools
import json
import math
import pathlib
import timeit

import pytest
from values_cases import CASES, Box, Frozen, Point, journey, same

from flyte_jupyter.errors import ProtocolError, SerializationError
from flyte_jupyter.wire.values import Encoded, Ref, decode, encode, inline_size, preview


@pytest.mark.parametrize("writable", [True, False], ids=["writable", "read-only"])
@pytest.mark.parametrize("name", CASES)
def test_a_value_comes_back_as_it_was(name, writable):
    assert same(CASES[name], journey(CASES[name], writable=writable))


@pytest.mark.parametrize("name", CASES)
def test_a_value_needs_no_pickle(name):
    assert '"pickle"' not in json.dumps(encode(CASES[name], pickle=False).tree)


def test_a_tree_is_strict_json():
    json.dumps(encode(list(CASES.values())).tree, allow_nan=False).encode("ascii")


def test_encoding_leaves_the_value_alone_when_it_changes_later():
    value = {"a": [1]}
    encoded = encode(value)
    value["a"].append(2)
    assert decode(encoded) == {"a": [1]}


def test_decoding_twice_gives_two_values():
    encoded = encode({"a": [1]})
    decode(encoded)["a"].append(2)
    assert decode(encoded) == {"a": [1]}


def test_sets_are_written_in_one_order():
    assert encode({"b", "a", "c"}).tree == encode({"c", "b", "a"}).tree
    assert encode({1, "a", None}).tree["v"] == ["a", 1, None]


def test_many_small_buffers_travel_as_few():
    value = [bytes([n % 256]) * 300 for n in range(3000)]
    encoded = encode(value)
    assert len(encoded.buffers) < 1000
    assert journey(value) == value


def test_a_buffer_elsewhere_is_opened_when_it_is_needed():
    encoded = encode(b"x" * 1000)
    ref = Ref("7", 1000, None, "store")
    assert decode(Encoded(encoded.tree, [ref]), open_ref=lambda _: b"y" * 1000) == b"y" * 1000


def test_a_buffer_elsewhere_without_a_way_to_it_is_refused():
    with pytest.raises(ProtocolError, match="The buffer '7' lies elsewhere: nothing opens it"):
        decode(Encoded(encode(b"x" * 1000).tree, [Ref("7", 1000)]))


def test_a_buffer_of_another_size_than_announced_is_refused():
    with pytest.raises(ProtocolError, match="A buffer of 1000 bytes was announced, 1 bytes came"):
        decode(Encoded(encode(b"x" * 1000).tree, [Ref("7", 1000)]), open_ref=lambda _: b"x")


# What is met twice, and what contains itself


def test_what_is_met_twice_arrives_as_two_equal_values():
    shared = [1]
    first, second = journey([shared, shared])
    assert first == second == [1]
    assert first is not second


def test_a_list_that_contains_itself_comes_back():
    value: list = [1]
    value.append(value)
    back = journey(value)
    assert back[1] is back


def test_a_cycle_inside_leaves_the_rest_readable():
    inner: dict = {}
    inner["self"] = inner
    encoded = encode({"x": inner, "y": 2})
    assert encoded.tree["x"]["~"] == "pickle"
    assert encoded.tree["y"] == 2


def test_a_cycle_that_starts_in_the_middle_keeps_its_identity():
    a: list = []
    b: list = []
    c: list = [b, a]
    a.append(b)
    b.append(c)
    back = journey(a)
    assert back[0][0][0] is back[0]
    assert back[0][0][1] is back


def test_a_parent_and_its_children_find_each_other_again():
    parent = Box("p")
    parent.items = [Box("c", parent=parent), Box("d", parent=parent)]
    back = journey(parent)
    assert [child.parent is back for child in back.items] == [True, True]


def test_a_cycle_without_pickle_is_refused():
    value: list = []
    value.append(value)
    with pytest.raises(SerializationError) as caught:
        encode(value, pickle=False)
    assert str(caught.value) == (
        "A list contains itself, so it could only go by pickle, and pickle is switched off.\n"
        "Break the circle, or allow it with init(pickle=True)."
    )


def test_sharing_that_would_explode_is_refused():
    value: list = [0] * 10
    for _ in range(40):
        value = [value, value]
    with pytest.raises(SerializationError, match=r"more than 1,000,000 items"):
        encode(value)


def test_deep_values_come_back():
    value: list = []
    for _ in range(150):
        value = [value]
    back = journey(value)
    for _ in range(150):
        (back,) = back
    assert back == []


def test_values_too_deep_even_for_pickle_are_refused_with_a_sentence():
    value: list = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(SerializationError, match="A list is nested too deeply to be encoded"):
        encode(value)
    while value:  # taken apart here, as freeing it at once would need a deep stack too
        value = value[0]


# Sizes


@pytest.mark.parametrize(
    ("value", "size"),
    [(None, 0), (5, 1), ("abc", 5), ([1, 2], 5), (b"x" * 10_000, 10_000)],
)
def test_inline_size_is_what_sits_in_the_frame(value, size):
    assert size <= inline_size(encode(value)) <= size + 30


def test_a_pickle_counts_and_its_buffers_do_not():
    import numpy as np

    encoded = encode(functools.partial(print, np.zeros(100_000)))
    assert 100 < inline_size(encoded) < 3_000
    assert sum(memoryview(buffer).nbytes for buffer in encoded.buffers) > 800_000


# Speed: the cost of a call must not be that of its values


@pytest.mark.parametrize("value", [5, {"x": 3, "y": "abc", "z": 1.5}, [1, 2, 3]], ids=repr)
def test_small_values_cost_a_few_microseconds(value):
    best = min(timeit.repeat(lambda: decode(encode(value)), number=2000, repeat=7)) / 2000
    assert best < 10e-6


def test_a_million_numbers_are_not_walked_one_by_one():
    value = list(range(1_000_000))
    walk = min(timeit.repeat(lambda: [item + 0 for item in value], number=1, repeat=3))
    assert min(timeit.repeat(lambda: encode(value), number=1, repeat=3)) < 5 * walk


# In a few words


class Plain:
    pass


class Broken:
    def __repr__(self):
        raise ValueError("no")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (5, "5"),
        ("a" * 200, "'" + "a" * 27 + "..." + "a" * 28 + "'"),
        ([1] * 10, "[1, 1, 1, 1, 1, 1, ...]"),
        ({"a": {"b": 1}}, "{'a': {'b': 1}}"),
        (1 << 10_000, "<int of 10001 bits>"),
        (b"x" * 5000, "<5.0 kB of bytes>"),
        (Plain(), "<Plain>"),
        (Broken(), "<Broken>"),
        (Plain, "<class Plain>"),
        (test_deep_values_come_back, "<function test_deep_values_come_back>"),
        (Box("b", [1]), "Box(name='b', items=[1], parent=None)"),
        (Frozen((1,), "hidden"), "Frozen(at=(1,))"),
        (Point(1), "Point(x=1, y=0.0)"),
        (pathlib.PurePosixPath("a"), "PurePosixPath('a')"),
        (math.nan, "nan"),
    ],
    ids=lambda item: item if isinstance(item, str) and len(item) < 40 else None,
)
def test_a_preview_is_short_and_has_no_addresses(value, words):
    assert preview(value) == words


def test_a_preview_of_a_deep_value_ends():
    value: list = []
    value.append(value)
    assert len(preview(value)) <= 160
