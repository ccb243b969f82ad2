"""The oldest Python that can run a piece of source, judged by its syntax."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable

__all__ = ["minimum_python"]

Version = tuple[int, int]

# Nodes that older grammars do not have.
_NODES: dict[str, tuple[Version, str]] = {
    "Match": ((3, 10), "a match statement"),
    "TryStar": ((3, 11), "except*"),
    "TypeAlias": ((3, 12), "a type statement"),
    "TypeVar": ((3, 12), "a type parameter"),
    "ParamSpec": ((3, 12), "a type parameter"),
    "TypeVarTuple": ((3, 12), "a type parameter"),
    "TemplateStr": ((3, 14), "a t-string"),
}


def minimum_python(
    parts: Iterable[ast.AST], future_annotations: bool = False, text: str = ""
) -> tuple[Version, str]:
    """Return the oldest version that takes the syntax, and what needs it.

    Args:
        parts: all nodes of a syntax tree.
        future_annotations: whether annotations are not evaluated.
        text: its source, for what the tree does not tell.
    """
    found: tuple[Version, str] = ((3, 9), "")
    for part in parts:
        need = _NODES.get(type(part).__name__)
        if need is None:
            need = _by_shape(part, future_annotations)
        if need is not None and need[0] > found[0]:
            found = need
    if found[0] < (3, 12) and _has_new_f_string(text):
        return (3, 12), "a string nested in an f-string"
    return found


# Under these, annotations of a class body do as well as text.
_TEXT_WILL_DO = frozenset({"ABC", "NamedTuple", "Protocol", "TypedDict", "object"})


def _reads_annotations(node: ast.ClassDef) -> bool:
    """Whether something evaluates the annotations of a class: a base that may be a model."""
    names = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "?")
             for base in node.bases}  # fmt: skip
    return bool(names - _TEXT_WILL_DO)


def _has_new_f_string(text: str) -> bool:
    """Look for what an f-string may hold from 3.12 on: its quotes, backslashes, comments, lines."""
    start, end = (getattr(tokenize, name, None) for name in ("FSTRING_START", "FSTRING_END"))
    if start is None:  # this Python could not have compiled it
        return False
    quotes: list[str] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == end:
                quotes.pop()
                continue
            if quotes and token.type in (tokenize.STRING, start, tokenize.COMMENT, tokenize.NL):
                short = any(len(one) == 1 for one in quotes)
                held = any(one in token.string for one in quotes) or "\\" in token.string
                if held or token.type == tokenize.COMMENT or (short and token.type == tokenize.NL):
                    return True
            if token.type == start:
                quotes.append(token.string.lstrip("rRfFbBuU"))
    except (tokenize.TokenError, SyntaxError):
        return False
    return False


def _by_shape(part: ast.AST, future_annotations: bool) -> tuple[Version, str] | None:
    if isinstance(part, ast.Subscript):
        if isinstance(part.slice, ast.Tuple) and any(
            isinstance(one, ast.Starred) for one in part.slice.elts
        ):
            return (3, 11), "a star in an index"
    elif isinstance(part, ast.ClassDef) and not future_annotations and _reads_annotations(part):
        for statement in part.body:
            if isinstance(statement, ast.AnnAssign) and any(
                isinstance(one, ast.BinOp) and isinstance(one.op, ast.BitOr)
                for one in ast.walk(statement.annotation)
            ):
                return (3, 10), "a type written with '|' in a class"
    elif isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
        star = part.args.vararg
        if star is not None and isinstance(star.annotation, ast.Starred):
            return (3, 11), "a star in an annotation"
    return None
