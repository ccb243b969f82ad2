"""The cache gives a new capsule when, and only when, something that was captured has changed."""

from __future__ import annotations

import os
import sys

import pytest

from flyte_jupyter.capsule import CapsuleCache

CHANGES = [
    pytest.param("h()", "def h(): return 2", id="another helper"),
    pytest.param("K", "K = 3", id="another constant"),
    pytest.param("L", "L.append(1)", id="a list that grew"),
    pytest.param("D", "D['b'] = {'c': [1]}", id="deep in a dict"),
    pytest.param("c", "c.v = 2", id="an attribute of an object"),
    pytest.param("C", "class C:\n    v = 5", id="another class"),
    pytest.param("h()", "h.__defaults__ = (4,)", id="exchanged defaults"),
    pytest.param("T", "T['x'] = lambda: 2", id="a function in a table"),
    pytest.param("late", "late = 1", id="a name that had no value"),
    pytest.param("add(1)", "add.__closure__[0].cell_contents = 9", id="a closed-over variable"),
    pytest.param("h.unit", "h.unit = 'cm'", id="an attribute of a function"),
    pytest.param("C.v", "C.v = 7", id="an attribute of a class"),
]


@pytest.mark.parametrize(("expression", "cell"), CHANGES)
def test_a_change_makes_a_new_capsule(notebook, expression, cell):
    notebook.cell(
        "K = 1\nL = []\nD = {'b': {'c': []}}\nT = {'x': lambda: 1}\nclass C:\n    v = 1\n"
        "c = C()\ndef h(d=1): return d\nh.unit = 'm'\ndef make(n):\n"
        "    return lambda x: x + n\nadd = make(1)"
    )
    notebook.cell(f"@env.task\ndef f():\n    return {expression}")
    cache = CapsuleCache()
    first = cache.get(notebook.names["f"])
    notebook.cell(cell)
    assert cache.get(notebook.names["f"]).hash != first.hash


def test_without_a_change_it_is_the_same_capsule(notebook):
    notebook.cell("L = [1]\ndef h(): return L\n@env.task\ndef f(): return h()")
    cache = CapsuleCache()
    first = cache.get(notebook.names["f"])
    notebook.cell("unrelated = 1")
    assert cache.get(notebook.names["f"]) is first


def test_a_changed_local_file_makes_a_new_capsule(notebook, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "watched_module.py"
    file.write_text("K = 1\n")
    notebook.cell("import watched_module\n@env.task\ndef f(): return watched_module.K")
    cache = CapsuleCache()
    first = cache.get(notebook.names["f"])
    assert cache.get(notebook.names["f"]) is first
    file.write_text("K = 22\n")
    os.utime(file, (1, 1))
    assert cache.get(notebook.names["f"]).hash != first.hash
    del sys.modules["watched_module"]


def test_a_class_is_found_by_the_hash_that_it_was_shipped_with(notebook):
    notebook.cell("class C:\n    v = 1")
    notebook.cell("@env.task\ndef f(): return C()")
    cache = CapsuleCache()
    capsule = cache.get(notebook.names["f"])
    shipped = notebook.names["C"]
    (digest,) = [one[3] for one in capsule.payload["classes"]]
    notebook.cell("class C:\n    v = 2")
    assert cache.classes("__main__", "C", digest) is shipped
    assert cache.classes("__main__", "C") is notebook.names["C"]
    assert cache.class_hash(notebook.names["C"]) != digest


def test_an_overridden_task_has_the_capsule_of_its_task(notebook):
    notebook.cell("@env.task\ndef f(): return 1")
    cache, task = CapsuleCache(), notebook.names["f"]
    assert cache.get(task.override(retries=2)) is cache.get(task)
