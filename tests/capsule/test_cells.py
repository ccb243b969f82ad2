"""The body of a cell, run elsewhere: it reads the notebook's names and gives back its own."""

from __future__ import annotations

import pytest

from flyte_jupyter.capsule import build_cell
from flyte_jupyter.errors import CapsuleError


@pytest.fixture
def run(notebook, elsewhere):
    def run(source, version="", **options):
        capsule = build_cell(source, notebook.names, "cell", **options)
        outcome = elsewhere(capsule, version=version, classes=notebook._find)
        assert not outcome.error, outcome.traceback
        return outcome.value

    return run


def test_a_body_takes_what_it_reads_and_gives_what_it_assigns(notebook, run, version):
    notebook.cell("import math\nn = 4\ndef h(x):\n    return math.sqrt(x)")
    found = run("m = h(n)\nn += 1\nfor i in range(3):\n    pass\nm * 2", version)
    assert found == {"assigned": {"m": 2.0, "n": 5, "i": 2}, "value": 4.0, "kept": {}}


def test_a_body_may_await(notebook, run):
    notebook.cell("@env.task\nasync def child(x): return x")
    found = run(
        "import asyncio\nawait asyncio.sleep(0)\nx = await child.aio(3)\n"
        "[y async for y in (z async for z in (await child.aio(1))) ] if 0 else x",
    )
    assert found["value"] == ["called", "env.child", 3]


def test_definitions_of_a_body_are_used_there_and_stay(run):
    found = run(
        "import math\nK = 2\ndef h(x): return x * K\nclass C:\n    v = h(3)\n"
        "y = C.v\nf = open('/dev/null')\nh",
    )
    assert found["assigned"] == {"K": 2, "y": 6}
    assert found["value"] is None
    assert {name: found["kept"][name] for name in ("math", "h", "C", "the last expression")} == {
        "math": "a module",
        "h": "a function",
        "C": "a class",
        "the last expression": "a function",
    }
    assert "f" in found["kept"]


def test_a_semicolon_silences_the_last_expression(notebook, run):
    assert run("x = 1\nx;")["value"] is None


def test_a_name_that_is_assigned_before_it_is_read_is_not_sent(notebook, run):
    notebook.cell("handle = open('/dev/null')")
    found = run("handle = 3\ndef h(): return handle\nh()")
    assert found["value"] == 3
    notebook.names["handle"].close()


def test_a_name_that_is_only_sometimes_assigned_is_sent(notebook, run):
    notebook.cell("x = [1]\ny = [5]")
    found = run("if not x:\n    y = None\nfor v in x:\n    y += [v]\ny")
    assert found["value"] == [5, 1]
    assert found["assigned"] == {"v": 1, "y": [5, 1]}


def test_changes_that_do_not_come_back_are_reported(notebook):
    notebook.cell("log = []\nbox = {}")
    capsule = build_cell("log.append(1)\nbox = {1: 2}", notebook.names, "cell", filename="<cell 9>")
    assert capsule.report.warnings == (
        "The cell changes the global value 'log' (<cell 9>, line 1); the change stays in the "
        "container: return it instead.",
    )


def test_line_numbers_are_those_of_the_cell(notebook, elsewhere):
    capsule = build_cell(
        "x = 1\n1 / 0", notebook.names, "cell", filename="Cell In[7]", first_line=3
    )
    outcome = elsewhere(capsule)
    assert 'File "Cell In[7]", line 4, in <module>\n    1 / 0' in outcome.traceback


def test_a_syntax_error_has_the_line_of_the_cell(notebook):
    with pytest.raises(SyntaxError) as caught:
        build_cell("x = (\ny = 2", notebook.names, "cell", filename="Cell In[7]", first_line=3)
    assert (caught.value.filename, caught.value.lineno) == ("Cell In[7]", 3)


def test_what_a_body_reads_and_cannot_be_sent_is_named(notebook):
    notebook.cell("import threading\nlock = threading.Lock()")
    with pytest.raises(CapsuleError) as caught:
        build_cell("with lock:\n    pass", notebook.names, "cell", filename="<cell 3>")
    assert caught.value.sentence == (
        "The cell reads 'lock', a _thread.lock, which is a lock and cannot be sent "
        "(<cell 3>, line 1)."
    )


def test_equal_bodies_have_equal_hashes(notebook):
    notebook.cell("n = 1")
    hashes = [
        build_cell(source, notebook.names, "cell", first_line=line).hash
        for source, line in [("x = n", 1), ("x  =  n # same", 5), ("x = -n", 1)]
    ]
    assert hashes[0] == hashes[1] != hashes[2]
