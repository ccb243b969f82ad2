"""Cells of a real IPython shell."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys
from traitlets.config import Config
if "ipykernel" in sys.argv:
    from ipykernel.compiler import XCachingCompiler as Compiler
else:
    from IPython.core.compilerop import CachingCompiler as Compiler
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.compiler_class = Compiler
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)
from flyte_jupyter.capsule import build_capsule, explain
"""

CELLS = [
    "import flyte_jupyter as flyte\nenv = flyte.TaskEnvironment(name='env')",
    "from dataclasses import dataclass\n@dataclass\nclass C:\n    x: int = 1",
    "def g(x):\n    return x + C().x",
    "h = lambda x: g(x)\n1 + 1\nimport asyncio\nawait asyncio.sleep(0)\nh(1)",
    "@env.task\ndef f(x):\n    return h(x)",
]


def _session(more, *flags):
    program = PROGRAM + "".join(
        f"assert shell.run_cell({cell!r}, store_history=True).success\n" for cell in CELLS
    )
    done = subprocess.run(
        [sys.executable, "-c", program + more, *flags], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


SYMBOLS = """
capsule = build_capsule(shell.user_ns["f"])
print(json.dumps([[(s.name, s.kind, s.origin) for s in capsule.report.symbols],
                  [s["file"] for s in capsule.payload["sources"]], capsule.report.warnings]))
"""


def test_symbols_are_found_in_their_cells():
    for flags in ((), ("ipykernel",)):
        symbols, files, warnings = _session(SYMBOLS, *flags)
        assert symbols == [
            ["C", "class", "Cell In[2]:2"],
            ["g", "function", "Cell In[3]:1"],
            ["h", "function", "Cell In[4]:1"],
            ["f", "function", "Cell In[5]:1"],
        ]
        assert files == ["Cell In[5]", "Cell In[4]", "Cell In[3]", "Cell In[2]"]
        assert warnings == []


def test_a_class_of_a_cell_that_was_run_again_is_the_present_one():
    again = (
        "shell.run_cell('from dataclasses import dataclass\\n@dataclass\\n"
        "class C:\\n    x: int = 2', store_history=True)\n" + SYMBOLS
    )
    symbols, _, _ = _session(again, "ipykernel")
    assert symbols[0] == ["C", "class", "Cell In[6]:2"]


def test_the_shell_is_refused_with_the_way_out():
    more = """
shell.run_cell("@env.task\\ndef k():\\n    files = !ls\\n    return files", store_history=True)
print(json.dumps(str(explain(shell.user_ns["k"]).errors[0])))
"""
    assert _session(more, "ipykernel") == (
        "k() reads 'get_ipython', an IPython.core.interactiveshell.InteractiveShell, "
        "which is the IPython shell and cannot be sent "
        "(Cell In[6], line 3).\nMagics, '!' commands and the shell exist only in the notebook: "
        "use subprocess, or a plain function, inside the task."
    )


def test_a_function_beside_the_import_of_what_it_calls_travels_as_source():
    cell = "import socket\n@env.task\ndef f(x):\n    return socket.gethostname()"
    more = f"assert shell.run_cell({cell!r}, store_history=True).success\n"
    symbols, _, warnings = _session(more + SYMBOLS)
    assert symbols == [["f", "function", "Cell In[6]:2"]]
    assert warnings == []


def test_the_open_of_a_notebook_is_the_built_in_one():
    more = """
shell.run_cell("@env.task\\ndef k():\\n    return open('/etc/hostname')", store_history=True)
capsule = build_capsule(shell.user_ns["k"])
shipped = repr(capsule.payload)
print(json.dumps([[s.name for s in capsule.report.symbols], "interactiveshell" in shipped]))
"""
    assert _session(more, "ipykernel") == [["k"], False]
