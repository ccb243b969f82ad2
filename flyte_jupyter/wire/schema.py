"""Types as JSON: from annotations, and checked against an encoded value without importing anything.

A schema is a dictionary with one of these keys:

=========== ====================================================================
``any``     no promise
``type``    name of a type, as :func:`names_of_node` gives it; with ``items``, ``each``, ``keys``
            and ``values``, or ``fields`` and ``required``, the schemas of what is inside, and with
            ``dtype`` the item type of an array
``union``   list of schemas, one of which must fit
``literal`` list of encoded values, one of which it must be
=========== ====================================================================

The rules are those of Flyte: an ``int`` takes no ``bool`` and no ``float``; a ``float`` takes an
``int``; a class takes its subclasses. What has no annotation is not checked.
"""

from __future__ import annotations

import inspect
import types
import typing
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple

from flyte_jupyter.errors import InputTypeError
from flyte_jupyter.wire.values import encode, preview_tree, type_of_node
from flyte_jupyter.wire.values.model import TAG, dump

__all__ = [
    "ANY",
    "Mismatch",
    "check",
    "check_inputs",
    "check_value",
    "describe",
    "interface_of",
    "names_of_node",
    "schema_of",
]

Schema = Dict[str, Any]

ANY: Schema = {"any": True}

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

#: Packages that show their classes at the top, wherever they define them.
_FLAT = ("numpy", "pandas", "pathlib", "polars", "pyarrow", "pydantic")

#: Abstract types that an encoded value can be held against; others promise nothing.
_ABSTRACT = ("Sequence", "MutableSequence", "Set", "MutableSet", "Mapping", "MutableMapping")

_PROMISE_NOTHING = ("abc", "collections", "contextlib", "io", "numbers", "os", "typing")

_DEEP = 20


@dataclass(frozen=True)
class Mismatch:
    """A value that is not what its annotation says.

    Args:
        path: where in the value, such as ``[2].name``, "" for the value itself.
        expected: the type that stands there, in words.
        actual: the type that was found, in words.
        shown: what was found, in a few words.
        whole: the type of the whole value, in words.
    """

    path: str
    expected: str
    actual: str
    shown: str
    whole: str

    def sentence(self, subject: str) -> str:
        """Return the error in one sentence.

        Args:
            subject: what the value is, such as ``Input 'x' of square()``.
        """
        where = f"its item {self.path}" if self.path else "it"
        inner = f" instead of {self.expected}" if self.path else ""
        shown = "" if self.shown in ("", self.actual, f"<{self.actual}>") else f": {self.shown}"
        return f"{subject} must be {self.whole}, but {where} is {self.actual}{inner}{shown}"

    @property
    def place(self) -> str:
        """Where in the value, to be put behind a word: `` at [2]``, or nothing."""
        return f" at {self.path}" if self.path else ""

    @property
    def remedy(self) -> str:
        """What to do, where the types say it; "" otherwise."""
        if self.expected in ("int", "float", "str", "bool") and self.actual.startswith("numpy."):
            return f"Turn it into a plain {self.expected} with {self.expected}(…)."
        return ""


# From annotations


def interface_of(func: Callable[..., Any]) -> Dict[str, Any]:
    """Return the schemas of a function.

    Args:
        func: the function; its annotations may be text.

    Returns:
        ``{"inputs": {name: {"schema": …, "has_default": bool, "kind": …}}, "output": schema}``,
        where ``kind`` is that of :class:`inspect.Parameter`. A default of None allows None.
    """
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
                continue
        return hints


def schema_of(annotation: Any, _depth: int = 0) -> Schema:
    """Return the schema of an annotation.

    Args:
        annotation: a type, or what ``typing`` makes of types. What has no meaning for a value that
            arrives from elsewhere (type variables without bound, protocols, callables) is ``any``.
    """
    if _depth > _DEEP or annotation is inspect.Parameter.empty:
        return ANY
    origin = typing.get_origin(annotation)
    inner = _depth + 1
    if annotation is None or annotation is type(None):
        return {"type": "None"}
    if origin is typing.Union or (origin is not None and origin is _UNION_TYPE):
        return _union([schema_of(item, inner) for item in typing.get_args(annotation)])
    if origin is typing.Literal:
        return {"literal": [encode(item).tree for item in typing.get_args(annotation)]}
    if getattr(origin, "__name__", "") in _WRAPPERS or origin is typing.Annotated:
        return schema_of(typing.get_args(annotation)[0], inner)
    if origin is not None:
        return _generic(origin, typing.get_args(annotation), inner)
    for attribute in ("__supertype__", "__bound__", "__value__"):
        if not isinstance(annotation, type) and getattr(annotation, attribute, None) is not None:
            return schema_of(getattr(annotation, attribute), inner)
    return _plain(annotation, inner) if isinstance(annotation, type) else ANY


