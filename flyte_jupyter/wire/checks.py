"""An encoded value held against a schema: nothing, or one sentence that says where it differs."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple

from flyte_jupyter.wire.typenames import dtype_name, fits_dtype, names_of_node
from flyte_jupyter.wire.values import encode, preview_tree, type_of_node
from flyte_jupyter.wire.values.model import TAG, dump
from flyte_jupyter.wire.values.naming import in_words

__all__ = ["BOUNDS", "Mismatch", "check", "check_value", "describe"]

Schema = Dict[str, Any]

#: What a number can be held to -> in words, and whether a number fits.
BOUNDS: Dict[str, Tuple[str, Callable[[Any, Any], bool]]] = {
    "ge": ("at least", operator.ge),
    "gt": ("above", operator.gt),
    "le": ("at most", operator.le),
    "lt": ("below", operator.lt),
}


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


def describe(schema: Schema) -> str:
    """Return a schema in the words of an annotation: ``list[int]``, ``str | None``."""
    if "union" in schema:
        return " | ".join(describe(one) for one in schema["union"])
    if "literal" in schema:
        return f"Literal[{', '.join(preview_tree(item) for item in schema['literal'])}]"
    if "type" not in schema:
        return "any"
    name: str = schema.get("name") or in_words(schema["type"])
    if "items" in schema:
        more = ", ..." if name == "tuple" else ""
        return f"{name}[{describe(schema['items'])}{more}]"
    if "each" in schema:
        return f"{name}[{', '.join(map(describe, schema['each'])) or '()'}]"
    if "keys" in schema:
        return f"{name}[{describe(schema['keys'])}, {describe(schema['values'])}]"
    if "dtype" in schema:
        return f"{name}[{schema['dtype']}]"
    if "bounds" in schema:
        limits = [f"{BOUNDS[key][0]} {limit}" for key, limit in schema["bounds"].items()]
        return f"{name} ({', '.join(limits)})"
    return name


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
    if "bounds" in schema:
        # numbers of other packages are not opened here
        plain = type(node) in (int, float)
        held = plain and not all(BOUNDS[key][1](node, n) for key, n in schema["bounds"].items())
        return (path, schema, _Lack(str(node))) if held else None
    if "dtype" in schema:
        return (
            None
            if fits_dtype(schema["dtype"], node)
            else (path, schema, _Lack(f"an array of {dtype_name(node['d'])}"))
        )
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
    if "bounds" in schema:
        return False
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
