from __future__ import annotations

import dataclasses
import enum
import json
import sys
import types
from typing import Any, Generic, TypeVar

import numpy as np
import pydantic
import pytest
from values_cases import Box, Color, Derived, Frozen, Point, journey

from flyte_jupyter.errors import OpaqueValueError, ProtocolError, SerializationError
from flyte_jupyter.spec import TaskEnvironment
from flyte_jupyter.wire.values import Encoded, Opaque, decode, encode

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Slotted:
    __slots__ = ("a", "b")
    a: int
    b: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Slim:
    a: int
    b: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Typed(Generic[T]):
    item: T


@dataclasses.dataclass
class Checked:
    a: int

    def __post_init__(self):
        raise RuntimeError("called again")


@dataclasses.dataclass
class Stateful:
    a: int

    def __getstate__(self):
        return {"a": self.a + 1}

    def __setstate__(self, state):
        self.a = state["a"] * 10


class Word(enum.StrEnum):
    A = "a"


class Animal(pydantic.BaseModel):
    name: str
    legs: int = 4
    tags: set[str] = pydantic.Field(default_factory=set)
    _secret: int = pydantic.PrivateAttr(default=7)


class Dog(Animal):
    model_config = pydantic.ConfigDict(extra="allow", frozen=True)
    friend: Animal | None = None


class Root(pydantic.RootModel[list[int]]):
    pass


