# ruff: noqa: UP017, PIE796 (runs on Python 3.9; an alias of a member is a case)
"""Values of the standard library, each of which must come back as it was.

A script as well: it reads encoded values from standard input, one JSON line each, decodes them,
and prints them encoded again; so another Python shows that it reads and writes the same.
"""

from __future__ import annotations

import array
import base64
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
import sys
import types
import uuid
import zoneinfo
from typing import Any, NamedTuple

from flyte_jupyter.wire.values import Encoded, decode, encode


class Color(enum.Enum):
    RED = "r"
    CRIMSON = "r"
    BLUE = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: float = 0.0


Pair = collections.namedtuple("Pair", ["left", "right"])


@dataclasses.dataclass
class Box:
    name: str
    items: list = dataclasses.field(default_factory=list)
    parent: Any = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    at: tuple
    note: str = dataclasses.field(default="", repr=False)


@dataclasses.dataclass
class Derived(Box):
    size: int = dataclasses.field(init=False, default=3)


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30), "IST")
NOON = datetime.datetime(2024, 2, 29, 12, 0, 0, 1)

CASES = {
    "nothing": None,
    "true": True,
    "an integer": -7,
    "a big integer": 1 << 70,
    "a huge integer": -(10**6000),
    "the largest plain integer": (1 << 63) - 1,
    "the smallest integer of 64 bits": -(1 << 63),
    "a float": 0.1,
    "minus zero": -0.0,
    "a tiny float": 5e-324,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "not a number": math.nan,
    "text": "naïve \U0001f600 \0 \u2028",
    "a lone surrogate": "a\ud83d",
    "two lone surrogates that JSON would join": "\ud83d" + "\ude00",
    "long text": "é" * 100_000,
    "bytes": b"\x00\xff",
    "no bytes": b"",
    "many bytes": bytes(range(256)) * 40,
    "a byte array": bytearray(b"abc"),
    "a large byte array": bytearray(3000),
    "a complex number": complex(math.nan, -0.0),
    "a decimal": decimal.Decimal("1.10E+3"),
    "a signalling decimal": decimal.Decimal("-sNaN123"),
    "a fraction": fractions.Fraction(-1, 3),
    "a date": datetime.date(1, 1, 1),
    "a time stamp": NOON,
    "a time stamp in UTC": NOON.replace(tzinfo=datetime.timezone.utc),
    "a time stamp of a named fixed zone": NOON.replace(tzinfo=EAST),
    "a time stamp of a zone": NOON.replace(tzinfo=BERLIN),
    "the second of two equal hours": datetime.datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
    "a time": datetime.time(23, 59, 59, 999999),
    "a time with zone and fold": datetime.time(1, 2, tzinfo=EAST, fold=1),
    "a duration": datetime.timedelta(-1, 5, 7),
    "a zone": BERLIN,
    "UTC": datetime.timezone.utc,
    "a UUID": uuid.UUID(int=5),
    "a path": pathlib.Path("a/b\udcff.txt"),
    "a pure path": pathlib.PureWindowsPath("C:\\x"),
    "a range": range(0, 1 << 80, 3),
    "a slice": slice(None, (1, 2), None),
    "an ellipsis": ...,
    "not implemented": NotImplemented,
    "a list": [1, [2, []], "x"],
    "a list of not a number": [1.0, math.nan],
    "a long list of integers": list(range(1000)),
    "a long list with one big integer": [*range(50), 1 << 80],
    "a long list of floats": [0.5] * 100,
    "a long list with infinity": [0.5] * 100 + [math.inf],
    "a long list whose sum overflows": [1e308] * 40,
    "a long list of text": ["a"] * 40,
    "a long list with a surrogate": ["a"] * 40 + ["\ud800"],
    "a long list of flags": [True, False] * 20,
    "a long list of numbers of both kinds": [1, 2.0] * 20,
    "nested tuples": ((), (1, (2, (3,)))),
    "a set": {3, 1, 2},
    "a set of kinds": {1, "a", None, (1, 2), frozenset({5})},
    "a frozen set": frozenset("abc"),
    "no set": set(),
    "a dictionary": {"a": 1, "b": {"c": [1.5]}},
    "a dictionary with a tag": {"~": "tuple", "v": []},
    "a dictionary in a dictionary with a tag": {"x": {"~": 5}},
    "a dictionary of integers": {1: "a", -1: "b"},
    "a dictionary of kinds of keys": {1: 1, "1": 2, None: 3, (1, 2): 4, 2.5: 5},
    "a dictionary of one true key": {True: 1},
    "a dictionary of text of the world": {"é": 1, "\ud800": 2, "": 3},
    "an ordered dictionary": collections.OrderedDict([("b", 1), ("a", 2)]),
    "a dictionary with default": collections.defaultdict(list, {"a": [1]}),
    "a dictionary without default": collections.defaultdict(None, {1: 2}),
    "a counter": collections.Counter({"a": 2, "b": -1}),
    "a queue": collections.deque([1, (2,)], maxlen=3),
    "an unbounded queue": collections.deque("ab"),
    "an array": array.array("d", [1.5, -0.0]),
    "an empty array": array.array("h"),
    "a namespace": types.SimpleNamespace(a=1, b=[2]),
    "a view": memoryview(b"abc"),
    "a view of numbers": memoryview(array.array("i", [1, 2])),
    "a member": Color.BLUE,
    "an alias of a member": Color.CRIMSON,
    "a member that is a number": Level.LOW,
    "flags": Access.READ | Access.WRITE,
    "no flag": Access(0),
    "a named tuple": Point(1),
    "a named tuple of the old kind": Pair([1], None),
    "a dataclass": Box("a", [1, Box("b")]),
    "a frozen dataclass": Frozen((1, 2), "n"),
    "a dataclass that inherits": Derived("a"),
    "a class": Box,
    "a type": int,
    "a function": encode,
    "a built-in function": len,
    "a module": json,
    "a standard library function": math.sqrt,
}


