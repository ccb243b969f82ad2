"""What was seen of the end of a worker, in words: what a cause was found by, for who doubts it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from flyte_jupyter.diagnose.facts import Facts
from flyte_jupyter.spec.amounts import readable_bytes
from flyte_jupyter.spec.quantity import format_bytes

__all__ = ["evidence"]


def evidence(facts: Facts) -> str:
    """Return what was seen: ``signal 9 (SIGKILL) · peak memory 127.4 MiB of 128Mi``."""
    return " · ".join(_seen(facts))


def _seen(facts: Facts) -> Iterator[str]:
    exit_ = facts.exit
    if exit_.code is not None:
        yield f"exit status {exit_.code}"
    if exit_.signal is not None:
        yield f"signal {_signal(exit_.signal)}"
    if exit_.oom_kills:
        noun = "process" if exit_.oom_kills == 1 else "processes"
        yield f"{exit_.oom_kills} {noun} ended by the system for lack of memory"
    if exit_.peak_memory:
        of = "" if facts.memory_limit is None else f" of {format_bytes(facts.memory_limit)}"
        yield f"peak memory {readable_bytes(exit_.peak_memory)}{of}"
    if exit_.container is not None:
        yield from _of_container(facts)


def _of_container(facts: Facts) -> Iterator[str]:
    container = facts.exit.container
    assert container is not None
    if container.code is not None and container.code != facts.exit.code:
        yield f"the container's status is {container.code}"
    if container.oom_killed:
        yield "its engine says that memory was the reason"
    if container.error:
        yield container.error
    if container.events:
        yield f"its engine saw: {', '.join(container.events)}"


def _signal(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:  # this system has no name for it
        return str(number)
