"""Tasks call tasks: each call in a process and an environment of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte


def test_awaited_and_gathered_calls_run_in_processes_of_their_own(cell: Any) -> None:
    book = cell("""
        import asyncio, os

        @env.task
        async def child(x: int) -> tuple[int, int]:
            return x * 10, os.getpid()

        @env.task
        async def parent() -> tuple[list[int], list[int]]:
            first = await child(1)
            rest = await asyncio.gather(*[child(i) for i in range(2, 5)])
            both = [first, *rest]
            return [value for value, _ in both], [os.getpid(), *(pid for _, pid in both)]
    """)
    values, pids = flyte.run(book.parent).outputs()
    assert values == [10, 20, 30, 40]
    assert len(set(pids)) == 5


@pytest.mark.parametrize("parent", ["async", "sync"])
@pytest.mark.parametrize("child", ["async", "sync"])
def test_each_kind_of_task_calls_each_kind(cell: Any, parent: str, child: str) -> None:
    book = cell("""
        @env.task
        def sync_child(x: int) -> int:
            return x + 1

        @env.task
        async def async_child(x: int) -> int:
            return x + 1

        @env.task
        def sync_sync() -> int:
            return sync_child(1)

        @env.task
        def sync_async() -> int:
            return async_child(1)

        @env.task
        async def async_sync() -> int:
            return await sync_child.aio(1)

        @env.task
        async def async_async() -> int:
            return await async_child(1) + await async_child.aio(0) - 1
    """)
    assert flyte.run(getattr(book, f"{parent}_{child}")).outputs() == (2,)


def test_a_sync_task_in_an_async_body_needs_aio_and_the_error_says_so(cell: Any) -> None:
    book = cell("""
        @env.task
        def child() -> int:
            return 1

        @env.task
        async def parent() -> int:
            return child()
    """)
    with pytest.raises(flyte.errors.SyncTaskCallInAsyncContextError) as caught:
        flyte.run(book.parent).outputs()
    assert "env.child is a synchronous task" in str(caught.value)
    assert "await child.aio(...)" in str(caught.value)


def test_three_levels_each_with_the_variables_of_its_environment(cell: Any) -> None:
    book = cell("""
        import os
        top = flyte.TaskEnvironment(name="top", env_vars={"WHO": "top"})
        middle = flyte.TaskEnvironment(name="middle", env_vars={"WHO": "middle"})
        bottom = flyte.TaskEnvironment(name="bottom", env_vars={"ALSO": "bottom"})

        @bottom.task
        def three() -> list:
            return [os.environ.get("WHO"), os.environ["ALSO"], os.getpid()]

        @middle.task
        async def two() -> list:
            return [[os.environ["WHO"], os.environ.get("ALSO"), os.getpid()], await three.aio()]

        @top.task
        def one() -> list:
            return [[os.environ["WHO"], os.environ.get("ALSO"), os.getpid()], *two()]
    """)
    (rows,) = flyte.run(book.one).outputs()
    assert [row[:2] for row in rows] == [["top", None], ["middle", None], [None, "bottom"]]
    assert len({row[2] for row in rows}) == 3


def test_a_task_calls_itself(cell: Any) -> None:
    book = cell("""
        import asyncio

        @env.task
        async def fib(n: int) -> int:
            if n < 2:
                return n
            return sum(await asyncio.gather(fib(n - 1), fib(n - 2)))
    """)
    run = flyte.run(book.fib, 5)
    assert run.outputs() == (5,)
    assert len(run.actions) == 15
    assert {a.phase for a in run.actions} == {"succeeded"}


def test_a_call_that_waits_too_long_for_its_parent_is_ended(
    cell: Any, logged: Callable[..., str], until: Callable[..., None], process_runs: Any
) -> None:
    book = cell("""
        import asyncio, os, time

        @env.task
        def slow():
            print("child", os.getpid(), flush=True)
            time.sleep(60)

        @env.task
        async def parent(path: str) -> str:
            call = asyncio.ensure_future(slow.aio())
            await asyncio.to_thread(lambda: open(path).read())
            try:
                await asyncio.wait_for(call, 0.01)
            except asyncio.TimeoutError:
                return "gave up"
    """)
    run, pid = _with_child(book.parent, logged)
    assert run.outputs() == ("gave up",)
    until(lambda: not process_runs(pid), 2)
    assert run.actions[1].phase == "aborted"


def _with_child(task: Any, logged: Callable[..., str]) -> tuple[flyte.Run, int]:
    """Start a parent, and let it go on once its child has told its process number."""
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        gate = Path(folder, "gate")
        os.mkfifo(gate)
        run = flyte.run(task, str(gate))
        pid = int(logged(run, "\n").split()[1])
        gate.write_text("go")
    return run, pid


def test_a_parent_that_fails_ends_its_running_children(
    cell: Any, logged: Callable[..., str], until: Callable[..., None], process_runs: Any
) -> None:
    book = cell("""
        import asyncio, os, time

        @env.task
        def slow():
            print("child", os.getpid(), flush=True)
            time.sleep(60)

        @env.task
        async def parent(path: str):
            call = asyncio.ensure_future(slow.aio())
            await asyncio.to_thread(lambda: open(path).read())
            raise ValueError("parent failed")
    """)
    run, pid = _with_child(book.parent, logged)
    with pytest.raises(ValueError, match="parent failed"):
        run.outputs()
    until(lambda: not process_runs(pid), 2)
    until(lambda: run.actions[1].phase == "aborted", 2)


def test_a_call_overrides_its_environment_for_itself_alone(cell: Any) -> None:
    book = cell("""
        import os

        @env.task
        def who() -> str:
            return os.environ.get("WHO", "nobody")

        @env.task
        async def parent() -> list[str]:
            return [
                await who.override(env_vars={"WHO": "me"}).aio(),
                await who.aio(),
                await who.override(env_vars={"WHO": "awaited"}),
            ]
    """)
    assert flyte.run(book.parent).outputs()[0] == ["me", "nobody", "awaited"]


def test_a_task_called_outside_a_run_is_the_plain_function(cell: Any) -> None:
    book = cell("""
        import os

        @env.task
        def where(x: int = 1) -> tuple[int, int]:
            return x, os.getpid()
    """)
    import os

    assert book.where() == (1, os.getpid())


def test_a_task_from_another_cell_is_taken_as_it_is_now(cell: Any) -> None:
    cell("""
        @env.task
        def part() -> str:
            return "old"
    """)
    book = cell("""
        @env.task
        def whole() -> str:
            return part() + "!"
    """)
    assert flyte.run(book.whole).outputs() == ("old!",)
    cell("""
        @env.task
        def part() -> str:
            return "new"
    """)
    assert flyte.run(book.whole).outputs() == ("new!",)


def test_a_thousand_calls_in_one_gather(cell: Any) -> None:
    book = cell("""
        import asyncio

        @env.task
        async def nothing(x: int) -> int:
            return x

        @env.task
        async def parent(count: int) -> int:
            return sum(await asyncio.gather(*[nothing(i) for i in range(count)]))
    """)
    run = flyte.run(book.parent, 1000)
    assert run.outputs() == (499_500,)
    assert len(run.actions) == 1001
    events = run.events()  # workers that end later still add what they have used
    assert [e.seq for e in events] == list(range(len(events)))


def test_the_body_goes_on_while_its_calls_are_on_their_way(cell: Any, tmp_path: Path) -> None:
    book = cell("""
        import asyncio, os

        @env.task
        def reader(path: str) -> str:
            return open(path).read()

        @env.task
        async def parent(path: str) -> str:
            call = asyncio.ensure_future(reader.aio(path))
            await asyncio.sleep(0)
            await asyncio.to_thread(lambda: open(path, "w").write("from the parent"))
            return await call
    """)
    import os

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert flyte.run(book.parent, str(pipe)).outputs() == ("from the parent",)


def test_threads_of_a_sync_body_can_call_tasks(cell: Any) -> None:
    book = cell("""
        from concurrent.futures import ThreadPoolExecutor

        @env.task
        def double(x: int) -> int:
            return 2 * x

        @env.task
        def parent() -> list[int]:
            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(double, range(6)))
    """)
    assert flyte.run(book.parent).outputs()[0] == [0, 2, 4, 6, 8, 10]


def test_a_call_left_behind_by_its_parent_is_ended(
    cell: Any, logged: Callable[..., str], until: Callable[..., None], process_runs: Any
) -> None:
    book = cell("""
        import asyncio, os, time

        @env.task
        def slow():
            print("child", os.getpid(), flush=True)
            time.sleep(60)

        @env.task
        async def parent(path: str) -> str:
            asyncio.ensure_future(slow.aio())
            await asyncio.to_thread(lambda: open(path).read())
            return "done"
    """)
    run, pid = _with_child(book.parent, logged)
    assert run.outputs() == ("done",)
    until(lambda: not process_runs(pid), 2)


def test_flyte_run_inside_a_task_is_refused(cell: Any) -> None:
    book = cell("""
        @env.task
        def child():
            pass

        @env.task
        def parent():
            flyte.run(child)
    """)
    with pytest.raises(flyte.errors.EngineError, match=r"cannot be used inside a task") as caught:
        flyte.run(book.parent).outputs()
    assert "child(...)" in caught.value.remedy


def test_a_run_has_ended_when_nothing_of_it_runs_any_more(
    cell: Any, logged: Callable[..., str], process_runs: Any
) -> None:
    book = cell("""
        import asyncio, os, time

        @env.task
        def slow():
            print("child", os.getpid(), flush=True)
            try:
                time.sleep(60)
            finally:
                time.sleep(0.2)

        @env.task
        async def parent(path: str):
            asyncio.ensure_future(slow.aio())
            await asyncio.to_thread(lambda: open(path).read())
            raise ValueError("parent failed")
    """)
    run, pid = _with_child(book.parent, logged)
    assert run.wait().phase == "failed"
    assert not process_runs(pid)
    assert [a.phase for a in run.actions] == ["failed", "aborted"]


def test_a_name_of_a_task_without_code_hinders_no_run(cell: Any) -> None:
    book = cell("""
        import inspect
        from flyte_jupyter.spec import Task

        elsewhere = Task(
            None, env_name="far", func_name="away", signature=inspect.Signature(), is_async=False
        )

        @env.task
        def careful(far: bool) -> int:
            return elsewhere() if far else 1
    """)
    assert flyte.run(book.careful, far=False).result() == 1
