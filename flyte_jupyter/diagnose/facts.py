"""What is known of an attempt that failed: gathered elsewhere, judged here."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ContainerEnd", "ExitRecord", "Facts", "Raised"]


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """What a container engine tells of a container that has ended.

    Args:
        name: of the container.
        code: exit status, as the engine has it: 137 for SIGKILL.
        oom_killed: whether the engine says that memory was the reason.
        error: what the engine says went wrong with it.
        events: what the engine saw happen to it, in order, without what the target asked for:
            ``"oom"``, ``"kill 9"``, ``"stop"``, ``"die 137"``, ``"destroy"``.
    """

    name: str = ""
    code: int | None = None
    oom_killed: bool = False
    error: str = ""
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """How a worker ended.

    Args:
        code: exit status, ``None`` if a signal ended it.
        signal: number of the signal that ended it.
        cause: why it was ended, if that is known: ``"memory"`` or ``"deadline"`` by its first
            process for that, ``"supervisor"`` if that process itself was lost, ``"engine"`` if the
            engine of its container was lost or restarted, ``"hub"`` if that of its session in a
            cluster was, ``"removed"`` if its container or pod was removed from outside,
            ``"stream"`` if it lived and its stream ended; of a pod also a word of the table in
            :mod:`flyte_jupyter.diagnose.pods`.
        peak_memory: bytes.
        cpu_seconds: user and system time of the worker and what it waited for.
        words: the last that the worker wrote and could not send itself; if what watches it was
            lost, the last that was heard from that.
        oom_kills: processes in it that the system ended for lack of memory.
        container: what its engine tells, where it had a container and the engine was asked.
        lost: whether what it ran on was taken from it, by no fault of the task: then the system
            tries it again, beside the retries that the task has.
    """

    code: int | None = None
    signal: int | None = None
    cause: str | None = None
    peak_memory: int = 0
    cpu_seconds: float = 0.0
    words: str = ""
    oom_kills: int = 0
    container: ContainerEnd | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an attempt whose worker ended before it answered.

    Args:
        task: full name of the task.
        exit: the worker's exit record.
        memory_limit: bytes, ``None`` without a limit.
        target: name of the target.
        shm: bytes of ``/dev/shm``, ``None`` if they are not limited by the settings.
        network: whether it had a network.
        output: the last that the attempt wrote to standard error.
    """

    task: str
    exit: ExitRecord
    memory_limit: int | None
    target: str
    shm: int | None = None
    network: bool = True
    output: str = ""


@dataclass(frozen=True, slots=True)
class Raised:
    """What is known of an attempt whose code raised.

    Args:
        type: class name of the exception.
        sentence: its text.
        traceback: text of its traceback.
        task: full name of the task.
        target: name of the target.
        memory_limit: bytes, ``None`` without a limit.
        shm: bytes of ``/dev/shm``, ``None`` if they are not limited by the settings.
        network: whether it had a network.
        accelerator: what the task asked for, in words, empty if nothing.
        oom_kills: processes of its worker that the system ended for lack of memory.
        full: which of the places that tasks write to had no room left.
        output: the last that the attempt wrote to standard error.
    """

    type: str
    sentence: str
    traceback: str = ""
    task: str = ""
    target: str = ""
    memory_limit: int | None = None
    shm: int | None = None
    network: bool = True
    accelerator: str = ""
    oom_kills: int = 0
    full: tuple[str, ...] = ()
    output: str = ""
