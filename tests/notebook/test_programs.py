import sys
from pathlib import Path

import nbformat
import pytest

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.errors import NotFoundError
from flyte_jupyter.notebook.programs import load_declarations, load_task
from flyte_jupyter.notebook.usage import MagicUsageError


@pytest.fixture
def notebook(tmp_path: Path):
    """Writes a notebook of the given cells."""

    def write(*sources: str) -> str:
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        path = tmp_path / "story.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return str(path)

    return write


@pytest.fixture(autouse=True)
def _path_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_only_what_the_task_needs_is_executed(notebook, session_catalog: Catalog) -> None:
    path = notebook(
        "%load_ext flyte_jupyter\nimport flyte_jupyter as flyte",
        "raise SystemExit('a cell that nobody needs was executed')",
        "LIMIT = 3\nprint('not printed')\nLIMIT += 1",
        "# the helper\ndef helper(x):\n    return x * LIMIT",
        "env = flyte.TaskEnvironment('ml')\nother = flyte.TaskEnvironment('base')",
        "env.add_dependency(other)",
        "@env.task\ndef train(x: int) -> int:\n    return helper(x)",
        "result = %flyte_run train(3)",
        "train",
    )
    task = load_task(path, "train", session_catalog)
    assert task.name == "ml.train"
    assert task(2) == 8
    assert task.environment.depends_on[0].name == "base"


def test_a_cell_of_an_environment_is_executed_as_a_whole(notebook, session_catalog, capsys) -> None:
    path = notebook(
        "K = 2",
        "# comment\n%%flyte_env ml --cpu 2\ndef helper(x): return x * K\n"
        "def train(x): return helper(x)\n",
    )
    task = load_task(path, "ml.train", session_catalog)
    assert task(3) == 6
    assert task.environment.resources.cpu_request == 2000
    assert task.func.__code__.co_firstlineno == 4
    assert capsys.readouterr().out == ""


def test_a_function_sees_the_last_meaning_of_a_name(notebook, session_catalog) -> None:
    path = notebook(
        "def helper(): return 'old'",
        "%%flyte_env ml\ndef train(): return helper()\n",
        "def helper(): return 'new'",
    )
    assert load_task(path, "train", session_catalog)() == "new"


def test_a_name_inside_a_function_is_no_name_of_the_notebook(notebook, session_catalog) -> None:
    path = notebook(
        "import flyte_jupyter as flyte\nenv = flyte.TaskEnvironment('ml')",
        "@env.task\n"
        "def nearest(x: int) -> int:\n"
        "    one = 1\n"
        "    return min([1, 2], key=lambda name: abs(name - x - one))",
        "one = %flyte_run nearest(1)\n[name for name in [one]]",
        "run = %flyte_run nearest(1)\nnames = [name for name in run]",
    )
    assert load_task(path, "nearest", session_catalog)(0) == 1


def test_a_cell_that_is_meant_to_fail_declares_nothing(notebook, session_catalog, tmp_path) -> None:
    path = notebook(
        "import flyte_jupyter as flyte\n"
        "base = flyte.TaskEnvironment('base')\n"
        "api = flyte.TaskEnvironment('api', depends_on=[base])",
        "base.add_dependency(api)",
    )
    story = nbformat.read(path, as_version=4)
    story.cells[1].metadata["tags"] = ["raises-exception"]
    nbformat.write(story, path)
    load_declarations(path, session_catalog)
    assert list(session_catalog.environments) == ["base", "api"]


def test_a_value_that_a_magic_made_is_refused_with_a_sentence(notebook, session_catalog) -> None:
    path = notebook(
        "files = !ls",
        "%%flyte_env ml\ndef train(): return files\n",
    )
    with pytest.raises(MagicUsageError) as caught:
        load_task(path, "train", session_catalog)
    assert caught.value.sentence == (
        "cell 1 of story.ipynb makes files with a magic, which is not run here"
    )


def test_a_module_is_imported_under_its_own_name(
    tmp_path: Path, session_catalog, monkeypatch
) -> None:
    (tmp_path / "tasks_of_a_test.py").write_text(
        "import flyte_jupyter as flyte\n"
        "env = flyte.TaskEnvironment('ml')\n"
        "@env.task\ndef train(x: int) -> int: return x + 1\n"
    )
    task = load_task(str(tmp_path / "tasks_of_a_test.py"), "train", session_catalog)
    assert task(1) == 2
    assert task.func.__module__ == "tasks_of_a_test"
    del sys.modules["tasks_of_a_test"]


def test_a_task_that_is_not_there_gets_a_suggestion(notebook, session_catalog) -> None:
    path = notebook("%%flyte_env ml\ndef train(): ...\n")
    with pytest.raises(NotFoundError) as caught:
        load_task(path, "trian", session_catalog)
    assert caught.value.sentence == "story.ipynb has no task 'trian'; did you mean 'train'?"


def test_what_is_no_program_is_refused(tmp_path: Path, session_catalog) -> None:
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "b.ipynb").write_text("nothing")
    with pytest.raises(MagicUsageError, match=r"neither a \.py file nor a notebook"):
        load_task(str(tmp_path / "a.txt"), "f", session_catalog)
    with pytest.raises(MagicUsageError, match="is no notebook"):
        load_task(str(tmp_path / "b.ipynb"), "f", session_catalog)


def test_a_declaration_of_a_notebook_names_its_file(notebook, session_catalog: Catalog) -> None:
    path = notebook(
        "import flyte_jupyter as flyte",
        "\nenv = flyte.TaskEnvironment('named')\n@env.task\ndef work(): ...",
    )
    task = load_task(path, "work", session_catalog)
    assert task.environment is not None
    assert task.environment.origin.label == "story.ipynb, cell 2, line 2"
    assert task.origin is not None
    assert task.origin.label == "story.ipynb, cell 2, line 3"
