# ruff: noqa: ARG001 (codecs have one signature)
"""Codecs of values that belong to a class: enums, records, models, objects, and names themselves.

A node carries the class as module and qualified name, and the names of the classes it inherits
from, so that a type can be checked where none of them can be imported. No ``__init__`` is called.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
import types
from typing import Any, Dict, Optional
from weakref import WeakKeyDictionary

from flyte_jupyter.errors import ProtocolError, SerializationError
from flyte_jupyter.wire.values.decoding import Decoder, Missing
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.registry import reads, writes, writes_kind

__all__ = ["class_node", "is_made_by_class_statement", "name_of", "names_of_bases"]

Node = Dict[str, Any]

_HEAP = 1 << 9  # the class was made by a class statement
_BASES: WeakKeyDictionary[type, list[str]] = WeakKeyDictionary()


def name_of(kind: type) -> str:
    """Return the dotted name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def names_of_bases(kind: type) -> list[str]:
    """Return the dotted names of the classes that a class inherits from, nearest first."""
    names = _BASES.get(kind)
    if names is None:
        names = [name_of(base) for base in kind.__mro__[1:-1]]
        _BASES[kind] = names
    return names


def is_made_by_class_statement(kind: type) -> bool:
    """Tell a class of Python code from one of the interpreter or of an extension."""
    return bool(kind.__flags__ & _HEAP)


def class_node(tag: str, kind: type, encoder: Encoder) -> Node:
    """Return a node that carries a class."""
    named = [kind.__module__, kind.__qualname__]
    if kind.__module__ == "__main__" and encoder.class_hash is not None:
        source = encoder.class_hash(kind)
        if source is not None:
            named.append(source)
    node: Node = {"~": tag, "c": named}
    bases = names_of_bases(kind)
    if bases:
        node["of"] = bases
    return node


def _is_plain_class(kind: type) -> bool:
    """Tell whether all state of an instance is in its attributes and nothing else restores it."""
    for base in kind.__mro__[:-1]:
        if not is_made_by_class_statement(base):
            return False
        for hook in ("__getstate__", "__reduce__", "__reduce_ex__"):
            own = base.__dict__.get(hook)
            if own is not None and getattr(own, "__module__", "") != "dataclasses":
                return False
    return True


# Enums


@writes_kind(10, lambda kind: issubclass(kind, enum.Enum))
def encode_enum(value: enum.Enum, encoder: Encoder) -> Node:
    """A member goes by its name, a combination of flags by its value."""
    node = class_node("enum", type(value), encoder)
    if type(value).__members__.get(value.name) is value:
        node["n"] = encoder.node(value.name)
    else:
        node["v"] = encoder.node(value.value)
    return node


@reads("enum")
def decode_enum(node: Node, decoder: Decoder) -> Any:
    """Return a member of an enumeration."""
    kind = decoder.cls(node)
    if not issubclass(kind, enum.Enum):
        raise ProtocolError(f"{name_of(kind)} is no enumeration.")
    if "n" not in node:
        return kind(decoder.value(node["v"]))
    name = decoder.value(node["n"])
    if name not in kind.__members__:
        raise Missing(name_of(kind), f"the class here has no member {name!r}")
    return kind.__members__[name]


# Named tuples


def _is_named_tuple(kind: type) -> bool:
    fields = getattr(kind, "_fields", None)
    return (
        issubclass(kind, tuple)
        and kind.__bases__ == (tuple,)
        and isinstance(fields, tuple)
        and all(isinstance(field, str) for field in fields)
    )


@writes_kind(30, _is_named_tuple)
def encode_named_tuple(value: Any, encoder: Encoder) -> Any:
    """A named tuple goes as its class, its field names and its items."""
    return encoder.container(value, _write_named_tuple)


def _write_named_tuple(value: Any, encoder: Encoder) -> Node:
    node = class_node("namedtuple", type(value), encoder)
    node["f"] = list(value._fields)
    node["v"] = [encoder.node(item) for item in value]
    return node


@reads("namedtuple")
def decode_named_tuple(node: Node, decoder: Decoder) -> Any:
    """Return a named tuple."""
    kind = decoder.cls(node)
    items = decoder.values(node["v"])
    if not _is_named_tuple(kind) or len(items) != len(node["f"]):
        raise ProtocolError(f"{name_of(kind)} is no named tuple of {len(items)} items.")
    if list(kind._fields) != node["f"]:
        raise Missing(name_of(kind), f"the class here has the fields {', '.join(kind._fields)}")
    return tuple.__new__(kind, items)


