"""What would be shipped, said before anything runs."""

from __future__ import annotations

import dataclasses

from flyte_jupyter.capsule import explain


def test_an_explanation_reads_as_a_page(notebook):
    notebook.cell("import math\nK = 3\nlog = []")
    notebook.cell("@env.task\ndef child(x): return x")
    notebook.cell("def h(x):\n    log.append(x)\n    return math.sqrt(x) * K")
    notebook.cell(
        "@env.task\ndef f(x):\n    import pandas\n    match x:\n        case _: return h(child(x))"
    )
    found = explain(notebook.names["f"])
    assert found.ok
    head, *rest = str(found).split("\n")
    assert head == f"env.f: {found.bytes / 1024:.1f} KiB, {found.hash[:12]}"
    assert rest == [
        "  mind",
        "    h() changes the global value 'log' (<cell 3>, line 2); the change stays in the "
        "container: return it instead.",
        "  ships",
        "    log  value (list)  <cell 3>, line 2  2 B",
        "    K    value (int)   <cell 3>, line 3  4 B",
        "    h    function      <cell 3>:1        56 B",
        "    f    function      <cell 4>:1        86 B",
        "  imports",
        "    math    Python  h",
        "    pandas  image   f",
        "  calls",
        "    env.child",
        "  python",
        "    3.10 or newer: a match statement in f() (<cell 4>, line 1)",
    ]


def test_everything_that_is_wrong_is_said_at_once(notebook):
    notebook.cell("import threading\na = threading.Lock()\nb = open('/dev/null')")
    notebook.cell("def h():\n    return b\n@env.task\ndef f():\n    return a, h()")
    found = explain(notebook.names["f"])
    notebook.names["b"].close()
    assert not found.ok
    assert len(found.errors) == 2
    assert "env.f: cannot be shipped\n  wrong\n" in str(found)
    assert "f() reads 'a', a _thread.lock, which is a lock" in str(found)
    assert "h() reads 'b', an _io.TextIOWrapper, which is an open file" in str(found)


def test_others_can_add_their_sections(notebook):
    notebook.cell("@env.task\ndef f(): return 1")
    found = dataclasses.replace(
        explain(notebook.names["f"]), sections=(("target", ("local, 2 cores",)),)
    )
    assert str(found).endswith("  target\n    local, 2 cores")
