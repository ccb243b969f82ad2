"""Syntax that is newer than the container's Python."""

from __future__ import annotations

import ast
import subprocess

import pytest

from flyte_jupyter.capsule import syntax
from flyte_jupyter.capsule.syntax import minimum_python

SYNTAX = [
    ("x = (y := 1)", (3, 9), ""),
    ("def f(a, /): ...", (3, 9), ""),
    ("match x:\n    case 1: pass", (3, 10), "a match statement"),
    ("with (open(a) as b, open(c) as d): pass", (3, 9), ""),
    ("try: pass\nexcept* ValueError: pass", (3, 11), "except*"),
    ("x[*y]", (3, 11), "a star in an index"),
    ("def f(*args: *T): ...", (3, 11), "a star in an annotation"),
    ("class C:\n    x: int | None", (3, 9), ""),
    ("class C(NamedTuple):\n    x: int | None", (3, 9), ""),
    ("class C(Model):\n    x: int | None", (3, 10), "a type written with '|' in a class"),
    ("def f(x: int | None): ...", (3, 9), ""),
]


@pytest.mark.parametrize(("source", "version", "why"), SYNTAX)
def test_syntax_tells_the_oldest_python(source, version, why):
    assert minimum_python(ast.walk(ast.parse(source)), text=source) == (version, why)


NEWER = [
    ("type A = int", "a type statement"),
    ("def f[T](x: T) -> T: ...", "a type parameter"),
    ("f'{x['a']}'", "a string nested in an f-string"),
    ("f'{f'{1}'}'", "a string nested in an f-string"),
    ("f'{\"\\n\".join(x)}'", "a string nested in an f-string"),
    ("f'{\n1}'", "a string nested in an f-string"),
    ("f'{x[\"a\"]}' 'b'", ""),
    ('f"""{\nx[\'a\']}"""', ""),
]


@pytest.mark.parametrize(("source", "why"), NEWER)
def test_newer_syntax_tells_the_oldest_python(source, why, newer_python):
    program = (
        "import ast, runpy, sys; m = runpy.run_path(sys.argv[1]); "
        "print(m['minimum_python'](ast.walk(ast.parse(sys.argv[2])), text=sys.argv[2])[1])"
    )
    done = subprocess.run(
        [newer_python, "-I", "-c", program, syntax.__file__, source],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == why


def test_a_capsule_says_which_pythons_cannot_load_it(notebook):
    notebook.cell("def h(x):\n    match x:\n        case 1: return 'one'\n    return 'other'")
    notebook.cell("@env.task\ndef f(x):\n    return h(x)")
    need = notebook.capsule().python
    assert need.minimum == (3, 10)
    assert need.refusal((3, 11, 2)) == ""
    assert need.refusal((3, 9)) == (
        "a match statement in h() (<cell 1>, line 1) needs Python 3.10 or newer, not 3.9"
    )
    assert notebook.run(1, version="3.13") == "one"
