"""Shipped source: the lines of a file that define one symbol, made into code again.

Both sides use this page, so that what the notebook looked at is what the container compiles: the
notebook to learn which names the code reads, the container to run it. Code keeps the file name and
the line numbers of the place where it was written.

A piece of source is a dictionary:

=========== ===================================================================================
``file``    index of the file in the list of sources
``at``      ``[first line, last line]``, decorators included; for a lambda
            ``[line, column, last line, end column]``, columns in UTF-8 bytes as in ``ast``
``name``    name of the function or class; ``"<lambda>"``
``indent``  whether the definition is indented
``keep``    how many of its decorators are kept, counted from the definition upwards
``future``  names of the ``__future__`` features it was compiled with
``free``    names of its free variables, for a function that was made inside another
=========== ===================================================================================
"""

from __future__ import annotations
import __future__

import ast
import sys
import types
from typing import Any, Dict, List, Mapping, Sequence, Union

__all__ = [
    "DEFAULT",
    "all_nodes",
    "annotations_of",
    "compile_body",
    "compile_definition",
    "compile_function",
    "future_flags",
    "parse_piece",
]

DEFAULT = "__flyte_default_{}__"
OUTER = "__flyte_outer__"

Definition = Union[ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda]


def all_nodes(node: ast.AST) -> List[ast.AST]:
    """Return a node and all nodes below it, in no particular order; ``ast.walk`` is slower."""
    found: List[ast.AST] = []
    stack = [node]
    while stack:
        one = stack.pop()
        found.append(one)
        for name in one._fields:
            value = getattr(one, name, None)
            if isinstance(value, list):
                stack += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                stack.append(value)
    return found


def future_flags(names: Sequence[str]) -> int:
    """Return the compiler flags of ``__future__`` features, as far as they are known here."""
    flags = 0
    for name in names:
        feature = getattr(__future__, name, None)
        flags |= feature.compiler_flag if feature is not None else 0
    return flags


def parse_piece(lines: Sequence[str], piece: Mapping[str, Any]) -> Definition:
    """Parse the lines of a piece; the node has the line numbers of the whole file.

    Args:
        lines: all lines of the file, with their ends.
        piece: which of them, see above.

    Raises:
        SyntaxError: the source is newer than this Python.
    """
    if piece["name"] == "<lambda>":
        return _parse_lambda(lines, piece["at"])
    first, last = piece["at"]
    text = "".join(lines[first - 1 : last])
    # empty lines in front are the cheapest way to the right line numbers
    if piece["indent"]:  # what is around it stands at least one line above
        block: Any = ast.parse("\n" * (first - 2) + "if 1:\n" + text).body[0]
        return block.body[0]  # type: ignore[no-any-return]
    plain: Any = ast.parse("\n" * (first - 1) + text).body[0]
    return plain  # type: ignore[no-any-return]


def _parse_lambda(lines: Sequence[str], at: Sequence[int]) -> ast.Lambda:
    line, column, last, end = at
    part = [text.encode() for text in lines[line - 1 : last]]
    part[-1] = part[-1][:end]
    part[0] = b" " * column + part[0][column:]
    tree = ast.parse("(\n" + b"".join(part).decode() + "\n)", mode="eval")
    ast.increment_lineno(tree, line - 2)
    assert isinstance(tree.body, ast.Lambda)
    return tree.body


def compile_function(node: Definition, piece: Mapping[str, Any], filename: str) -> types.CodeType:
    """Compile a function without its decorators, defaults and annotations.

    These three are evaluated where the function is defined; what they came to is set on the
    function from outside.
    """
    assert not isinstance(node, ast.ClassDef)
    args = node.args
    args.defaults, args.kw_defaults = [], [None] * len(args.kwonlyargs)
    # a parameter without default must not follow one with default: none has one here
    body: ast.stmt
    if isinstance(node, ast.Lambda):
        body = ast.copy_location(ast.Expr(node), node)
    else:
        node.decorator_list = []
        body = node
    if "annotations" not in piece["future"]:
        _quote_annotations(node)
    _drop_annotations(node)
    if piece.get("free"):
        outer = ast.FunctionDef(
            name=OUTER,
            args=ast.arguments(
                posonlyargs=[],
                args=[ast.copy_location(ast.arg(arg=name), node) for name in piece["free"]],
                kwonlyargs=[],
                kw_defaults=[],
                defaults=[],
            ),
            body=[body],
            decorator_list=[],
        )
        body = ast.copy_location(outer, node)
    code = _compile([body], piece, filename)
    code = _only_code(code)
    return _only_code(code) if piece.get("free") else code


