"""What a task reads comes along, from any number of cells."""

from __future__ import annotations

import pytest

PIECES = [
    pytest.param("import math", "math.sqrt(x)", 3.0, id="module"),
    pytest.param("import os.path", "os.path.join('a', str(x))", "a/9", id="submodule"),
    pytest.param("import xml.dom.minidom", "xml.dom.minidom.Node.__name__", "Node", id="chain"),
    pytest.param("import xml.dom.minidom as d", "d.__name__", "xml.dom.minidom", id="renamed"),
    pytest.param("from math import sqrt as root", "root(x)", 3.0, id="from import"),
    pytest.param("from math import *", "floor(x + 0.5)", 9, id="star import"),
    pytest.param("from os import environ", "'PATH' in environ", True, id="object of a module"),
    pytest.param("from random import randint", "randint(x, x)", 9, id="bound method of a module"),
    pytest.param("K = 3", "x + K", 12, id="constant"),
    pytest.param("K = [1, {'a': (2, 3)}]", "K", [1, {"a": (2, 3)}], id="container"),
    pytest.param("import decimal\nK = decimal.Decimal('0.1')", "str(K * x)", "0.9", id="decimal"),
    pytest.param("def h(x): return x + 1", "h(x)", 10, id="function"),
    pytest.param("K = 1\ndef g(): return K\ndef h(x): return x + g()", "h(x)", 10, id="two deep"),
    pytest.param("h = lambda x: x * 2", "h(x)", 18, id="lambda"),
    pytest.param("h, g = lambda x: x * 2, lambda x: x * 3", "g(x)", 27, id="lambdas of one line"),
    pytest.param("h = lambda x: (lambda y: y + x)(1)", "h(x)", 10, id="lambda in a lambda"),
    pytest.param("h = (lambda x:\n     x * 2)", "h(x)", 18, id="lambda of two lines"),
    pytest.param("ä = 'ü'; h = lambda x: 'é' + ä", "h(x)", "éü", id="columns are bytes"),
    pytest.param("def h(x, *, by=2): return x * by", "h(x)", 18, id="keyword default"),
    pytest.param("K = [2]\ndef h(x, k=K): return x * k[0]", "h(x)", 18, id="default by value"),
    pytest.param("def g(): return 4\ndef h(x, g=g): return g()", "h(x)", 4, id="default function"),
    pytest.param(
        "if True:\n    def h(x): return 1\nelse:\n    def h(x): return 2",
        "h(x)",
        1,
        id="conditional definition",
    ),
    pytest.param(
        "try:\n    import nothing_there\nexcept ImportError:\n    def h(x): return 5",
        "h(x)",
        5,
        id="definition in a handler",
    ),
    pytest.param(
        "def make(n):\n    def add(x): return x + n\n    return add\nh = make(5)",
        "h(x)",
        14,
        id="closure",
    ),
    pytest.param(
        "def make():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n"
        "        return n\n    return up, lambda: n\nup, look = make()",
        "[up(), up(), look()]",
        [1, 2, 2],
        id="closures that share a variable",
    ),
    pytest.param(
        "def make():\n    def fact(n): return n * fact(n - 1) if n else 1\n"
        "    return fact\nh = make()",
        "h(4)",
        24,
        id="closure that calls itself",
    ),
    pytest.param(
        "import functools\ndef g(a, b): return a - b\nh = functools.partial(g, b=1)",
        "h(x)",
        8,
        id="partial",
    ),
    pytest.param(
        "import functools\ndef deco(f):\n    @functools.wraps(f)\n    def inner(*a):\n"
        "        return f(*a) + 100\n    return inner\n@deco\ndef h(x):\n    'doc'\n"
        "    return x",
        "[h(x), h.__name__, h.__doc__]",
        [109, "h", "doc"],
        id="decorator",
    ),
    pytest.param(
        "def deco(f):\n    def inner(*a): return f(*a) + 100\n    return inner\n"
        "@deco\ndef h(x): return x",
        "h(x)",
        109,
        id="decorator without wraps",
    ),
    pytest.param(
        "class deco:\n    def __init__(self, f): self.f = f\n"
        "    def __call__(self, x): return self.f(x) + 1\n@deco\ndef h(x): return x",
        "h(x)",
        10,
        id="class as decorator",
    ),
    pytest.param(
        "import functools\n@functools.lru_cache(maxsize=None)\n"
        "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)",
        "fib(x)",
        34,
        id="lru_cache",
    ),
    pytest.param(
        "import contextlib\n@contextlib.contextmanager\ndef h():\n    yield 7\n"
        "def g():\n    with h() as v: return v",
        "g()",
        7,
        id="contextmanager",
    ),
    pytest.param(
        "import functools\n@functools.singledispatch\ndef h(v): return 'any'\n"
        "@h.register\ndef _(v: int): return 'int'",
        "[h(x), h('')]",
        ["int", "any"],
        id="singledispatch",
    ),
    pytest.param(
        "def even(n): return True if n == 0 else odd(n - 1)\n"
        "def odd(n): return False if n == 0 else even(n - 1)",
        "odd(x)",
        True,
        id="mutual recursion",
    ),
    pytest.param(
        "T = {'a': lambda x: x + 1, 'b': abs, 'c': [str.upper]}",
        "[T['a'](x), T['b'](-x), T['c'][0]('u')]",
        [10, 9, "U"],
        id="table of functions",
    ),
    pytest.param(
        "T = {}\ndef reg(f):\n    T[f.__name__] = f\n    return f\n@reg\n"
        "def a(x): return x + len(T)\n@reg\ndef b(x): return x",
        "T['a'](x)",
        11,
        id="registry",
    ),
    pytest.param("def h(x): return x\nh.unit = 'm'", "h.unit", "m", id="attribute of a function"),
    pytest.param(
        "def h(x): return [k * y for y in range(2) for k in [K]]\nK = 3",
        "h(x)",
        [0, 3],
        id="comprehension",
    ),
    pytest.param(
        "def h(x):\n    class A:\n        v = K\n    return A.v\nK = 3",
        "h(x)",
        3,
        id="class inside a function",
    ),
    pytest.param("def h(x):\n    def g(): return K\n    return g()\nK = 3", "h(x)", 3, id="nested"),
    pytest.param(
        "def h(x):\n    import json\n    return json.dumps(x)", "h(x)", "9", id="import inside"
    ),
    pytest.param("h = g = None\ndef g(x): return x\nh = g", "h(g(x))", 9, id="two names"),
    pytest.param("h = ''.join", "h(['a', 'b'])", "ab", id="bound method of a string"),
    pytest.param(
        "async def g(): return 3\ndef h(x):\n    import asyncio\n    return asyncio.run(g())",
        "h(x)",
        3,
        id="async helper",
    ),
    pytest.param("def h(x):\n    yield from range(x)", "sum(h(x))", 36, id="generator function"),
    pytest.param(
        "import logging\nlog = logging.getLogger('mine')", "log.name", "mine", id="logger"
    ),
    pytest.param("import re\nP = re.compile('a+')", "P.match('aab').group()", "aa", id="pattern"),
    pytest.param("E = ...", "E is ...", True, id="ellipsis"),
]


