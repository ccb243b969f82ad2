"""What happened is written down: runs, actions, attempts, values, logs."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.engine.journal import load_value
from flyte_jupyter.wire.exchange import unpack
from flyte_jupyter.wire.values import decode

TASKS = """
    @env.task
    def child(x: int) -> str:
        print("child", x)
        return "x" * x

    @env.task(retries=1)
    async def parent(x: int) -> str:
        if flyte.ctx().attempt_number == 0:
            raise ValueError("first")
        return await child.aio(x)

    @env.task
    def fail():
        raise KeyError("gone")
"""


def value_of(block: bytes) -> Any:
    return decode(unpack(load_value(block)))


def test_runs_actions_attempts_and_values_are_there(cell: Any, journal: Any) -> None:
    book = cell(TASKS)
    run = flyte.run(book.parent, 4)
    assert run.outputs() == ("xxxx",)
    assert journal("SELECT name, task, target, phase FROM runs") == [
        (run.name, "env.parent", "local", "succeeded")
    ]
    rows = journal(
        "SELECT name, parent, task, environment, phase, inputs, output, capsule, identity "
        "FROM actions ORDER BY name"
    )
    assert [row[:5] for row in rows] == [
        ("a0", None, "env.parent", "env", "succeeded"),
        ("a1", "a0", "env.child", "env", "succeeded"),
    ]
    assert [value_of(row[5]) for row in rows] == [{"x": 4}, {"x": 4}]
    assert [value_of(row[6]) for row in rows] == ["xxxx", "xxxx"]
    assert all(row[7] and row[8] for row in rows)
    attempts = journal("SELECT action, number, worker, ended >= started FROM attempts")
    assert [(row[0], row[1], row[3]) for row in attempts] == [
        ("a0", 1, 1),
        ("a0", 2, 1),
        ("a1", 1, 1),
    ]
    assert all(row[2].startswith("local-") for row in attempts)


def test_logs_are_files_by_attempt(cell: Any, journal: Any, state: Path) -> None:
    book = cell(TASKS)
    run = flyte.run(book.parent, 4).wait()
    assert (state / "logs" / run.name / "a1.1.log").read_text() == "child 4\n"


def test_errors_are_written_down(cell: Any, journal: Any) -> None:
    book = cell(TASKS)
    flyte.run(book.fail).wait()
    ((phase, error),) = journal("SELECT phase, error FROM actions")
    told = json.loads(error)
    assert phase == "failed"
    assert told["type"] == "KeyError"
    assert 'raise KeyError("gone")' in told["traceback"]


def test_a_large_result_is_a_file_beside_the_journal(cell: Any, journal: Any, state: Path) -> None:
    book = cell("""
        @env.task
        def big(count: int) -> bytes:
            return b"x" * count
    """)
    run = flyte.run(book.big, 3_000_000)
    assert len(run.outputs()[0]) == 3_000_000
    ((output, name),) = journal("SELECT output, output_file FROM actions")
    assert output is None
    block = (state / "values" / run.name / name).read_bytes()
    assert value_of(block) == b"x" * 3_000_000


def test_equal_calls_have_identities_that_a_second_run_repeats(cell: Any, journal: Any) -> None:
    book = cell("""
        import asyncio

        @env.task
        def child(x: int) -> int:
            return x

        @env.task
        async def parent() -> list:
            return await asyncio.gather(child.aio(1), child.aio(2), child.aio(1))
    """)
    names = [flyte.run(book.parent).wait().name for _ in range(2)]
    rows = [
        {row[0] for row in journal("SELECT identity FROM actions WHERE run = ?", name)}
        for name in names
    ]
    assert len(rows[0]) == 4
    assert rows[0] == rows[1]


def test_two_kernels_share_one_journal(cell: Any, kernel: Any, state: Path, journal: Any) -> None:
    book = cell(TASKS)
    program = f"""
        @env.task
        def square(x: int) -> int:
            return x * x

        if __name__ == "__main__":
            flyte.init(state={str(state)!r})
            print(sum(flyte.map(square, range(40))))
    """
    others = [kernel(program), kernel(program)]
    results = [flyte.run(book.child, 1) for _ in range(20)]
    assert all(run.outputs() == ("x",) for run in results)
    for other in others:
        output, errors = other.communicate(timeout=30)
        assert (output, errors) == ("20540\n", "")
    ((actions,),) = journal("SELECT count(*) FROM actions WHERE phase = 'succeeded'")
    assert actions == 20 + 2 * 40
    ((owners,),) = journal("SELECT count(*) FROM owners")
    assert owners == 3


def notes_of(run: flyte.Run) -> list[str]:
    return [event.data["text"] for event in run.events() if event.kind == "note"]


def test_a_run_goes_on_while_another_process_holds_the_journal(
    cell: Any, journal: Any, state: Path
) -> None:
    book = cell(TASKS)
    flyte.run(book.child, 1).wait()
    with contextlib.closing(sqlite3.connect(state / "journal.sqlite", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        run = flyte.run(book.parent, 4)
        assert run.outputs() == ("xxxx",)
        db.execute("ROLLBACK")
    (note,) = notes_of(run)
    assert "cannot be written (database is locked): runs go on" in note
    found = journal("SELECT phase FROM runs WHERE name = ?", run.name)
    assert found == [("succeeded",)]


def test_a_run_goes_on_where_nothing_can_be_written(kernel: Any) -> None:
    process = kernel("""
        import resource

        @env.task
        def much(x: int) -> int:
            print("log " * 100_000)
            return x + 1

        if __name__ == "__main__":
            flyte.run(much, 1).wait()
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
            run = flyte.run(much, 2)
            print(run.outputs()[0], len(run.logs()))
            for event in run.events():
                if event.kind == "note":
                    print(event.data["text"])
    """)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert errors == ""
    result, *notes = output.splitlines()
    assert result == "3 400001"
    assert any(n.startswith("The journal ") and "runs go on" in n for n in notes), notes
    assert any(n.startswith("Logs cannot be written ") for n in notes), notes


def test_who_fails_to_listen_hurts_no_run(
    cell: Any, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book = cell(TASKS)
    heard = []

    def breaks(event: Any) -> None:
        heard.append(event.kind)
        raise TypeError("cannot listen")

    run = flyte.run(book.parent, 4)
    run.subscribe(breaks)
    assert run.outputs() == ("xxxx",)
    assert heard == ["run"]
    (note,) = notes_of(run)
    assert note.endswith("failed and is told no more: TypeError: cannot listen")
    (record,) = caplog.records
    assert "in breaks" in (record.exc_text or "")


def test_values_of_older_runs_make_room_and_that_is_said(
    cell: Any, state: Path, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flyte_jupyter.engine.retention.MOST", 7 << 20)
    book = cell("""
        @env.task
        def big(x: int) -> bytes:
            return bytes(x)
    """)
    runs = []
    for _ in range(3):
        runs.append(flyte.run(book.big, 3 << 20).wait())
        folder = state / "values" / runs[-1].name
        until(lambda folder=folder: list(folder.glob("*.value")))
    assert not (state / "values" / runs[0].name).exists()
    notes = notes_of(flyte.run(book.big, 1).wait())
    assert any("Large values of older runs were removed" in note for note in notes), notes
