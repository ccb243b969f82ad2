"""Failures as they travel: an exception with its sentence, its traceback and its encoding."""

from __future__ import annotations

from typing import Any

from flyte_jupyter.engine.events import Phase
from flyte_jupyter.engine.run import Failure
from flyte_jupyter.errors import (
    ActionAbortedError,
    FlyteError,
    MaxQueuedTimeExceededError,
    RuntimeSystemError,
    TaskTimeoutError,
    WorkerLostError,
)
from flyte_jupyter.wire.exchange import Packed, pack
from flyte_jupyter.wire.values import encode_exception

__all__ = ["failure_of", "failure_of_frame", "waited_too_long"]


def failure_of(error: BaseException, *, final: bool = False) -> Failure:
    """Return the failure that an exception of the engine or of a target stands for."""
    if not isinstance(error, FlyteError):
        error = RuntimeSystemError(type(error).__name__, f"{type(error).__name__}: {error}")
    phase = Phase.FAILED
    if isinstance(error, TaskTimeoutError):
        phase = Phase.TIMED_OUT
    elif isinstance(error, ActionAbortedError):
        phase = Phase.ABORTED
    return Failure(
        type=type(error).__name__,
        # what to do next travels beside it
        sentence=str(error).removesuffix("\n" + error.remedy),
        packed=pack(encode_exception(error)),
        remedy=error.remedy,
        phase=phase,
        final=final,
        lost=isinstance(error, WorkerLostError),
    )


def failure_of_frame(header: dict[str, Any], packed: Packed) -> Failure:
    """Return the failure that a worker reported."""
    return Failure(
        type=str(header.get("type", "Exception")),
        sentence=str(header.get("sentence", "")),
        packed=packed,
        traceback=str(header.get("traceback", "")),
        remedy=str(header.get("remedy", "")),
        final=bool(header.get("final")),
    )


def waited_too_long(task: str, seconds: float, why: str) -> MaxQueuedTimeExceededError:
    """Return the end of an action that was to start within a time, and has not.

    Args:
        task: its task.
        seconds: the time.
        why: what it waited for, ``""`` where nothing is known.
    """
    rest = f": it {why}" if why else ""
    return MaxQueuedTimeExceededError(
        "",
        f"{task} waited longer than {seconds:g} s{rest}.",
        remedy="Raise Timeout(max_queued_time=...), or ask for less.",
    )
