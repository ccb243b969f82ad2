from __future__ import annotations

import copy
import json
import random

import numpy as np
import pytest
from values_cases import CASES

from flyte_jupyter.errors import OpaqueValueError, ProtocolError, SerializationError
from flyte_jupyter.wire.values import Encoded, decode, decode_exception, encode, encode_exception


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ({"~": "nonsense"}, "A value has a node of the unknown kind 'nonsense'."),
        ({"~": "numpy.nonsense"}, "A value has a node of the unknown kind 'numpy.nonsense'."),
        ({"~": None}, "A value has a node of the unknown kind None."),
        ({"~": ["list"]}, "A value has a node of the unknown kind ['list']."),
        ({"~": "tuple"}, "A node 'tuple' of a value is malformed: KeyError: 'v'"),
        ({"~": "tuple", "v": "abc"}, "A str stands where a list of nodes does."),
        ({"~": "dict", "k": [1], "v": []}, "A dictionary has not as many values as keys."),
        ({"~": "dict", "k": [[]], "v": [1]}, "malformed: TypeError: unhashable type: 'list'"),
        ({"~": "set", "v": [[]]}, "malformed: TypeError: unhashable type: 'list'"),
        ({"~": "int", "v": "0xzz"}, "A node 'int' of a value is malformed: ValueError"),
        ({"~": "float", "v": "00"}, "A node 'float' of a value is malformed: error"),
        ({"~": "bytes", "v": "%%%"}, "A node 'bytes' of a value is malformed: Error"),
        ({"~": "bytes", "b": 0}, "The value has 0 buffers, none is 0."),
        ({"~": "bytes", "b": True}, "The value has 0 buffers, none is True."),
        ({"~": "bytes", "b": -1}, "The value has 0 buffers, none is -1."),
        ({"~": "name", "c": [1, 2]}, "1, 2 is no name of a class."),
        ({"~": "name", "c": "long"}, "A node 'name' of a value is malformed: TypeError"),
        ({"~": "date", "v": "2024-99-99"}, "A node 'date' of a value is malformed: ValueError"),
        ({"~": "pathlib.path", "k": "Popen", "v": "x"}, "malformed: ValueError: tuple.index"),
        ({"~": "array", "t": "d", "w": 4, "r": []}, "An item of array 'd' has another size here."),
        (["x", (1, 2)], "A tree of JSON values cannot hold a tuple."),
        (b"x", "A tree of JSON values cannot hold a bytes."),
    ],
    ids=lambda item: json.dumps(item, default=str)[:40] if not isinstance(item, str) else "",
)
def test_a_malformed_tree_is_refused_with_a_sentence(tree, sentence):
    with pytest.raises(ProtocolError) as caught:
        decode(Encoded(tree))
    assert sentence in str(caught.value)


@pytest.mark.parametrize("depth", [400, 100_000])
def test_a_tree_that_is_too_deep_is_refused(depth):
    tree: list = []
    for _ in range(depth):
        tree = [tree]
    with pytest.raises(ProtocolError, match="more than 300 levels deep"):
        decode(Encoded(tree))
    while tree:
        tree = tree[0]


def test_what_lies_deep_below_a_handle_is_refused():
    tree: list = []
    for _ in range(100_000):
        tree = [tree]
    with pytest.raises(ProtocolError, match="nested too deeply"):
        decode(Encoded({"~": "name", "c": ["absent_package", "x"], "v": tree}))
    while tree:
        tree = tree[0]


def mutated(tree, chance):
    """Return a tree with something changed somewhere."""
    tree = copy.deepcopy(tree)
    places = []
    pending = [tree]
    while pending:
        item = pending.pop()
        inside = list(item.items() if isinstance(item, dict) else enumerate(item))
        places += [(item, key) for key, _ in inside]
        pending += [child for _, child in inside if isinstance(child, (dict, list))]
    holder, key = chance.choice(places)
    junk = [None, -1, 1 << 70, "", "x", [], {}, [[]], {"~": "tuple"}, True, 1.5, "0x1", ["a", "b"]]
    if chance.random() < 0.2 and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = copy.deepcopy(chance.choice(junk))
    return tree


SUBJECTS = {
    **CASES,
    "an array": np.arange(10.0),
    "records": np.zeros(3, [("a", "i4"), ("b", "f8", (2,))]),
    "objects": np.array([1, "a", None], dtype=object),
    "a scalar": np.float32(1),
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_no_damage_to_a_tree_does_more_than_a_refusal(name):
    encoded = encode([SUBJECTS[name]], pickle=False)
    buffers = [bytearray(buffer) for buffer in encoded.buffers]
    chance = random.Random(name)
    for _ in range(60):
        tree = mutated(encoded.tree, chance)
        try:
            decode(Encoded(tree, buffers), pickle=False)
        except (ProtocolError, SerializationError, OpaqueValueError):
            continue


def test_no_damage_to_an_exception_does_more_than_a_refusal():
    error = ValueError("x", 1)
    error.__cause__ = FileNotFoundError(2, "no", "f")
    tree = encode_exception(error, "text").tree
    chance = random.Random(1)
    for _ in range(500):
        try:
            decode_exception(Encoded(mutated(tree, chance)), pickle=False)
        except (ProtocolError, SerializationError, OpaqueValueError):
            continue
