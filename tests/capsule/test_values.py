"""Values that a task reads, and those that cannot be sent."""

from __future__ import annotations

import pytest

from flyte_jupyter.errors import CapsuleError

UNSENDABLE = [
    pytest.param(
        "import tempfile\nK = tempfile.TemporaryFile('w')",
        "an _io.TextIOWrapper",
        "an open file",
        id="file",
    ),
    pytest.param("import threading\nK = threading.Lock()", "a _thread.lock", "a lock", id="lock"),
    pytest.param(
        "import threading\nK = threading.RLock()", "a _thread.RLock", "a lock", id="rlock"
    ),
    pytest.param(
        "import threading\nK = threading.Event()", "a threading.Event", "an event", id="event"
    ),
    pytest.param(
        "import threading\nK = threading.Thread()", "a threading.Thread", "a thread", id="thread"
    ),
    pytest.param(
        "import socket\nK = socket.socket()", "a socket.socket", "an open socket", id="socket"
    ),
    pytest.param(
        "import sqlite3\nK = sqlite3.connect(':memory:')",
        "a sqlite3.Connection",
        "an open database connection",
        id="database",
    ),
    pytest.param("K = (x for x in 'ab')", "a generator", "a generator", id="a generator"),
    pytest.param(
        "from concurrent.futures import ThreadPoolExecutor\nK = ThreadPoolExecutor()",
        "a concurrent.futures.thread.ThreadPoolExecutor",
        "a pool of workers",
        id="pool",
    ),
    pytest.param(
        "import asyncio\nK = asyncio.new_event_loop()",
        "an asyncio.unix_events._UnixSelectorEventLoop",
        "an event loop",
        id="loop",
    ),
]


@pytest.mark.parametrize(("cell", "kind", "words"), UNSENDABLE)
def test_what_cannot_be_sent_is_named_with_its_reader(notebook, cell, kind, words):
    notebook.cell(cell)
    notebook.cell("@env.task\ndef f():\n    x = 1\n    return K")
    with pytest.raises(CapsuleError) as caught:
        notebook.capsule()
    assert caught.value.sentence == (
        f"f() reads 'K', {kind}, which is {words} and cannot be sent (<cell 2>, line 4)."
    )
    assert caught.value.remedy
    if hasattr(notebook.names["K"], "close"):
        notebook.names["K"].close()


def test_an_object_around_something_unsendable_says_why(notebook):
    notebook.cell(
        "import threading\nclass Store:\n    def __init__(self): self.lock = threading.Lock()"
    )
    notebook.cell("store = Store()")
    notebook.cell("@env.task\ndef f():\n    return store.x")
    with pytest.raises(
        CapsuleError,
        match=r"f\(\) reads 'store', a __main__.Store that cannot be "
        r"sent \(<cell 3>, line 3\)",
    ) as caught:
        notebook.capsule()
    assert "lock" in str(caught.value)
    assert caught.value.remedy == (
        "Make it inside the task, or pass what it is made from as an input."
    )


def test_the_reader_that_is_named_is_the_helper(notebook):
    notebook.cell("handle = open('/dev/null')\ndef h():\n    return handle.read()")
    notebook.cell("@env.task\ndef f():\n    return h()")
    with pytest.raises(CapsuleError, match=r"h\(\) reads 'handle'.*\(<cell 1>, line 3\)"):
        notebook.capsule()
    notebook.names["handle"].close()


def test_the_size_of_a_value_is_reported(notebook):
    np = pytest.importorskip("numpy")
    notebook.names["grid"] = np.zeros((1000, 1000))
    notebook.cell("@env.task\ndef f():\n    return float(grid.sum())")
    (grid,) = [one for one in notebook.capsule().report.symbols if one.name == "grid"]
    assert (grid.kind, grid.note, grid.bytes >= 8_000_000) == ("value", "ndarray", True)
    assert notebook.run(site=True) == 0.0


def test_two_names_of_one_list_stay_one_list(notebook):
    notebook.cell("a = [1]\nb = a")
    notebook.cell("@env.task\ndef f():\n    a.append(2)\n    return b")
    assert notebook.run() == [1, 2]


def test_declarations_travel_as_values(notebook):
    notebook.cell(
        "from flyte_jupyter.spec import Resources\nimport flyte_jupyter as flyte\n"
        "small = Resources(cpu=1, memory='1Gi')"
    )
    notebook.cell(
        "@env.task\ndef f():\n    return [small == Resources(cpu=1, memory='1Gi'),\n"
        "        flyte.ctx().task, flyte.errors.SpecError.__name__]"
    )
    assert notebook.run(version="3.9") == [True, "", "SpecError"]


def test_code_without_source_goes_by_cloudpickle_and_says_so(notebook):
    exec("def h(x):\n    return x + K\nK = 1", notebook.names)
    notebook.cell("@env.task\ndef f(x):\n    return h(x)")
    capsule = notebook.capsule()
    assert notebook.run(1, version="3.11") == 2
    assert capsule.python.exact == (3, 11)
    assert capsule.python.refusal((3, 12)) == (
        "h (it has no source) travels as bytecode and needs Python 3.11, not 3.12"
    )
    assert capsule.report.warnings == (
        "'h' travels as bytecode, because it has no source: its container needs Python 3.11.",
    )


def test_code_without_source_is_refused_by_another_python(notebook):
    exec("def h(x):\n    return x", notebook.names)
    notebook.cell("@env.task\ndef f(x):\n    return h(x)")
    assert notebook.fail(1, version="3.9").error == (
        "CapsuleError: h (it has no source) travels as bytecode of Python 3.11, and this is "
        "Python 3.9.\nUse an image with Python 3.11, or write it as a function in a cell."
    )