@pytest.mark.parametrize(("cell", "expression", "expected"), PIECES)
def test_what_a_task_reads_comes_along(notebook, cell, expression, expected):
    notebook.cell(cell)
    notebook.cell(f"@env.task\ndef f(x):\n    return {expression}\n")
    assert notebook.run(9, version="3.9") == expected


def test_a_closure_over_five_cells_runs_on_every_python(notebook, version):
    notebook.cell("import math\nfrom dataclasses import dataclass")
    notebook.cell("@dataclass\nclass Config:\n    rate: float = 0.5\n    name: str = 'c'")
    notebook.cell("SCALE = 10\nconfig = Config(rate=2.0)")
    notebook.cell("def scaled(x, by=SCALE):\n    return math.sqrt(x) * by * config.rate")
    notebook.cell("@env.task\nasync def f(x: int) -> float:\n    return scaled(x), config")
    value, config = notebook.run(4, version=version)
    assert (value, config) == (40.0, notebook.names["config"])


def test_a_cell_that_is_run_again_gives_the_present_definition(notebook):
    notebook.cell("def h(x):\n    return x + 1")
    notebook.cell("@env.task\ndef f(x):\n    return h(x)")
    assert notebook.run(1) == 2
    notebook.cell("def h(x):\n    return x + 2")
    assert notebook.run(1) == 3


