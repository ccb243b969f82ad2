"""Who may run beside whom: what tasks ask for against what this machine has."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.targets.local import machine
from flyte_jupyter.targets.protocol import Inventory


@pytest.fixture(autouse=True)
def _two_cpus_and_a_gibibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine has, as far as admission is told."""
    monkeypatch.setattr(machine, "inventory", lambda: Inventory(2000, 1 << 30))


def test_no_more_run_at_once_than_there_are_cpus(cell: Any, tmp_path: Path) -> None:
    book = cell("""
        import asyncio, os, time

        @env.task(resources=flyte.Resources(cpu=1))
        def one(folder: str) -> int:
            here = os.path.join(folder, str(os.getpid()))
            open(here, "w").close()
            time.sleep(0.1)
            count = len(os.listdir(folder))
            os.remove(here)
            return count

        @env.task
        async def parent(folder: str) -> list:
            return await asyncio.gather(*[one.aio(folder) for _ in range(6)])
    """)
    folder = tmp_path / "running"
    folder.mkdir()
    run = flyte.run(book.parent, str(folder))
    assert max(run.outputs()[0]) == 2
    waits = [e.data["why"] for e in run.events() if e.data.get("phase") == "waiting"]
    assert waits
    assert waits[0] == "waits for cpu 1 (0 free)"


def test_a_parent_gives_its_cpus_back_while_it_waits(cell: Any) -> None:
    book = cell("""
        two = flyte.Resources(cpu=2)

        @env.task(resources=two)
        def three() -> int:
            return 3

        @env.task(resources=two)
        def two_levels() -> int:
            return three()

        @env.task(resources=two)
        async def one() -> int:
            return await two_levels.aio()
    """)
    assert flyte.run(book.one).outputs() == (3,)


def test_a_child_that_needs_what_its_parent_keeps_is_refused_with_a_sentence(cell: Any) -> None:
    book = cell("""
        big = flyte.Resources(memory="600Mi")

        @env.task(resources=big)
        def child():
            pass

        @env.task(resources=big)
        async def parent():
            await child.aio()
    """)
    with pytest.raises(flyte.errors.AdmissionError) as caught:
        flyte.run(book.parent).outputs()
    assert "env.child would wait for ever: it needs" in str(caught.value)
    assert "env.parent holds" in str(caught.value)


def test_parents_that_all_wait_for_queued_children_do_not_hang(cell: Any) -> None:
    book = cell("""
        import asyncio
        half = flyte.Resources(cpu=0.1, memory="400Mi")

        @env.task(resources=half)
        def leaf():
            pass

        @env.task(resources=half)
        async def parent(path: str):
            await asyncio.to_thread(lambda: open(path).read())
            await leaf.aio()

        @env.task(resources=flyte.Resources(cpu=0.1))
        async def top(paths: list) -> list:
            both = await asyncio.gather(*[parent(p) for p in paths], return_exceptions=True)
            return [type(one).__name__ for one in both]
    """)
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        gates = [os.path.join(folder, name) for name in "ab"]
        for gate in gates:
            os.mkfifo(gate)
        run = flyte.run(book.top, gates)
        for gate in gates:
            Path(gate).write_text("both run now")
        outcome = sorted(run.outputs()[0])
    assert outcome == ["AdmissionError", "NoneType"]


def test_more_than_the_machine_has_is_refused_or_clamped(cell: Any) -> None:
    book = cell("""
        @env.task(resources=flyte.Resources(cpu=64, memory="500Gi"))
        def huge() -> int:
            return 1
    """)
    with pytest.raises(flyte.errors.AdmissionError) as caught:
        flyte.run(book.huge).outputs()
    text = str(caught.value)
    assert "env.huge asks for more than the target has: cpu 64 of 2, memory 500Gi of 1Gi." in text
    assert 'flyte.init(oversize="clamp")' in text
    flyte.init(oversize="clamp")
    run = flyte.run(book.huge)
    assert run.outputs() == (1,)
    notes = [e.data["text"] for e in run.events() if e.kind == "note"]
    assert any("runs with cpu 2, memory 1Gi" in note for note in notes)


def test_an_accelerator_that_is_not_there_is_refused_by_name(cell: Any) -> None:
    book = cell("""
        @env.task(resources=flyte.Resources(gpu="A100:2"))
        def train():
            pass
    """)
    with pytest.raises(flyte.errors.AdmissionError, match=r"2 . A100 of 0"):
        flyte.run(book.train).outputs()


def test_accelerators_are_handed_out_one_task_each(
    cell: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "accelerators", lambda: (("0", "T4"), ("1", "T4")))
    monkeypatch.setattr(machine, "inventory", lambda: Inventory(8000, 1 << 30, {"T4": 2}))
    book = cell("""
        import asyncio, os

        @env.task(resources=flyte.Resources(gpu=1))
        def one(pipe: str) -> str:
            open(pipe).read()
            return os.environ["CUDA_VISIBLE_DEVICES"]

        @env.task
        async def parent(pipes: list) -> list:
            return await asyncio.gather(*[one.aio(pipe) for pipe in pipes])
    """)
    pipes = [str(tmp_path / name) for name in "abc"]
    for pipe in pipes:
        os.mkfifo(pipe)
    run = flyte.run(book.parent, pipes)
    Path(pipes[0]).write_text("go")
    Path(pipes[1]).write_text("go")
    Path(pipes[2]).write_text("go")
    first, second, third = run.outputs()[0]
    assert {first, second} == {"0", "1"}
    assert third in "01"


def test_two_runs_share_the_machine(cell: Any, logged: Callable[..., str], tmp_path: Path) -> None:
    book = cell("""
        import os

        @env.task(resources=flyte.Resources(cpu=2))
        def whole(pipe: str, mark: str) -> bool:
            before = os.path.exists(mark)
            print("begun", flush=True)
            open(pipe).read()
            open(mark, "w").close()
            return before
    """)
    pipe, mark = tmp_path / "pipe", str(tmp_path / "first has ended")
    os.mkfifo(pipe)
    first = flyte.run(book.whole, str(pipe), mark)
    logged(first, "begun")
    second = flyte.run(book.whole, os.devnull, mark)
    pipe.write_text("go")
    assert first.outputs() == (False,)
    assert second.outputs() == (True,)