_UNION_TYPE = getattr(types, "UnionType", None)
_WRAPPERS = ("Annotated", "ClassVar", "Final", "Required", "NotRequired", "ReadOnly")


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
    if kind in (object, Any) or getattr(kind, "_is_protocol", False):
        return ANY
    name = _name(kind.__module__, kind.__qualname__)
    abstract = hasattr(kind, "__abstractmethods__") or kind.__flags__ & (1 << 20)
    if name not in _ABSTRACT and abstract and kind.__module__.split(".")[0] in _PROMISE_NOTHING:
        return ANY
    return {"type": name}


def _typed_dict(kind: Any, depth: int) -> Schema:
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:
        hints = dict.fromkeys(kind.__annotations__, Any)
    return {
        "type": "dict",
        "name": kind.__qualname__.replace("<locals>.", ""),
        "fields": {name: schema_of(hint, depth) for name, hint in hints.items()},
        "required": sorted(getattr(kind, "__required_keys__", ())),
    }


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
    holds = ("list", "set", "frozenset", "collections.deque", *_ABSTRACT)
    if name in holds and len(arguments) == 1:
        return {**schema, "items": schema_of(arguments[0], depth)}
    return schema


# In words


def describe(schema: Schema) -> str:
    """Return a schema in the words of an annotation: ``list[int]``, ``str | None``."""
    if "union" in schema:
        return " | ".join(describe(one) for one in schema["union"])
    if "literal" in schema:
        return f"Literal[{', '.join(preview_tree(item) for item in schema['literal'])}]"
    if "type" not in schema:
        return "any"
    name: str = schema.get("name") or schema["type"].replace("<locals>.", "")
    if name.startswith("__main__."):
        name = name[len("__main__.") :]
    if "items" in schema:
        more = ", ..." if name == "tuple" else ""
        return f"{name}[{describe(schema['items'])}{more}]"
    if "each" in schema:
        return f"{name}[{', '.join(map(describe, schema['each'])) or '()'}]"
    if "keys" in schema:
        return f"{name}[{describe(schema['keys'])}, {describe(schema['values'])}]"
    if "dtype" in schema:
        return f"{name}[{schema['dtype']}]"
    return name


# Checks


def check_value(schema: Schema, value: Any) -> Optional[Mismatch]:
    """Return how a value differs from its schema, None if it does not."""
    return None if "any" in schema else check(schema, encode(value).tree)


def check(schema: Schema, tree: Any) -> Optional[Mismatch]:
    """Return how an encoded value differs from its schema, None if it does not.

    Args:
        schema: what :func:`schema_of` returned.
        tree: the tree of an :class:`~flyte_jupyter.wire.values.Encoded` value.
    """
    found = _check(schema, tree, "")
    if found is None:
        return None
    path, expected, node = found
    actual = node if isinstance(node, _Lack) else type_of_node(node)
    shown = "" if isinstance(node, _Lack) else preview_tree(node, 60)
    return Mismatch(path, describe(expected), str(actual), shown, describe(schema))


def check_inputs(task: str, interface: Dict[str, Any], tree: Any) -> None:
    """Hold the inputs of a call against the task's interface.

    Args:
        task: name of the task, for the error.
        interface: what :func:`interface_of` returned.
        tree: the tree of an encoded dictionary of inputs.

    Raises:
        InputTypeError: names the input, the type that it has and the one that it should have.
    """
    for name, given in interface.get("inputs", {}).items():
        if name not in tree or "any" in given["schema"]:
            continue
        of = given["schema"]
        kind = given.get("kind")
        if kind == "VAR_POSITIONAL":
            of = {"union": [{"type": kind, "items": of} for kind in ("tuple", "list")]}
        elif kind == "VAR_KEYWORD":
            of = {"type": "dict", "keys": ANY, "values": of}
        mismatch = check(of, tree[name])
        if mismatch is not None:
            sentence = mismatch.sentence(f"Input {name!r} of {task}")
            raise InputTypeError(sentence + ".", remedy=mismatch.remedy)


class _Lack(str):
    """Words for what is found where something lacks."""


Found = Optional[Tuple[str, Schema, Any]]


def _check(schema: Schema, node: Any, path: str) -> Found:
    if "type" in schema:
        return _check_type(schema, node, path)
    if "union" in schema:
        return _check_union(schema, node, path)
    if "literal" in schema:
        text = dump(node)
        fits = any(dump(item) == text for item in schema["literal"])
        return None if fits else (path, schema, node)
    return None


def _check_union(schema: Schema, node: Any, path: str) -> Found:
    deepest: Found = None
    for one in schema["union"]:
        found = _check(one, node, path)
        if found is None:
            return None
        if len(found[0]) > len(path):
            deepest = found
    # One member of the union has the right shape: what is wrong inside is the better news.
    return deepest or (path, schema, node)


