"""What the documents say about environments, overrides and queues is so."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from document_accounts import only

# depends_on


INDEPENDENT = """
unbuildable = flyte.TaskEnvironment(
    "unbuildable",
    image=flyte.Image.from_debian_base().with_pip_packages("flyte-jupyter-has-no-such-package"),
)
alone = flyte.TaskEnvironment("alone")
hinted = flyte.TaskEnvironment("hinted", depends_on=[unbuildable])

@alone.task
def one() -> str:
    return "works"

@hinted.task
def other() -> str:
    return "works"
"""


def test_depends_on_is_no_runtime_dependency(kernel: Any) -> None:
    kernel.does("import flyte")
    kernel.does(INDEPENDENT)
    kernel.does("runs = [flyte.run(one), flyte.run(other)]")
    assert kernel.value("[run.result() for run in runs]") == ["works", "works"]
    assert kernel.value("[len(run.actions) for run in runs]") == [1, 1]
    assert kernel.value("[e.data for run in runs for e in run.events() if e.kind == 'note']") == []


@only("depends-on")
def test_deployment_goes_from_what_is_depended_on_to_what_depends(played: Any) -> None:
    kernel = played.kernel
    kernel.does("from flyte_jupyter.spec.graph import waves")
    names = kernel.value("[[each.name for each in wave] for wave in waves([api_env])]")
    assert names == [["base"], ["ml"], ["api"]]


def test_dependencies_can_be_added_later_and_once(kernel: Any) -> None:
    kernel.does("import flyte\nfirst, second = map(flyte.TaskEnvironment, ('first', 'second'))")
    kernel.does("second.add_dependency(first)\nsecond.add_dependency(first)")
    assert kernel.value("[each.name for each in second.depends_on]") == ["first"]


@only("depends-on")
def test_a_circle_is_refused_with_its_path(played: Any) -> None:
    error = played.kernel.cell("base_env.add_dependency(api_env)").error
    first, *edges = error.splitlines()
    assert first == (
        "CycleError: depends_on would close a circle: base → api → ml → base; "
        "remove one of these dependencies."
    )
    assert [edge.partition(" in ")[0] for edge in edges] == [
        "  base depends on api: add_dependency",
        "  api depends on ml: depends_on",
        "  ml depends on base: depends_on",
    ]
    assert played.kernel.value("base_env.depends_on") == ()


# clone_with


@only("depends-on")
def test_a_clone_keeps_what_is_not_given(played: Any) -> None:
    kernel = played.kernel
    assert kernel.value(
        "(training_env.image == base_template.image,"
        " str(training_env.resources), [e.name for e in training_env.depends_on])"
    ) == (True, "cpu 8, memory 32Gi, gpu A100:2", ["base-template"])
    kernel.does("plain = base_template.clone_with(name='plain')")
    assert kernel.value("(str(plain.resources), plain.depends_on)") == ("cpu 2, memory 4Gi", ())
    kernel.does("cleared = base_template.clone_with(name='cleared', resources=None)")
    assert kernel.value("(cleared.resources, cleared.image == base_template.image)") == (None, True)


# max_inline_io_bytes


@only("environments-and-overrides")
def test_a_call_without_inputs_and_output_is_within_any_limit(played: Any) -> None:
    assert played.kernel.value("flyte.run(main).result() is None") is True


BREACH = """
@env.task(max_inline_io_bytes=100*1024*1024)
async def echo(text: str) -> str:
    return text

@env.task
async def through(text: str) -> str:
    return await echo.with_overrides(max_inline_io_bytes=1)(text)

@env.task
async def straight(text: str) -> str:
    return await echo(text)
"""


@only("environments-and-overrides")
def test_an_override_lowers_the_limit_of_one_call(played: Any) -> None:
    kernel = played.kernel
    kernel.does(BREACH)
    assert kernel.value("flyte.run(straight, 'hello').result()") == "hello"
    error = kernel.cell("flyte.run(through, 'hello').result()").error
    assert error.endswith(
        "InlineIOMaxBytesBreached: The inputs of x.echo are 16 bytes inline, "
        "more than max_inline_io_bytes=1.\n"
        "Raise max_inline_io_bytes on the task or with .override(), or pass it as an array, "
        "a data frame or a file, which do not travel inline."
    )
    assert kernel.value("flyte.run(straight, 'hello').result()") == "hello"


# task_queue


QUEUED = """
import flyte
flyte.init(state={state!r})
env = flyte.TaskEnvironment("default")
queued = flyte.TaskEnvironment("queued", task_queue="of-the-environment")

@env.task
async def inner() -> int:
    return 1

@queued.task
async def other() -> int:
    return 2

@env.task
async def outer() -> int:
    return await inner() + await other()

@env.task
async def choosing() -> int:
    return await inner.override(task_queue="of-the-call")()
"""
WAYS = {
    "the environment": (
        "flyte.run(outer).wait()",
        {"outer": None, "inner": None, "other": "of-the-environment"},
    ),
    "flyte.run": (
        'flyte.run(outer, task_queue="of-the-run").wait()',
        {"outer": "of-the-run", "inner": "of-the-run", "other": "of-the-run"},
    ),
    "%flyte_run": (
        "%flyte_run --task_queue of-the-run outer()",
        {"outer": "of-the-run", "inner": "of-the-run", "other": "of-the-run"},
    ),
    "the command line": (
        '%flyte run --task_queue "of-the-run" outer',
        {"outer": "of-the-run", "inner": "of-the-run", "other": "of-the-run"},
    ),
    "the launch form, running": (
        "form = %flyte_launch outer\nform.say('task_queue', 'of-the-run')\nform.launch().wait()",
        {"outer": "of-the-run", "inner": "of-the-run", "other": "of-the-run"},
    ),
    "the launch form, rerunning": (
        "flyte.run(outer, task_queue='first').wait()\nform = %flyte_launch --run last\n"
        "form.say('task_queue', 'of-the-run')\nform.launch().wait()",
        {"outer": "of-the-run", "inner": "of-the-run", "other": "of-the-run"},
    ),
    "a rerun": (
        "flyte.run(outer, task_queue='first').wait()\nflyte.rerun(task_queue='of-the-run').wait()",
        {"outer": "of-the-run", "inner": "of-the-run", "other": "of-the-run"},
    ),
    "a call": (
        'flyte.run(choosing, task_queue="of-the-run").wait()',
        {"choosing": "of-the-run", "inner": "of-the-call"},
    ),
}


def queues_of(state: Path) -> dict[str, str | None]:
    """Return the queue of every task of the last run, as the journal has recorded it."""
    with closing(sqlite3.connect(state / "journal.sqlite")) as journal:
        rows = journal.execute(
            "select task, settings from actions join specs on spec = hash "
            "where run = (select name from runs order by created desc limit 1)"
        ).fetchall()
    return {task.partition(".")[2]: json.loads(text).get("queue") for task, text in rows}


@pytest.mark.parametrize("way", WAYS)
def test_a_task_queue_is_given_by(way: str, kernel: Any, tmp_path: Path) -> None:
    cell, queues = WAYS[way]
    state = tmp_path / "state"
    kernel.does(QUEUED.format(state=str(state)))
    kernel.does(cell)
    kernel.does("flyte.shut_down()")
    assert queues_of(state) == queues


def test_the_terminal_takes_a_task_queue_too(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (tmp_path / "hello.py").write_text(QUEUED.format(state=str(state)))
    command = ["flyte-jupyter", "run", "--task_queue", "of-the-run", "hello.py", "outer"]
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [str(program), *command[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    assert queues_of(state) == dict.fromkeys(("outer", "inner", "other"), "of-the-run")
