"""Types as JSON: from annotations, and checked against an encoded value without importing anything.

A schema is a dictionary with one of these keys:

=========== ====================================================================
``any``     no promise
``type``    name of a type, as the encoded value tells it; with ``items``, ``each``, ``keys``
            and ``values``, or ``fields`` and ``required``, the schemas of what is inside, with
            ``dtype`` the item type of an array, and with ``bounds`` what a number is held to
``union``   list of schemas, one of which must fit
``literal`` list of encoded values, one of which it must be
=========== ====================================================================

The rules are those of Flyte: an ``int`` takes no ``bool`` and no ``float``; a ``float`` takes an
``int``; a class takes its subclasses. What has no annotation is not checked.
"""

from __future__ import annotations

import types
import typing
from typing import Any, Callable, Dict, List, Set

from flyte_jupyter.wire.checks import BOUNDS, Mismatch, check, check_value, describe
from flyte_jupyter.wire.typenames import ABSTRACT
from flyte_jupyter.wire.values import encode
from flyte_jupyter.wire.values.naming import name_of_type

__all__ = [
    "ANY",
    "Mismatch",
    "bounds_of",
    "check",
    "check_value",
    "describe",
    "interface_of",
    "schema_of",
]

Schema = Dict[str, Any]

ANY: Schema = {"any": True}

#: Modules whose abstract classes say what a value can do and not what it is.
_PROMISE_NOTHING = ("abc", "collections", "contextlib", "io", "numbers", "os", "typing")

_DEEP = 20


def interface_of(func: Callable[..., Any]) -> Dict[str, Any]:
    """Return the schemas of a function.

    Args:
        func: the function; its annotations may be text.

    Returns:
        ``{"inputs": {name: {"schema": …, "has_default": bool, "kind": …}}, "output": schema}``,
        where ``kind`` is that of :class:`inspect.Parameter`. A default of None allows None.
    """
    import inspect

    hints = _hints_of(func)
    inputs = {}
    for name, parameter in inspect.signature(func).parameters.items():
        schema = schema_of(hints[name]) if name in hints else ANY
        if parameter.default is None and "any" not in schema:
            schema = _union([schema, {"type": "None"}])
        inputs[name] = {
            "schema": schema,
            "has_default": parameter.default is not parameter.empty,
            "kind": parameter.kind.name,
        }
    return {"inputs": inputs, "output": schema_of(hints["return"]) if "return" in hints else ANY}


def _hints_of(func: Any) -> Dict[str, Any]:
    try:
        return typing.get_type_hints(func, include_extras=True)
    except Exception:
        # One name that is unknown must not hide the others.
        names = getattr(func, "__globals__", {})
        hints = {}
        for name, hint in dict(getattr(func, "__annotations__", {})).items():
            try:
                hints[name] = eval(hint, names) if isinstance(hint, str) else hint
            except Exception:
                continue  # nothing is known of this one, so anything fits it
        return hints


def schema_of(annotation: Any, _depth: int = 0) -> Schema:
    """Return the schema of an annotation.

    Args:
        annotation: a type, or what ``typing`` makes of types. What has no meaning for a value that
            arrives from elsewhere (type variables without bound, protocols, callables) is ``any``.
    """
    if _depth > _DEEP:
        return ANY
    origin = typing.get_origin(annotation)
    inner = _depth + 1
    if annotation is None or annotation is type(None):
        return {"type": "None"}
    if origin is typing.Union or (origin is not None and origin is _UNION_TYPE):
        return _union([schema_of(item, inner) for item in typing.get_args(annotation)])
    if origin is typing.Literal:
        return {"literal": [encode(item).tree for item in typing.get_args(annotation)]}
    if origin is typing.Annotated:
        return _bounded(schema_of(typing.get_args(annotation)[0], inner), annotation)
    if getattr(origin, "_name", "") in _WRAPPERS:
        return schema_of(typing.get_args(annotation)[0], inner)
    if origin is not None:
        return _generic(origin, typing.get_args(annotation), inner)
    for attribute in ("__supertype__", "__bound__", "__value__"):
        if not isinstance(annotation, type) and getattr(annotation, attribute, None) is not None:
            return schema_of(getattr(annotation, attribute), inner)
    return _plain(annotation, inner) if isinstance(annotation, type) else ANY