def test_a_cell_edited_without_being_run_is_noticed(notebook):
    import linecache

    name = notebook.cell("def h(x):\n    return x + 1")
    notebook.cell("@env.task\ndef f(x):\n    return h(x)")
    lines = ["def h(x):\n", "    return x + 2\n"]
    linecache.cache[name] = (1, None, lines, name)
    capsule = notebook.capsule()
    assert notebook.run(1, version="3.11") == 2
    assert capsule.report.warnings == (
        "'h' travels as bytecode, because <cell 1> has another definition of it now: its "
        "container needs Python 3.11.",
    )


def test_a_global_that_is_bound_later_is_read_when_the_task_is_called(notebook):
    notebook.cell("@env.task\ndef f():\n    return later()")
    assert notebook.capsule().report.warnings == (
        "f() reads 'later', which has no value now (<cell 1>, line 3).",
    )
    notebook.cell("def later():\n    return 1")
    assert notebook.run() == 1


def test_assignments_are_not_executed_again(notebook):
    notebook.cell("calls = []\ndef load():\n    calls.append(1)\n    return len(calls)\nK = load()")
    notebook.cell("K += 10")
    notebook.cell("@env.task\ndef f():\n    return K")
    assert notebook.run() == 11


def test_rebinding_and_changing_globals_is_reported(notebook):
    notebook.cell("counter = 0\nlog = []\nclass C: pass\nstate = C()")
    notebook.cell(
        "@env.task\ndef f():\n    global counter\n    counter += 1\n    log.append(1)\n"
        "    state.x = 2\n    local = []\n    local.append(1)\n    return counter"
    )
    assert notebook.capsule().report.warnings == (
        "f() assigns the global name 'counter' (<cell 2>, line 4); the new value stays in the "
        "container: return it instead.",
        "f() changes the global value 'log' (<cell 2>, line 5); the change stays in the "
        "container: return it instead.",
        "f() changes the global value 'state' (<cell 2>, line 6); the change stays in the "
        "container: return it instead.",
    )
    assert notebook.run() == 1


def test_annotations_of_functions_are_not_evaluated_and_their_imports_not_shipped(notebook):
    notebook.cell(
        "import fractions\nclass Mine: pass\n"
        "def h(x: fractions.Fraction) -> 'Mine':\n"
        "    def inner(y: fractions.Fraction) -> Mine: return y\n    return inner(x)"
    )
    notebook.cell(
        "@env.task\ndef f(x: int) -> fractions.Fraction:\n"
        "    return h.__annotations__, [f for f in [h(x)]]"
    )
    capsule = notebook.capsule()
    assert capsule.report.imports == ()
    assert [one.name for one in capsule.report.symbols] == ["h", "f"]
    assert notebook.run(1, version="3.9") == (
        {"x": "fractions.Fraction", "return": "Mine"},
        [1],
    )


def test_display_prints_in_the_container(notebook, monkeypatch):
    import builtins

    monkeypatch.setattr(builtins, "display", print, raising=False)
    notebook.cell("@env.task\ndef f():\n    display('seen')\n    return 1")
    assert notebook.run() == 1


def test_a_long_chain_of_functions_travels(notebook):
    notebook.cell(
        "def h0(x): return x\n"
        + "".join(f"def h{n}(x): return h{n - 1}(x)\n" for n in range(1, 400))
    )
    notebook.cell("@env.task\ndef f(x): return h399(x)")
    assert notebook.run(7, version="3.9") == 7
