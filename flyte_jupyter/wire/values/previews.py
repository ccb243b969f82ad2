"""A value in a few words, for displays and handles: short, safe, and the same in every process."""

from __future__ import annotations

import re
import reprlib
from typing import Any, Dict

from flyte_jupyter.wire.values.model import TAG, Encoded, nodes_of, size_of
from flyte_jupyter.wire.values.naming import type_of_node

__all__ = ["in_bytes", "inline_size", "preview", "preview_tree"]

LONGEST = 160
_ADDRESS = re.compile(r"(?: object)? at 0x[0-9a-fA-F]+")

#: Package of a type -> the file whose ``preview`` knows its types.
_FAMILIES = {
    "numpy": "arrays",
    "pandas": "frames",
    "polars": "polars_frames",
    "pyarrow": "arrow",
}


def preview(value: Any, longest: int = LONGEST) -> str:
    """Return a value in a few words.

    Args:
        value: anything; if its own ``repr`` fails, the words say what it is.
        longest: how many characters there may be.
    """
    return _cut(_Short().repr(value), longest)


def preview_tree(tree: Any, longest: int = LONGEST) -> str:
    """Return an encoded value in a few words, without decoding it.

    Args:
        tree: the tree of an encoded value, or a part of it.
        longest: how many characters there may be.
    """
    return _cut(_tree_words(tree, 3), longest)


def inline_size(encoded: Encoded) -> int:
    """Return the bytes of a value that count towards ``max_inline_io_bytes``.

    These are its tree and the bytes that belong to it; the raw buffers of arrays, tables and
    pickles do not count, and None is nothing.

    Args:
        encoded: an encoded value.
    """
    from flyte_jupyter.wire.values.model import dump

    if encoded.tree is None:
        return 0
    size = len(dump(encoded.tree))
    if encoded.buffers:
        for node in nodes_of(encoded.tree):
            place = node.get("b")
            if type(place) is int and place < len(encoded.buffers):
                size += size_of(encoded.buffers[place])
            elif type(place) is list:
                size += place[2]
    return size


def in_bytes(size: int) -> str:
    """Return a number of bytes in words: ``12 B``, ``3.4 MB``."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 6
        self.maxdeque = self.maxarray = 6
        self.maxstring = 60
        self.maxlong = 40
        self.maxother = LONGEST

    def repr_int(self, value: int, level: int) -> str:
        if value.bit_length() > 4000:
            return f"<int of {value.bit_length()} bits>"
        return super().repr_int(value, level)

    def repr_bytes(self, value: bytes, _: int) -> str:
        return repr(value) if len(value) <= 40 else f"<{in_bytes(len(value))} of bytes>"

    def repr_instance(self, value: Any, level: int) -> str:
        kind = type(value)
        name = getattr(kind, "__qualname__", "object").replace("<locals>.", "")
        package = str(getattr(kind, "__module__", "")).partition(".")[0]
        try:
            if package in _FAMILIES:
                words = self._family(value, package)
                if words:
                    return words
            if isinstance(value, type):
                return f"<class {value.__qualname__}>"
            if "__dataclass_fields__" in vars(kind):
                return self._fields(name, {f: getattr(value, f) for f in _shown(kind)}, level)
            if getattr(kind, "__repr__", None) is object.__repr__:
                return f"<{name}>"
            words = repr(value)
        except Exception:
            return f"<{name}>"  # the user's own repr failed; a preview is no reason to fail
        return _cut(_ADDRESS.sub("", words), self.maxother)

    def _fields(self, name: str, fields: Dict[str, Any], level: int) -> str:
        if level <= 0:
            return f"{name}(…)"
        shown = [f"{k}={self.repr1(v, level - 1)}" for k, v in list(fields.items())[:6]]
        return f"{name}({', '.join(shown + (['…'] if len(fields) > 6 else []))})"

    def _family(self, value: Any, package: str) -> str:
        from importlib import import_module

        codecs = import_module("flyte_jupyter.wire.values." + _FAMILIES[package])
        words: str = codecs.preview(value)
        return words


def _shown(kind: Any) -> Any:
    return [name for name, field in kind.__dataclass_fields__.items() if field.repr]


def _tree_words(tree: Any, level: int) -> str:
    if type(tree) is list:
        return _in_brackets("[]", tree, level)
    if type(tree) is not dict:
        return _Short().repr(tree)
    if TAG not in tree:
        if level <= 0:
            return "{…}"
        shown = [f"{k!r}: {_tree_words(v, level - 1)}" for k, v in list(tree.items())[:6]]
        return "{" + ", ".join(shown + (["…"] if len(tree) > 6 else [])) + "}"
    if type(tree.get("p")) is str:
        return str(tree["p"])
    name, inside = type_of_node(tree), tree.get("v")
    if tree[TAG] in ("tuple", "set", "frozenset") and type(inside) is list:
        return _in_brackets("()" if tree[TAG] == "tuple" else "{}", inside, level)
    if tree[TAG] == "task":
        return f"task {tree.get('name')!r}"
    if tree[TAG] == "exception":
        return f"{name}({tree.get('m')!r})"
    if tree[TAG] == "object" and type(inside) is dict and TAG not in inside and level > 0:
        shown = [f"{k}={_tree_words(v, level - 1)}" for k, v in list(inside.items())[:6]]
        return f"{name}({', '.join(shown)})"
    if tree[TAG] == "enum":
        return f"{name}.{tree.get('n')}"
    if tree[TAG] == "data" and level > 0:
        pairs = list(zip(tree.get("k", ()), tree.get("v", ())))
        return f"{name}({', '.join(f'{k}={_tree_words(v, level - 1)}' for k, v in pairs[:6])})"
    if tree[TAG] == "name":
        return str(tree["c"][1])
    if type(inside) is str and tree[TAG] not in ("bytes", "bytearray", "str", "float", "int"):
        return f"{name}({inside!r})"
    return f"<{name}>"


def _in_brackets(brackets: str, items: Any, level: int) -> str:
    if level <= 0:
        return f"{brackets[0]}…{brackets[1]}"
    shown = [_tree_words(item, level - 1) for item in items[:6]]
    return brackets[0] + ", ".join(shown + (["…"] if len(items) > 6 else [])) + brackets[1]
