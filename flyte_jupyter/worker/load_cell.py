"""The body of a cell as a function: it runs, and gives back what it assigned."""

from __future__ import annotations

import ast
import inspect
import types
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from flyte_jupyter.errors import FlyteError
from flyte_jupyter.wire.code import compile_body
from flyte_jupyter.wire.values import encode

__all__ = ["body_of_cell"]


def body_of_cell(
    cell: Mapping[str, Any], lines: Sequence[str], filename: str, namespace: Dict[str, Any]
) -> Callable[[], Any]:
    """Return the function that runs a cell's body.

    It gives a dictionary: ``assigned`` with the values of the names that the body assigns,
    ``value`` of the last expression, and ``kept`` with the names that cannot be brought back and
    why.

    Args:
        cell: of the capsule's payload.
        lines: of the cell.
        filename: of its code.
        namespace: of the module that it runs in.
    """
    body = ast.parse("".join(lines)).body
    last: List[ast.stmt] = []
    if body and isinstance(body[-1], ast.Expr) and not cell["silent"]:
        shown = body.pop()
        assert isinstance(shown, ast.Expr)
        name = ast.copy_location(ast.Name(id=_VALUE, ctx=ast.Store()), shown)
        last = [ast.copy_location(ast.Assign(targets=[name], value=shown.value), shown)]
    code = compile_body([*body, *last], cell["future"], filename)

    before = {name: namespace[name] for name in cell["maybe"] if name in namespace}

    def outcome() -> Dict[str, Any]:
        value = namespace.pop(_VALUE, None)
        found = {
            name: namespace[name]
            for name in cell["assigned"]
            if name in namespace and (name not in before or namespace[name] is not before[name])
        }
        assigned, kept = _sorted_out({**found, _VALUE: value})
        return {"assigned": assigned, "value": assigned.pop(_VALUE, None), "kept": kept}

    async def run_async() -> Dict[str, Any]:
        await eval(code, namespace)
        return outcome()

    def run() -> Dict[str, Any]:
        exec(code, namespace)
        return outcome()

    return run_async if code.co_flags & inspect.CO_COROUTINE else run


_VALUE = "__flyte_value__"


def _sorted_out(found: Mapping[str, Any]) -> Tuple[Dict[str, Any], Dict[str, str]]:
    """Part what can travel from what cannot."""
    assigned: Dict[str, Any] = {}
    kept: Dict[str, str] = {}
    for name, value in found.items():
        reason = _reason_to_stay(value)
        if reason:
            kept["the last expression" if name == _VALUE else name] = reason
        else:
            assigned[name] = value
    return assigned, kept


def _reason_to_stay(value: Any) -> str:
    if isinstance(value, types.ModuleType):
        return "a module"
    if isinstance(value, (types.FunctionType, type)) and value.__module__ == "__main__":
        return "a class" if isinstance(value, type) else "a function"
    try:
        encode(value)
    except FlyteError as error:
        return error.sentence
    return ""
