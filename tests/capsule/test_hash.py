"""The hash of a capsule: the same for the same code, another if anything reachable differs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CELLS = [
    "import math\nK = {'b', 'a'}\nD = [1, 2]",
    "class C:\n    v = 1\n    def m(self): return self.v",
    "def g(x, y=2):\n    return x + y",
    "def h(x):\n    return math.sqrt(g(x)) if x in K else C().m() + len(D)",
    "@env.task\ndef f(x):\n    return h(x)",
]


def _hash(fresh_notebook, cells, start=1):
    notebook = fresh_notebook(start)
    for cell in cells:
        notebook.cell(cell)
    return notebook.capsule().hash


def test_cell_numbers_comments_and_formatting_do_not_count(fresh_notebook):
    other = [
        "import math # why\n\nK = {'a', 'b'}\nD = [1,\n  2]",
        "class C:\n    # comment\n    v = (1)\n\n    def m(self):\n        return self.v",
        "def g(x, y=1 + 1): # comment\n    return (x + y)",
        "def h(x):\n    return math.sqrt(g(x)) if x in K \\\n        else C().m() + len(D)",
        "@env.task\ndef f( x ):\n\n    return h(x)",
    ]
    assert _hash(fresh_notebook, CELLS) == _hash(fresh_notebook, other, start=40)


CHANGES = [
    pytest.param(0, "import math\nK = {'b', 'a'}\nD = [1, 3]", id="value"),
    pytest.param(0, "import math\nK = {'b', 'c'}\nD = [1, 2]", id="set"),
    pytest.param(0, "import cmath as math\nK = {'b', 'a'}\nD = [1, 2]", id="import"),
    pytest.param(
        1, "class C:\n    v = 2\n    def m(self): return self.v", id="attribute of a class"
    ),
    pytest.param(1, "class C:\n    v = 1\n    def m(self): return -self.v", id="method"),
    pytest.param(2, "def g(x, y=3):\n    return x + y", id="default"),
    pytest.param(2, "def g(x, y=2):\n    return x - y", id="helper two calls away"),
    pytest.param(2, "async def g(x, y=2):\n    return x + y", id="async"),
    pytest.param(4, "@env.task\ndef f(x):\n    return h(x) or None", id="the task"),
]


@pytest.mark.parametrize(("which", "cell"), CHANGES)
def test_anything_reachable_counts(fresh_notebook, which, cell):
    changed = [*CELLS[:which], cell, *CELLS[which + 1 :]]
    assert _hash(fresh_notebook, CELLS) != _hash(fresh_notebook, changed)


def test_the_hash_is_the_same_in_another_kernel(fresh_notebook):
    program = (
        f"import sys\nfrom conftest import Notebook\nn = Notebook(7)\n"
        f"sys.modules['__main__'] = n.module\nfor cell in {CELLS!r}: n.cell(cell)\n"
        "print(n.capsule().hash)"
    )
    found = set()
    for seed in "01":
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path]),
            },
        )
        found.add(done.stdout.strip())
    assert found == {_hash(fresh_notebook, CELLS)}


def test_a_change_in_a_local_file_counts(notebook, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "counted_module.py"
    file.write_text("import json\nK = 1\n")
    notebook.cell("import counted_module")
    notebook.cell("@env.task\ndef f():\n    return counted_module.K")
    before = notebook.capsule().hash
    file.write_text("import json\nK = 2\n")
    assert notebook.capsule().hash != before
    file.write_text("import json\n\nK = 1 # comment\n")
    assert notebook.capsule().hash == before
    del sys.modules["counted_module"]


def test_the_key_of_a_payload_counts_lines_too(notebook):
    notebook.cell("@env.task\ndef f(): return 1")
    first = notebook.capsule()
    notebook.cell("\n@env.task\ndef f(): return 1")
    second = notebook.capsule()
    assert first.hash == second.hash
    assert first.key != second.key