def _check_type(schema: Schema, node: Any, path: str) -> Found:
    if schema["type"] not in names_of_node(node):
        return path, schema, node
    if len(schema) == 1:
        return None
    if "dtype" in schema:
        return None if _fits_dtype(schema["dtype"], node) else (path, schema, _dtype_words(node))
    if "fields" in schema:
        return _check_fields(schema, node, path)
    if "keys" in schema:
        return _check_mapping(schema, node, path)
    items = _items_of(node)
    if items is None:
        return None
    if "each" in schema:
        each = schema["each"]
        if len(each) != len(items):
            return path, schema, _Lack(f"a tuple of {len(items)}")
        pairs = zip(each, items)
    elif _all_of(schema["items"], items):
        return None
    else:
        pairs = zip([schema["items"]] * len(items), items)
    for at, (of, item) in enumerate(pairs):
        found = _check(of, item, f"{path}[{at}]")
        if found is not None:
            return found
    return None


def _all_of(schema: Schema, items: List[Any]) -> bool:
    """Tell at the speed of C whether all of a long list are of one plain type."""
    if "any" in schema:
        return True
    kinds = set(map(type, items))
    return len(kinds) == 1 and schema.get("type") == kinds.pop().__name__ in _PLAIN


_PLAIN = ("int", "float", "str", "bool")


def _items_of(node: Any) -> Optional[List[Any]]:
    if type(node) is list:
        return node
    items = node.get("v") if type(node) is dict and node.get(TAG) in _SEQUENCES else None
    return items if type(items) is list else None


_SEQUENCES = ("tuple", "set", "frozenset", "deque", "namedtuple")
_MAPPINGS = ("dict", "OrderedDict", "defaultdict", "Counter")


def _pairs_of(node: Any) -> List[Tuple[Any, Any]]:
    if TAG not in node:
        return list(node.items())
    if node[TAG] in _MAPPINGS:
        return list(zip(node["k"], node["v"]))
    return []


def _check_mapping(schema: Schema, node: Any, path: str) -> Found:
    for key, item in _pairs_of(node):
        where = f"{path}[{preview_tree(key, 30)}]"
        found = _check(schema["keys"], key, f"{where} (its key)") or _check(
            schema["values"], item, where
        )
        if found is not None:
            return found
    return None


def _check_fields(schema: Schema, node: Any, path: str) -> Found:
    given = dict(node) if TAG not in node else {}
    if not given and _pairs_of(node):
        return path, schema, node
    for name in schema["required"]:
        if name not in given:
            return path, schema, _Lack(f"a dict without {name!r}")
    for name, item in given.items():
        if name not in schema["fields"]:
            return path, schema, _Lack(f"a dict with {name!r}, which it has no field for")
        found = _check(schema["fields"][name], item, f"{path}[{name!r}]")
        if found is not None:
            return found
    return None


def _fits_dtype(name: str, node: Any) -> bool:
    dtype = node.get("d")
    if type(dtype) is not str or name in ("Any", "generic"):
        return True
    letter = dtype.lstrip("<>|=")[:1]
    if name in _FAMILIES:
        return letter in _FAMILIES[name]
    return _dtype_name(dtype) == name


def _dtype_name(dtype: str) -> str:
    code = dtype.lstrip("<>|=")
    kind = {"i": "int", "u": "uint", "f": "float", "c": "complex", "b": "bool"}.get(code[:1])
    if kind is None or not code[1:].isdigit():
        return code
    return kind if kind == "bool" else f"{kind}{int(code[1:]) * 8}"


def _dtype_words(node: Any) -> _Lack:
    return _Lack(f"an array of {_dtype_name(node['d'])}")


# Names


def names_of_node(node: Any) -> Tuple[str, ...]:
    """Return the names of the types that an encoded value is of, its own first."""
    if type(node) is not dict or TAG not in node:
        name = "None" if node is None else type(node).__name__
        return (name, *_ALSO.get(name, ()))
    named = node.get("c")
    if node[TAG] == "name":
        return ("type",) if "of" in node else ("function",)
    if named:
        bases = [_name(*_split(base)) for base in node.get("of", ())]
        own_name = _name(str(named[0]), str(named[1]))
        also = [more for name in (own_name, *bases) for more in _ALSO.get(name, ())]
        return (own_name, *bases, *also)
    name = type_of_node(node)
    if node[TAG] == "numpy.scalar":
        letter = str(node.get("d", "")).lstrip("<>|=")[:1]
        families = [f"numpy.{key}" for key, letters in _FAMILIES.items() if letter in letters]
        return (name, *_ALSO.get(name, ()), *families)
    return (name, *_ALSO.get(name, ()))


def _name(module: str, qualname: str) -> str:
    top = module.partition(".")[0]
    if module == "builtins":
        return qualname
    if module == "collections.abc":
        return qualname if qualname in _ABSTRACT else f"{module}.{qualname}"
    return f"{top if top in _FLAT else module}.{qualname}"


def _split(dotted: str) -> Tuple[str, str]:
    """Split a dotted name into module and qualified name, the class being the last word."""
    module, _, name = str(dotted).rpartition(".")
    return module, name
