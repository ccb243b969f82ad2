"""A recorded run is run again: its inputs, its target, what was said of it, all open to change."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.errors import InputError, InputTypeError, NotFoundError

TASKS = """
    import dataclasses

    @dataclasses.dataclass
    class Config:
        rate: float
        names: list[str]

    @env.task
    def describe(config: Config, times: int = 1) -> str:
        return f"{config.rate} {config.names}" * times

    @env.task
    def size(data: bytes) -> int:
        return len(data)

    @env.task
    def level() -> str:
        import os
        return os.environ.get("LEVEL", "none")
"""

KERNEL = """
    import dataclasses

    @dataclasses.dataclass
    class Config:
        rate: float
        names: list

    @env.task
    def describe(config: Config, times: int = 1) -> str:
        return f"{config.rate} {config.names}" * times

    flyte.init(state=STATE, target="local")
"""


def settings_of(state: Path, run: str) -> dict[str, Any]:
    """Return the settings that the root of a run had, as the journal has them."""
    from flyte_jupyter.session import session
    from flyte_jupyter.session.history import reading

    session.keep()
    with reading(state) as db:
        (settings,) = db.execute(
            "SELECT settings FROM specs JOIN actions ON specs.hash = actions.spec "
            "WHERE run = ? AND name = 'a0'",
            (run,),
        ).fetchone()
    found: dict[str, Any] = json.loads(settings)
    return found


def test_a_rerun_gets_the_recorded_inputs(cell: Any) -> None:
    book = cell(TASKS)
    first = flyte.run(book.describe, book.Config(0.5, ["a"]))
    assert first.result() == "0.5 ['a']"
    again = flyte.rerun(first)
    assert again.result() == "0.5 ['a']"
    assert again.name != first.name


def test_a_rerun_changes_what_it_is_told(cell: Any) -> None:
    book = cell(TASKS)
    first = flyte.run(book.describe, book.Config(0.5, ["a"])).wait()
    assert flyte.rerun(first.name, times=2).result() == "0.5 ['a']0.5 ['a']"


def test_a_rerun_repeats_what_was_said_and_takes_what_is_said_now(cell: Any, state: Path) -> None:
    book = cell(TASKS)
    first = flyte.with_runcontext(
        queue="slow",
        env_vars={"LEVEL": "3"},
        overrides={"resources": flyte.Resources(cpu=1, memory="200Mi"), "retries": 2},
    ).run(book.level)
    assert first.result() == "3"
    again = flyte.with_runcontext(queue="fast", overrides={"memory": "300Mi"}).rerun(first)
    assert again.result() == "3"
    settings = settings_of(state, again.name)
    assert settings["queue"] == "fast"
    assert settings["resources"] == {"cpu": 1, "memory": "300Mi"}
    assert settings["retries"] == [2, None]


def test_a_rerun_takes_a_task_queue_as_a_run_does(cell: Any, state: Path) -> None:
    book = cell(TASKS)
    flyte.run(book.level, task_queue="slow").wait()
    assert settings_of(state, flyte.rerun().wait().name)["queue"] == "slow"
    assert settings_of(state, flyte.rerun(task_queue="fast").wait().name)["queue"] == "fast"


def test_a_rerun_can_leave_out_what_was_said(cell: Any) -> None:
    book = cell(TASKS)
    first = flyte.with_runcontext(env_vars={"LEVEL": "3"}).run(book.level).wait()
    assert flyte.with_runcontext(keep=False).rerun(first).result() == "none"


def test_an_override_of_the_task_is_repeated(cell: Any, state: Path) -> None:
    book = cell(TASKS)
    first = flyte.run(book.level.override(env_vars={"LEVEL": "7"}, queue="own")).wait()
    again = flyte.rerun(first)
    assert again.result() == "7"
    assert settings_of(state, again.name)["queue"] == "own"


def test_large_inputs_are_there_for_a_rerun(cell: Any) -> None:
    book = cell(TASKS)
    first = flyte.run(book.size.override(max_inline_io_bytes="4Mi"), b"x" * 3_000_000)
    assert first.result() == 3_000_000
    flyte.shut_down()  # what is written behind is written now
    assert flyte.rerun(first.name).result() == 3_000_000


def test_inputs_that_are_not_kept_any_more_are_said(cell: Any, state: Path) -> None:
    book = cell(TASKS)
    first = flyte.run(book.size.override(max_inline_io_bytes="4Mi"), b"x" * 3_000_000).wait()
    flyte.shut_down()
    (state / "values" / first.name / "a0.inputs.value").unlink()
    with pytest.raises(NotFoundError) as caught:
        flyte.rerun(first.name)
    assert caught.value.sentence == f"The inputs of {first.name} are not kept any more."
    assert caught.value.remedy == "Call env.size with new ones."


def test_a_changed_input_is_checked_as_in_a_call(cell: Any) -> None:
    book = cell(TASKS)
    first = flyte.run(book.describe, book.Config(0.5, ["a"])).wait()
    with pytest.raises(InputTypeError, match=r"Input 'times' of describe\(\) must be int"):
        flyte.rerun(first, times="twice")
    with pytest.raises(InputError, match=r"describe\(\) has no input 'time'; did you mean 'times'"):
        flyte.rerun(first, time=2)


def test_an_input_that_the_task_takes_no_more_is_said(cell: Any) -> None:
    book = cell(TASKS)
    first = flyte.run(book.describe, book.Config(0.5, ["a"]), times=1).wait()
    cell("""
        @env.task
        def describe(config: Config) -> str:
            return str(config.rate)
    """)
    with pytest.raises(InputError, match=r"describe\(\) has no input 'times'"):
        flyte.rerun(first)


def test_a_map_is_no_run_to_run_again(cell: Any) -> None:
    book = cell(TASKS)
    list(flyte.map(book.size, [b"a", b"bc"]))
    with pytest.raises(NotFoundError, match="is a map of many calls") as caught:
        flyte.rerun()
    assert caught.value.remedy == "Execute its cell again to run it again."


def test_the_body_of_a_cell_is_no_run_to_run_again(cell: Any) -> None:
    cell(TASKS)
    flyte.run_cell("x = 1", {}).wait()
    with pytest.raises(NotFoundError, match="is the body of a %%flyte_run cell"):
        flyte.rerun()


def test_an_unknown_run_is_refused(cell: Any) -> None:
    book = cell(TASKS)
    flyte.run(book.level).wait()
    with pytest.raises(NotFoundError, match="there is no run and no task 'train-00000000'"):
        flyte.rerun("train-00000000")


def test_a_run_of_an_earlier_version_is_run_again_with_its_inputs(cell: Any, state: Path) -> None:
    book = cell(TASKS)
    first = flyte.run(book.describe, book.Config(0.5, ["a"]), task_queue="slow").wait()
    flyte.shut_down()
    with closing(sqlite3.connect(state / "journal.sqlite")) as db, db:
        db.execute("UPDATE runs SET options = ?", ('{"labels": {}}',))
    again = flyte.rerun(first.name)
    assert again.result() == "0.5 ['a']"
    assert "queue" not in settings_of(state, again.name)


def test_a_rerun_goes_to_the_target_of_the_run(cell: Any, docker_engine: Any) -> None:
    book = cell(TASKS)
    flyte.init(target="docker")
    first = flyte.run(book.level).wait()
    flyte.init(target="local")
    assert first.target == "docker"
    again = flyte.rerun(first)
    assert (again.target, again.result()) == ("docker", "none")
    here = flyte.with_runcontext(target="local").rerun(first)
    assert (here.target, here.result()) == ("local", "none")


def test_secrets_are_recorded_by_name_only(
    cell: Any, journal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hush-hush")
    book = cell(TASKS)
    first = flyte.run(book.level.override(secrets="TOKEN")).wait()
    again = flyte.rerun(first).wait()
    assert again.phase == "succeeded"
    told = journal("SELECT options FROM runs") + journal("SELECT settings FROM specs")
    assert "TOKEN" in str(told)
    assert "hush-hush" not in str(told)


def test_another_kernel_runs_it_again(
    cell: Any, state: Path, kernel: Callable[[str], subprocess.Popen[str]]
) -> None:
    book = cell(TASKS)
    first = flyte.with_runcontext(queue="slow").run(book.describe, book.Config(0.5, ["a"]))
    assert first.result() == "0.5 ['a']"
    flyte.shut_down()
    other = kernel(
        KERNEL.replace("STATE", repr(str(state)))
        + f"""
    if __name__ == "__main__":
        again = flyte.rerun({first.name!r}, times=2)
        print(again.result())
        print(again.name)
"""
    )
    out, errors = other.communicate(timeout=60)
    lines = out.splitlines()
    assert lines[:1] == ["0.5 ['a']0.5 ['a']"], errors
    assert settings_of(state, lines[1])["queue"] == "slow"


def test_a_kernel_that_does_not_declare_the_task_says_what_to_do(
    cell: Any, state: Path, kernel: Callable[[str], subprocess.Popen[str]]
) -> None:
    book = cell(TASKS)
    first = flyte.run(book.level).wait()
    flyte.shut_down()
    other = kernel(f"""
        flyte.init(state={str(state)!r}, target="local")
        try:
            flyte.rerun({first.name!r})
        except flyte.errors.NotFoundError as error:
            print(error)
    """)
    out, errors = other.communicate(timeout=60)
    assert out.splitlines() == [
        f"{first.name} is a run of env.level, which is not declared in this kernel.",
        "Run the cell that declares it; then it can be run again.",
    ], errors
