"""Classes of the notebook made shippable: by their definition, executed again in the container.

A class does not know its cell. Its methods do; one without methods is looked for among the cells,
the last executed first, and its members must agree with what is written there.
"""

from __future__ import annotations

import ast
import enum
import hashlib
import inspect
import sys
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flyte_jupyter.capsule import fallback, functions
from flyte_jupyter.capsule.canonical import canonical
from flyte_jupyter.capsule.model import Place
from flyte_jupyter.capsule.sources import (
    Definition,
    future_names,
    recent_files,
    short_label,
    source_file,
)

if TYPE_CHECKING:
    from flyte_jupyter.capsule.collect import Collector

__all__ = ["definition_of", "future_of", "namespace_of", "ship_class", "source_hash"]


def ship_class(collector: Collector, cls: type, place: Place) -> int:
    """Add a class.

    Args:
        collector: where to.
        cls: a class that no import gives.
        place: where it is read.
    """
    fields = getattr(cls, "_fields", None)
    if fields is not None and issubclass(cls, tuple):
        index = _functional_tuple(collector, cls, fields, place)
        if index is not None:
            return index
    definition = definition_of(cls)
    if definition is None or definition.in_function:
        return fallback.by_value(collector, cls, place)
    if definition.parents:
        return _nested(collector, cls, definition, place)
    index = functions.ship_definition(collector, cls, definition, None)
    collector.named_class(cls, index)
    _warn_of_old_bases(collector, cls, definition)
    if _keeps_attributes(cls):
        _ship_attributes(collector, cls, definition, index)
    return index


def _ship_attributes(collector: Collector, cls: type, definition: Definition, index: int) -> None:
    """Add class attributes whose value is not what executing the class again gives."""
    label = short_label(definition.file.filename)
    for name, node in _assigned(definition).items():
        value = cls.__dict__.get(name, _MISSING)
        if type(value) not in DATA or (name.startswith("__") and name.endswith("__")):
            continue
        if _is_literal(node, value):
            if not isinstance(node, ast.Constant):
                collector.watch_changing(value)
            continue
        place = Place(name, definition.name, label, node.lineno)
        setter = collector.ship(setattr, place)
        args = [index, collector.ship(name, place), collector.ship(value, place)]
        collector.simple("call", func=setter, args=args, kwargs={})


DATA = frozenset([bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset])


def _assigned(definition: Definition) -> dict[str, ast.expr]:
    """Return names that a class body assigns without an annotation, and the expression."""
    assert isinstance(definition.node, ast.ClassDef)
    return {
        target.id: one.value
        for one in definition.node.body
        if isinstance(one, ast.Assign)
        for target in one.targets
        if isinstance(target, ast.Name)
    }


def _is_literal(node: ast.expr, value: Any) -> bool:
    try:
        written = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return False
    return type(written) is type(value) and bool(written == value)


def _keeps_attributes(cls: type) -> bool:
    """Say whether names assigned in a class body are attributes and nothing more."""
    fields = ("__dataclass_fields__", "_fields", "__pydantic_fields__", "__total__")
    return not issubclass(cls, enum.Enum) and not any(hasattr(cls, name) for name in fields)


def _nested(collector: Collector, cls: type, definition: Definition, place: Place) -> int:
    outer: Any = namespace_of(collector, cls).get(definition.parents[0])
    found = outer
    for name in [*definition.parents[1:], definition.name]:
        found = getattr(found, name, None)
    if found is not cls:
        return fallback.by_value(collector, cls, place)
    index = collector.new("attr")
    of = collector.ship(outer, Place(definition.parents[0], place.reader, place.label, place.line))
    if index in collector.order:
        return index
    path = definition.qualname.partition(".")[2]
    collector.entries[index].update(of=of, path=path)
    collector.named_class(cls, index)
    return collector.done(index, ["attr", of, path])


def _functional_tuple(
    collector: Collector, cls: Any, fields: tuple[str, ...], place: Place
) -> int | None:
    """Add ``Point = namedtuple("Point", "x y")``, which has no definition to execute."""
    if cls.__bases__ != (tuple,) or getattr(cls, "__annotations__", None):
        return None
    import collections

    index = collector.new("call")
    collector.remember(cls, index)
    defaults = [cls._field_defaults[name] for name in fields if name in cls._field_defaults]
    kwargs = {"defaults": defaults} if defaults else {}
    call = {
        "func": collector.ship(collections.namedtuple, Place("namedtuple", place.reader)),
        "args": [collector.ship(cls.__name__, place), collector.ship(list(fields), place)],
        "kwargs": {name: collector.ship(one, place) for name, one in kwargs.items()},
    }
    collector.entries[index].update(call)
    collector.named_class(cls, index)
    return collector.done(index, ["call", call])


def namespace_of(collector: Collector, cls: type) -> dict[str, Any]:
    """Return the globals in which a class was defined."""
    for function in _methods(cls):
        return function.__globals__
    top = cls.__qualname__.partition(".")[0]
    spaces = [collector.root_space, vars(sys.modules.get(cls.__module__, types.ModuleType("")))]
    for space in spaces:
        if isinstance(space.get(top), type) and space[top].__module__ == cls.__module__:
            return space
    return collector.root_space


