"""Functions made shippable: by their source, with what they hold from outside.

A function is rebuilt from its code, its defaults and its closure, never by running the cell again.
So a function that a decorator made travels as what it is: the wrapper and what it wraps. Only where
the wrapper belongs to an installed package is the decorated definition executed in the container.
"""

from __future__ import annotations

import ast
import sys
import types
from typing import TYPE_CHECKING, Any

from flyte_jupyter.capsule import classes, fallback
from flyte_jupyter.capsule.analysis import (
    Read,
    Reads,
    annotation_names,
    changed_names,
    read_names,
)
from flyte_jupyter.capsule.canonical import canonical
from flyte_jupyter.capsule.model import Place, Symbol
from flyte_jupyter.capsule.modules import module_kind
from flyte_jupyter.capsule.sources import Definition, future_names, short_label, source_file
from flyte_jupyter.capsule.syntax import minimum_python
from flyte_jupyter.wire.code import (
    all_nodes,
    annotations_of,
    compile_definition,
    compile_function,
    parse_piece,
)

if TYPE_CHECKING:
    from flyte_jupyter.capsule.collect import Collector

__all__ = ["is_code", "ship_code", "ship_definition"]


def is_code(value: object) -> bool:
    """Say whether an object is a function, a class, or a callable that wraps a function."""
    if isinstance(value, (types.FunctionType, type)):
        return True
    return isinstance(getattr(value, "__wrapped__", None), types.FunctionType)


def ship_code(collector: Collector, value: Any, place: Place) -> int | None:
    """Add a function or class.

    Args:
        collector: where to.
        value: the function, class or wrapper.
        place: where it is read.
    """
    if isinstance(value, type):
        return classes.ship_class(collector, value, place)
    if isinstance(value, types.FunctionType) and not _belongs_elsewhere(value):
        definition = _find(value)
        if definition is not None and definition.scopes and definition.scopes[-1]:
            index = _ship_method(collector, value, definition, place)
            if index is not None:
                return index
        if definition is not None and not _has_mangled_names(value.__code__, definition):
            return _ship_function(collector, value, definition, place)
    else:
        inner = _decorated(value, place.name)
        if inner is not None:
            return ship_definition(collector, value, inner[1], inner[0])
        if not isinstance(value, types.FunctionType):
            return None
    return fallback.by_value(collector, value, place)


def _ship_method(
    collector: Collector, function: types.FunctionType, definition: Definition, place: Place
) -> int | None:
    """Add a function that was written in a class as an attribute of the class."""
    owner: Any = None if definition.in_function else function.__globals__
    for name in definition.parents if owner else ():
        owner = owner.get(name) if isinstance(owner, dict) else getattr(owner, name, None)
    found = vars(owner).get(definition.name) if isinstance(owner, type) else None
    if found is not function:
        return None
    of = collector.ship(owner, Place(owner.__name__, place.reader, place.label, place.line))
    return collector.simple("attr", of=of, path=definition.name)


def _has_mangled_names(code: types.CodeType, definition: Definition) -> bool:
    """Say whether code can only be compiled inside its class, because of names like ``__x``."""
    classes = [
        name.lstrip("_")
        for name, is_class in zip(definition.parents, definition.scopes, strict=True)
        if is_class
    ]
    names = [*code.co_names, *code.co_varnames, *code.co_freevars]
    return any(name.startswith(f"_{cls}__") for cls in classes for name in names)


def _find(function: types.FunctionType) -> Definition | None:
    file = source_file(function.__code__.co_filename)
    return file.find(function.__code__) if file is not None else None


def _belongs_elsewhere(function: types.FunctionType) -> bool:
    """Say whether the code of a function is that of an installed or standard module."""
    name = function.__globals__.get("__name__", "__main__")
    module = sys.modules.get(name)
    if name == "__main__" or module is None or module.__dict__ is not function.__globals__:
        return False
    return module_kind(name) != "local"


