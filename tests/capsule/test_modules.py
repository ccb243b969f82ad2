"""Modules: imported where they are there, shipped where they are yours."""

from __future__ import annotations

import os
import sys

import pytest


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder beside the notebook, on ``sys.path``."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write(path, text):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    yield write
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]
    for name in ("mypack", "space", "helpers", "more", "tasks_of_mine"):
        sys.modules.pop(name, None)


def test_a_module_beside_the_notebook_travels(notebook, project, version):
    project("helpers.py", "import more\ndef clean(x):\n    return more.K + x\n")
    project("more.py", "K = 10\n")
    notebook.cell("import helpers")
    notebook.cell("@env.task\ndef f(x):\n    return helpers.clean(x)")
    assert [one.path for one in notebook.capsule().report.files] == ["helpers.py", "more.py"]
    assert notebook.run(1, version=version) == 11


def test_a_package_travels_whole_under_its_own_name(notebook, project):
    project("mypack/__init__.py", "")
    project("mypack/sub/__init__.py", "")
    project("mypack/sub/deep.py", "from ..data import read\nclass C:\n    v = read()\n")
    project(
        "mypack/data.py",
        "import pkgutil\ndef read():\n"
        "    return pkgutil.get_data('mypack', 'words.txt').decode()\n",
    )
    project("mypack/words.txt", "words")
    project("mypack/__pycache__/x.pyc", "")
    notebook.cell("from mypack.sub.deep import C as Deep")
    notebook.cell("@env.task\ndef f():\n    return [Deep.v, Deep.__module__]")
    assert notebook.run(version="3.9") == ["words", "mypack.sub.deep"]
    assert [one.path for one in notebook.capsule().report.files] == [
        "mypack/__init__.py",
        "mypack/data.py",
        "mypack/words.txt",
        "mypack/sub/__init__.py",
        "mypack/sub/deep.py",
    ]


def test_a_folder_without_init_travels(notebook, project):
    project("space/tools.py", "def t(): return 't'\n")
    project("space/data.bin", "x")
    notebook.cell("from space import tools")
    notebook.cell("@env.task\ndef f():\n    return tools.t()")
    assert notebook.run() == "t"
    assert [one.path for one in notebook.capsule().report.files] == ["space/tools.py"]


def test_a_local_module_imported_inside_a_function_travels(notebook, project):
    project("helpers.py", "def clean(x): return x + 1\n")
    notebook.cell("@env.task\ndef f(x):\n    from helpers import clean\n    return clean(x)")
    assert notebook.run(1) == 2


def test_objects_of_a_local_module_travel(notebook, project):
    project(
        "helpers.py",
        "class C:\n    def __init__(self, v): self.v = v\n"
        "def make(n):\n    def add(x): return x + n + K\n    return add\nK = 1\n",
    )
    notebook.cell("from helpers import C, make\nc = C(3)\nadd = make(5)\ntable = [C, make, c]")
    notebook.cell("@env.task\ndef f():\n    return [c.v, add(1), table[0] is C, table[2].v]")
    assert notebook.run(version="3.11") == [3, 7, True, 3]


def test_a_file_that_changed_since_its_import_is_said(notebook, project):
    file = project("helpers.py", "K = 1\ndef clean(x):\n    return x + 1\ndef same(): return 0\n")
    notebook.cell("import helpers")
    notebook.cell("@env.task\ndef f(x):\n    return helpers.clean(x)")
    assert notebook.capsule().report.warnings == ()
    file.write_text("K = 2\ndef clean(x):\n    return x + 2\ndef same(): return 0\n")
    assert notebook.capsule().report.warnings == (
        "helpers.py differs from what was imported: K, clean; the container gets the file as it "
        "is now. Reload the module to have the same here.",
    )
    assert notebook.run(1) == 3


def test_a_value_taken_from_a_local_module_travels_by_value(notebook, project):
    project("helpers.py", "SETTINGS = {'a': 1}\n")
    notebook.cell("from helpers import SETTINGS\nSETTINGS['a'] = 2")
    notebook.cell("@env.task\ndef f():\n    return SETTINGS['a']")
    assert notebook.capsule().report.files == ()
    assert notebook.run() == 2


