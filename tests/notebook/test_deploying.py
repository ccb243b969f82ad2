"""``%flyte_deploy`` and its kin, and the same verbs in a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

import flyte_jupyter as flyte
from flyte_jupyter.cli import main
from flyte_jupyter.notebook.complete import candidates
from flyte_jupyter.session import session


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The notebook's folder, with a state of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    flyte.init(state=tmp_path / "state", project=str(folder))
    yield folder
    flyte.shut_down()


DECLARED = """
import flyte_jupyter as flyte
below = flyte.TaskEnvironment("below")
above = flyte.TaskEnvironment("above-it", depends_on=[below])
beside = flyte.TaskEnvironment("beside")

@above.task
def work(x: int) -> int:
    return x
"""


def lines(table: Any) -> list[list[str]]:
    return [line.split() for line in repr(table).splitlines()]


def test_what_is_named_is_deployed_with_what_it_depends_on(cell: Any) -> None:
    cell(DECLARED)
    for words in ("above", "above-it", "{above}"):  # the variable, the name, the object
        assert list(cell(f"%flyte_deploy {words} --dry-run").result.environments) == [
            "below",
            "above-it",
        ]
    dry = repr(cell("%flyte_deploy --dry-run").result)
    assert "(dry run): 3 to deploy" in dry
    assert repr(cell("%flyte_deployments").result).startswith("Nothing is deployed in this project")
    assert cell("%flyte_deploy above").result.ok
    assert [row[0] for row in lines(cell("%flyte_deployments").result)[1:]] == ["above-it", "below"]


def test_what_changed_since_is_told_and_an_earlier_version_comes_back(cell: Any) -> None:
    cell(DECLARED)
    cell("%flyte_deploy --version one")
    cell("@above.task\ndef work(x: int) -> int:\n    return x + 1\n")
    listed = repr(cell("%flyte_deployments above-it").result)
    assert "△ changed" in listed
    assert "above-it: changed since deployed: task work (a cell, line 1)" in listed
    deployment = cell("%flyte_deploy --version two").result
    assert [one.name for one in deployment.environments.values() if one.changes] == ["above-it"]
    assert "✓ deployed" in repr(cell("%flyte_deployments above-it").result)
    table = cell("%flyte_rollback above-it").result
    assert table.title == "above-it is at version one."
    assert [row[:2] for row in table.rows] == [("one", "yes"), ("two", "")]
    listed = repr(cell("%flyte_deployments above-it --versions").result)
    assert "one (+1)" in listed
    gone = repr(cell("%flyte_undeploy below").result)
    assert "above-it came after" in gone
    assert "'below' is not deployed" in str(cell("%flyte_rollback below").error)


def test_a_failure_is_raised_as_one_error_and_the_rest_is_deployed(cell: Any) -> None:
    cell(DECLARED)
    cell("import threading\nlock = threading.Lock()")
    cell("@below.task\ndef bad() -> bool:\n    return lock.locked()\n")
    error = cell("%flyte_deploy").error
    assert isinstance(error, flyte.errors.DeploymentError)
    assert "below could not be deployed, and 1 that come after were not tried." in str(error)
    assert "above-it: below failed" in str(error)
    assert error.deployment["beside"].ok


def test_a_deployment_is_a_table_in_the_notebook(cell: Any, shell: Any) -> None:
    cell(DECLARED)
    deployment = cell("%flyte_deploy").result
    html = shell.display_formatter.formatters["text/html"](deployment)
    assert "<table>" in html
    assert "above-it" in html
    assert " ms" not in html  # nobody watches: what differs each time is left out


def test_somebody_who_watches_sees_it_go_on(cell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYTE_JUPYTER_INTERACTIVE", "1")
    cell(DECLARED)
    shown: list[Any] = []

    class Handle:
        def update(self, bundle: Any, raw: bool) -> None:
            shown.append(bundle)

    def display(bundle: Any, **_: Any) -> Handle:
        shown.append(bundle)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    cell("%flyte_deploy above")
    assert "waiting" in shown[0]["text/plain"]
    assert "waiting" not in shown[-1]["text/plain"]
    assert {"text/plain", "text/html"} <= set(shown[-1])


def test_wrong_lines_are_said_in_one_sentence(cell: Any) -> None:
    cell(DECLARED)
    for line, sentence in {
        "%flyte_deploy abov": "no environment is named 'abov'; did you mean 'above-it'?",
        "%flyte_deploy --dryrun": "--dryrun",
        "%flyte_rollback": "rollback takes the name of one environment",
        "%flyte_undeploy": "undeploy takes the names of the environments",
        "%flyte_deployments nothing": "'nothing' is not deployed",
        "%flyte_deploy --on locl": "There is no target 'locl'; did you mean 'local'?",
    }.items():
        assert sentence in str(cell(line).error), line


def test_names_are_completed(cell: Any, session_catalog: Any) -> None:
    cell(DECLARED)
    found = candidates("%flyte_deploy ab", session_catalog)
    assert found is not None
    assert [each.text for each in found.candidates] == ["above-it"]
    found = candidates("%flyte_deploy --dr", session_catalog)
    assert found is not None
    assert [each.text for each in found.candidates] == ["--dry-run"]


@pytest.fixture
def story(folder: Path) -> Path:
    """A notebook that declares, and does other things."""
    cells = [
        nbformat.v4.new_code_cell(source)
        for source in (
            "%load_ext flyte_jupyter\nimport flyte",
            "raise SystemExit('a cell that nobody needs was executed')",
            "FACTOR = 3",
            "base_env = flyte.TaskEnvironment(name='base')",
            "%%flyte_env ml\ndef scale(x: int) -> int:\n    return x * FACTOR\n",
            "ml.add_dependency(base_env)",
            "@base_env.task\ndef both(x: int) -> int:\n    return scale(x) + scale(x)",
            "both(1)",
        )
    ]
    path = folder / "story.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_terminal_deploys_what_a_notebook_declares(
    story: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], session_catalog: Any
) -> None:
    os.chdir(tmp_path)
    assert main(["deploy", str(story)]) == 0
    said = capsys.readouterr()
    assert [line.split(":")[1].strip() for line in said.err.splitlines() if "wave" in line] == [
        "base",
        "base",
        "ml",
        "ml",
    ]
    assert "Deployment" in said.out
    assert main(["deploy", str(story), "base", "--dry-run"]) == 0
    assert "1 unchanged" in capsys.readouterr().out
    assert session.config().project == str(story.parent)
    assert main(["deployments"]) == 0
    assert "story.ipynb" in capsys.readouterr().out
    assert main(["deploy", "ml"]) == 2
    assert "deploy takes a notebook or a .py file" in capsys.readouterr().err
    assert main(["undeploy", "base", "ml"]) == 0


def test_a_file_with_two_environments_of_one_name_is_refused_with_both_places(
    folder: Path, capsys: pytest.CaptureFixture[str], session_catalog: Any
) -> None:
    (folder / "twins_file.py").write_text(
        "import flyte\n"
        "first = flyte.TaskEnvironment('twins')\n"
        "again = flyte.TaskEnvironment('twins')\n"
        "other = flyte.TaskEnvironment('twins', description='another')\n"
    )
    assert main(["deploy", "twins_file.py"]) == 1
    said = capsys.readouterr().err
    assert "two different environments are named 'twins'" in said
    assert "twins_file.py:2" in said
    assert "twins_file.py:4" in said


def test_what_a_terminal_deployed_runs_by_name(story: Path) -> None:
    program = "import sys; from flyte_jupyter.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "deploy", str(story)]
    environ = {**os.environ, "FLYTE_JUPYTER_HOME": str(story.parent / "home")}
    subprocess.run(command, check=True, env=environ, capture_output=True)
    flyte.init(state=story.parent / "home" / "state")
    both = flyte.reference_task("base.both")
    assert flyte.run(both, 2).outputs() == (12,)