def _decorated(value: Any, name: str) -> tuple[types.FunctionType, Definition] | None:
    """Find the decorated definition that an object came from, through what it wraps."""
    names = {name, getattr(value, "__name__", name)}
    level: list[Any] = [value]
    for _ in range(4):
        further: list[Any] = []
        for one in level:
            inside = [getattr(one, "__wrapped__", None), getattr(one, "__func__", None)]
            if isinstance(one, types.FunctionType):
                inside += [cell.cell_contents for cell in one.__closure__ or () if _filled(cell)]
            else:
                inside += list(getattr(one, "__dict__", {}).values())
            functions = [each for each in inside if isinstance(each, types.FunctionType)]
            for each in functions:
                if each.__code__.co_name in names and not _belongs_elsewhere(each):
                    definition = _find(each)
                    if definition is not None and definition.decorators:
                        return each, definition
            further += functions
        level = further
    return None


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _space(collector: Collector, namespace: dict[str, Any]) -> int:
    """Return the namespace of a function; that of a local module is the module itself."""
    name = str(namespace.get("__name__", "__main__"))
    module = sys.modules.get(name)
    if name != "__main__" and module is not None and module.__dict__ is namespace:
        collector.imports.need(name, Place(name))
        return collector.space_of(namespace, module=name)
    return collector.space_of(namespace)


def _ship_function(
    collector: Collector, function: types.FunctionType, definition: Definition, place: Place
) -> int:
    if getattr(definition.node, "type_params", None):
        return ship_definition(collector, function, definition, function, keep=0)
    index = collector.new("function")
    collector.remember(function, index)
    collector.watch_function(function)
    collector.nested(lambda: _fill_function(collector, index, function, definition, place))
    return index


def _fill_function(
    collector: Collector,
    index: int,
    function: types.FunctionType,
    definition: Definition,
    place: Place,
) -> None:
    code = function.__code__
    future = future_names(code)
    file, free = definition.file, code.co_freevars
    piece = definition.piece(collector.source(file), free=free, future=future)
    reads, changed, shape, notes = _analysed(definition, piece)
    label = short_label(file.filename)
    space = _space(collector, function.__globals__)
    names: list[Any] = []
    if not collector.is_module(space):
        names = collector.follow(reads.late, function.__globals__, function.__name__, label)
        collector.changes(reads, changed, function.__globals__, function.__name__, label)
    for module, taken, line in reads.imports:
        collector.imports.statement(module, taken, Place(module, function.__name__, label, line))

    def part(value: Any, what: str) -> int:
        where = Place(what, function.__name__, label, definition.first_line)
        return collector.ship(value, where)

    parameters = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    fields: dict[str, Any] = {
        "space": space,
        "piece": piece,
        "defaults": [
            part(value, name)
            for name, value in zip(
                parameters[len(parameters) - len(defaults) :], defaults, strict=True
            )
        ],
        "kwdefaults": {
            name: part(value, name) for name, value in (function.__kwdefaults__ or {}).items()
        },
        "cells": [
            _ship_cell(collector, cell, name, part)
            for name, cell in zip(free, function.__closure__ or (), strict=True)
        ],
        "state": {name: part(value, name) for name, value in vars(function).items()},
    }
    if definition.in_function or function.__qualname__ != definition.name:
        fields["qualname"] = function.__qualname__
    if function.__name__ != code.co_name:
        fields["name"] = function.__name__
    if function.__doc__ != _docstring(code):
        fields["doc"] = function.__doc__
    collector.entries[index].update(fields)
    size = len(file.segment(definition))
    collector.symbols.append(
        Symbol(
            place.name or function.__name__, "function", f"{label}:{definition.first_line}", size
        )
    )
    _note_need(collector, notes, f"{function.__name__}() ({label}, line {definition.first_line})")
    counted = {key: value for key, value in fields.items() if key != "piece"}
    collector.done(index, ["function", shape, future, counted, names])


def _docstring(code: types.CodeType) -> str | None:
    first = code.co_consts[0] if code.co_consts else None
    return first if isinstance(first, str) and code.co_name != "<lambda>" else None


def _ship_cell(collector: Collector, cell: types.CellType, name: str, part: Any) -> int:
    known = collector.known(cell)
    if known is not None:
        return known
    index = collector.new("cell")
    collector.remember(cell, index)
    value = part(cell.cell_contents, name) if _filled(cell) else None
    collector.entries[index]["value"] = value
    return collector.done(index, ["cell", value])


