"""What a piece of code reads, rebinds, changes and imports, taken from its compiled form.

Names come from the bytecode of exactly the code that will run in the container, so scopes,
comprehensions and conditional definitions are as Python sees them, and names in annotations of
functions do not appear. What is read while a definition is executed (bases, decorators, class
bodies) is kept apart from what is read later, when a function runs.
"""

from __future__ import annotations

import ast
import opcode
import sys
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Read", "Reads", "annotation_names", "changed_names", "read_names"]

CO_OPTIMIZED = 1

# Names that every module has.
MODULE_NAMES = frozenset(
    """
    __annotations__ __builtins__ __conditional_annotations__ __dict__ __doc__ __file__
    __firstlineno__ __loader__ __module__ __name__ __package__ __qualname__ __spec__
    """.split()  # noqa: SIM905, a table to be read
)

# Methods of the built-in containers that change them.
CHANGING = frozenset(
    """
    add append appendleft clear difference_update discard extend extendleft insert
    intersection_update pop popitem popleft remove reverse setdefault sort
    symmetric_difference_update update
    """.split()  # noqa: SIM905, a table to be read
)


@dataclass
class Read:
    """One global name that code reads.

    Args:
        line: where it is read first.
        chains: the attributes that are looked up on it at once, ``("linalg", "norm")``.
    """

    line: int
    chains: list[Any] = field(default_factory=list)


@dataclass
class Reads:
    """All that code reads.

    Args:
        early: names read while a definition is executed.
        late: names read when its functions run.
        rebound: global names that are assigned or deleted, and the line.
        imports: modules imported inside functions: name with leading dots, names taken, line.
        bound: names that the outermost code assigns itself, if it is no function.
    """

    early: dict[str, Read] = field(default_factory=dict)
    late: dict[str, Read] = field(default_factory=dict)
    rebound: dict[str, int] = field(default_factory=dict)
    imports: list[tuple[str, tuple[str, ...], int]] = field(default_factory=list)
    bound: list[str] = field(default_factory=list)


def _ops(*names: str) -> frozenset[int]:
    return frozenset(opcode.opmap[name] for name in names if name in opcode.opmap)


