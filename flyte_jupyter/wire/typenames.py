"""The names of types that an encoded value goes by, so that it can be checked without decoding."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from flyte_jupyter.wire.values.model import TAG
from flyte_jupyter.wire.values.naming import name_of_type, type_of_node

__all__ = ["ABSTRACT", "dtype_name", "fits_dtype", "names_of_node"]

#: Type names that a node fits beside its own, by tag or by the type of a plain JSON value.
_ALSO: Dict[str, Tuple[str, ...]] = {
    "int": ("float", "complex"),
    "float": ("complex",),
    "list": ("MutableSequence", "Sequence"),
    "tuple": ("Sequence",),
    "str": ("Sequence",),
    "bytes": ("Sequence",),
    "range": ("Sequence",),
    "collections.deque": ("MutableSequence", "Sequence"),
    "set": ("MutableSet", "Set"),
    "frozenset": ("Set",),
    "dict": ("MutableMapping", "Mapping"),
    "collections.OrderedDict": ("dict", "MutableMapping", "Mapping"),
    "collections.defaultdict": ("dict", "MutableMapping", "Mapping"),
    "collections.Counter": ("dict", "MutableMapping", "Mapping"),
    "function": ("types.FunctionType", "types.BuiltinFunctionType"),
    "module": ("types.ModuleType",),
    "datetime.datetime": ("datetime.date",),
    "datetime.timezone": ("datetime.tzinfo",),
    "zoneinfo.ZoneInfo": ("datetime.tzinfo",),
    "pathlib.PosixPath": ("pathlib.Path", "pathlib.PurePosixPath", "pathlib.PurePath"),
    "pathlib.WindowsPath": ("pathlib.Path", "pathlib.PureWindowsPath", "pathlib.PurePath"),
    "pathlib.PurePosixPath": ("pathlib.PurePath",),
    "pathlib.PureWindowsPath": ("pathlib.PurePath",),
    "numpy.float64": ("float", "complex"),
    "numpy.complex128": ("complex",),
    "numpy.str_": ("str",),
    "numpy.bytes_": ("bytes",),
    "pandas.RangeIndex": ("pandas.Index",),
    "pandas.MultiIndex": ("pandas.Index",),
    "pandas.DatetimeIndex": ("pandas.Index",),
    "pandas.TimedeltaIndex": ("pandas.Index",),
    "pandas.CategoricalIndex": ("pandas.Index",),
    "pandas.PeriodIndex": ("pandas.Index",),
    "pandas.IntervalIndex": ("pandas.Index",),
    "pandas.Timestamp": ("datetime.datetime", "datetime.date"),
    "pandas.Timedelta": ("datetime.timedelta",),
}

#: Families of NumPy's item types -> the letters of the dtypes in them.
_FAMILIES = {
    "generic": "biufcmMSUVO",
    "number": "iufc",
    "integer": "iu",
    "signedinteger": "im",
    "unsignedinteger": "u",
    "inexact": "fc",
    "floating": "f",
    "complexfloating": "c",
    "flexible": "SUV",
    "character": "SU",
    "bool": "b",
    "bool_": "b",
    "str_": "U",
    "bytes_": "S",
    "void": "V",
    "object_": "O",
    "datetime64": "M",
    "timedelta64": "m",
}

#: Abstract types that an encoded value can be held against; others promise nothing.
ABSTRACT = ("Sequence", "MutableSequence", "Set", "MutableSet", "Mapping", "MutableMapping")


def names_of_node(node: Any) -> Tuple[str, ...]:
    """Return the names of the types that an encoded value is of, its own first."""
    if type(node) is not dict or TAG not in node:
        name = "None" if node is None else type(node).__name__
        return (name, *_ALSO.get(name, ()))
    named = node.get("c")
    if node[TAG] == "name":
        return (type_of_node(node), *_ALSO.get(type_of_node(node), ()))
    if named:
        bases = [name_of_type(*_split(base)) for base in node.get("of", ())]
        own_name = name_of_type(str(named[0]), str(named[1]))
        also = [more for name in (own_name, *bases) for more in _ALSO.get(name, ())]
        return (own_name, *bases, *also)
    name = type_of_node(node)
    if node[TAG] == "numpy.scalar":
        letter = str(node.get("d", "")).lstrip("<>|=")[:1]
        families = [f"numpy.{key}" for key, letters in _FAMILIES.items() if letter in letters]
        return (name, *_ALSO.get(name, ()), *families)
    return (name, *_ALSO.get(name, ()))


def _split(dotted: str) -> Tuple[str, str]:
    """Split a dotted name into module and qualified name, the class being the last word."""
    module, _, name = str(dotted).rpartition(".")
    return module, name


def fits_dtype(name: str, node: Any) -> bool:
    """Tell whether the items of an encoded array are of a type, or of a family of types."""
    dtype = node.get("d")
    if type(dtype) is not str or name in ("Any", "generic"):
        return True
    letter = dtype.lstrip("<>|=")[:1]
    if name in _FAMILIES:
        return letter in _FAMILIES[name]
    return dtype_name(dtype) == name


def dtype_name(dtype: str) -> str:
    """Return the name that NumPy gives the type of a dtype such as ``<f8``: ``float64``."""
    code = dtype.lstrip("<>|=")
    kind = {"i": "int", "u": "uint", "f": "float", "c": "complex", "b": "bool"}.get(code[:1])
    if kind is None or not code[1:].isdigit():
        return code
    return kind if kind == "bool" else f"{kind}{int(code[1:]) * 8}"
