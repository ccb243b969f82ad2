"""Values that code reads: written by codec, with what they mention shipped before them.

A value that mentions functions or tasks (a table of handlers, a pipeline of callables) is pickled,
with these left out and put back in the container, so that they too travel as source.
"""

from __future__ import annotations

import datetime
import functools
import io
import pickle
import sys
import types
import typing
from typing import TYPE_CHECKING, Any

from flyte_jupyter.capsule.classes import source_hash
from flyte_jupyter.capsule.model import Place, Symbol
from flyte_jupyter.capsule.modules import module_kind, resolves
from flyte_jupyter.capsule.unsendable import refuse, refuse_known
from flyte_jupyter.errors import CapsuleError, SerializationError
from flyte_jupyter.wire.values import encode
from flyte_jupyter.wire.values.model import relocated, size_of

if TYPE_CHECKING:
    from flyte_jupyter.capsule.collect import Collector

__all__ = [
    "buffer_node",
    "is_call",
    "is_importable",
    "is_plain",
    "ship_call",
    "ship_imported",
    "ship_plain",
    "ship_value",
]

PLAIN = (type(None), bool, int, float, str, bytes, complex)
SCALARS = frozenset([*PLAIN, bytearray, datetime.date, datetime.datetime, datetime.timedelta])
CODE = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType, type)
# Packages whose objects hold data and no code of the notebook.
DATA_PACKAGES = frozenset(
    ["numpy", "pandas", "polars", "pyarrow", "datetime", "decimal", "pathlib"]
)


def is_plain(value: object) -> bool:
    """Say whether a value is a scalar that cannot change."""
    return type(value) in PLAIN


def ship_plain(collector: Collector, value: Any, place: Place) -> int:
    """Add a scalar."""
    return _encoded(collector, value, place, collector.new("value"))


def ship_value(collector: Collector, value: Any, place: Place) -> int:
    """Add any value.

    Raises:
        CapsuleError: it cannot be sent; names the variable and who reads it.
    """
    if value is Ellipsis or value is NotImplemented:
        return collector.imports.entry("builtins", repr(value), place)
    found = _attribute_of_module(value, place.name)
    if found is not None:
        return collector.imports.entry(found, place.name, place)
    refuse_known(value, place)
    index = collector.new("value")
    collector.remember(value, index)
    code, classes = _mentions(value)
    if code:
        return _pickled(collector, value, place, index)
    for cls in classes:
        collector.class_entry(cls, place)
    return _encoded(collector, value, place, index)


def _encoded(collector: Collector, value: Any, place: Place, index: int) -> int:
    try:
        encoded = encode(value, class_hash=source_hash)
    except CapsuleError:
        raise
    except SerializationError as error:
        raise refuse(value, place, error) from error
    start = len(collector.buffers)
    tree = encoded.tree
    if encoded.buffers:
        tree = relocated(tree, lambda at: _moved(at, start))
        collector.buffers += encoded.buffers
    size = sum(map(size_of, encoded.buffers)) + _size(encoded.tree)
    collector.entries[index]["tree"] = tree
    origin = str(place)
    collector.symbols.append(Symbol(place.name, "value", origin, size, type(value).__name__))
    if type(value) not in SCALARS:
        collector.watch_value(value, encoded)
    return collector.done(index, ["value", encoded])


def _moved(at: Any, start: int) -> Any:
    return at + start if isinstance(at, int) else [at[0] + start, *at[1:]]


def _size(tree: Any) -> int:
    total, stack = 0, [tree]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            stack += one.values()
            total += 2 + sum(len(key) + 3 for key in one)
        elif isinstance(one, list):
            stack += one
            total += 2
        else:
            total += len(one) + 2 if isinstance(one, str) else 4
    return total