def _only_code(code: types.CodeType) -> types.CodeType:
    return next(const for const in code.co_consts if isinstance(const, types.CodeType))


def compile_definition(node: Definition, piece: Mapping[str, Any], filename: str) -> types.CodeType:
    """Compile a definition that has to be executed: a class, or a function with decorators.

    Defaults of a function are read from names (``DEFAULT``), positional ones first.
    """
    assert not isinstance(node, ast.Lambda)
    node.decorator_list = node.decorator_list[len(node.decorator_list) - piece["keep"] :]
    if not isinstance(node, ast.ClassDef):
        count = len(node.args.defaults)
        node.args.defaults = [_default(i, node) for i in range(count)]
        node.args.kw_defaults = [
            None if old is None else _default(count + i, node)
            for i, old in enumerate(node.args.kw_defaults)
        ]
    if "annotations" not in piece["future"]:
        _quote_annotations(node)
        if isinstance(node, ast.ClassDef) and sys.version_info < (3, 10):
            _quote_unions(node)
    return _compile([node], piece, filename)


def _quote_unions(node: ast.ClassDef) -> None:
    """Turn ``int | None`` in a class body into text: before 3.10 it cannot be evaluated."""
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and any(
            isinstance(part, ast.BitOr) for part in ast.walk(statement.annotation)
        ):
            text = ast.Constant(ast.unparse(statement.annotation))
            statement.annotation = ast.copy_location(text, statement.annotation)


def _default(index: int, node: ast.stmt) -> ast.expr:
    return ast.copy_location(ast.Name(id=DEFAULT.format(index), ctx=ast.Load()), node)


def compile_body(body: List[ast.stmt], future: Sequence[str], filename: str) -> types.CodeType:
    """Compile statements of a cell, among which ``await`` may stand outside of functions."""
    for node in body:
        if "annotations" not in future:
            _quote_annotations(node)
    return _compile(body, {"future": future}, filename, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def _compile(
    body: List[ast.stmt], piece: Mapping[str, Any], filename: str, flags: int = 0
) -> types.CodeType:
    module = ast.Module(body=body, type_ignores=[])
    code = compile(
        module, filename, "exec", flags=flags | future_flags(piece["future"]), dont_inherit=True
    )
    assert isinstance(code, types.CodeType)
    return code


def annotations_of(node: Definition) -> Dict[str, str]:
    """Return the annotations of a function as text, by parameter and ``"return"``."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return {}
    found = {arg.arg: _text(arg.annotation) for arg in _arguments(node) if arg.annotation}
    if node.returns:
        found["return"] = _text(node.returns)
    return found


def _text(annotation: ast.expr) -> str:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation)


def _arguments(node: Any) -> List[ast.arg]:
    args = node.args
    found = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return found + [arg for arg in (args.vararg, args.kwarg) if arg is not None]


def _quote_annotations(node: ast.AST) -> None:
    """Turn annotations of functions into text, so that no name in them is looked up.

    Annotations in class bodies stay: dataclasses, pydantic and the like read them.
    """
    for part in all_nodes(node):
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for arg in _arguments(part):
            if arg.annotation is not None:
                arg.annotation = _quoted(arg.annotation)
        if part.returns is not None:
            part.returns = _quoted(part.returns)


def _drop_annotations(node: Definition) -> None:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        node.returns = None
        for arg in _arguments(node):
            arg.annotation = None


def _quoted(annotation: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Constant(value=_text(annotation)), annotation)