def test_a_task_of_a_local_module_is_run_by_importing_it(notebook, project):
    project(
        "tasks_of_mine.py",
        "import flyte_jupyter as flyte\n"
        "env = flyte.TaskEnvironment(name='mine')\nother = flyte.TaskEnvironment(name='other')\n"
        "@other.task\ndef child(x): return x\n"
        "@env.task\ndef f(x):\n    return [child(x), flyte.ctx().task]\n",
    )
    import tasks_of_mine

    notebook.names["f"] = tasks_of_mine.f
    capsule = notebook.capsule()
    assert set(capsule.children) == {"mine.f", "other.child"}
    assert notebook.run(3, version="3.9") == [["called", "other.child", 3], ""]


def test_a_task_imported_from_a_local_module_is_only_named(notebook, project):
    project(
        "tasks_of_mine.py",
        "import flyte_jupyter as flyte\n"
        "env = flyte.TaskEnvironment(name='mine')\n@env.task\ndef child(x): return x\n",
    )
    notebook.cell("from tasks_of_mine import child")
    notebook.cell("@env.task\ndef f(x):\n    return child(x)")
    assert notebook.capsule().report.files == ()
    assert notebook.run(3) == ["called", "mine.child", 3]


def test_a_module_of_which_only_tasks_are_called_does_not_travel(notebook, project):
    project(
        "tasks_of_mine.py",
        "import flyte_jupyter as flyte\nenv = flyte.TaskEnvironment(name='mine')\n"
        "@env.task\ndef child(x): return x\n@env.task\ndef other(x): return x\nK = 3\n",
    )
    notebook.cell("import tasks_of_mine")
    notebook.cell(
        "def h(x): return tasks_of_mine.other(x)\n@env.task\ndef f(x):\n"
        "    return tasks_of_mine.child(x), h(x)"
    )
    assert notebook.capsule().report.files == ()
    assert notebook.run(3) == (["called", "mine.child", 3], ["called", "mine.other", 3])
    notebook.cell("def h(x): return tasks_of_mine.K")
    assert [one.path for one in notebook.capsule().report.files] == ["tasks_of_mine.py"]
    assert notebook.run(3) == (["called", "mine.child", 3], 3)


def test_an_installed_package_is_imported_and_named(notebook):
    notebook.cell("import numpy as np")
    notebook.cell("@env.task\ndef f():\n    return float(np.linalg.norm([3, 4]))")
    capsule = notebook.capsule()
    assert capsule.modules == ("numpy",)
    assert [(one.module, one.kind) for one in capsule.report.imports] == [
        ("numpy", "installed"),
        ("numpy.linalg", "installed"),
    ]
    assert notebook.run(site=True) == 5.0


def test_a_package_that_the_image_lacks_is_named_with_the_fix(notebook):
    notebook.cell("import numpy as np")
    notebook.cell("@env.task\ndef f():\n    return np.zeros(1)")
    assert notebook.fail(version="3.9").error == (
        "ModuleLoadError: No module named 'numpy' in the image of this task.\n"
        "Add the package that has it: Image.from_debian_base().with_pip_packages('numpy')."
    )


def test_a_package_that_only_the_image_has_is_no_error(notebook):
    notebook.cell("@env.task\ndef f():\n    import nothing_like_it\n    return 1")
    assert notebook.capsule().modules == ("nothing_like_it",)


def test_a_module_made_at_run_time_is_refused(notebook):
    from flyte_jupyter.errors import CapsuleError

    notebook.cell("import types\nm = types.ModuleType('made')")
    notebook.cell("@env.task\ndef f():\n    return m.x")
    with pytest.raises(CapsuleError, match="f\\(\\) reads 'm', a module made at run time"):
        notebook.capsule()


def test_a_script_is_a_notebook_too(tmp_path):
    import subprocess

    script = tmp_path / "pipeline.py"
    script.write_text(
        "import math\nimport flyte_jupyter as flyte\n"
        "from flyte_jupyter.capsule import build_capsule\n"
        "env = flyte.TaskEnvironment(name='env')\nclass C:\n    v = 2\n"
        "def h(x):\n    return math.sqrt(x) * C.v\n@env.task\ndef f(x: int):\n    return h(x)\n"
        "if __name__ == '__main__':\n    c = build_capsule(f)\n"
        "    symbols = [(s.name, s.kind, s.origin) for s in c.report.symbols]\n"
        "    print(c.python, c.report.warnings, symbols)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout == (
        "PythonNeed(minimum=None, exact=None, why='') () [('C', 'class', 'pipeline.py:5'), "
        "('h', 'function', 'pipeline.py:7'), ('f', 'function', 'pipeline.py:9')]\n"
    ), done.stderr