def _mentions(value: Any) -> tuple[bool, list[type]]:
    """Look for code of the notebook in a value: whether there is any, and classes of instances."""
    from flyte_jupyter.capsule.spec_values import is_spec

    seen: set[int] = set()
    classes: dict[type, None] = {}
    stack = [value]
    while stack:
        one = stack.pop()
        kind = type(one)
        if kind in SCALARS or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, CODE) or is_spec(one):
            if not _native(one):
                return True, []
        elif kind in (list, tuple, set, frozenset):
            stack += one
        elif kind is dict:
            stack += one.keys()
            stack += one.values()
        else:
            module = kind.__module__
            if module.partition(".")[0] in DATA_PACKAGES:
                continue
            if module_kind(module) in ("local", "unknown") or module == "__main__":
                classes[kind] = None
            if isinstance(one, (list, tuple, set, frozenset)):
                stack += one
            elif isinstance(one, dict):
                stack += [*one.keys(), *one.values()]
            stack += list(getattr(one, "__dict__", {}).values())
            if isinstance(one, functools.partial):
                stack += [one.func, *one.args, *one.keywords.values()]
    return False, list(classes)


def _native(value: Any) -> bool:
    """Say whether plain pickle sends a piece of code by its name, and it is there on arrival."""
    if isinstance(value, types.MethodType):
        return _native(value.__func__)
    if not isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)):
        return False
    module = getattr(value, "__module__", None)
    if module is None:
        return isinstance(value, types.BuiltinFunctionType)
    if module == "__main__" or not resolves(module, value.__qualname__, value):
        return False
    return module_kind(module) in ("standard", "installed")


def counted(value: Any) -> Any:
    """Return what is hashed of a value that can change, to see whether it did.

    Raises:
        SerializationError: it cannot be encoded, any more or without the code that it mentions.
    """
    if _mentions(value)[0]:
        raise SerializationError("A value that mentions code is looked at by building again.")
    return encode(value, class_hash=source_hash)


class _Pickler(pickle.Pickler):
    """Leaves out what travels as an entry of its own."""

    def __init__(
        self, file: io.BytesIO, collector: Collector, place: Place, out: list[Any]
    ) -> None:
        super().__init__(file, 5, buffer_callback=lambda buffer: out.append(buffer.raw()))
        self._collector = collector
        self._place = place
        self.refs: list[int] = []

    def persistent_id(self, obj: Any) -> int | None:
        from flyte_jupyter.capsule.spec_values import is_spec

        if type(obj) in SCALARS or not (isinstance(obj, CODE) or is_spec(obj)):
            return None
        if isinstance(obj, types.MethodType) or _native(obj):
            return None
        index = self._collector.ship(obj, self._place)
        if index not in self.refs:
            self.refs.append(index)
        return index


def _pickled(collector: Collector, value: Any, place: Place, index: int) -> int:
    file, out = io.BytesIO(), list[Any]()
    pickler = _Pickler(file, collector, place, out)
    try:
        pickler.dump(value)
    except CapsuleError:
        raise
    except Exception as error:
        raise refuse(value, place, error) from error
    nodes = [buffer_node(collector, data) for data in [file.getvalue(), *out]]
    collector.entries[index].update(k="pickle", data=nodes)
    size = len(file.getvalue()) + sum(map(len, out))
    collector.symbols.append(
        Symbol(place.name, "value", str(place), size, f"{type(value).__name__}, pickled")
    )
    collector.watch_value(value, None)
    return collector.done(index, ["pickle", file.getvalue(), out, pickler.refs])


def buffer_node(collector: Collector, data: Any) -> dict[str, Any]:
    """Add a buffer and return the node that points to it."""
    collector.buffers.append(data)
    return {"~": "bytes", "b": len(collector.buffers) - 1}


# Things that are known by a name

# Types that no module has under their own name in every Python, and a value of each.
NAMELESS: dict[Any, Any] = {
    type(None): None,
    type(Ellipsis): Ellipsis,
    type(NotImplemented): NotImplemented,
}


