"""What a task finds around it: its variables, folder and secrets, and nothing of the kernel's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte


def test_a_task_sees_its_own_variables_and_none_of_the_kernels(
    cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the kernel")
    monkeypatch.setenv("ORDINARY", "of the kernel")
    book = cell("""
        import os
        own = flyte.TaskEnvironment(name="own", env_vars={"GREETING": "hello"})

        @own.task
        def variables() -> dict:
            return dict(os.environ)
    """)
    (found,) = flyte.run(book.variables).outputs()
    assert found["GREETING"] == "hello"
    assert found["PATH"] == os.environ["PATH"]
    assert not {"AWS_SECRET_ACCESS_KEY", "ORDINARY", "FLYTE_JUPYTER_HOME"} & set(found)
    assert not [name for name in found if "FLYTE" in name]


def test_variables_are_there_before_the_first_import(cell: Any) -> None:
    book = cell("""
        import calendar, time
        away = flyte.TaskEnvironment(name="away", env_vars={"TZ": "Asia/Tokyo"})

        @away.task
        def offset() -> int:
            return -time.timezone // 3600
    """)
    assert flyte.run(book.offset).outputs() == (9,)


def test_variables_that_python_reads_when_it_starts_are_honoured(cell: Any) -> None:
    book = cell("""
        import os, sys
        odd = flyte.TaskEnvironment(
            name="odd",
            env_vars={
                "PYTHONHASHSEED": "7",
                "PYTHONPATH": "/nowhere",
                "PYTHONWARNINGS": "ignore",
                "LD_DEBUG_OUTPUT": "/dev/null",
            },
        )

        @odd.task
        def start() -> list:
            import subprocess
            code = "print(hash('x'))"
            other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            return [
                "/nowhere" in sys.path,
                sys.warnoptions,
                hash("x") == int(other.stdout),
                os.environ["LD_DEBUG_OUTPUT"],
            ]
    """)
    assert flyte.run(book.start).outputs()[0] == [True, ["ignore"], True, "/dev/null"]


def test_the_working_folder_is_empty_writable_and_gone_afterwards(
    cell: Any, until: Callable[..., None]
) -> None:
    book = cell("""
        import os

        @env.task
        def folder() -> list:
            before = os.listdir()
            os.mkdir("below")
            with open("below/file", "w") as file:
                file.write("x")
            return [os.getcwd(), before]
    """)
    ((first, before),) = flyte.run(book.folder).outputs()
    ((second, _),) = flyte.run(book.folder).outputs()
    assert before == []
    assert first != second
    until(lambda: not os.path.exists(first) and not os.path.exists(second), 3)


def test_standard_input_is_empty_and_input_fails_with_a_sentence(cell: Any) -> None:
    book = cell("""
        import sys

        @env.task
        def read() -> str:
            return sys.stdin.read()

        @env.task
        def ask() -> str:
            return input("name? ")
    """)
    assert flyte.run(book.read).outputs() == ("",)
    run = flyte.run(book.ask)
    with pytest.raises(EOFError) as caught:
        run.outputs()
    assert "a task has no keyboard" in str(caught.value)
    assert run.logs() == "name? "


def test_the_clean_path_holds_the_guest_and_the_standard_library_alone(cell: Any) -> None:
    book = cell("""
        @env.task
        def look() -> list:
            import importlib.util, sys
            import flyte, flyte_jupyter
            return [
                flyte is flyte_jupyter,
                [n for n in ("IPython", "numpy", "pytest") if importlib.util.find_spec(n)],
                [n for n in ("flyte_jupyter.engine", "flyte_jupyter.api")
                 if importlib.util.find_spec(n)],
                "" in sys.path,
            ]
    """)
    assert flyte.run(book.look).outputs()[0] == [True, [], [], False]


SECRETS = """
    import os
    safe = flyte.TaskEnvironment(
        name="safe", secrets=[flyte.Secret("API_TOKEN", as_env_var="TOKEN")]
    )

    @safe.task
    def use() -> int:
        return len(os.environ["TOKEN"])

    @safe.task
    def boast() -> str:
        return os.environ["TOKEN"]

    @env.task
    async def parent() -> list:
        return [await use.aio(), os.environ.get("TOKEN"), os.environ.get("API_TOKEN")]