def future_of(cls: type) -> list[str]:
    """Return the ``__future__`` features that a class was compiled with."""
    for function in _methods(cls):
        return future_names(function.__code__)
    annotations = inspect.get_annotations(cls)
    texts = annotations and all(isinstance(one, str) for one in annotations.values())
    definition = definition_of(cls) if texts else None
    if definition is None:
        return []
    written = [one.annotation for one in definition.node.body if isinstance(one, ast.AnnAssign)]  # type: ignore[union-attr]
    quoted = all(isinstance(one, ast.Constant) for one in written)
    return [] if quoted else ["annotations"]


def _methods(cls: type) -> Iterator[types.FunctionType]:
    """Yield the functions written in the body of a class."""
    for value in list(vars(cls).values()):
        inside = [
            value,
            getattr(value, "__func__", None),
            getattr(value, "func", None),
            getattr(value, "__wrapped__", None),
            *(getattr(value, name, None) for name in ("fget", "fset", "fdel")),
        ]
        for one in inside:
            if not isinstance(one, types.FunctionType) or one.__module__ != cls.__module__:
                continue
            if one.__code__.co_qualname.startswith(cls.__qualname__ + "."):
                yield one


def definition_of(cls: type) -> Definition | None:
    """Return how a class is written now, ``None`` if that is not what the class is."""
    methods = [one for one in _methods(cls) if source_file(one.__code__.co_filename) is not None]
    for method in methods[:1]:
        file = source_file(method.__code__.co_filename)
        assert file is not None
        line = method.__code__.co_firstlineno
        for one in file.classes(cls.__qualname__):
            if one.first_line <= line <= (one.node.end_lineno or 0) and all(
                file.holds(other.__code__) for other in methods
            ):
                return one if _agrees(one, cls, not _keeps_attributes(cls)) else None
        return None
    candidates = [one for file in recent_files() for one in file.classes(cls.__qualname__)]
    for one in candidates:
        if _agrees(one, cls):
            return one
    if _keeps_attributes(cls):  # an attribute may have been set since
        return next((one for one in candidates if _agrees(one, cls, constants=False)), None)
    return None


def source_hash(cls: type) -> str | None:
    """Return a hash of how a class is written, ``None`` if that is not to be found."""
    definition = definition_of(cls)
    if definition is None:
        return None
    if "hash" not in definition.memo:
        definition.memo["hash"] = hashlib.sha256(canonical(definition.node).encode()).hexdigest()
    return str(definition.memo["hash"])


_MISSING = object()


def _agrees(definition: Definition, cls: type, constants: bool = True) -> bool:
    """Say whether the members that a definition writes are those that a class has."""
    node = definition.node
    assert isinstance(node, ast.ClassDef)
    annotations = inspect.get_annotations(cls)
    written: set[str] = set()
    for statement in node.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if statement.name not in cls.__dict__ and not hasattr(cls, statement.name):
                return False
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            written.add(name)
            if name not in annotations or not _same_type(statement.annotation, annotations[name]):
                return False
            if not _same_constant(statement.value, _member(cls, name)):
                return False
        elif isinstance(statement, ast.Assign) and constants:
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    member = _member(cls, target.id)
                    if not _same_constant(statement.value, member):
                        return False
    if set(annotations) - written:
        return False
    if issubclass(cls, enum.Enum):
        names = [
            t.id
            for s in node.body
            if isinstance(s, ast.Assign)
            for t in s.targets
            if isinstance(t, ast.Name)
        ]
        if not set(cls.__members__) <= set(names):
            return False
    text = ast.get_docstring(node)
    return text is None or inspect.cleandoc(cls.__doc__ or "") == text


def _member(cls: Any, name: str) -> Any:
    """Return the value that a class body gave to a name, wherever the class keeps it now."""
    if issubclass(cls, enum.Enum):
        return cls.__members__[name].value if name in cls.__members__ else _MISSING
    if name in getattr(cls, "_field_defaults", {}):
        return cls._field_defaults[name]
    fields = cls.__dict__.get("__pydantic_fields__") or cls.__dict__.get("model_fields")
    if isinstance(fields, dict) and name in fields:
        return fields[name].default
    return cls.__dict__.get(name, _MISSING)


def _same_constant(node: ast.expr | None, value: Any) -> bool:
    """Compare a literal with a member; what is no literal, or is not kept, counts as equal."""
    if not isinstance(node, ast.Constant) or value is _MISSING:
        return True
    return type(value) is type(node.value) and bool(value == node.value)


def _same_type(node: ast.expr, annotation: Any) -> bool:
    if isinstance(annotation, str):
        text = node.value if isinstance(node, ast.Constant) else ast.unparse(node)
        return text == annotation
    if isinstance(annotation, type) and isinstance(node, ast.Name):
        return (
            not hasattr(annotation, "__name__")
            or annotation.__name__ == node.id
            or node.id[0].isupper()
        )
    return True


def _warn_of_old_bases(collector: Collector, cls: type, definition: Definition) -> None:
    space = namespace_of(collector, cls)
    for base in cls.__bases__:
        now = space.get(base.__name__)
        if base.__module__ == cls.__module__ and isinstance(now, type) and now is not base:
            label = short_label(definition.file.filename)
            collector.warn(
                f"{cls.__name__} ({label}) was defined with an earlier {base.__name__}; "
                "the container makes it with the present one. Run its cell again to have the same."
            )