_LOAD_GLOBAL = opcode.opmap["LOAD_GLOBAL"]
_LOAD_PLAIN = _ops("LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_LOADS = _LOAD_PLAIN | {_LOAD_GLOBAL}
_STORES = _ops("STORE_GLOBAL", "DELETE_GLOBAL")
_STORE_NAME = _ops("STORE_NAME")
_ATTRIBUTES = _ops("LOAD_ATTR", "LOAD_METHOD")
_IMPORT = opcode.opmap["IMPORT_NAME"]
_IMPORT_FROM = opcode.opmap["IMPORT_FROM"]
_CONST = _ops("LOAD_CONST", "LOAD_SMALL_INT")
_EXTENDED = opcode.opmap["EXTENDED_ARG"]
_SILENT = _ops("CACHE", "EXTENDED_ARG")
_STAR = _ops("CALL_INTRINSIC_1", "IMPORT_STAR")
# From 3.12 on the lowest bit of the argument says whether a method is meant.
_ATTRIBUTE_SHIFT = {
    op: 1 if name == "LOAD_ATTR" and sys.version_info >= (3, 12) else 0
    for name in ("LOAD_ATTR", "LOAD_METHOD")
    if (op := opcode.opmap.get(name)) is not None
}


def read_names(
    code: types.CodeType, *, early: bool = False, certain: frozenset[str] | None = None
) -> Reads:
    """Return what a code object and those inside it read.

    Args:
        code: of a function, or of a module that executes a definition.
        early: whether the outermost code is executed at once.
        certain: of the names that the outermost code assigns, those that it surely has assigned
            before it reads them; all if not given.
    """
    reads = Reads()
    reads.bound = _scan(code, early, reads, certain)
    return reads


def _scan(
    code: types.CodeType, early: bool, reads: Reads, certain: frozenset[str] | None = None
) -> list[str]:
    """Note the names of one code object; ``early`` says that it runs with the definition."""
    into = reads.early if early else reads.late
    own: dict[str, None] = {}  # names that a class body has bound itself
    chain: list[str] | None = None
    for offset, op, arg in _instructions(code.co_code):
        if op in _ATTRIBUTES:
            if chain is not None:
                chain.append(code.co_names[arg >> _ATTRIBUTE_SHIFT[op]])
            continue
        chain = None
        if op in _LOADS:
            name = code.co_names[arg >> 1 if op == _LOAD_GLOBAL else arg]
            is_own = name in own and (certain is None or name in certain)
            if name in MODULE_NAMES or (is_own and op != _LOAD_GLOBAL):
                continue
            read = into.get(name)
            if read is None:
                into[name] = read = Read(_line(code, offset))
            chain = []
            read.chains.append(chain)
        elif op in _STORE_NAME:
            own[code.co_names[arg]] = None
        elif op in _STORES:
            reads.rebound.setdefault(code.co_names[arg], _line(code, offset))
        elif op == _IMPORT:
            reads.imports.append(_imported(code, offset, arg))
    for read in into.values():
        read.chains = list(dict.fromkeys(tuple(chain) for chain in read.chains))
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            is_class = not const.co_flags & CO_OPTIMIZED
            _scan(
                const,
                early
                and (is_class or (const.co_name.startswith("<") and const.co_name != "<lambda>")),
                reads,
            )
    return list(own)


def _instructions(raw: bytes) -> Iterator[tuple[int, int, int]]:
    high = 0
    for offset in range(0, len(raw), 2):
        op, arg = raw[offset], raw[offset + 1] | high
        high = arg << 8 if op == _EXTENDED else 0
        if op not in _SILENT:
            yield offset, op, arg


def _line(code: types.CodeType, offset: int) -> int:
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return line
    return code.co_firstlineno


def _imported(code: types.CodeType, offset: int, arg: int) -> tuple[str, tuple[str, ...], int]:
    """Read the two constants that stand before an import: level and names taken."""
    before = [step for step in _instructions(code.co_code[:offset]) if step[1] in _CONST][-2:]
    values: list[Any] = [
        operand if opcode.opname[op] == "LOAD_SMALL_INT" else code.co_consts[operand]
        for _, op, operand in before
    ]
    level, names = values if len(values) == 2 else (0, None)
    return "." * (level or 0) + code.co_names[arg], tuple(names or ()), _line(code, offset)


def changed_names(parts: Iterable[ast.AST]) -> dict[str, int]:
    """Return names whose value is changed in place (``x[k] = v``, ``x.append(v)``), and the line.

    Scopes are not looked at: the caller keeps those names that are global.

    Args:
        parts: all nodes of the code.
    """
    found: dict[str, int] = {}
    for part in parts:
        targets: list[ast.expr] = []
        if isinstance(part, (ast.Assign, ast.Delete)):
            targets = [t for t in part.targets if isinstance(t, (ast.Subscript, ast.Attribute))]
        elif isinstance(part, (ast.AugAssign, ast.AnnAssign)):
            if isinstance(part.target, (ast.Subscript, ast.Attribute)):
                targets = [part.target]
        elif (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and part.func.attr in CHANGING
        ):
            targets = [part.func]
        for target in targets:
            root: ast.expr = target
            while isinstance(root, (ast.Subscript, ast.Attribute)):
                root = root.value
            if isinstance(root, ast.Name):
                found[root.id] = min(target.lineno, found.get(root.id, target.lineno))
    return found


# Decorators that do not look at annotations.
BLIND = frozenset(["abstractmethod", "cached_property", "classmethod", "property", "staticmethod"])


def annotation_names(node: ast.AST, decorated: bool) -> dict[str, int]:
    """Return names in annotations that a decorator may look up (pydantic's do), and the line.

    Args:
        node: a class, or a function with decorators.
        decorated: whether decorators of the node itself are executed.
    """
    found: dict[str, int] = {}
    for part in ast.walk(node):
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        looks = [one for one in part.decorator_list if _decorator_name(one) not in BLIND]
        if not looks or (part is node and not decorated):
            continue
        args = part.args
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
        annotations = [one.annotation for one in every if one is not None] + [part.returns]
        for annotation in annotations:
            for one in ast.walk(annotation) if annotation is not None else ():
                if isinstance(one, ast.Name):
                    found.setdefault(one.id, one.lineno)
    return found


def _decorator_name(decorator: ast.expr) -> str:
    if isinstance(decorator, ast.Attribute):
        return decorator.attr
    return decorator.id if isinstance(decorator, ast.Name) else ""
