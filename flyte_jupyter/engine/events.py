"""What happens to a run, as a gapless sequence of small values; every display is a function of it.

======== ============================================================================
kind     data
======== ============================================================================
run      ``name``, ``task``, ``target``
action   ``parent``, ``task``, ``environment``, ``target``, ``depth``, ``resources`` (words),
         ``cpu`` (thousandths) and ``memory`` (bytes) that it may use, ``None`` if nothing is said
phase    ``attempt``, ``phase``, ``why`` (a sentence or ``""``)
prepare  ``environment``, ``text``; progress of making an image startable
log      ``attempt``, ``stream`` (``stdout`` or ``stderr``), ``text``
stats    ``attempt``, ``peak_memory`` (bytes, ``None`` if unknown), ``cpu_seconds``
result   ``type``, ``size`` (bytes), ``preview``
error    ``attempt``, ``type``, ``sentence``, ``traceback``, ``remedy``, ``evidence`` (words),
         ``final``
note     ``text``; a fact that is said once (a field that the target does not honour)
end      ``phase``, ``seconds``; only ``stats`` of workers that end later come after it
======== ============================================================================
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from flyte_jupyter.spec import Resources

__all__ = ["TERMINAL", "Event", "Phase", "asked"]


class Phase(StrEnum):
    """Where an action stands."""

    QUEUED = "queued"
    PREPARING = "preparing"
    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    TIMED_OUT = "timed_out"


TERMINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT})


class Event(NamedTuple):
    """One thing that happened; a tuple, since thousands are made within a moment.

    Args:
        run: name of the run.
        seq: place in the sequence of the run, from 0, without gaps.
        time: seconds since the epoch.
        kind: a word of the table above.
        action: name of the action (``a0`` is the root), ``None`` for the run itself.
        data: what the table says for this kind.
    """

    run: str
    seq: int
    time: float
    kind: str
    action: str | None
    data: dict[str, Any]


def asked(resources: Resources | None) -> dict[str, Any]:
    """Return what an action may use, as the event ``action`` has it."""
    if resources is None:
        return {"resources": "", "cpu": None, "memory": None}
    return {
        "resources": str(resources),
        "cpu": resources.cpu_limit or resources.cpu_request,
        "memory": resources.memory_limit,
    }