# Dataclasses


def _is_dataclass(kind: type) -> bool:
    return "__dataclass_fields__" in vars(kind) and _is_plain_class(kind)


@writes_kind(40, _is_dataclass)
def encode_dataclass(value: Any, encoder: Encoder) -> Any:
    """A dataclass goes as its class and its attributes."""
    return encoder.container(value, _write_dataclass)


def _write_dataclass(value: Any, encoder: Encoder) -> Node:
    node = class_node("data", type(value), encoder)
    state = dict(getattr(value, "__dict__", ()))
    for name in value.__dataclass_fields__:
        if name not in state and type(getattr(type(value), name, None)) in _SLOTS:
            slot = getattr(value, name, _UNSET)
            if slot is not _UNSET:
                state[name] = slot
    of = encoder.node
    node["k"] = list(map(of, state))
    node["v"] = list(map(of, state.values()))
    return node


_UNSET: Any = object()
_SLOTS = (types.MemberDescriptorType, types.GetSetDescriptorType)


@reads("data")
def decode_dataclass(node: Node, decoder: Decoder) -> Any:
    """Return a dataclass; a field that its class got since then has its default."""
    kind = decoder.cls(node)
    if "__dataclass_fields__" not in vars(kind) or not _is_plain_class(kind):
        raise Missing(name_of(kind), "the class here is no dataclass")
    value = object.__new__(kind)
    given = dict(zip(decoder.values(node["k"]), decoder.values(node["v"])))
    for name, item in given.items():
        object.__setattr__(value, name, item)
    if not given.keys() >= kind.__dataclass_fields__.keys():
        _fill_defaults(value, given)
    return value


def _fill_defaults(value: Any, given: Dict[str, Any]) -> None:
    for field in dataclasses.fields(value):
        if field.name in given or hasattr(value, field.name):
            continue
        if field.default_factory is not dataclasses.MISSING:
            object.__setattr__(value, field.name, field.default_factory())
        elif field.default is not dataclasses.MISSING:
            object.__setattr__(value, field.name, field.default)


# Models of pydantic, which is never imported for their sake

_PYDANTIC = ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


def _is_model(kind: type) -> bool:
    pydantic = sys.modules.get("pydantic")
    model = getattr(pydantic, "BaseModel", None)
    return isinstance(model, type) and issubclass(kind, model)


@writes_kind(5, _is_model)
def encode_model(value: Any, encoder: Encoder) -> Any:
    """A model goes as its class, its fields, and which of them were set."""
    return encoder.container(value, _write_model)


def _write_model(value: Any, encoder: Encoder) -> Node:
    node = class_node("pydantic", type(value), encoder)
    node["v"] = encoder.node(dict(value.__dict__))
    if hasattr(value, "__pydantic_fields_set__"):
        node["s"] = sorted(value.__pydantic_fields_set__)
        node["x"] = encoder.node(value.__pydantic_extra__)
        private = value.__pydantic_private__
        if private is not None:
            # A private attribute may be undefined, which only pydantic can say.
            private = {k: v for k, v in private.items() if "Undefined" not in type(v).__name__}
        node["i"] = encoder.node(private)
    else:
        node["s"] = sorted(value.__fields_set__)
    return node


@reads("pydantic")
def decode_model(node: Node, decoder: Decoder) -> Any:
    """Return a model, not validated a second time."""
    kind = decoder.cls(node)
    if not _is_model(kind):
        raise Missing(name_of(kind), "the class here is no pydantic model")
    model = kind.__new__(kind)
    put = object.__setattr__
    put(model, "__dict__", decoder.value(node["v"]))
    if hasattr(kind, "__pydantic_fields__") or hasattr(kind, "model_fields"):
        put(model, "__pydantic_fields_set__", set(node["s"]))
        put(model, "__pydantic_extra__", decoder.value(node.get("x")))
        put(model, "__pydantic_private__", decoder.value(node.get("i")))
    else:
        put(model, "__fields_set__", set(node["s"]))
    return model


# Objects of classes that were defined in a cell


