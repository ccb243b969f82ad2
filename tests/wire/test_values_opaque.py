from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from values_cases import Box

import flyte_jupyter
from flyte_jupyter.errors import OpaqueValueError
from flyte_jupyter.wire.values import Encoded, Opaque, Ref, decode, encode

FRAME = {
    "~": "pandas.frame",
    "p": "2 rows, 1 columns (a: int64)",
    "a": [{"~": "numpy.array", "d": "<i8", "s": [2], "r": [1]}],
    "i": {"~": "pandas.rangeindex", "v": [0, 2, 1], "n": None},
    "h": {"~": "numpy.array", "d": "|O", "s": [1], "v": ["a"]},
}


@pytest.fixture
def handle():
    """A data frame where pandas is missing, second of two values with buffers."""
    value = decode(Encoded([FRAME], [b"first", b"\1" * 16]))[0]
    assert isinstance(value, Opaque)
    return value


def test_only_the_part_that_cannot_be_opened_is_opaque():
    back = decode(Encoded({"x": [1, FRAME], "y": (2)}, [b"first", b"\1" * 16]))
    assert back["x"][0] == 1
    assert isinstance(back["x"][1], Opaque)
    assert back["y"] == 2


@pytest.mark.parametrize(
    "touch",
    [
        lambda it: it == 1,
        lambda it: it != it,
        lambda it: it < 1,
        lambda it: bool(it),
        lambda it: hash(it),
        lambda it: it.shape,
        lambda it: len(it),
        lambda it: it["a"],
        lambda it: list(it),
        lambda it: it + 1,
        lambda it: 1 + it,
        lambda it: it(),
        lambda it: 1 in it,
        lambda it: setattr(it, "a", 1),
        lambda it: float(it),
        lambda it: {it},
    ],
)
def test_touching_it_names_the_missing_package(handle, touch):
    with pytest.raises(OpaqueValueError) as caught:
        touch(handle)
    assert str(caught.value) == (
        "This pandas.DataFrame cannot be opened: pandas is missing here.\n"
        "  2 rows, 1 columns (a: int64)\n"
        "Pass it on to a task as it is, or add what is missing to this image."
    )


def test_it_shows_itself(handle):
    assert repr(handle).startswith("<opaque pandas.DataFrame, ")
    assert repr(handle).endswith("B: 2 rows, 1 columns (a: int64)>")
    assert str([handle]) == f"[{handle!r}]"


def test_it_can_be_held_and_copied(handle):
    box = Box("b", [handle])
    assert copy.deepcopy(box).items[0] is handle
    assert copy.copy(handle) is handle
    assert not hasattr(handle, "_repr_html_")


def test_it_is_passed_on_untouched_with_its_own_buffers_only(handle):
    encoded = encode({"a": np.zeros(100), "f": handle}, pickle=False)
    assert [bytes(buffer)[:1] for buffer in encoded.buffers] == [b"\0", b"\1"]
    tree = encoded.tree["f"]
    assert tree == {**FRAME, "a": [{**FRAME["a"][0], "r": [1]}]}


def test_its_buffers_elsewhere_are_not_opened():
    def refuse(ref):
        raise AssertionError(f"{ref} was opened")

    ref = Ref("far", 16)
    handle = decode(Encoded(FRAME, [b"", ref]), open_ref=refuse)
    assert encode(handle).buffers == [ref]


def test_it_travels_inside_a_pickle(handle):
    back = pickle.loads(pickle.dumps(handle))
    assert repr(back) == repr(handle)
    assert bytes(encode(back).buffers[0]) == b"\1" * 16


def test_it_survives_that_many_buffers_are_laid_together(handle):
    many = [bytes([n % 251]) * 300 for n in range(900)]
    for _ in range(2):
        handle = decode(encode([*many, handle]))[-1]
    encoded = encode(handle)
    (place,) = encoded.tree["a"][0]["r"]
    index, start, size = place
    assert bytes(encoded.buffers[index])[start : start + size] == b"\1" * 16


def test_a_set_of_what_cannot_be_opened_is_opaque_itself():
    node = {"~": "enum", "c": ["absent_package", "E"], "n": "A"}
    back = decode(Encoded({"~": "set", "v": [node]}))
    assert repr(back) == "<opaque set, 65 B: {absent_package.E.A}>"


def test_a_caller_may_rather_have_the_error():
    with pytest.raises(OpaqueValueError, match="pandas is missing here"):
        decode(Encoded(FRAME, [b"", b"\1" * 16]), missing="raise")


def test_a_pickle_of_a_missing_package_is_opaque():
    encoded = encode(np.random.default_rng(1))
    body = bytes(encoded.buffers[0]).replace(b"numpy.random", b"nompy.random")
    back = decode(Encoded(encoded.tree, [body, *encoded.buffers[1:]]))
    assert repr(back).endswith("B: Generator(PCG64)>")
    with pytest.raises(OpaqueValueError, match="nompy is missing here"):
        back.random()


PASS_ON = """
import json, sys
sys.path.insert(0, sys.argv[1])
from flyte_jupyter.wire.values import Encoded, decode, encode
tree, buffer = json.loads(sys.stdin.read())
value = decode(Encoded(tree, [bytes.fromhex(buffer)]))
out = encode([value["a"], repr(value["a"])])
print(json.dumps([out.tree, bytes(out.buffers[0]).hex()]))
"""


def test_a_bare_interpreter_passes_an_array_on():
    encoded = encode({"a": np.arange(5)})
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PASS_ON, str(Path(flyte_jupyter.__file__).parents[1])],
        input=json.dumps([encoded.tree, bytes(encoded.buffers[0]).hex()]),
        capture_output=True,
        text=True,
        check=True,
    )
    tree, buffer = json.loads(done.stdout)
    array, words = decode(Encoded(tree, [bytes.fromhex(buffer)]))
    assert array.tolist() == [0, 1, 2, 3, 4]
    assert words.endswith("array of 5 int64: 0, 1, 2, 3, …>")