def _analysed(definition: Definition, piece: dict[str, Any]) -> tuple[Reads, Any, Any, Any]:
    """Look at a function once; a definition lives as long as its cell's text stays the same."""
    key = ("function", tuple(piece.get("free", ())), tuple(piece["future"]))
    if key not in definition.memo:
        node = parse_piece(definition.file.lines, piece)
        parts = all_nodes(node)
        changed, need = changed_names(parts), _need(definition, parts, piece)
        texts = annotations_of(node)
        code = compile_function(node, piece, definition.file.filename)
        definition.memo[key] = read_names(code), changed, [canonical(node), texts], need
    return definition.memo[key]  # type: ignore[no-any-return]


def _need(definition: Definition, parts: list[ast.AST], piece: dict[str, Any]) -> Any:
    return minimum_python(
        parts, "annotations" in piece["future"], definition.file.segment(definition)
    )


def _note_need(collector: Collector, need: Any, what: str) -> None:
    version, why = need
    if version > (3, 9):
        collector.needs.append((version, f"{why} in {what}"))


def ship_definition(
    collector: Collector,
    value: Any,
    definition: Definition,
    function: types.FunctionType | None,
    keep: int | None = None,
) -> int:
    """Add a definition that is executed in the container: a class, or a decorated function.

    Args:
        collector: where to.
        value: what its name holds here.
        definition: how it is written.
        function: the undecorated function, ``None`` for a class.
        keep: how many decorators are executed; all if not given.
    """
    index = collector.new("define")
    collector.remember(value, index)
    file = definition.file
    namespace = classes.namespace_of(collector, value) if function is None else function.__globals__
    count = len(definition.decorators) if keep is None else keep
    future = future_names(function.__code__) if function is not None else classes.future_of(value)
    piece = definition.piece(collector.source(file), keep=count, future=future)
    reads, changed, shape, need = _analysed_definition(definition, piece)
    label = short_label(file.filename)
    names = collector.follow(reads.early, namespace, definition.name, label)

    def part(given: Any, what: str) -> int:
        where = Place(what, definition.name, label, definition.first_line)
        return collector.ship(given, where)

    defaults: list[int] = []
    if function is not None:
        given = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        defaults = [part(one, "default argument") for one in given]
    fields = {"space": collector.space_of(namespace), "piece": piece, "defaults": defaults}
    collector.entries[index].update(fields)
    kind = "class" if isinstance(value, type) else "function"
    collector.symbols.append(
        Symbol(
            definition.name, kind, f"{label}:{definition.first_line}", len(file.segment(definition))
        )
    )
    _note_need(collector, need, f"{definition.name} ({label}, line {definition.first_line})")
    collector.order.append(index)
    names += collector.follow(reads.late, namespace, definition.name, label)
    collector.changes(reads, changed, namespace, definition.name, label)
    for module, taken, line in reads.imports:
        collector.imports.statement(module, taken, Place(module, definition.name, label, line))
    collector.canon[index] = ["define", shape, future, fields["space"], defaults, names]
    if hasattr(value, "registry") and hasattr(value, "dispatch"):
        _register(collector, value, index, definition.name)
    return index


def _register(collector: Collector, value: Any, index: int, name: str) -> None:
    """Register the implementations of a ``singledispatch`` function, which no name leads to."""
    method = collector.simple("attr", of=index, path="register")
    for kind, function in value.registry.items():
        if kind is not object:
            place = Place(name, name)
            args = [collector.ship(kind, place), collector.ship(function, place)]
            collector.simple("call", func=method, args=args, kwargs={})


def _analysed_definition(
    definition: Definition, piece: dict[str, Any]
) -> tuple[Reads, Any, Any, Any]:
    key = ("definition", piece["keep"], tuple(piece["future"]))
    if key not in definition.memo:
        node = parse_piece(definition.file.lines, piece)
        parts = all_nodes(node)
        changed, need = changed_names(parts), _need(definition, parts, piece)
        shape = [canonical(node), piece["keep"]]
        asked = annotation_names(node, piece["keep"] > 0)
        code = compile_definition(node, piece, definition.file.filename)
        reads = read_names(code, early=True)
        for name, line in asked.items():
            reads.early.setdefault(name, Read(line))
        definition.memo[key] = reads, changed, shape, need
    return definition.memo[key]  # type: ignore[no-any-return]