def journey(value, *, writable=True, **options):
    """Send a value as text and buffers and return what arrives."""
    encoded = encode(value)
    tree = json.loads(json.dumps(encoded.tree, allow_nan=False))
    make = bytearray if writable else bytes
    return decode(Encoded(tree, [make(buffer) for buffer in encoded.buffers]), **options)


def same(one, two):
    """Tell whether two values are equal down to types, signs and order."""
    if type(one) is not type(two):
        return False
    if isinstance(one, float):
        return (one == two and math.copysign(1, one) == math.copysign(1, two)) or one != one != two
    if isinstance(one, complex):
        return same(one.real, two.real) and same(one.imag, two.imag)
    if isinstance(one, decimal.Decimal):
        return one.as_tuple() == two.as_tuple()
    if isinstance(one, (datetime.datetime, datetime.time)):
        fields = ("fold", "tzinfo")
        return one == two and all(getattr(one, f) == getattr(two, f) for f in fields)
    if isinstance(one, datetime.timezone):
        return one == two and str(one) == str(two)
    if isinstance(one, dict):
        extra = getattr(one, "default_factory", None) == getattr(two, "default_factory", None)
        return extra and same(list(one.items()), list(two.items()))
    if isinstance(one, (list, tuple, collections.deque)):
        bound = getattr(one, "maxlen", None) == getattr(two, "maxlen", None)
        return bound and len(one) == len(two) and all(map(same, one, two))
    if dataclasses.is_dataclass(one) and not isinstance(one, type):
        return same(vars(one), vars(two))
    if isinstance(one, memoryview):
        return one.format == two.format and one == two
    return bool(one == two)


def packed(value):
    """Return an encoded value as one JSON line."""
    encoded = encode(value)
    buffers = [base64.b64encode(bytes(buffer)).decode() for buffer in encoded.buffers]
    return json.dumps([encoded.tree, buffers], allow_nan=False)


def unpacked(line):
    """Return the value of a line of :func:`packed`."""
    tree, buffers = json.loads(line)
    return decode(Encoded(tree, [bytearray(base64.b64decode(buffer)) for buffer in buffers]))


if __name__ == "__main__":
    import values_cases

    for name, value in values_cases.CASES.items():
        assert values_cases.same(value, journey(value)), name
    for line in sys.stdin:
        print(values_cases.packed(values_cases.unpacked(line)))
