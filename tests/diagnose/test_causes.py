"""From facts to the cause: each row of the table once, with the facts that look alike."""

from __future__ import annotations

from typing import Any

import pytest

from flyte_jupyter.diagnose import ContainerEnd, ExitRecord, Facts, diagnose
from flyte_jupyter.errors import (
    MaxRuntimeExceededError,
    OOMError,
    RuntimeSystemError,
    RuntimeUserError,
)

MIB = 1 << 20
FATAL = """\
Fatal Python error: Segmentation fault

Current thread 0x00007f0c5e7fc6c0 (most recent call first):
  File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at
  File "Cell In[3]", line 4 in crash
  File "/opt/flyte_jupyter/runtime/flyte_jupyter/worker/calls.py", line 393 in _invoke
"""


def facts(target: str = "docker", limit: int | None = None, **told: Any) -> Facts:
    about = {name: told.pop(name) for name in ("shm", "network", "output") if name in told}
    return Facts("env.task", ExitRecord(**told), limit, target, **about)


def ended(code: int | None, *events: str, error: str = "", oom: bool = False) -> ContainerEnd:
    return ContainerEnd("flyte-1", code, oom, error, events)


CASES: tuple[tuple[str, Facts, type[Exception], str, str], ...] = (
    # the first process ended it for its memory, or the system did and it counted that
    ("watched", facts(cause="memory", limit=128 * MIB), OOMError, "OOMError", "limit of 128Mi"),
    (
        "counted",
        facts(signal=9, oom_kills=1, limit=128 * MIB, peak_memory=130 * MIB),
        OOMError,
        "OOMError",
        "at least 130.0 MiB were in use",
    ),
    (
        "the engine saw it",
        facts(limit=128 * MIB, container=ended(137, "oom", "die 137")),
        OOMError,
        "OOMError",
        "limit of 128Mi",
    ),
    (
        "the engine says it",
        facts(limit=128 * MIB, container=ended(137, "die 137", oom=True)),
        OOMError,
        "OOMError",
        "limit of 128Mi",
    ),
    ("no limit", facts(signal=9, oom_kills=1), OOMError, "OOMError", "the machine ran out of"),
    # a process of it was ended for memory, and it ended later by itself
    ("a child's", facts(code=3, oom_kills=1), RuntimeUserError, "Exited", "with status 3"),
    (
        "deadline",
        facts(cause="deadline", signal=9),
        MaxRuntimeExceededError,
        "MaxRuntimeExceededError",
        "ran longer than its timeout",
    ),
    ("supervisor", facts("local", cause="supervisor"), RuntimeSystemError, "WorkerLost", "watches"),
    (
        "engine",
        facts(cause="engine", container=ended(137, "kill 9", "die 137")),
        RuntimeSystemError,
        "EngineLost",
        "The docker engine stopped or was restarted",
    ),
    (
        "docker kill",
        facts(signal=9, container=ended(137, "kill 9", "die 137")),
        RuntimeSystemError,
        "ContainerKilled",
        "ended from outside",
    ),
    (
        "docker stop",
        facts(container=ended(143, "kill 15", "die 143", "stop")),
        RuntimeSystemError,
        "ContainerKilled",
        "ended from outside",
    ),
    (
        "removed",
        facts(cause="removed", container=ended(None, "destroy")),
        RuntimeSystemError,
        "ContainerRemoved",
        "removed from outside",
    ),
    (
        "killed on the machine",
        facts(container=ended(137, "die 137")),
        RuntimeUserError,
        "SIGKILL",
        "ended by SIGKILL from outside",
    ),
    ("shared memory", facts(signal=7, shm=64 * MIB), RuntimeUserError, "SIGBUS", "has 64.0 MiB"),
    ("a mapped file", facts("local", signal=7), RuntimeUserError, "SIGBUS", "a mapped file"),
    (
        "full disk",
        facts(code=1, output="OSError: [Errno 28] No space left on device"),
        RuntimeUserError,
        "DiskFull",
        "was full",
    ),
    (
        "no room for its folder",
        facts(code=70, words="Traceback (most recent call last):\n[Errno 28] No space left on d"),
        RuntimeUserError,
        "DiskFull",
        "was full",
    ),
    ("cut", facts(cause="stream"), RuntimeSystemError, "StreamLost", "connection to the worker"),
    (
        "closed by the task",
        facts(code=71, words="flyte_jupyter: the stream to the notebook has ended\n"),
        RuntimeSystemError,
        "StreamLost",
        "connection to the worker",
    ),
    ("status 71", facts(code=71), RuntimeUserError, "Exited", "with status 71"),
    (
        "it did not start",
        facts(code=70, words="Traceback (most recent call last):\nPermissionError: ..."),
        RuntimeSystemError,
        "NotStarted",
        "could not be started",
    ),
    ("status 70", facts(code=70), RuntimeUserError, "Exited", "with status 70"),
    ("no Python", facts(container=ended(127)), RuntimeSystemError, "NotStarted", "has no Python"),
    (
        "its Python may not run",
        facts(container=ended(126)),
        RuntimeSystemError,
        "NotStarted",
        "may not be executed",
    ),
    (
        "another processor",
        facts(container=ended(1, error="exec /usr/bin/python3: exec format error")),
        RuntimeSystemError,
        "NotStarted",
        "another kind of processor",
    ),
    ("status 127", facts(code=127), RuntimeUserError, "Exited", "with status 127"),
    ("signal", facts(signal=11), RuntimeUserError, "SIGSEGV", "touched memory"),
    ("signal of a container", facts(container=ended(139)), RuntimeUserError, "SIGSEGV", "memory"),
    ("unknown signal", facts(signal=64), RuntimeUserError, "SIGRTMAX", "SIGRTMAX"),
    ("status", facts(code=7), RuntimeUserError, "Exited", "with status 7"),
    ("nothing", facts(), RuntimeSystemError, "WorkerLost", "nothing says why"),
)


@pytest.mark.parametrize(
    ("known", "kind", "code", "words"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_cause_is_told_by_its_facts(
    known: Facts, kind: type[Exception], code: str, words: str
) -> None:
    error = diagnose(known)
    assert (type(error), error.code) == (kind, code)
    assert words in str(error)
    assert error.sentence.endswith(".")
    assert "\n" not in error.sentence
    assert error.remedy


def test_a_fatal_error_shows_where_user_code_was() -> None:
    error = diagnose(facts(signal=11, output="before\n" + FATAL))
    assert error.evidence == (
        'File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at',
        'File "Cell In[3]", line 4 in crash',
    )


def test_more_memory_is_twice_the_limit() -> None:
    error = diagnose(facts(cause="memory", limit=3 << 30))
    assert error.remedy == 'Give it more: .override(resources=flyte.Resources(memory="6Gi")).'