def is_importable(value: object) -> bool:
    """Say whether an object may be found by its module and name."""
    return isinstance(
        value, (types.FunctionType, type, types.BuiltinFunctionType, types.MethodDescriptorType)
    )


def ship_imported(collector: Collector, value: Any, place: Place) -> int | None:
    """Add something that an import gives in the container."""
    module = getattr(value, "__module__", None)
    qualname = getattr(value, "__qualname__", "")
    if module is None or module == "__main__" or not resolves(module, qualname, value):
        if isinstance(value, type) and value in NAMELESS:
            return _made_by(collector, value, type, [NAMELESS[value]], {}, place)
        found = _attribute_of_module(value, place.name)
        if found is not None:
            return collector.imports.entry(found, place.name, place)
        names = [key for key, one in vars(types).items() if one is value]
        return collector.imports.entry("types", names[0], place) if names else None
    if module_kind(module) == "flyte":
        return collector.imports.face(value, module, qualname, place)
    return collector.imports.entry(module, qualname, place)


def _attribute_of_module(value: object, name: str) -> str | None:
    """Find the installed or standard module that has an object under a name."""
    fitting = [
        key
        for key, module in list(sys.modules.items())
        if key != "__main__" and name and getattr(module, "__dict__", {}).get(name) is value
    ]
    for key in sorted(fitting, key=lambda key: ("._" in key or key[0] == "_", len(key))):
        if module_kind(key) in ("standard", "installed"):
            return key
    return None


# Things that are made by calling something


def is_call(value: object) -> bool:
    """Say whether an object is fully told by a callable and its arguments."""
    return _call_of(value) is not None


def _call_of(value: Any) -> tuple[Any, list[Any], dict[str, Any]] | None:
    if type(value) is functools.partial:
        return functools.partial, [value.func, *value.args], value.keywords
    if isinstance(value, types.MethodType):
        return getattr, [value.__self__, value.__func__.__name__], {}
    if isinstance(value, types.BuiltinFunctionType) and value.__self__ is not None:
        if isinstance(value.__self__, types.ModuleType):
            return None
        return getattr, [value.__self__, value.__name__], {}
    if type(value) is typing.TypeVar:
        bound = {"bound": value.__bound__} if value.__bound__ is not None else {}
        return typing.TypeVar, [value.__name__, *value.__constraints__], bound
    if type(value) is typing.NewType:
        return typing.NewType, [value.__name__, value.__supertype__], {}
    if isinstance(value, (types.GenericAlias, types.UnionType)) or (
        type(value).__module__ == "typing" and typing.get_origin(value) is not None
    ):
        return _alias(value)
    return None


def _alias(value: Any) -> tuple[Any, list[Any], dict[str, Any]] | None:
    import operator

    origin, args = typing.get_origin(value), typing.get_args(value)
    if origin is types.UnionType:
        origin = typing.Union
    if origin in (typing.Union, list, dict, set, frozenset, tuple, type) and args:
        if not any(isinstance(arg, type) and not _native(arg) for arg in args):
            return None
        return operator.getitem, [origin, tuple(args) if len(args) > 1 else args[0]], {}
    return None


def ship_call(collector: Collector, value: Any, place: Place) -> int:
    """Add an object that is made again by calling something."""
    call = _call_of(value)
    assert call is not None
    return _made_by(collector, value, *call, place)


def _made_by(
    collector: Collector,
    value: Any,
    function: Any,
    args: list[Any],
    kwargs: dict[str, Any],
    place: Place,
) -> int:
    index = collector.new("call")
    collector.remember(value, index)
    fields = {
        "func": collector.ship(function, Place(function.__name__, place.reader, place.label)),
        "args": [collector.ship(one, place) for one in args],
        "kwargs": {name: collector.ship(one, place) for name, one in kwargs.items()},
    }
    collector.entries[index].update(fields)
    return collector.done(index, ["call", fields])
