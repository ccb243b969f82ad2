"""What the engine knows of an attempt that failed, laid before `diagnose`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flyte_jupyter.diagnose import ExitRecord, Facts, Raised, advise, diagnose, evidence
from flyte_jupyter.engine.failures import failure_of
from flyte_jupyter.engine.record import Recorder
from flyte_jupyter.engine.run import Action, Failure

__all__ = ["failure_of_ended", "with_advice"]

# What /dev/shm of a container has if nobody says; on `local` it is the machine's own.
SHM = 64 << 20


def failure_of_ended(action: Action, target: str, exit_: ExitRecord, record: Recorder) -> Failure:
    """Return why the worker of an attempt ended before it answered.

    Args:
        action: what was tried.
        target: name of the target.
        exit_: how the worker ended.
        record: has what it wrote.
    """
    resources = action.settings.resources
    facts = Facts(
        task=action.unit.name,
        exit=exit_,
        memory_limit=None if resources is None else resources.memory_limit,
        target=target,
        shm=_shm(action, target),
        network=action.settings.network is not False,
        output=record.last_errors(action),
    )
    return replace(failure_of(diagnose(facts)), lost=exit_.lost, evidence=evidence(facts))


def with_advice(
    failure: Failure, action: Action, target: str, header: dict[str, Any], record: Recorder
) -> Failure:
    """Return what user code raised with what to do about it, where that is known.

    Args:
        failure: what it raised.
        action: what was tried.
        target: name of the target.
        header: of the frame that told it.
        record: has what it wrote.
    """
    if failure.remedy:
        return failure
    resources = action.settings.resources
    device = None if resources is None else resources.device
    raised = Raised(
        type=failure.type,
        sentence=failure.sentence,
        traceback=failure.traceback,
        task=action.unit.name,
        target=target,
        memory_limit=None if resources is None else resources.memory_limit,
        shm=_shm(action, target),
        network=action.settings.network is not False,
        accelerator="" if device is None else str(device),
        oom_kills=int(header.get("oom_kills", 0)),
        full=tuple(map(str, header.get("full", ()))),
        output=record.last_errors(action),
    )
    said = advise(raised)
    return replace(failure, remedy=said) if said else failure


def _shm(action: Action, target: str) -> int | None:
    resources = action.settings.resources
    asked = None if resources is None else resources.shm_bytes
    if asked is None:
        return None if target == "local" else SHM
    return asked if isinstance(asked, int) else None
