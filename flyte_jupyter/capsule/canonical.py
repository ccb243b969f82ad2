"""A syntax tree as text that does not change with formatting, comments or place."""

from __future__ import annotations

import ast

__all__ = ["canonical"]

# Positions are no fields; these fields say nothing about what the code does.
SILENT = frozenset(["ctx", "type_comment", "kind", "type_ignores"])


def canonical(node: object) -> str:
    """Return the text; equal for equal code in every version of Python that can parse it."""
    parts: list[str] = []
    _write(node, parts)
    return "".join(parts)


def _write(node: object, parts: list[str]) -> None:
    if isinstance(node, ast.AST):
        parts.append(type(node).__name__ + "(")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None and not isinstance(node, ast.Constant):
                continue
            if name in SILENT or (isinstance(value, list) and not value):
                continue
            parts.append(name + "=")
            _write(value, parts)
            parts.append(",")
        parts.append(")")
    elif isinstance(node, list):
        parts.append("[")
        for one in node:
            _write(one, parts)
            parts.append(",")
        parts.append("]")
    else:
        parts.append(repr(node))
