"""Classes of the notebook: executed again in the container, and what is made of them decodes."""

from __future__ import annotations

import pytest

CLASSES = [
    pytest.param(
        "class C:\n    k = 2\n    def m(self): return self.k + K\nK = 1", "C().m()", 3, id="plain"
    ),
    pytest.param(
        "class A:\n    def m(self): return 1\nclass C(A):\n    def m(self):\n"
        "        return super().m() + 1",
        "C().m()",
        2,
        id="inheritance and super",
    ),
    pytest.param(
        "class C:\n    class D:\n        def m(self): return 4",
        "C.D().m()",
        4,
        id="class in a class",
    ),
    pytest.param(
        "class C:\n    class D:\n        def m(self): return 4\nE = C.D",
        "E().m()",
        4,
        id="nested class under another name",
    ),
    pytest.param(
        "class A:\n    def other(self): return B()\nclass B(A):\n    pass",
        "type(A().other()).__name__",
        "B",
        id="classes that name each other",
    ),
    pytest.param(
        "from dataclasses import dataclass, field\n@dataclass(order=True)\nclass C:\n"
        "    x: int = 1\n    y: list = field(default_factory=list)",
        "C(2).y == []",
        True,
        id="dataclass",
    ),
    pytest.param(
        "import enum\nclass C(enum.Enum):\n    A = 1\n    B = 2", "C.B.value", 2, id="enum"
    ),
    pytest.param(
        "from typing import NamedTuple\nclass C(NamedTuple):\n    x: int\n    y: int = 3",
        "C(1).y",
        3,
        id="NamedTuple",
    ),
    pytest.param(
        "from collections import namedtuple\nC = namedtuple('C', 'x y', defaults=[3])",
        "C(1).y",
        3,
        id="namedtuple",
    ),
    pytest.param(
        "from typing import TypedDict\nclass C(TypedDict, total=False):\n    x: int",
        "C(x=1)",
        {"x": 1},
        id="TypedDict",
    ),
    pytest.param(
        "from typing import Protocol, runtime_checkable\n@runtime_checkable\n"
        "class C(Protocol):\n    def m(self) -> int: ...",
        "isinstance(1, C)",
        False,
        id="Protocol",
    ),
    pytest.param(
        "import abc\nclass C(abc.ABC):\n    @abc.abstractmethod\n    def m(self): ...\n"
        "class D(C):\n    def m(self): return 1",
        "D().m()",
        1,
        id="ABC",
    ),
    pytest.param(
        "class M(type):\n    def __new__(m, n, b, d):\n        d['made'] = n + K\n"
        "        return super().__new__(m, n, b, d)\nK = '!'\nclass C(metaclass=M): pass",
        "C.made",
        "C!",
        id="metaclass",
    ),
    pytest.param(
        "class Error(ValueError):\n    pass\ndef h():\n    try:\n        raise Error('x')\n"
        "    except ValueError as e: return type(e).__name__",
        "h()",
        "Error",
        id="exception",
    ),
    pytest.param(
        "from typing import TypeVar, Generic\nT = TypeVar('T')\nclass C(Generic[T]):\n"
        "    def m(self): return 1",
        "C[int]().m()",
        1,
        id="generic",
    ),
    pytest.param(
        "from typing import Optional, List\nclass A: pass\nS = Optional[A]\nL = list[A]",
        "[str(S).count('A'), L.__args__[0] is A]",
        [1, True],
        id="alias of own class",
    ),
    pytest.param(
        "class C:\n    @property\n    def p(self): return 1\n    @classmethod\n"
        "    def c(cls): return cls.__name__\n    @staticmethod\n    def s(): return K\nK = 5",
        "[C().p, C.c(), C.s()]",
        [1, "C", 5],
        id="descriptors",
    ),
    pytest.param(
        "class C:\n    def __init__(self): self.f = h\ndef h(): return 8\nc = C()",
        "c.f()",
        8,
        id="object that holds a function",
    ),
    pytest.param(
        "class C:\n    def m(self): return self.v\nc = C()\nc.v = 3\nm = c.m",
        "m()",
        3,
        id="bound method",
    ),
    pytest.param(
        "class C:\n    __v = 5\n    def m(self): return self.__v\nm = C.m\nc = C()",
        "m(c)",
        5,
        id="function of a class",
    ),
    pytest.param(
        "def make():\n    class C:\n        v = 3\n    return C\nC = make()",
        "C.v",
        3,
        id="class from a function",
    ),
]


