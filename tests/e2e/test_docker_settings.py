"""What settings do to a task in a container: seen by the task, and by the engine."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound

import flyte_jupyter as flyte
from flyte_jupyter.session import session

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _on_docker(docker_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose default target is the engine of this machine."""
    del docker_engine
    monkeypatch.setattr(session, "_config", session.config())  # later tests have their own
    flyte.init(target="docker")


def test_a_task_without_network_has_only_itself(cell: Any) -> None:
    book = cell("""
        import os

        alone = flyte.TaskEnvironment(name="alone", network=False)

        @alone.task
        def interfaces() -> list[str]:
            return sorted(os.listdir("/sys/class/net"))

        @env.task
        def others() -> list[str]:
            return sorted(os.listdir("/sys/class/net"))
    """)
    assert flyte.run(book.interfaces).outputs() == (["lo"],)
    assert "eth0" in flyte.run(book.others).outputs()[0]


def test_limits_hold_where_the_task_runs(cell: Any) -> None:
    book = cell("""
        import os

        small = flyte.TaskEnvironment(
            name="small",
            resources=flyte.Resources(cpu=(1, 1.5), memory="200Mi", shm="24Mi"),
        )

        def read(*paths):
            for path in paths:
                if os.path.exists("/sys/fs/cgroup/" + path):
                    return open("/sys/fs/cgroup/" + path).read().split()[0]

        @small.task
        def look() -> dict[str, str]:
            status = dict(
                line.split(":", 1) for line in open("/proc/self/status").read().splitlines()
            )
            shm = os.statvfs("/dev/shm")
            return {
                "memory": read("memory.max", "memory/memory.limit_in_bytes"),
                "cpu": read("cpu.max", "cpu/cpu.cfs_quota_us"),
                "shm": str(shm.f_blocks * shm.f_frsize),
                "rights": status["CapBnd"].strip(),
                "no new ones": status["NoNewPrivs"].strip(),
                "user": f"{os.getuid()}:{os.getgid()}",
            }
    """)
    assert flyte.run(book.look).outputs()[0] == {
        "memory": str(200 * MIB),
        "cpu": "150000",
        "shm": str(24 * MIB),
        "rights": "0" * 16,
        "no new ones": "1",
        "user": f"{os.getuid()}:{os.getgid()}",
    }


def test_variables_and_files_come_along(
    cell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("beside")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONLY_HERE", "kernel")
    book = cell("""
        import os

        given = flyte.TaskEnvironment(
            name="given", env_vars={"MODE": "fast"}, include=["a.txt"]
        )

        @given.task
        def look() -> list[str]:
            return [os.environ["MODE"], open("a.txt").read(), os.environ.get("ONLY_HERE", "")]
    """)
    assert flyte.run(book.look).outputs() == (["fast", "beside", ""],)


def test_secrets_are_variables_and_files_in_memory_and_the_engine_never_knows(
    cell: Any, docker_engine: Any, logged: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "swordfish")
    book = cell("""
        import os, sys, time

        safe = flyte.TaskEnvironment(
            name="safe-secrets",
            secrets=[flyte.Secret("token", "team", "/etc/flyte/secrets", as_env_var="TOKEN")],
        )

        @safe.task
        def look(wait: bool) -> tuple[str, str, str, str]:
            path = "/etc/flyte/secrets/team/token"
            kinds = {l.split()[1]: l.split()[2] for l in open("/proc/mounts")}
            mode = oct(os.stat(path).st_mode & 0o777)
            found = os.environ["TOKEN"], open(path).read(), kinds["/etc/flyte/secrets"], mode
            if wait:
                print("waits", flush=True)
                time.sleep(600)
            return found
    """)
    assert flyte.run(book.look, False).outputs() == ("swordfish", "swordfish", "tmpfs", "0o600")

    run = flyte.run(book.look, True)
    logged(run, "waits")
    labels = {"label": "flyte_jupyter.environment=safe-secrets"}
    told = []
    for row in docker_engine.api.containers(filters=labels):
        with contextlib.suppress(NotFound):  # that of the run before is being removed
            told.append(docker_engine.api.inspect_container(row["Id"]))
    run.abort()
    assert told
    assert "swordfish" not in json.dumps(told)
    assert any("/etc/flyte/secrets" in (one["HostConfig"]["Tmpfs"] or {}) for one in told)


def test_tasks_of_both_targets_call_each_other(cell: Any) -> None:
    book = cell("""
        import os, socket

        near = flyte.TaskEnvironment(name="near", target="local")
        far = flyte.TaskEnvironment(name="far", target="docker")

        def place() -> str:
            return "docker" if os.path.exists("/.dockerenv") else "local"

        @far.task
        async def leaf(data: bytes) -> tuple[str, int]:
            return place(), len(data)

        @near.task
        async def middle(data: bytes) -> list[tuple[str, int]]:
            return [(place(), len(data)), await leaf(data + data)]

        @far.task
        async def top(size: int) -> list[tuple[str, int]]:
            return [(place(), size), *(await middle(bytes(size)))]
    """)
    size = 2 << 20
    here = "docker" if os.path.exists("/.dockerenv") else "local"
    found = flyte.run(book.top, size).outputs()[0]
    assert found == [("docker", size), (here, size), ("docker", 2 * size)]


def test_what_is_not_honoured_is_said_once(cell: Any) -> None:
    book = cell("""
        odd = flyte.TaskEnvironment(name="odd", queue="gpus", service_account="me")

        @odd.task
        def one() -> int:
            return 1
    """)
    first = flyte.run(book.one).wait()
    second = flyte.run(book.one).wait()
    notes = [event.data["text"] for event in first.events() if event.kind == "note"]
    assert notes == [
        "odd: queue: an engine has one queue; the name is only recorded",
        "odd: service_account: Docker has no service accounts",
    ]
    assert [event for event in second.events() if event.kind == "note"] == []


def test_more_than_the_engine_has_is_refused_with_what_it_has(cell: Any) -> None:
    book = cell("""
        huge = flyte.TaskEnvironment(name="huge", resources=flyte.Resources(memory="900Ti"))

        @huge.task
        def one() -> int:
            return 1
    """)
    with pytest.raises(flyte.errors.AdmissionError, match="memory 900Ti of "):
        flyte.run(book.one).outputs()
    assert "memory 900Ti of " in str(flyte.explain(book.one))
