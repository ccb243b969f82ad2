"""The target `kubernetes`: each task in a pod of its own, and nothing left of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte

from .conftest import until


def test_each_call_has_a_pod_of_its_own(
    book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    there = book("""
        import os, socket

        @env.task
        def where() -> tuple[str, int, str]:
            return socket.gethostname(), os.getuid(), os.getcwd()
    """)
    first, uid, folder = flyte.run(there.where).result()
    second = flyte.run(there.where).result()[0]
    assert first.startswith("flyte-")
    assert first != second
    assert uid == 65532
    assert folder == "/tmp/task"


def test_tasks_call_each_other_and_what_they_print_comes_here(book: Callable[[str], Any]) -> None:
    there = book("""
        import socket

        other = flyte.TaskEnvironment("other")

        @other.task
        def child(x: int) -> tuple[int, str]:
            print("child of", x)
            return x + 1, socket.gethostname()

        @env.task
        async def parent(x: int) -> list[tuple[int, str]]:
            print("parent")
            return [await child.aio(x), await child.aio(x + 1), (0, socket.gethostname())]
    """)
    run = flyte.run(there.parent, 1)
    found = run.result()
    assert [x for x, _ in found] == [2, 3, 0]
    assert len({name for _, name in found}) == 3
    assert sorted(run.logs().splitlines()) == ["child of 1", "child of 2", "parent"]


def test_an_error_of_the_task_is_raised_here(book: Callable[[str], Any]) -> None:
    there = book("""
        @env.task
        def fails(x: int) -> int:
            return 1 // x
    """)
    with pytest.raises(ZeroDivisionError):
        flyte.run(there.fails, 0).outputs()


def test_large_arrays_go_there_and_back(book: Callable[[str], Any]) -> None:
    import numpy as np

    there = book("""
        @env.task
        def same(x):
            return x
    """)
    array = np.random.default_rng(7).random((32 << 20) // 8)
    # the pods have no numpy: what they cannot open is passed on
    assert (flyte.run(there.same, array).result() == array).all()


def test_a_pod_that_takes_more_memory_than_its_limit_is_said_to(book: Callable[[str], Any]) -> None:
    there = book("""
        small = flyte.TaskEnvironment("small", resources=flyte.Resources(memory="64Mi"))

        @small.task
        def eats() -> int:
            return len(bytearray(b"x") * (400 << 20))
    """)
    with pytest.raises(flyte.errors.OOMError, match="64Mi"):
        flyte.run(there.eats).outputs()


def test_an_image_that_is_nowhere_is_told(book: Callable[[str], Any]) -> None:
    there = book("""
        env = flyte.TaskEnvironment("nowhere", image="nobody/has-this:1")

        @env.task
        def never() -> int:
            return 1
    """)
    with pytest.raises(flyte.errors.ImageBuildError, match="no image 'nobody/has-this:1'"):
        flyte.run(there.never).outputs()


def test_an_abort_removes_the_pods(book: Callable[[str], Any], core: Any, namespace: str) -> None:
    there = book("""
        import time

        @env.task
        def sleeps():
            print("here", flush=True)
            time.sleep(600)
    """)
    run = flyte.run(there.sleeps)
    printed = threading.Event()
    run.subscribe(lambda event: event.kind == "log" and printed.set())
    assert printed.wait(60)
    running = "flyte-jupyter/kind=worker,flyte-jupyter/environment=env"
    name = next(
        pod.metadata.name
        for pod in core.list_namespaced_pod(namespace, label_selector=running).items
        if pod.status.phase == "Running"
    )
    run.abort()
    assert run.phase == "aborted"
    until(lambda: name not in [p.metadata.name for p in core.list_namespaced_pod(namespace).items])


def test_what_a_pod_waits_for_is_said(book: Callable[[str], Any]) -> None:
    there = book("""
        huge = flyte.TaskEnvironment("huge", resources=flyte.Resources(cpu=900))

        @huge.task
        def never() -> int:
            return 1
    """)
    run = flyte.run(there.never)
    waits = threading.Event()
    said = []

    def look(event: Any) -> None:
        if event.kind == "phase" and event.data["why"]:
            said.append(event.data["why"])
            if "Insufficient cpu" in said[-1]:
                waits.set()

    run.subscribe(look)
    assert waits.wait(60), said
    run.abort()


def test_packages_that_the_image_lacks_are_there(book: Callable[[str], Any]) -> None:
    there = book("""
        packed = flyte.TaskEnvironment(
            "packed", image=flyte.Image.from_debian_base().with_pip_packages("numpy==2.3.3")
        )

        @packed.task
        def total(x: int) -> tuple[str, int]:
            import numpy

            return numpy.__version__, int(numpy.arange(x).sum())

        @env.task
        async def parent(x: int) -> tuple[str, int]:
            try:
                import numpy
            except ImportError:
                return await total.aio(x)
    """)
    assert flyte.run(there.parent, 5).result() == ("2.3.3", 10)


def test_an_image_of_another_python_runs_on_that_python(book: Callable[[str], Any]) -> None:
    there = book("""
        old = flyte.TaskEnvironment("old", image="python:3.9-slim")

        @old.task
        def version() -> tuple[int, int]:
            import sys

            return tuple(sys.version_info[:2])
    """)
    assert flyte.run(there.version).result() == (3, 9)


def test_pods_run_where_only_the_strictest_are_let_in(
    fresh_namespace: Callable[..., str], cell: Callable[[str], Any], core: Any, tmp_path: Path
) -> None:
    strict = fresh_namespace({"pod-security.kubernetes.io/enforce": "restricted"})
    flyte.init(target="kubernetes", namespace=strict, state=tmp_path / "state")
    there = cell("""
        packed = flyte.TaskEnvironment(
            "packed", image=flyte.Image.from_debian_base().with_pip_packages("six==1.17.0")
        )

        @packed.task
        def version() -> str:
            import six

            return six.__version__
    """)
    assert flyte.run(there.version).result() == "1.17.0"
    flyte.shut_down()
    until(lambda: not core.list_namespaced_pod(strict).items)


def test_from_inside_the_hub_is_reached_as_pods_reach_it(
    book: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flyte_jupyter.cluster import connect
    from flyte_jupyter.targets.kubernetes import link

    found = connect.connect

    def inside(options: Any) -> Any:
        cluster = found(options)
        cluster.inside = True  # this machine has a route to the pods
        return cluster

    async def none(*_: Any) -> None:
        raise AssertionError("no port was to be forwarded")

    monkeypatch.setattr(connect, "connect", inside)
    monkeypatch.setattr(link, "forward", none)
    there = book("""
        @env.task
        def fine() -> int:
            return 1
    """)
    assert flyte.run(there.fine).result() == 1


def test_what_a_scheduler_admits_is_not_clamped_and_that_is_said(
    book: Callable[[str], Any],
) -> None:
    there = book("""
        @env.task
        def fine() -> int:
            return 1
    """)
    flyte.init(oversize="clamp")
    try:
        run = flyte.run(there.fine)
        assert run.result() == 1
    finally:
        flyte.init(oversize="refuse")
    notes = [event.data["text"] for event in run.events() if event.kind == "note"]
    assert any("nothing is clamped" in note for note in notes)