@pytest.mark.parametrize(("cell", "expression", "expected"), CLASSES)
def test_classes_are_there_in_the_container(notebook, cell, expression, expected, request):
    notebook.cell(cell)
    notebook.cell(f"@env.task\ndef f():\n    return {expression}")
    by_value = "class from a function" in request.node.name
    version = "3.11" if by_value else "3.9"
    assert notebook.run(version=version) == expected


def test_pydantic_models_travel(notebook):
    notebook.cell(
        "from pydantic import BaseModel, field_validator\nclass M(BaseModel):\n"
        "    x: int\n    y: str = 'a'\n    @field_validator('x')\n    @classmethod\n"
        "    def up(cls, v: int) -> int: return v + 1\nm = M(x=1)"
    )
    notebook.cell("@env.task\ndef f(n: M):\n    return [m, M(x=5), n]")
    made = notebook.names["M"]
    assert notebook.run(made(x=7), site=True) == [made(x=1), made(x=5), made(x=7)]


@pytest.mark.parametrize("body", ["x: int = {}", "x = {}", "def m(self): return {}"])
def test_a_class_that_was_defined_again_is_the_present_one(notebook, body):
    cell = "from dataclasses import dataclass\n@dataclass\nclass C:\n    " + body
    notebook.cell(cell.format(1))
    notebook.cell("@env.task\ndef f():\n    c = C()\n    return c.x if hasattr(c, 'x') else c.m()")
    assert notebook.run() == 1
    notebook.cell(cell.format(2))
    assert notebook.run() == 2
    notebook.cell(cell.format(1))
    assert notebook.run() == 1


def test_a_result_of_a_notebook_class_is_an_instance_of_it(notebook):
    notebook.cell("class C:\n    def __init__(self, v): self.v = v")
    notebook.cell("@env.task\ndef f(c):\n    return C(c.v + 1)")
    found = notebook.run(notebook.names["C"](1))
    assert isinstance(found, notebook.names["C"])
    assert found.v == 2


def test_a_class_made_with_an_earlier_base_is_reported(notebook):
    notebook.cell("class A:\n    def m(self): return 1")
    notebook.cell("class B(A):\n    def n(self): return self.m()")
    notebook.cell("class A:\n    def m(self): return 2")
    notebook.cell("@env.task\ndef f():\n    return B().n()")
    assert notebook.capsule().report.warnings == (
        "B (<cell 2>) was defined with an earlier A; the container makes it with the present one. "
        "Run its cell again to have the same.",
    )


def test_annotations_in_a_class_are_evaluated(notebook):
    notebook.cell(
        "K = 0\nimport fractions\nfrom dataclasses import dataclass\n@dataclass\nclass C:\n"
        "    x: fractions.Fraction\n    def m(self, x: K) -> K: ...\nK = 1"
    )
    notebook.cell("@env.task\ndef f():\n    return C.__annotations__['x'].__name__")
    assert [one.module for one in notebook.capsule().report.imports] == ["fractions", "dataclasses"]
    assert notebook.run(version="3.9") == "Fraction"


def test_annotations_in_a_class_stay_text_under_the_future_statement(notebook):
    notebook.cell(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass C:\n    x: nowhere.Thing | None = None\n"
        "    def m(self, y: int | None) -> nowhere.Thing: ..."
    )
    notebook.cell("@env.task\ndef f():\n    return [C.__annotations__, C.m.__annotations__]")
    assert notebook.run(version="3.9") == [
        {"x": "nowhere.Thing | None"},
        {"y": "int | None", "return": "nowhere.Thing"},
    ]


def test_attributes_of_a_class_that_were_set_since_travel(notebook):
    notebook.cell(
        "import itertools\nnumbers = itertools.count(5)\nclass C:\n    a = 1\n"
        "    b = {}\n    c = next(numbers)\n    d = [1]"
    )
    notebook.cell("C.a = 2\nC.b['x'] = 1")
    notebook.cell("@env.task\ndef f():\n    return [C.a, C.b, C.c, C.d]")
    assert notebook.run(version="3.11") == [2, {"x": 1}, 5, [1]]