_UNION_TYPE = getattr(types, "UnionType", None)
_WRAPPERS = ("Annotated", "ClassVar", "Final", "Required", "NotRequired", "ReadOnly")


def _bounded(schema: Schema, annotation: Any) -> Schema:
    bounds = bounds_of(annotation)
    if not bounds:
        return schema
    if "union" in schema:
        return {"union": [_bounded(one, annotation) for one in schema["union"]]}
    return {**schema, "bounds": bounds} if schema.get("type") in ("int", "float") else schema


def bounds_of(annotation: Any) -> Dict[str, Any]:
    """Return what ``Annotated`` holds a number to: ``ge``, ``gt``, ``le`` and ``lt``.

    Args:
        annotation: with the objects of ``annotated_types``, or with a ``Field`` of pydantic's.
    """
    bounds: Dict[str, Any] = {}
    notes = list(getattr(annotation, "__metadata__", ()))
    for note in notes:  # grows by what a field of pydantic's holds
        notes.extend(getattr(note, "metadata", None) or ())
        for name in BOUNDS:
            limit = getattr(note, name, None)
            if isinstance(limit, (int, float)):
                bounds[name] = limit
    return bounds


def _union(schemas: List[Schema]) -> Schema:
    flat: List[Schema] = []
    for schema in schemas:
        for one in schema.get("union", [schema]):
            if one not in flat:
                flat.append(one)
    if ANY in flat:
        return ANY
    return flat[0] if len(flat) == 1 else {"union": flat}


def _plain(kind: Any, depth: int) -> Schema:
    if issubclass(kind, dict) and hasattr(kind, "__total__"):
        return _typed_dict(kind, depth)
    # inspect._empty stands where there is no annotation.
    if (
        kind in (object, Any)
        or kind.__module__ == "inspect"
        or getattr(kind, "_is_protocol", False)
    ):
        return ANY
    name = name_of_type(kind.__module__, kind.__qualname__)
    abstract = hasattr(kind, "__abstractmethods__") or kind.__flags__ & (1 << 20)
    if name not in ABSTRACT and abstract and kind.__module__.split(".")[0] in _PROMISE_NOTHING:
        return ANY
    return {"type": name}


def _typed_dict(kind: Any, depth: int) -> Schema:
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:
        # A field's type is a name that is unknown here: the fields are checked, not their types.
        hints = dict.fromkeys(kind.__annotations__, Any)
    return {
        "type": "dict",
        "name": kind.__qualname__.replace("<locals>.", ""),
        "fields": {name: schema_of(hint, depth) for name, hint in hints.items()},
        "required": sorted(_required(kind, hints)),
    }


def _required(kind: Any, hints: Dict[str, Any]) -> Set[str]:
    """Return the fields that must be there; Python cannot tell where annotations are text."""
    required = set(getattr(kind, "__required_keys__", ()))
    for name, hint in hints.items():
        wrapper = getattr(typing.get_origin(hint), "_name", None)
        if wrapper == "NotRequired":
            required.discard(name)
        elif wrapper == "Required":
            required.add(name)
    return required


def _generic(origin: Any, arguments: Any, depth: int) -> Schema:
    if not isinstance(origin, type):
        return schema_of(origin, depth)
    schema = _plain(origin, depth)
    name = schema.get("type")
    if name == "tuple":
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return {**schema, "items": schema_of(arguments[0], depth)}
        each = [] if arguments in ((), ((),)) else arguments
        return {**schema, "each": [schema_of(item, depth) for item in each]}
    if name == "numpy.ndarray" and len(arguments) == 2:
        (item,) = typing.get_args(arguments[1]) or (None,)
        known = isinstance(item, type) and item.__name__ != "generic"
        return {**schema, "dtype": item.__name__} if known and item is not None else schema
    mapping = isinstance(origin, type) and issubclass(origin, (dict, typing.Mapping))
    if mapping and name is not None and len(arguments) == 2:
        keys, values = (schema_of(item, depth) for item in arguments)
        return {**schema, "keys": keys, "values": values}
    holds = ("list", "set", "frozenset", "collections.deque", *ABSTRACT)
    if name in holds and len(arguments) == 1:
        return {**schema, "items": schema_of(arguments[0], depth)}
    return schema