@pytest.mark.parametrize(
    "value",
    [
        Slotted.__new__(Slotted),
        Slim(1, [2]),
        Typed([1]),
        Word.A,
        Animal(name="a"),
        Dog(name="d", friend=Animal(name="b", tags={"x"}), extra=[1]),
        Root([1, 2]),
        Animal.model_construct(legs="many"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_of_a_class_comes_back_as_it_was(value):
    back = journey(value)
    assert type(back) is type(value)
    if not isinstance(value, Slotted):
        assert back == value
    assert '"pickle"' not in json.dumps(encode(value).tree)


def test_a_model_keeps_what_was_set_and_what_is_private():
    dog = Dog(name="d", colour="red")
    dog._secret = 9
    back = journey(dog)
    assert back.model_fields_set == {"name", "colour"}
    assert back.model_extra == {"colour": "red"}
    assert back._secret == 9


def test_no_init_is_called():
    value = object.__new__(Checked)
    value.a = 1
    assert journey(value).a == 1


def test_a_class_that_takes_care_of_its_state_is_asked():
    assert journey(Stateful(1)).a == 20


def test_attributes_beside_the_fields_travel():
    box = Box("a")
    box.note = "n"
    assert journey(box).note == "n"


def test_a_field_that_is_new_here_gets_its_default():
    encoded = encode(Box("a", [1]))
    tree = {**encoded.tree, "k": ["name"], "v": ["a"]}
    back = decode(Encoded(tree))
    assert (back.name, back.items, back.parent) == ("a", [], None)


def test_nodes_name_the_classes_that_a_class_inherits_from():
    assert encode(Derived("a")).tree["of"] == ["values_cases.Box"]
    assert "pydantic.main.BaseModel" in encode(Dog(name="d")).tree["of"]
    assert "of" not in encode(Frozen((1,))).tree


# Classes of the notebook


@pytest.fixture
def notebook(monkeypatch):
    """A module that is ``__main__``, with a function that runs a cell in it."""
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)

    def run(source: str) -> types.ModuleType:
        exec(source, module.__dict__)
        return module

    return run


PLAIN = """
class Plain:
    def __init__(self, a):
        self.a = a
"""


def test_an_object_of_a_cell_goes_by_its_state(notebook):
    main = notebook(PLAIN)
    encoded = encode(main.Plain([1]), pickle=False)
    assert encoded.tree == {"~": "object", "c": ["__main__", "Plain"], "v": {"a": [1]}}
    assert journey(main.Plain([1])).a == [1]


@pytest.mark.parametrize(
    "source",
    [
        "class C(list): pass\nvalue = C([1, 2]); value.note = 1",
        "class C(dict): pass\nvalue = C(a=1)",
        "class C(str): pass\nvalue = C('x')",
        "class C(int): pass\nvalue = C(7)",
        "class C(tuple): pass\nvalue = C((1, 2))",
        "class C(set): pass\nvalue = C({1})",
        "class C:\n    __slots__ = ('a', 'b')\nvalue = C(); value.a = 1",
        "class C:\n    def __eq__(self, o): return vars(self) == vars(o)\nvalue = C()",
        "import collections\nclass C(collections.OrderedDict): pass\nvalue = C(a=1)",
        "import datetime\nclass C(datetime.date): pass\nvalue = C(2024, 1, 1)",
    ],
)
def test_an_object_of_an_unusual_class_of_a_cell_comes_back(notebook, source):
    value = notebook(source).value
    back = journey(value)
    assert type(back) is type(value)
    assert getattr(back, "note", None) == getattr(value, "note", None)
    if not hasattr(value, "__slots__"):
        assert back == value
    else:
        assert (back.a, hasattr(back, "b")) == (1, False)


def test_a_class_of_a_cell_is_found_by_the_resolver(notebook):
    main = notebook(PLAIN)
    encoded = encode([main.Plain(1), main.Plain])
    asked = []

    class Other:
        pass

    Other.__module__ = "__main__"

    def classes(module, qualname):
        asked.append((module, qualname))
        return Other

    value, kind = decode(encoded, classes=classes)
    assert asked == [("__main__", "Plain")] * 2
    assert type(value) is kind is Other
    assert value.a == 1


def test_the_hash_of_a_class_travels_and_reaches_the_resolver(notebook):
    main = notebook(PLAIN)
    encoded = encode(main.Plain(1), class_hash=lambda kind: f"hash of {kind.__name__}")
    asked = []
    decode(encoded, classes=lambda *name: asked.append(name) or main.Plain)
    assert asked == [("__main__", "Plain", "hash of Plain")]


def test_an_object_whose_cell_was_run_again_is_of_the_new_class(notebook):
    main = notebook(PLAIN)
    old = main.Plain(1)
    notebook(PLAIN)
    assert type(journey(old)) is main.Plain


def test_a_pickle_finds_classes_of_cells_too(notebook):
    main = notebook(PLAIN)
    parent, child = main.Plain(None), main.Plain(None)
    parent.a, child.a = child, parent
    notebook(PLAIN)
    back = journey(parent)
    assert type(back) is main.Plain
    assert back.a.a is back

    class Other:
        pass

    seen = journey(parent, classes=lambda module, name: Other)
    assert type(seen) is Other


def test_a_dataclass_and_an_enum_of_a_cell_come_back(notebook):
    main = notebook(
        "import dataclasses, enum\n"
        "@dataclasses.dataclass\nclass D:\n    a: int\n"
        "class E(enum.Enum):\n    X = 1\n"
        "class Outer:\n    class Inner:\n        pass\n"
    )
    value = [main.D(1), main.E.X, main.Outer.Inner]
    assert journey(value) == value


def test_a_class_that_is_missing_makes_a_handle(notebook):
    encoded = encode({"x": notebook(PLAIN).Plain(1), "y": 2})
    del sys.modules["__main__"].Plain
    back = decode(encoded)
    assert back["y"] == 2
    assert repr(back["x"]) == "<opaque Plain, 51 B: Plain(a=1)>"
    with pytest.raises(OpaqueValueError) as caught:
        bool(back["x"])
    assert str(caught.value) == (
        "This Plain cannot be opened: __main__.Plain is missing here (no 'Plain' is defined in "
        "the notebook's cells).\n"
        "  Plain(a=1)\n"
        "Pass it on to a task as it is, or add what is missing to this image."
    )


# Names


def test_a_function_without_a_name_is_refused():
    with pytest.raises(SerializationError) as caught:
        encode({"key": lambda x: x})
    assert str(caught.value) == (
        "The function 'test_a_function_without_a_name_is_refused.<locals>.<lambda>' has no name "
        "that it could be found by on the other side.\n"
        "Define it with def at the top level of a cell or module, and pass that."
    )


def test_what_cannot_be_pickled_is_refused_with_the_reason(tmp_path):
    with (
        open(tmp_path / "f", "w") as file,
        pytest.raises(SerializationError, match=r"A _io\.TextIOWrapper cannot be encoded"),
    ):
        encode([file])


def test_pickle_can_be_refused_on_both_sides():
    value = np.random.default_rng(1)
    with pytest.raises(SerializationError, match="could only go by pickle, and pickle is switched"):
        encode(value, pickle=False)
    with pytest.raises(SerializationError, match="came by pickle, and pickle is switched off"):
        decode(encode(value), pickle=False)
    assert journey(value).random() == value.random()


def test_only_the_class_that_a_node_names_is_made():
    for tag, name in (("data", "Popen"), ("enum", "Popen"), ("namedtuple", "Popen")):
        node = {"~": tag, "c": ["subprocess", name], "k": [], "v": [], "f": [], "n": "x"}
        try:
            value = decode(Encoded(node))
        except ProtocolError:
            continue
        assert isinstance(value, Opaque)
    node = {"~": "object", "c": ["subprocess", "Popen"], "a": [["true"]]}
    with pytest.raises(ProtocolError, match=r"subprocess\.Popen does not travel by its state"):
        decode(Encoded(node))


def test_what_a_cell_imported_is_no_class_of_a_cell(notebook):
    notebook("from subprocess import Popen")
    node = {"~": "object", "c": ["__main__", "Popen"], "a": [["true"]]}
    with pytest.raises(ProtocolError, match=r"subprocess\.Popen was not defined in a cell"):
        decode(Encoded(node))


# Other versions of a class


def test_an_enum_without_the_member_makes_a_handle():
    tree = {**encode(Color.RED).tree, "n": "GREEN"}
    with pytest.raises(OpaqueValueError, match="the class here has no member 'GREEN'"):
        decode(Encoded(tree), missing="raise")


def test_a_named_tuple_of_other_fields_makes_a_handle():
    tree = {**encode(Point(1)).tree, "f": ["x", "z"]}
    with pytest.raises(OpaqueValueError, match="the class here has the fields x, y"):
        decode(Encoded(tree), missing="raise")


# Tasks


def test_a_task_goes_by_its_name_and_keeps_its_override():
    env = TaskEnvironment(name="values_tasks")

    @env.task
    def work(x: int) -> int:
        return x

    value = {"plain": work, "other": work.override(retries=5)}
    encoded = encode(value, pickle=False)
    assert encoded.tree["plain"] == {"~": "task", "name": "values_tasks.work"}
    back = journey(value, tasks=lambda name: env.tasks[name])
    assert back["plain"] is work
    assert back["other"].overrides == value["other"].overrides


def test_a_task_that_is_unknown_makes_a_handle():
    back = decode(Encoded({"~": "task", "name": "e.f"}))
    assert repr(back) == "<opaque task, 25 B: task 'e.f'>"
