import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import yaml

from flyte_jupyter.cli import main
from flyte_jupyter.notebook.playing import play_notebook

TASKS = """
import enum
from dataclasses import dataclass
import flyte

class Size(enum.Enum):
    SMALL = 1
    LARGE = 2

@dataclass
class Config:
    rate: float
    steps: int = 2

env = flyte.TaskEnvironment("ml")

@env.task
def train(config: Config, size: Size = Size.SMALL, deep: bool = False) -> str:
    print("training")
    return f"{config.rate * config.steps} {size.name} {deep}"

@env.task
def fail():
    raise ValueError("bad")

@env.task
def stay(path: str):
    import os, time
    with open(path, "w") as stream:
        stream.write(str(os.getpid()))
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cli_tasks.py").write_text(TASKS)
    cells = [
        nbformat.v4.new_code_cell(source)
        for source in (
            "%load_ext flyte_jupyter",
            "FACTOR = 3",
            "%%flyte_env ml\ndef scale(x: int) -> int:\n    return x * FACTOR\n",
            "%flyte_run scale(1)\nraise SystemExit",
        )
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "story.ipynb")
    return tmp_path


def command(folder: Path, *words: str) -> list[str]:
    code = "import sys; from flyte_jupyter.cli import main; sys.exit(main())"
    return [sys.executable, "-c", code, *words]


def run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FLYTE_JUPYTER_HOME": str(folder / "home"), **variables}
    return subprocess.run(
        command(folder, *words),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_task_of_a_file_runs_with_typed_inputs(folder: Path) -> None:
    done = run(
        folder,
        "run",
        "cli_tasks.py",
        "train",
        "--config",
        '{"rate": 1.5}',
        "--size",
        "LARGE",
        "--deep",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "training\n3.0 LARGE True\n"
    assert "ml.train: running" in done.stderr


def test_a_task_of_a_notebook_runs_without_running_the_notebook(folder: Path) -> None:
    done = run(
        folder, "run", "story.ipynb", "scale", "--x", "5", "--task_queue", "q", "--on", "local"
    )
    assert (done.returncode, done.stdout) == (0, "15\n"), done.stderr


def test_a_failing_task_is_status_one_and_shows_the_users_lines(folder: Path) -> None:
    done = run(folder, "run", "cli_tasks.py", "fail")
    assert done.returncode == 1
    assert 'raise ValueError("bad")' in done.stderr
    assert "ValueError: bad" in done.stderr
    assert "flyte_jupyter/" not in done.stderr


def test_an_interrupt_ends_the_run(folder: Path) -> None:
    path = folder / "pid"
    environment = {**os.environ, "FLYTE_JUPYTER_HOME": str(folder / "home")}
    with subprocess.Popen(
        command(folder, "run", "cli_tasks.py", "stay", "--path", str(path)),
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: path.exists() and path.read_text())
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted: the run was aborted" in stderr
    wait_until(lambda: not Path("/proc", path.read_text()).exists())


def wait_until(true, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rnu"], "there is no command 'rnu'; did you mean 'run'?"),
        (["run"], "run needs the name of a task"),
        (["run", "train"], "'train' is no file"),
        (["demo", "--labb"], "demo takes --lab, not '--labb'"),
        (["doctor", "x"], "doctor takes no 'x'"),
        (["ps", "x"], "ps takes no 'x'"),
        (["logs", "--tial", "3"], "there is no option '--tial'; did you mean '--tail'?"),
    ],
)
def test_wrong_usage_is_status_two_and_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith(f"flyte-jupyter: {sentence}")


def test_what_a_run_wrote_can_be_read_afterwards(folder: Path) -> None:
    assert run(folder, "run", "cli_tasks.py", "train", "--config", '{"rate": 1}').returncode == 0
    done = run(folder, "logs", "train", "--tail", "3")
    assert done.returncode == 0, done.stderr
    assert "· ml.train on local · succeeded ·" in done.stdout
    assert "peak memory" in done.stdout
    assert done.stdout.endswith("\ntraining\n")
    done = run(folder, "logs", "trian")
    assert done.returncode == 1
    assert "there is no run and no task 'trian'; did you mean 'train'?" in done.stderr


def test_what_is_left_over_can_be_listed_and_removed(folder: Path) -> None:
    (folder / "tmp").mkdir()
    environment = {"TMPDIR": str(folder / "tmp")}
    make = "from flyte_jupyter.store.scratch import scratch_folder; print(scratch_folder())"
    made = subprocess.run(
        [sys.executable, "-c", make],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert made in run(folder, "ps", **environment).stdout
    done = run(folder, "clean", made, **environment)
    assert done.stdout.startswith("1 thing removed:"), done.stderr
    assert not Path(made).exists()
    done = run(folder, "images")
    assert done.returncode == 0, done.stderr


def test_help_names_the_commands_and_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("run", "doctor", "demo", "--task-queue", "--on"))
    assert all(f"\n{word} " in text for word in ("logs", "ps", "clean", "images"))
    assert main([]) == 2
    for word, option in (("logs", "--tail LINES"), ("clean", "--dry-run")):
        capsys.readouterr()
        assert main([word, "--help"]) == 0
        assert option in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    from flyte_jupyter import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"flyte-jupyter {__version__}\n"


def test_doctor_says_in_sentences_what_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        "✓ local: every task runs in a process of its own; packages are installed by uv." in lines
    )
    assert all(any(name in line for line in lines) for name in ("docker: ", "kubernetes: "))


def test_a_notebook_is_played_with_its_text_code_and_outputs(tmp_path: Path) -> None:
    new = nbformat.v4
    cells = [
        new.new_markdown_cell("# A story\nwith text"),
        new.new_code_cell("print('printed')\n1 + 1"),
        new.new_code_cell("1/0", metadata={"tags": ["raises-exception"]}),
        new.new_code_cell("'after'"),
    ]
    nbformat.write(new.new_notebook(cells=cells), tmp_path / "a.ipynb")
    out = io.StringIO()
    assert play_notebook(tmp_path / "a.ipynb", out)
    text = out.getvalue()
    assert text.startswith(
        "A story\n───────\nwith text\n\n│ print('printed')\n│ 1 + 1\n\n  printed\n  2\n"
    )
    assert "ZeroDivisionError: division by zero" in text
    assert text.endswith("│ 'after'\n\n  'after'\n\n")


def test_a_notebook_that_fails_stops_there(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell("1/0"), nbformat.v4.new_code_cell("print('never')")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    out = io.StringIO()
    assert not play_notebook(tmp_path / "a.ipynb", out)
    assert "never" not in out.getvalue()
    assert out.getvalue().endswith("The notebook stopped here.\n\n")


def test_the_least_role_is_printed_for_a_namespace_and_whoever_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--namespace", "team", "--account", "hub:robot", "--user", "me@example.org", "--nodes"]
    assert main(["rbac", *words]) == 0
    objects = [one for one in yaml.safe_load_all(capsys.readouterr().out) if one]
    kinds = ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"]
    assert [one["kind"] for one in objects] == kinds
    assert [one["metadata"].get("namespace") for one in objects] == ["team", "team", None, None]
    robot, me = objects[1]["subjects"]
    assert robot == {"kind": "ServiceAccount", "name": "robot", "namespace": "hub"}
    assert (me["kind"], me["name"]) == ("User", "me@example.org")
    pods = next(rule for rule in objects[0]["rules"] if rule["resources"] == ["pods"])
    assert "create" in pods["verbs"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--namespace", "Bad_Name"], "--namespace 'Bad_Name' is no name of Kubernetes"),
        (["--namespace", "a", "--account", "a:b:c"], "names no service account"),
        (["--namespace", "a", "--acount", "b"], "did you mean '--account'?"),
        ([], "Name it: flyte-jupyter rbac --namespace NAME."),
    ],
)
def test_a_role_that_cannot_be_is_not_printed(
    words: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert main(["rbac", *words]) != 0
    told = capsys.readouterr()
    assert sentence in told.err
    assert told.out == ""


def test_options_of_a_cluster_are_for_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--context", "prod"]) == 2
    assert "say --on kubernetes" in capsys.readouterr().err
    assert main(["doctor", "--on", "kubernets"]) == 1
    assert "did you mean 'kubernetes'?" in capsys.readouterr().err
