"""Attempts: repeated as told, ended in time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte

FLAKY = """
    from datetime import timedelta

    def tries(path: str) -> int:
        with open(path, "a") as file:
            file.write("x")
        return len(open(path).read())

    @env.task(retries=2)
    def flaky(path: str, good: int) -> int:
        count = tries(path)
        if count < good:
            raise ValueError(f"try {count}")
        return count

    @env.task(retries=5)
    def hopeless(path: str):
        tries(path)
        raise flyte.errors.NonRecoverableError("no use")

    @env.task(retries=2)
    def dying(path: str) -> int:
        import os
        if tries(path) < 3:
            os._exit(1)
        return 3

    @env.task(retries=flyte.RetryStrategy(2, flyte.Backoff(timedelta(milliseconds=150), 2, 1)))
    def patient(path: str) -> int:
        if tries(path) < 3:
            raise ValueError
        return 3
"""


def test_a_task_is_tried_again_until_it_succeeds(cell: Any, tmp_path: Path) -> None:
    book = cell(FLAKY)
    run = flyte.run(book.flaky, str(tmp_path / "tries"), 3)
    assert run.outputs() == (3,)
    assert run.actions[0].attempts == 3
    errors = [e.data for e in run.events() if e.kind == "error"]
    assert [(e["attempt"], e["final"]) for e in errors] == [(1, False), (2, False)]
    assert errors[0]["sentence"] == "try 1"


def test_the_last_of_all_attempts_gives_the_error(cell: Any, tmp_path: Path) -> None:
    book = cell(FLAKY)
    run = flyte.run(book.flaky, str(tmp_path / "tries"), 9)
    with pytest.raises(ValueError, match="try 3"):
        run.outputs()
    assert run.actions[0].attempts == 3


def test_retries_can_be_overridden_with_none(cell: Any, tmp_path: Path) -> None:
    book = cell(FLAKY)
    run = flyte.run(book.flaky.override(retries=0), str(tmp_path / "tries"), 2)
    with pytest.raises(ValueError, match="try 1"):
        run.outputs()


def test_an_error_without_remedy_by_repetition_is_final(cell: Any, tmp_path: Path) -> None:
    book = cell(FLAKY)
    run = flyte.run(book.hopeless, str(tmp_path / "tries"))
    with pytest.raises(flyte.errors.NonRecoverableError, match="no use"):
        run.outputs()
    assert run.actions[0].attempts == 1


def test_a_process_that_dies_is_an_attempt(cell: Any, tmp_path: Path) -> None:
    book = cell(FLAKY)
    run = flyte.run(book.dying, str(tmp_path / "tries"))
    assert run.outputs() == (3,)
    assert run.actions[0].attempts == 3


def test_the_wait_between_attempts_grows_as_the_backoff_says(cell: Any, tmp_path: Path) -> None:
    book = cell(FLAKY)
    run = flyte.run(book.patient, str(tmp_path / "tries"))
    assert run.outputs() == (3,)
    starts = [e.time for e in run.events() if e.data.get("phase") == "running"]
    failed = [e.time for e in run.events() if e.kind == "error"]
    waits = [start - end for end, start in zip(failed, starts[1:], strict=True)]
    assert 0.15 <= waits[0] < 0.29
    assert 0.3 <= waits[1] < 0.6


SLOW = """
    import os, time

    @env.task(timeout=0.4)
    def slow():
        print(os.getpid(), flush=True)
        time.sleep(60)

    @env.task(timeout=0.4)
    def busy():
        print(os.getpid(), flush=True)
        sum(range(10**12))  # holds the interpreter's lock

    @env.task(timeout=flyte.Timeout(deadline=3.0), retries=50)
    def hopeless():
        time.sleep(0.2)
        raise ValueError

    @env.task(timeout=0.3, retries=1)
    def slow_twice():
        time.sleep(60)
