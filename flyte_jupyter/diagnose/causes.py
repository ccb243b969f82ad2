"""Why a worker ended before its task did.

Each cause is a row: how it is recognised and the error that says it. The first row that fits wins.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

from flyte_jupyter.diagnose.facts import ContainerEnd, Facts
from flyte_jupyter.diagnose.pods import POD_ENDS
from flyte_jupyter.diagnose.words import DISK, more_memory, more_shm
from flyte_jupyter.errors import (
    BaseRuntimeError,
    MaxRuntimeExceededError,
    OOMError,
    RuntimeSystemError,
    RuntimeUserError,
)
from flyte_jupyter.spec.amounts import readable_bytes
from flyte_jupyter.spec.quantity import format_bytes

__all__ = ["diagnose"]

SIGKILL = 9
SIGBUS = 7
# How a body ends when it is not the user's code that ends it, and what it writes then, since user
# code may end with the same status.
STREAM_ENDED, LAST_WORD = 71, "flyte_jupyter: the stream to the notebook has ended"
NOT_STARTED, CRASH = 70, "Traceback (most recent call last)"
# What stands below user code on the stack.
OURS = "/flyte_jupyter/worker/"
# How the first process of a container ends that the engine could not start.
UNSTARTABLE = (125, 126, 127)
LINES = 5


def diagnose(facts: Facts) -> BaseRuntimeError:
    """Return the error that says why the worker of an attempt ended."""
    return next(say(facts) for fits, say in CAUSES if fits(facts))


# What the facts say


def _container(facts: Facts) -> ContainerEnd:
    return facts.exit.container or ContainerEnd()


def _code(facts: Facts) -> int | None:
    """Return the exit status; of a container that told nothing itself, what its engine has."""
    exit_ = facts.exit
    if exit_.code is None and exit_.signal is None:
        return _container(facts).code
    return exit_.code


def _signal_number(facts: Facts) -> int | None:
    """Return the signal that ended it; an engine tells it as a status above 128."""
    exit_ = facts.exit
    if exit_.signal is not None or exit_.code is not None:
        return exit_.signal
    code = _container(facts).code or 0
    return code - 128 if 128 < code < 128 + 65 else None


def _seen(facts: Facts, *events: str) -> bool:
    return any(event.split()[0] in events for event in _container(facts).events)


def _said(facts: Facts) -> str:
    return f"{facts.output}\n{facts.exit.words}"


def _last_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()][-LINES:]


# How a cause is recognised


def _by(cause: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.exit.cause == cause


def _no_memory(facts: Facts) -> bool:
    if facts.exit.cause == "memory":
        return True
    counted = facts.exit.oom_kills > 0 or _container(facts).oom_killed or _seen(facts, "oom")
    return counted and _signal_number(facts) == SIGKILL


def _of_a_pod(facts: Facts) -> bool:
    return facts.target == "kubernetes" and facts.exit.cause in POD_ENDS


def _ended_from_outside(facts: Facts) -> bool:
    return _seen(facts, "kill", "stop") and _signal_number(facts) in (SIGKILL, signal.SIGTERM)


def _died_on_full_disk(facts: Facts) -> bool:
    return DISK.search(_said(facts)) is not None


def _died_in_shm(facts: Facts) -> bool:
    return _signal_number(facts) == SIGBUS and facts.shm is not None


def _lost_its_stream(facts: Facts) -> bool:
    exit_ = facts.exit
    return exit_.cause == "stream" or (exit_.code == STREAM_ENDED and LAST_WORD in exit_.words)


def _not_started(facts: Facts) -> bool:
    exit_, container = facts.exit, _container(facts)
    if exit_.code == NOT_STARTED and CRASH in exit_.words:
        return True
    # a first process that told how its body ended has started, whatever the status
    return bool(container.error) or container.code in UNSTARTABLE


# The error that says a cause


def _out_of_memory(facts: Facts) -> BaseRuntimeError:
    limit, peak = facts.memory_limit, facts.exit.peak_memory
    evidence = [f"at least {readable_bytes(peak)} were in use"] if peak else []
    if limit is None:
        return OOMError(
            "",
            f"{facts.task} was ended because the machine ran out of memory.",
            evidence=evidence,
            remedy="Say how much it needs, so that it starts where that is free: "
            '.override(resources=flyte.Resources(memory="4Gi")).',
        )
    return OOMError(
        "",
        f"{facts.task} used more memory than its limit of {format_bytes(limit)} and was ended.",
        evidence=evidence,
        remedy=f"Give it more: {more_memory(limit)}.",
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
        evidence=_last_lines(facts.exit.words),
        remedy="Run it again; if this repeats, look for what kills it (the system's log of "
        "processes ended for lack of memory, say).",
    )


def _engine(facts: Facts) -> BaseRuntimeError:
    return RuntimeSystemError(
        "EngineLost",
        f"The {facts.target} engine stopped or was restarted while {facts.task} ran, and its "
        "container ended with it.",
        evidence=_evidence(facts),
        remedy="Run it again once the engine answers (docker info); what returned before is kept.",
    )


def _pod_ended(facts: Facts) -> BaseRuntimeError:
    end = POD_ENDS[facts.exit.cause or ""]
    kind = RuntimeUserError if end.user else RuntimeSystemError
    sentence = end.sentence.format(task=facts.task)
    return kind(end.code, sentence, evidence=_evidence(facts), remedy=end.remedy)


def _removed(facts: Facts) -> BaseRuntimeError:
    return RuntimeSystemError(
        "ContainerRemoved",
        f"The container of {facts.task} was removed from outside while the task ran.",
        evidence=_evidence(facts),
        remedy="Run it again; docker rm -f and docker system prune end running tasks.",
    )


def _stopped(facts: Facts) -> BaseRuntimeError:
    return RuntimeSystemError(
        "ContainerKilled",
        f"The container of {facts.task} was ended from outside, as docker kill, stop and rm do.",
        evidence=_evidence(facts),
        remedy="Run it again; %flyte_ps shows what is there.",
    )


def _stream(facts: Facts) -> BaseRuntimeError:
    return RuntimeSystemError(
        "StreamLost",
        f"The connection to the worker of {facts.task} was lost while the task ran, and the worker "
        "was ended.",
        evidence=_evidence(facts),
        remedy="Run it again; retries= does that by itself.",
    )


def _start(facts: Facts) -> BaseRuntimeError:
    container, said = _container(facts), _said(facts)
    why = container.error or "\n".join(_last_lines(said))
    words, remedy = _start_row(why, _code(facts))
    return RuntimeSystemError(
        "NotStarted",
        f"The worker of {facts.task} could not be started{words}",
        evidence=_last_lines(why) if why else _evidence(facts),
        remedy=remedy,
    )


STARTS: tuple[tuple[str, int | None, str, str], ...] = (
    (
        r"exec format error",
        None,
        ": its image is for another kind of processor than this machine's.",
        'Take an image of this machine\'s architecture, such as platform="linux/amd64".',
    ),
    (
        r"executable file not found|no such file or directory|command not found",
        127,
        ": its image has no Python, or not where it was.",
        "Take an image with python3, 3.9 or newer, such as flyte.Image.from_debian_base().",
    ),
    (
        r"permission denied|operation not permitted",
        126,
        ": something in its image may not be executed or read by the user that tasks run as.",
        "Make it readable for all in the image (chmod -R a+rX), or set no USER there.",
    ),
    (
        DISK.pattern,
        None,
        ": the disk of the container engine is full.",
        "Make room: %flyte_images --remove-unused, docker system df.",
    ),
)


def _start_row(why: str, code: int | None) -> tuple[str, str]:
    by_words = (row for row in STARTS if re.search(row[0], why, re.IGNORECASE))
    by_status = (row for row in STARTS if row[1] is not None and row[1] == code)
    row = next(by_words, None) or next(by_status, None)
    if row is None:
        return ".", "What it wrote says more; run it again, and report it if this repeats."
    return row[2], row[3]


def _full_disk(facts: Facts) -> BaseRuntimeError:
    return RuntimeUserError(
        "DiskFull",
        f"{facts.task} ended because the disk that it wrote to was full.",
        evidence=_last_lines(_said(facts)),
        remedy="Write less, ask for more with .override(resources=flyte.Resources(disk=...)), or "
        "make room on the machine: %flyte_images --remove-unused.",
    )


def _bus_error(facts: Facts) -> BaseRuntimeError:
    return RuntimeUserError(
        "SIGBUS",
        f"The process of {facts.task} was ended by SIGBUS{MEANINGS['SIGBUS']}; its /dev/shm has "
        f"{readable_bytes(facts.shm or 0)}.",
        remedy=f"Give it more shared memory: {more_shm(facts.shm or 0)}.",
    )


def _signal(facts: Facts) -> BaseRuntimeError:
    number = _signal_number(facts) or 0
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return RuntimeUserError(
        name,
        f"The process of {facts.task} was ended by {name}{MEANINGS.get(name, '')}.",
        evidence=_stack(facts.output),
        remedy="Its last lines of output may say more: run.logs(), or %flyte_logs.",
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
        f"The process of {facts.task} ended by itself with status {_code(facts)} before the "
        "task returned.",
        remedy="Something in it calls os._exit, or a compiled library ended the process.",
    )


def _unknown(facts: Facts) -> BaseRuntimeError:
    return RuntimeSystemError(
        "WorkerLost",
        f"The worker of {facts.task} ended, and nothing says why.",
        evidence=_evidence(facts),
        remedy="Run it again; if this repeats, its last lines of output may say more: %flyte_logs.",
    )


def _evidence(facts: Facts) -> list[str]:
    container = _container(facts)
    lines = [f"container {container.name}: {', '.join(container.events)}"]
    if not container.events:
        lines = [f"container {container.name}"] if container.name else []
    if container.error:
        lines.append(container.error)
    return [*lines, *_last_lines(facts.exit.words)]


def _stack(output: str) -> list[str]:
    """Return the lines of Python that a fatal error was met in, the innermost first."""
    at = output.rfind("Fatal Python error")
    if at < 0:
        return []
    frames = [line.strip() for line in output[at:].splitlines() if line.startswith('  File "')]
    return [frame for frame in frames if OURS not in frame][:LINES]


Row = tuple[Callable[[Facts], bool], Callable[[Facts], BaseRuntimeError]]

CAUSES: tuple[Row, ...] = (
    (_by("engine"), _engine),
    (_of_a_pod, _pod_ended),
    (_no_memory, _out_of_memory),
    (_by("deadline"), _deadline),
    (_by("supervisor"), _supervisor),
    (_ended_from_outside, _stopped),
    (_by("removed"), _removed),
    (_died_in_shm, _bus_error),
    (_died_on_full_disk, _full_disk),
    (_lost_its_stream, _stream),
    (_not_started, _start),
    (lambda facts: _signal_number(facts) is not None, _signal),
    (lambda facts: _code(facts) is not None, _exit_status),
    (lambda _: True, _unknown),
)
