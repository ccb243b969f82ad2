"""After the journey an error still shows the cell, the line and its text."""

from __future__ import annotations


def test_a_traceback_shows_cells_lines_and_source(notebook, version):
    notebook.cell("# a comment\n\ndef h(x):\n    y = 1\n    return y / x")
    notebook.cell("\n@env.task\ndef f(x):\n    '''doc'''\n    return [h(v) for v in [x]]")
    shown = notebook.fail(0, version=version).traceback
    assert 'File "<cell 2>", line 5, in f\n    return [h(v) for v in [x]]' in shown
    assert 'File "<cell 1>", line 5, in h\n    return y / x' in shown


def test_lambdas_methods_and_decorated_functions_keep_their_lines(notebook):
    notebook.cell(
        "import functools\n\nclass C:\n    def m(self): return g()\n\n"
        "def deco(f):\n    @functools.wraps(f)\n    def inner():\n        return f()\n"
        "    return inner\n@deco\ndef g():\n    return (lambda:\n            1 / 0)()"
    )
    notebook.cell("@env.task\ndef f():\n    return C().m()")
    shown = notebook.fail(version="3.9").traceback
    for place in (
        "line 4, in m\n    def m(self): return g()",
        "line 9, in inner\n    return f()",
        "line 13, in g\n    return (lambda:",
        "line 14, in <lambda>\n    1 / 0)()",
    ):
        assert f'File "<cell 1>", {place}' in shown


def test_the_source_of_a_shipped_function_can_be_inspected(notebook):
    notebook.cell("def h(x):\n    return x\nclass C:\n    def m(self):\n        return 1")
    notebook.cell(
        "@env.task\ndef f():\n    import inspect\n"
        "    return [inspect.getsource(h), inspect.getsource(C.m)]"
    )
    assert notebook.run(version="3.9") == [
        "def h(x):\n    return x\n",
        "    def m(self):\n        return 1\n",
    ]