"""


@pytest.mark.parametrize("name", ["slow", "busy"])
def test_a_task_that_runs_too_long_is_ended_and_says_so(
    cell: Any, name: str, until: Callable[..., None], process_runs: Any
) -> None:
    book = cell(SLOW)
    run = flyte.run(getattr(book, name))
    with pytest.raises(flyte.errors.MaxRuntimeExceededError) as caught:
        run.outputs()
    assert f"env.{name} ran longer than its timeout of 0.4 s." in str(caught.value)
    assert run.phase == "timed_out"
    (view,) = run.actions
    assert view.seconds is not None
    assert view.seconds >= 0.4
    events = run.events()
    printed = next(event.time for event in events if event.kind == "log")
    ended = next(event.time for event in events if event.data.get("phase") == "timed_out")
    assert ended - printed < 1.4, "it is ended at once, whether it holds the lock or not"
    assert not process_runs(int(run.logs()))


def test_a_timeout_counts_for_each_attempt(cell: Any) -> None:
    book = cell(SLOW)
    run = flyte.run(book.slow_twice)
    with pytest.raises(flyte.errors.TaskTimeoutError):
        run.outputs()
    assert run.actions[0].attempts == 2


def test_a_deadline_counts_for_all_attempts_together(cell: Any) -> None:
    book = cell(SLOW)
    begin = time.monotonic()
    with pytest.raises(flyte.errors.DeadlineExceededError, match=r"its deadline of 3 s") as caught:
        flyte.run(book.hopeless).outputs()
    assert time.monotonic() - begin < 10
    assert "attempts together" in str(caught.value)


def test_a_wait_in_the_queue_can_be_too_long(cell: Any, logged: Callable[..., str]) -> None:
    book = cell("""
        import os, time
        cpus = len(os.sched_getaffinity(0))
        whole = flyte.Resources(cpu=cpus)

        @env.task
        def holder():
            print("here", flush=True)
            time.sleep(60)

        @env.task(timeout=flyte.Timeout(max_queued_time=0.3))
        def waiter():
            pass
    """)
    holder = flyte.run(book.holder.override(resources=book.whole))
    logged(holder, "here")
    run = flyte.run(book.waiter.override(resources=book.whole))
    with pytest.raises(flyte.errors.MaxQueuedTimeExceededError) as caught:
        run.outputs()
    assert "waited longer than 0.3 s: it waits for cpu" in str(caught.value)
    assert run.phase == "timed_out"
    holder.abort()


def test_a_parents_timeout_ends_its_children_too(
    cell: Any, until: Callable[..., None], process_runs: Any
) -> None:
    book = cell("""
        import os, time

        @env.task
        def child():
            print(os.getpid(), flush=True)
            time.sleep(60)

        @env.task(timeout=0.6)
        async def parent():
            await child.aio()
    """)
    run = flyte.run(book.parent)
    with pytest.raises(flyte.errors.MaxRuntimeExceededError):
        run.outputs()
    until(lambda: not process_runs(int(run.logs())), 2)


def test_what_a_failed_attempt_has_called_ends_before_the_next_one(
    cell: Any, process_runs: Any, tmp_path: Path
) -> None:
    book = cell("""
        import asyncio, os, time

        @env.task
        def slow(path: str):
            with open(path, "w") as pipe:
                pipe.write(str(os.getpid()))
            time.sleep(60)

        @env.task(retries=1)
        async def parent(path: str) -> bool:
            if flyte.ctx().attempt_number == 0:
                asyncio.ensure_future(slow.aio(path))
                pid = await asyncio.to_thread(lambda: open(path).read())
                open(path + ".pid", "w").write(pid)
                os._exit(1)
            pid = int(open(path + ".pid").read())
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
            return False
    """)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    run = flyte.run(book.parent, str(pipe))
    assert run.outputs() == (True,)
    assert [a.phase for a in run.actions] == ["succeeded", "aborted"]
