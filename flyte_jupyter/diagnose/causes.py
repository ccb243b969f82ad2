"""Why a worker ended before its task did.

Each cause is a row: how it is recognised and the error that says it. The first row that fits wins.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from flyte_jupyter.errors import (
    BaseRuntimeError,
    MaxRuntimeExceededError,
    OOMError,
    RuntimeSystemError,
    RuntimeUserError,
)
from flyte_jupyter.spec.quantity import format_bytes

__all__ = ["ExitRecord", "Facts", "diagnose"]


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """How a worker ended.

    Args:
        code: exit status, ``None`` if a signal ended it.
        signal: number of the signal that ended it.
        cause: ``"memory"`` or ``"deadline"`` if the worker's first process ended it for that,
            ``"supervisor"`` if that process itself was lost.
        peak_memory: bytes.
        cpu_seconds: user and system time of the worker and what it waited for.
        words: the last that the worker wrote and could not send itself; if what watches it was
            lost, the last that was heard from that.
    """

    code: int | None = None
    signal: int | None = None
    cause: str | None = None
    peak_memory: int = 0
    cpu_seconds: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an attempt whose worker ended.

    Args:
        task: full name of the task.
        exit: the worker's exit record.
        memory_limit: bytes, ``None`` without a limit.
        target: name of the target.
    """

    task: str
    exit: ExitRecord
    memory_limit: int | None
    target: str


def _out_of_memory(facts: Facts) -> BaseRuntimeError:
    limit = facts.memory_limit or 0
    ask = format_bytes(max(2 * limit, 1 << 20))
    return OOMError(
        "",
        f"{facts.task} used more memory than its limit of {format_bytes(limit)} and was ended.",
        evidence=[f"at least {format_bytes(facts.exit.peak_memory)} were in use"],
        remedy=f'Give it more: .override(resources=flyte.Resources(memory="{ask}")).',
    )


def _deadline(facts: Facts) -> BaseRuntimeError:
    return MaxRuntimeExceededError(
        "",
        f"{facts.task} ran longer than its timeout.",
        remedy="Raise timeout=..., or let it do less.",
    )


def _supervisor(facts: Facts) -> BaseRuntimeError:
    return RuntimeSystemError(
        "WorkerLost",
        f"The process that watches the workers of {facts.target} was ended from outside, and "
        f"{facts.task} with it.",
        evidence=facts.exit.words.splitlines()[-5:],
        remedy="Run it again; if this repeats, look for what kills it (the system's log of "
        "processes ended for lack of memory, say).",
    )


def _signal(facts: Facts) -> BaseRuntimeError:
    number = facts.exit.signal or 0
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    meaning = MEANINGS.get(name, "")
    return RuntimeUserError(
        name,
        f"The process of {facts.task} was ended by {name}{meaning}.",
        remedy="Its last lines of output may say more: run.logs().",
    )


MEANINGS = {
    "SIGSEGV": ": a compiled library touched memory that is not its own",
    "SIGABRT": ": a compiled library gave up",
    "SIGBUS": ": a mapped file or shared memory ran out of space",
    "SIGFPE": ": a compiled library divided by zero",
    "SIGILL": ": a compiled library needs another processor",
    "SIGKILL": " from outside, which on most systems means that the machine ran out of memory",
}


def _exit_status(facts: Facts) -> BaseRuntimeError:
    return RuntimeUserError(
        "Exited",
        f"The process of {facts.task} ended by itself with status {facts.exit.code} before the "
        "task returned.",
        remedy="Something in it calls os._exit, or a compiled library ended the process.",
    )


Row = tuple[Callable[[ExitRecord], bool], Callable[[Facts], BaseRuntimeError]]

CAUSES: tuple[Row, ...] = (
    (lambda exit_: exit_.cause == "memory", _out_of_memory),
    (lambda exit_: exit_.cause == "deadline", _deadline),
    (lambda exit_: exit_.cause == "supervisor", _supervisor),
    (lambda exit_: exit_.signal is not None, _signal),
    (lambda _: True, _exit_status),
)


def diagnose(facts: Facts) -> BaseRuntimeError:
    """Return the error that says why the worker of an attempt ended."""
    return next(say(facts) for fits, say in CAUSES if fits(facts.exit))
