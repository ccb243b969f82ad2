"""A fresh process for each call, and warm ones where the environment asks for them."""

from __future__ import annotations

from typing import Any

import pytest

import flyte_jupyter as flyte


def test_each_call_has_a_fresh_process(cell: Any) -> None:
    book = cell("""
        import os
        COUNT = []

        @env.task
        def count() -> tuple[int, int]:
            import sys
            sys.modules.setdefault("seen", []).append(1)
            COUNT.append(1)
            return os.getpid(), len(COUNT) + len(sys.modules["seen"])
    """)
    seen = [flyte.run(book.count).outputs() for _ in range(6)]
    assert len({pid for pid, _ in seen}) == 6
    assert {count for _, count in seen} == {2}


REUSED = """
    import asyncio, os, sys
    warm = flyte.TaskEnvironment(name="warm", reusable=flyte.ReusePolicy(replicas=1))
    pair = flyte.TaskEnvironment(name="pair", reusable=flyte.ReusePolicy(replicas=2))
    together = flyte.TaskEnvironment(
        name="together", reusable=flyte.ReusePolicy(replicas=1, concurrency=4)
    )

    @warm.task
    def pid() -> int:
        return os.getpid()

    @warm.task
    def count() -> int:
        import types
        module = sys.modules.setdefault("kept", types.ModuleType("kept"))
        module.count = getattr(module, "count", 0) + 1
        return module.count

    @warm.task
    def fail():
        raise ValueError("warm")

    @warm.task
    def die():
        os._exit(3)

    @warm.task
    def folder() -> list:
        here = os.listdir()
        open("left", "w").close()
        return here

    @pair.task
    def of_two(x: int) -> int:
        import time
        time.sleep(0.02)
        return os.getpid()

    @env.task
    async def spread() -> list:
        return await asyncio.gather(*[of_two.aio(i) for i in range(8)])

    meeting = []

    @together.task
    async def meet(x: int) -> int:
        print("at", x)
        here = sys.modules.setdefault("meeting", [])
        here.append(x)
        for _ in range(500):
            if len(here) == 4:
                break
            await asyncio.sleep(0.005)
        assert len(here) == 4
        return os.getpid()

    @env.task
    async def party() -> list:
        return await asyncio.gather(*[meet(i) for i in range(4)])
"""


def test_a_reusable_environment_keeps_its_process_and_its_state(cell: Any) -> None:
    book = cell(REUSED)
    assert len({flyte.run(book.pid).result() for _ in range(4)}) == 1
    assert [flyte.run(book.count).result() for _ in range(3)] == [1, 2, 3]


def test_no_more_processes_than_replicas(cell: Any) -> None:
    book = cell(REUSED)
    run = flyte.run(book.spread)
    assert len(set(run.outputs()[0])) in (1, 2)
    workers = {a.name for a in run.actions if a.task == "pair.of_two"}
    assert len(workers) == 8


def test_concurrent_calls_meet_in_one_process_and_keep_their_logs_apart(cell: Any) -> None:
    book = cell(REUSED)
    run = flyte.run(book.party)
    assert len(set(run.outputs()[0])) == 1
    texts = sorted(run.logs(a.name) for a in run.actions if a.task == "together.meet")
    assert texts == ["at 0\n", "at 1\n", "at 2\n", "at 3\n"]


def test_a_warm_process_survives_an_exception_and_is_replaced_after_its_death(cell: Any) -> None:
    book = cell(REUSED)
    first = flyte.run(book.pid).result()
    assert isinstance(flyte.run(book.fail).wait().error, ValueError)
    assert flyte.run(book.pid).result() == first
    assert "status 3" in str(flyte.run(book.die).wait().error)
    second = flyte.run(book.pid).result()
    assert second != first
    assert flyte.run(book.pid).result() == second


def test_a_warm_process_learns_new_code(cell: Any) -> None:
    book = cell(REUSED)
    first = flyte.run(book.pid).result()
    book = cell("""
        @warm.task
        def both() -> list:
            return ["new", os.getpid()]
    """)
    assert flyte.run(book.both).result() == ["new", first]


def test_different_variables_are_different_processes(cell: Any) -> None:
    book = cell("""
        import os
        warm = flyte.TaskEnvironment(
            name="warm", reusable=flyte.ReusePolicy(replicas=1), env_vars={"A": "1"}
        )

        @warm.task
        def who() -> list:
            return [os.getpid(), os.environ["A"]]
    """)
    first, one = flyte.run(book.who).result()
    second, two = flyte.run(book.who.override(env_vars={"A": "2"})).result()
    assert (one, two) == ("1", "2")
    assert first != second


USES = """
    warm = flyte.TaskEnvironment(name="warm", reusable=flyte.ReusePolicy(replicas=1))

    @warm.task
    def hold(mib: int, fail: bool = False) -> int:
        size = len(bytearray(b"x") * (mib << 20))
        if fail:
            raise ValueError(size)
        return size

    @warm.task
    def in_child(mib: int) -> None:
        import subprocess, sys
        subprocess.run([sys.executable, "-c", f"bytearray(b'x') * ({mib} << 20)"], check=True)

    @warm.task
    def compute(seconds: float) -> None:
        import time
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
"""


@pytest.mark.parametrize("target", ["local", "docker"])
def test_each_attempt_of_a_warm_process_has_its_own_use(
    cell: Any, request: pytest.FixtureRequest, target: str
) -> None:
    if target == "docker":
        request.getfixturevalue("docker_engine")
        flyte.init(target="docker")
    book = cell(USES)

    def used(task: Any, *inputs: Any) -> tuple[float, float]:
        run = flyte.run(task, *inputs)
        run.wait()
        (action,) = run.actions
        assert action.peak_memory is not None
        assert action.cpu_seconds is not None
        return action.peak_memory / 2**20, action.cpu_seconds

    before, _ = used(book.hold, 0)
    assert before < 60
    assert 120 < used(book.hold, 120)[0] < 180
    assert 120 < used(book.hold, 120, True)[0] < 180
    after, idle = used(book.hold, 0)
    assert after < before + 20
    assert 90 < used(book.in_child, 90)[0] < 150
    _, busy = used(book.compute, 0.2)
    assert idle < 0.1
    assert 0.2 <= busy < 0.4
