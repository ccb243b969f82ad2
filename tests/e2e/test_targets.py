"""Runs over two targets: each task where its environment, its call or its run says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.errors import AdmissionError, TargetError
from flyte_jupyter.session import session
from flyte_jupyter.targets.local import LocalTarget
from flyte_jupyter.targets.protocol import Inventory

GIB = 1 << 30


class Second(LocalTarget):
    """Another place that runs tasks on this machine; they can tell by a variable."""

    name = "second"

    def __init__(self) -> None:
        super().__init__()
        self._environ["PLACE"] = self.name

    def inventory(self) -> Inventory:
        """Return less than this machine has."""
        return Inventory(1000, GIB)


@pytest.fixture(autouse=True)
def _second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that knows two targets."""

    def make(options: Mapping[str, Any]) -> LocalTarget:
        del options
        return Second()

    known = {**session.TARGETS, "second": session.TargetRow(make)}
    monkeypatch.setattr(session, "TARGETS", known)
    monkeypatch.delenv("FLYTE_JUPYTER_TARGET", raising=False)
    monkeypatch.setattr(session, "_config", session.Config(state=session.config().state))


WHERE = """
    import os
    away = flyte.TaskEnvironment(name="away", target="second")

    @away.task
    def there() -> str:
        return os.environ.get("PLACE", "local")

    @env.task
    def here() -> str:
        return os.environ.get("PLACE", "local")

    @env.task
    async def both() -> list[str]:
        return [await here.aio(), await there.aio()]

    @away.task
    async def back() -> list[str]:
        return [await here.aio(), await there.aio(), *(await both())]
"""


def test_a_task_runs_on_the_target_of_its_environment(cell: Any) -> None:
    book = cell(WHERE)
    assert flyte.run(book.here).outputs() == ("local",)
    assert flyte.run(book.there).outputs() == ("second",)
    assert flyte.run(book.there).target == "second"


def test_calls_go_from_target_to_target_and_back(cell: Any) -> None:
    book = cell(WHERE)
    assert flyte.run(book.both).outputs()[0] == ["local", "second"]
    assert flyte.run(book.back).outputs()[0] == ["local", "second", "local", "second"]


def test_the_target_of_a_run_is_that_of_all_its_tasks(cell: Any) -> None:
    book = cell(WHERE)
    run = flyte.with_runcontext(target="second").run(book.both)
    assert run.outputs()[0] == ["second", "second"]
    run = flyte.with_runcontext(target="local").run(book.back)
    assert run.outputs()[0] == ["local"] * 4


def test_the_target_of_a_call_comes_before_that_of_the_run(cell: Any) -> None:
    book = cell("""
        import os

        @env.task
        def place() -> str:
            return os.environ.get("PLACE", "local")

        @env.task
        async def caller() -> list[str]:
            return [await place.override(target="second").aio(), await place.aio()]
    """)
    assert flyte.run(book.caller).outputs()[0] == ["second", "local"]
    assert flyte.run(book.place.override(target="second")).outputs() == ("second",)
    run = flyte.with_runcontext(target="local").run(book.caller)
    assert run.outputs()[0] == ["second", "local"]


def test_a_target_that_there_is_not_is_named_where_it_was_asked_for(cell: Any) -> None:
    book = cell("""
        @env.task
        def one() -> int:
            return 1

        @env.task
        async def caller() -> int:
            return await one.override(target="secnod").aio()
    """)
    with pytest.raises(TargetError, match=r"no target 'secnod'; did you mean 'second'\?"):
        flyte.run(book.caller).outputs()
    with pytest.raises(TargetError, match=r"no target 'secnod'; did you mean 'second'\?"):
        flyte.run(book.one.override(target="secnod"))


def test_explain_speaks_of_the_target_of_the_environment(cell: Any) -> None:
    book = cell(WHERE)
    assert "on second" in str(flyte.explain(book.there))
    assert "on local" in str(flyte.explain(book.there, target="local"))


def test_a_caller_keeps_its_room_on_its_own_target(cell: Any) -> None:
    """The caller there has the one processor and gives it back while it waits for elsewhere."""
    book = cell("""
        away = flyte.TaskEnvironment(name="away", target="second")

        @away.task(resources=flyte.Resources(cpu=1, memory="600Mi"))
        async def leaf() -> int:
            return 1

        @env.task
        async def middle() -> int:
            return await leaf.override(resources=flyte.Resources(memory="200Mi"))() + 1

        @env.task
        async def greedy() -> int:
            return await leaf()

        @away.task(resources=flyte.Resources(cpu=1, memory="600Mi"))
        async def top() -> int:
            return await middle() + 1

        @away.task(resources=flyte.Resources(cpu=1, memory="600Mi"))
        async def stuck() -> int:
            return await greedy()
    """)
    assert flyte.run(book.top).outputs() == (3,)
    with pytest.raises(AdmissionError, match="would wait for ever"):
        flyte.run(book.stuck).outputs()


def test_who_waits_for_another_target_is_not_taken_for_stuck(
    cell: Any, logged: Callable[..., str]
) -> None:
    """While work goes on elsewhere, whoever is queued here may still get room."""
    book = cell("""
        import time
        away = flyte.TaskEnvironment(name="away", target="second")

        @env.task
        def slow() -> int:
            time.sleep(2.5)
            return 1

        @away.task(resources=flyte.Resources(cpu=1, memory="800Mi"))
        async def holder() -> int:
            print("holds", flush=True)
            return await slow.aio()

        @away.task(resources=flyte.Resources(cpu=1, memory="800Mi"))
        def other() -> int:
            return 2
    """)
    first = flyte.run(book.holder)
    logged(first, "holds")
    second = flyte.run(book.other)
    assert second.outputs() == (2,)
    assert first.outputs() == (1,)


def test_an_abort_reaches_what_runs_elsewhere(
    cell: Any, logged: Callable[..., str], process_runs: Callable[[int], bool], until: Any
) -> None:
    book = cell("""
        import os, time
        away = flyte.TaskEnvironment(name="away", target="second")

        @away.task
        def endless() -> None:
            print(f"pid={os.getpid()};", flush=True)
            time.sleep(600)

        @env.task
        async def caller() -> None:
            await endless.aio()
    """)
    run = flyte.run(book.caller)
    text = logged(run, ";")
    pid = int(text.partition("pid=")[2].partition(";")[0])
    run.abort()
    until(lambda: not process_runs(pid))
    assert {action.phase.value for action in run.actions} == {"aborted"}
