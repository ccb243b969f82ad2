"""What runs wrote, of this kernel and of earlier ones, and what their attempts used."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.errors import NotFoundError
from flyte_jupyter.notebook.logs import Logs
from flyte_jupyter.notebook.usage import MagicUsageError
from flyte_jupyter.session import history

CELL = """\
%%flyte_env ml
import sys
def child(x: int) -> int:
    print("child", x)
    print("careful", file=sys.stderr)
    return x
async def train(n: int) -> int:
    for i in range(n):
        print("line", i)
    return await child.aio(n)
def fail():
    raise ValueError("bad")
"""
TIMES = re.compile(r"\d+(\.\d)? (ms|s|min|MiB|KiB)|\d{4}-\d\d-\d\d \d\d:\d\d|-[0-9a-f]{8}")


@pytest.fixture
def book(cell: Any, shell: Any, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Executes a line and returns its value, or its error; the tasks of `CELL` are declared."""
    flyte.init(state=tmp_path / "state")
    assert cell(CELL).success

    def run(line: str) -> Any:
        ran = cell(line)
        return ran.error or ran.result

    yield run
    flyte.shut_down()
    flyte.init(state=None)


def text(logs: Any) -> str:
    assert isinstance(logs, Logs), logs
    # nobody waits for what a worker used, which comes once it has ended
    plain = re.sub(r" · peak memory \S+ \S+ · cpu time \S+ m?s", "", repr(logs))
    return TIMES.sub("…", plain)


def test_the_last_run_is_shown_with_each_attempt(book: Any) -> None:
    book("%flyte_run train(2)")
    assert text(book("%flyte_logs")) == "\n".join(
        [
            "✓ train… · ml.train on local · succeeded · … · …",
            "",
            "── train · succeeded · …",
            "line 0",
            "line 1",
            "",
            "── child · succeeded · …",
            "child 2",
            "careful",
        ]
    )


def test_a_part_of_a_run_can_be_asked_for(book: Any) -> None:
    book("import flyte\nrun = flyte.run(train, 3).wait()")
    for words in ("child", "run child", "run a1", "$run ml.child", "--tail 5 run child"):
        told = text(book(f"%flyte_logs {words}"))
        assert told.endswith("── child · succeeded · …\nchild 3\ncareful"), words
    assert "careful" not in text(book("%flyte_logs run train"))
    assert text(book("%flyte_logs --tail 1 train")).endswith("… 2 lines above\nline 2")
    assert text(book("%flyte_logs --stderr child")).endswith("── child · succeeded · …\ncareful")
    assert text(book("%flyte_logs --stderr train")).endswith("(no standard error)")


def test_a_task_alone_means_the_last_run_that_called_it(book: Any) -> None:
    book("%flyte_run train(1)")
    book("import flyte\nflyte.run(fail).wait()\nNone")
    assert "ml.fail on local · failed" in text(book("%flyte_logs"))
    assert "ml.train on local" in text(book("%flyte_logs train"))
    assert "ml.train on local" in text(book("%flyte_logs child"))


def test_why_a_run_failed_is_said_below(book: Any) -> None:
    book("import flyte\nflyte.run(fail).wait()\nNone")
    assert text(book("%flyte_logs")).splitlines()[-3:] == ["(no output)", "", "ValueError: bad"]


def test_attempts_are_told_apart(book: Any) -> None:
    book("import flyte\nflyte.run(fail.override(retries=1)).wait()\nNone")
    told = text(book("%flyte_logs"))
    assert "── fail, attempt 1 · failed" in told
    assert "── fail, attempt 2 · failed" in told
    assert "attempt 1" not in text(book("%flyte_logs --attempt 2"))
    error = book("%flyte_logs --attempt 3")
    assert str(error) == "there is no attempt 3\nThe last one is 2."


def test_runs_of_earlier_kernels_are_found(book: Any, tmp_path: Path) -> None:
    book("%flyte_run train(1)")
    name = history.find_run()[0].name
    flyte.shut_down()  # the journal is all that is left
    assert "child 1" in text(book(f"%flyte_logs {name}"))
    assert "child 1" in text(book(f"%flyte_logs {name[:8]}"))
    assert (tmp_path / "state" / "logs" / name / "a1.1.stderr.log").read_text() == "careful\n"


def test_what_attempts_used_is_shown(book: Any) -> None:
    book("import flyte\nrun = flyte.run(train, 1).wait()")
    flyte.shut_down()  # every worker has ended
    told = repr(book("%flyte_logs"))
    assert len(re.findall(r"peak memory \d+\.\d MiB · cpu time", told)) == 2
    assert re.search(r"ml.train: succeeded, .*peak memory \d+\.\d MiB", repr(book("run.actions")))


def test_unknown_names_are_said_with_the_nearest(book: Any) -> None:
    assert str(book("%flyte_logs")) == "Nothing has been run yet."
    book("import flyte\nrun = flyte.run(train, 1).wait()")
    error = book("%flyte_logs trian")
    assert isinstance(error, NotFoundError)
    assert error.sentence == "there is no run and no task 'trian'; did you mean 'train'?"
    assert str(book("%flyte_logs run chlid")).startswith(f"{book('run').name} has no action and")
    assert str(book("%flyte_logs run chlid")).endswith(
        "did you mean 'child'?\nIt called train and child."
    )
    for line in ("a b c", "--tail many", "--attempt -1", "--stdout"):
        assert isinstance(book(f"%flyte_logs {line}"), MagicUsageError), line


def test_the_same_is_a_verb_of_flyte(book: Any) -> None:
    book("%flyte_run train(1)")
    assert text(book("%flyte logs child")) == text(book("%flyte_logs child"))
    error = book("%flyte lgos")
    assert error.sentence == "%flyte takes a verb, not 'lgos'; did you mean 'logs'?"


def test_the_html_says_the_same_and_is_escaped(book: Any) -> None:
    book("%flyte_run train(1)")
    html = book("%flyte_logs")._repr_html_()
    assert "<details open><summary>train" in html
    assert "line 0" in html
    book("import flyte\nflyte.run(fail).wait()\nNone")
    assert 'role="alert"' in book("%flyte_logs")._repr_html_()


def test_names_of_runs_and_tasks_are_offered(book: Any, session_catalog: Any, shell: Any) -> None:
    from flyte_jupyter.notebook.complete import candidates

    book("%flyte_run train(1)")
    name = history.find_run()[0].name
    for line, expected in (
        ("%flyte_logs tr", {"train": "task", name: "run"}),
        ("%flyte_logs --st", {"--stderr": "option"}),
        ("%flyte_clean --d", {"--dry-run": "option"}),
        ("%flyte_images --remove-u", {"--remove-unused": "option"}),
        ("%flyte_ps ", {"--all": "option"}),
    ):
        found = candidates(line, session_catalog, shell.user_ns)
        assert found is not None
        assert {each.text: each.type for each in found.candidates} == expected, line


def test_a_run_whose_kernel_ended_is_said_so(book: Any, tmp_path: Path) -> None:
    import sqlite3

    book("%flyte_run train(1)")
    name = history.find_run()[0].name
    flyte.shut_down()
    with sqlite3.connect(tmp_path / "state" / "journal.sqlite") as db:
        db.execute("UPDATE runs SET phase = 'running', ended = NULL")
        db.execute("UPDATE owners SET lease = 0")
    db.close()
    told = text(book(f"%flyte_logs {name}"))
    assert told.startswith("■ train… · ml.train on local · running when its kernel ended · …\n")