"""


def test_secrets_reach_the_tasks_that_ask_for_them_and_no_others(
    cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cr3t-value")
    book = cell(SECRETS)
    assert flyte.run(book.use).outputs() == (12,)
    assert flyte.run(book.parent).outputs()[0] == [12, None, None]


def test_secrets_are_written_down_nowhere(
    cell: Any, monkeypatch: pytest.MonkeyPatch, state: Path
) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cr3t-value")
    book = cell(SECRETS)
    run = flyte.run(book.parent)
    run.outputs()
    shown = repr(run.events()) + repr(run._state.request) + repr(run) + repr(vars(run._state))
    assert "s3cr3t-value" not in shown
    flyte.shut_down()
    for path in state.rglob("*"):
        if path.is_file():
            assert b"s3cr3t-value" not in path.read_bytes(), path


def test_a_missing_secret_is_an_error_before_anything_starts(
    cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("API_TOKEN", raising=False)
    book = cell(SECRETS)
    with pytest.raises(flyte.errors.SecretError) as caught:
        flyte.run(book.parent)
    assert "safe needs the secret 'API_TOKEN', which is to be found nowhere." in str(caught.value)
    assert "API_TOKEN" in caught.value.remedy


def test_a_context_tells_the_task_about_its_call(cell: Any) -> None:
    book = cell("""
        @env.task(retries=1)
        def tell() -> list:
            context = flyte.ctx()
            if context.attempt_number == 0:
                raise ValueError
            return [context.run, context.action, context.task, context.attempt_number]
    """)
    run = flyte.run(book.tell)
    assert run.outputs()[0] == [run.name, "a0", "env.tell", 1]


def test_child_processes_of_a_fork_are_heard_and_harm_nothing(cell: Any) -> None:
    book = cell("""
        import multiprocessing, os, sys

        def work(x):
            print("child", x)
            return x * x

        @env.task
        def fork() -> list:
            print("parent", end=" ")
            context = multiprocessing.get_context("fork")
            with context.Pool(2) as pool:
                squares = pool.map(work, range(4))
            pid = os.fork()
            if pid == 0:
                print("forked")
                os._exit(3)
            return [squares, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
    """)
    run = flyte.run(book.fork)
    assert run.outputs()[0] == [[0, 1, 4, 9], 3]
    assert sorted(run.logs().replace("parent ", "").split("\n")) == sorted(
        ["", "child 0", "child 1", "child 2", "child 3", "forked"]
    )


def test_included_files_lie_in_the_working_directory(
    cell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("a,b\n1,2\n")
    (tmp_path / "note.txt").write_bytes(b"\x00\xff")
    book = cell("""
        files = flyte.TaskEnvironment(name="files", include=("data", "*.txt"))

        @files.task
        def read() -> tuple[str, bytes]:
            return open("data/rows.csv").read(), open("note.txt", "rb").read()
    """)
    assert flyte.run(book.read).outputs() == ("a,b\n1,2\n", b"\x00\xff")
    (tmp_path / "note.txt").write_bytes(b"new")
    assert flyte.run(book.read).outputs()[1] == b"new"


def test_an_included_file_that_is_not_there_is_named(
    cell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    book = cell("""
        files = flyte.TaskEnvironment(name="files", include=("note.txt",))

        @files.task
        def read() -> None: ...
    """)
    with pytest.raises(flyte.errors.SpecError) as caught:
        flyte.run(book.read)
    assert str(caught.value) == (
        f"files includes 'note.txt', and there is no such file in {str(tmp_path)!r}"
        "; did you mean 'notes.txt'?"
    )