def _is_cell_class(kind: type) -> bool:
    return kind.__module__ == "__main__" and not issubclass(kind, (type, BaseException))


@writes_kind(80, _is_cell_class)
def encode_object(value: Any, encoder: Encoder) -> Any:
    """An object goes as its class and its state, as ``copy`` would take them."""
    return encoder.container(value, _write_object)


def _write_object(value: Any, encoder: Encoder) -> Any:
    from flyte_jupyter.wire.values.pickled import encode_pickle

    try:
        reduced = value.__reduce_ex__(2)
    except TypeError as error:
        raise SerializationError(
            f"A {type(value).__qualname__} cannot be encoded: {error}."
        ) from None
    if not _is_simple_reduction(reduced, type(value)):
        return encode_pickle(value, encoder)
    _, (_, *arguments), state, items, pairs = (*reduced, None, None, None)[:5]
    node = class_node("object", type(value), encoder)
    if arguments:
        node["a"] = encoder.node(arguments)
    if state is not None:
        node["v"] = encoder.node(state)
    if items is not None:
        node["l"] = [encoder.node(item) for item in items]
    if pairs is not None:
        node["d"] = [[encoder.node(key), encoder.node(item)] for key, item in pairs]
    return node


def _is_simple_reduction(reduced: Any, kind: type) -> bool:
    import copyreg

    return (
        type(reduced) is tuple
        and reduced[0] is copyreg.__newobj__  # type: ignore[attr-defined]
        and reduced[1][:1] == (kind,)
        and (len(reduced) < 6 or reduced[5] is None)
    )


@reads("object")
def decode_object(node: Node, decoder: Decoder) -> Any:
    """Return an object of a class that was defined in a cell."""
    if node["c"][0] != "__main__":
        raise ProtocolError(f"An object of {'.'.join(node['c'][:2])} does not travel by its state.")
    kind = decoder.cls(node)
    if not _is_cell_class(kind):
        raise ProtocolError(f"{name_of(kind)} was not defined in a cell.")
    value = kind.__new__(kind, *decoder.value(node.get("a", [])))
    if "v" in node:
        _restore(value, decoder.value(node["v"]))
    if "l" in node:
        value.extend(decoder.values(node["l"]))
    for key, item in node.get("d", ()):
        value[decoder.value(key)] = decoder.value(item)
    return value


def _restore(value: Any, state: Any) -> None:
    if hasattr(value, "__setstate__"):
        value.__setstate__(state)
        return
    attributes, slots = state if type(state) is tuple else (state, None)
    if attributes:
        value.__dict__.update(attributes)
    for name, item in (slots or {}).items():
        object.__setattr__(value, name, item)


# Names: classes, functions and modules by reference


@writes_kind(60, lambda kind: issubclass(kind, type))
@writes(types.FunctionType, types.BuiltinFunctionType)
def encode_name(value: Any, encoder: Encoder) -> Any:
    """A class or function goes by its name."""
    module, qualname = _name_in_module(value)
    if qualname is None:
        from flyte_jupyter.wire.values.pickled import encode_pickle

        if isinstance(value, types.FunctionType):
            raise SerializationError(
                f"The function {value.__qualname__!r} has no name that it could be found by on "
                "the other side.",
                remedy="Define it with def at the top level of a cell or module, and pass that.",
            )
        return encode_pickle(value, encoder)
    if isinstance(value, type):
        return {**class_node("name", value, encoder), "k": "type"}
    return {"~": "name", "c": [module, qualname]}


def _name_in_module(value: Any) -> tuple[str, Optional[str]]:
    module = getattr(value, "__module__", None) or "builtins"
    qualname = getattr(value, "__qualname__", "")
    if module == "__main__":
        return module, qualname if "<" not in qualname else None
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return module, qualname if found is value else None


@reads("name")
def decode_name(node: Node, decoder: Decoder) -> Any:
    """Return a class or function."""
    return decoder.named(*node["c"])


@writes(types.ModuleType)
def encode_module(value: types.ModuleType, encoder: Encoder) -> Node:
    """A module goes by its name."""
    return {"~": "module", "v": value.__name__}


@reads("module")
def decode_module(node: Node, decoder: Decoder) -> Any:
    """Return a module."""
    return decoder.package(node["v"])
