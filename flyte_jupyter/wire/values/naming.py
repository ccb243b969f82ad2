"""What types are called: one dotted name for the machine, fewer words for the reader."""

from __future__ import annotations

from typing import Any

from flyte_jupyter.wire.values.model import TAG

__all__ = ["in_words", "name_of_type", "type_of_node"]

#: Packages that show their classes at the top, wherever they define them.
_FLAT = ("numpy", "pandas", "pathlib", "polars", "pyarrow", "pydantic")

#: Words for the tags that are no name of a type themselves.
_WORDS = {
    "date": "datetime.date",
    "datetime": "datetime.datetime",
    "time": "datetime.time",
    "timedelta": "datetime.timedelta",
    "timezone": "datetime.timezone",
    "zone": "zoneinfo.ZoneInfo",
    "array": "array.array",
    "namespace": "types.SimpleNamespace",
    "module": "module",
    "deque": "collections.deque",
    "OrderedDict": "collections.OrderedDict",
    "defaultdict": "collections.defaultdict",
    "Counter": "collections.Counter",
    "numpy.array": "numpy.ndarray",
    "numpy.masked": "numpy.MaskedArray",
    "pandas.frame": "pandas.DataFrame",
    "pandas.series": "pandas.Series",
    "pandas.index": "pandas.Index",
    "pandas.multiindex": "pandas.MultiIndex",
    "pandas.rangeindex": "pandas.RangeIndex",
    "polars.frame": "polars.DataFrame",
    "polars.series": "polars.Series",
    "pyarrow.table": "pyarrow.Table",
    "pyarrow.batch": "pyarrow.RecordBatch",
    "pyarrow.chunks": "pyarrow.ChunkedArray",
    "pyarrow.schema": "pyarrow.Schema",
    "pandas.timestamp": "pandas.Timestamp",
    "pandas.timedelta": "pandas.Timedelta",
    "task": "task",
}


def name_of_type(module: str, qualname: str) -> str:
    """Return the one name of a type, whatever module of its package it is defined in."""
    top = module.partition(".")[0]
    if module == "builtins":
        return qualname
    if module == "collections.abc":
        return qualname
    return f"{top if top in _FLAT else module}.{qualname}"


def in_words(name: str) -> str:
    """Return a dotted name as a user would write it: without the notebook and private modules."""
    *modules, last = name.replace("<locals>.", "").split(".")
    return ".".join([part for part in modules if not part.startswith("_")] + [last])


def type_of_node(tree: Any) -> str:
    """Return the type of an encoded value as a user would name it, without decoding it."""
    if type(tree) is not dict or TAG not in tree:
        return "None" if tree is None else type(tree).__name__
    tag = tree[TAG]
    if tag == "name":
        return str(tree.get("k", "function"))
    if tree.get("c"):
        return in_words(name_of_type(*map(str, tree["c"][:2])))
    if tag == "numpy.scalar":
        return f"numpy.{tree.get('n', 'generic')}"
    if tag == "pathlib.path":
        return f"pathlib.{tree.get('k')}"
    if tag == "constant":
        return str(tree.get("v"))
    if tag == "pandas.index":
        return f"pandas.{tree.get('k', 'Index')}"
    return _WORDS.get(tag, str(tag))
