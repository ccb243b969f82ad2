"""A run as the user holds it: its name, its options, its twins for asynchronous code."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.session import session

TASKS = """
    import os

    @env.task
    def child() -> str:
        return os.environ.get("WHO", "nobody")

    @env.task
    async def parent() -> list:
        return [
            os.environ.get("WHO", "nobody"),
            await child.aio(),
            await child.override(env_vars={"WHO": "own"}).aio(),
        ]

    @env.task
    def square(x: int) -> int:
        return x * x

    @env.task
    def queued(queue: str) -> str:
        return queue

    @env.task(retries=0)
    def flaky(path: str) -> int:
        with open(path, "a") as file:
            file.write("x")
        count = len(open(path).read())
        if count < 3:
            raise ValueError(count)
        return count
"""


def test_a_run_has_its_name_labels_and_variables(cell: Any, journal: Any) -> None:
    book = cell(TASKS)
    context = flyte.with_runcontext(
        name="my-run", target="local", env_vars={"WHO": "run"}, labels={"team": "x"}
    )
    run = context.run(book.parent)
    assert run.outputs()[0] == ["run", "run", "own"]
    assert run.name == "my-run"
    assert run.target == "local"
    ((options,),) = journal("SELECT options FROM runs WHERE name = 'my-run'")
    assert json.loads(options)["labels"] == {"team": "x"}


def test_overrides_of_a_run_touch_its_root(cell: Any, tmp_path: Any) -> None:
    book = cell(TASKS)
    path = str(tmp_path / "tries")
    run = flyte.with_runcontext(overrides={"retries": 2}).run(book.flaky, path)
    assert run.outputs() == (3,)
    assert run.actions[0].attempts == 3


def test_the_queue_of_a_run_reaches_every_action_and_is_recorded(cell: Any, journal: Any) -> None:
    book = cell(TASKS)
    flyte.run(book.parent, task_queue="fast").outputs()
    assert flyte.run(book.queued, queue="an input").outputs() == ("an input",)
    rows = journal(
        "SELECT actions.task, specs.settings FROM actions JOIN specs ON specs.hash = actions.spec"
    )
    queues = {task: json.loads(settings).get("queue") for task, settings in rows}
    assert queues == {"env.parent": "fast", "env.child": "fast", "env.queued": None}


def test_wrong_options_of_a_run_are_refused_by_name(cell: Any) -> None:
    book = cell(TASKS)
    with pytest.raises(flyte.errors.TargetError, match="did you mean 'local'"):
        flyte.with_runcontext(target="locol").run(book.square, 1)
    with pytest.raises(flyte.errors.SpecError, match="retries"):
        flyte.with_runcontext(overrides={"retriez": 2})
    with pytest.raises(flyte.errors.EngineError, match="neither 'local' nor 'remote'"):
        flyte.with_runcontext(mode="locl")
    with pytest.raises(flyte.errors.TargetError, match="did you mean 'state'"):
        flyte.init(stat="x")


def test_a_name_in_use_is_refused(cell: Any) -> None:
    book = cell("""
        import time

        @env.task
        def slow():
            time.sleep(300)
    """)
    first = flyte.with_runcontext(name="same").run(book.slow)
    with pytest.raises(flyte.errors.EngineError, match="'same'"):
        flyte.with_runcontext(name="same").run(book.slow)
    first.abort()


def test_twins_for_asynchronous_code(cell: Any) -> None:
    book = cell(TASKS)

    async def program() -> list[Any]:
        run = await flyte.run.aio(book.square, 3)
        assert await run is run
        many = [await flyte.run.aio(book.square, x) for x in range(4)]
        results = await asyncio.gather(*[one.outputs.aio() for one in many])
        aborted = await (await flyte.run.aio(book.square, 1)).abort.aio()
        return [run.phase, await run.result.aio(), results, aborted.done]

    assert asyncio.run(program()) == ["succeeded", 9, [(0,), (1,), (4,), (9,)], True]


def test_events_are_gapless_and_a_late_listener_gets_them_all(cell: Any) -> None:
    import threading

    book = cell(TASKS)
    seen: list[Any] = []
    ended = threading.Event()
    context = flyte.with_runcontext(on_event=seen.append)
    run = context.run(book.parent)
    run.outputs()
    late: list[Any] = []

    def listen(event: Any) -> None:
        late.append(event)
        if event.kind == "end":
            ended.set()

    run.subscribe(listen)
    assert ended.wait(10)
    end = next(e.seq for e in late if e.kind == "end")
    assert [e.seq for e in late[: end + 1]] == list(range(end + 1))
    assert seen[: end + 1] == late[: end + 1]
    assert run.events(3)[0].seq == 3


def test_phases_and_actions_tell_the_story(cell: Any) -> None:
    book = cell(TASKS)
    run = flyte.run(book.parent)
    run.wait()
    assert run.phase == "succeeded"
    assert run.error is None
    rows = [(a.name, a.parent, a.task, a.depth, a.phase) for a in run.actions]
    assert rows == [
        ("a0", None, "env.parent", 0, "succeeded"),
        ("a1", "a0", "env.child", 1, "succeeded"),
        ("a2", "a0", "env.child", 1, "succeeded"),
    ]


def test_a_run_waits_in_several_threads_at_once(cell: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    book = cell(TASKS)
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda x: flyte.run(book.square, x), range(12)))
        assert list(pool.map(lambda run: run.result(), runs)) == [x * x for x in range(12)]


def test_what_is_ignored_here_is_said_once(cell: Any) -> None:
    book = cell("""
        special = flyte.TaskEnvironment(
            name="special", resources=flyte.Resources(disk="1Gi"), interruptible=True
        )

        @special.task
        def task():
            pass
    """)
    first = flyte.run(book.task).wait()
    second = flyte.run(book.task).wait()
    notes = [e.data["text"] for e in first.events() if e.kind == "note"]
    assert any("disk" in note for note in notes)
    assert any("interruptible" in note for note in notes)
    assert [e for e in second.events() if e.kind == "note"] == []


def test_an_engine_that_closes_right_after_a_run_leaves_nothing(
    cell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    book = cell("""
        @env.task
        def one() -> int:
            return 1
    """)
    for _ in range(5):
        assert flyte.run(book.one).result() == 1
        flyte.shut_down()
        assert list(folder.iterdir()) == []


def test_an_engine_that_closes_right_after_a_declaration_leaves_no_work_undone(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10):
        flyte.init(state=state / str(number))
        env = flyte.TaskEnvironment(name=f"ahead-{number}", env_vars={"NUMBER": str(number)})
        engine = session.engine()
        engine.start_ahead("local", env.settings, env.name)
        made = engine.prepare("local", env.settings, lambda _: None)
        flyte.shut_down()
        assert made.done()
        engine.start_ahead("local", env.settings, env.name)  # too late, and of no effect
        with pytest.raises(flyte.errors.EngineError, match="closed"):
            engine.prepare("local", env.settings, lambda _: None)
    gc.collect()
    assert caplog.text == ""


def test_local_modules_go_with_the_process_that_they_were_brought_to(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cell: Callable[[str], Any],
    until: Callable[..., None],
) -> None:
    (tmp_path / "helpers_to_go.py").write_text("def place():\n    return __file__\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    book = cell("""
        import flyte_jupyter as flyte
        import helpers_to_go

        env = flyte.TaskEnvironment(name="goes")

        @env.task
        def where() -> str:
            return helpers_to_go.place()
    """)
    (place,) = flyte.run(book.where).outputs()
    assert not place.startswith(str(tmp_path))
    until(lambda: not Path(place).parent.exists())


def test_an_override_of_a_task_of_a_module_holds_for_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
        import flyte_jupyter as flyte

        env = flyte.TaskEnvironment(name="of-a-module")

        @env.task
        def who() -> str:
            import os
            return os.environ.get("WHO", "nobody")

        @env.task
        def again(deeper: bool) -> list[str]:
            return [who(), *(again(False) if deeper else [])]
    """
    (tmp_path / "overridden_tasks.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("overridden_tasks")
    for name in ("ann", "bob"):
        overridden = module.who.override(env_vars={"WHO": name})
        assert flyte.run(overridden).outputs() == (name,)
    assert flyte.run(module.who).outputs() == ("nobody",)
    assert flyte.run(module.again, True).outputs()[0] == ["nobody", "nobody"]
