"""What to do about an exception of user code: it keeps its type, and gets a remedy.

Each row names the exceptions that it is about (none for any), a pattern of their text, and what to
say. The first row that has something to say wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from flyte_jupyter.diagnose.facts import Raised
from flyte_jupyter.diagnose.words import DISK, more_memory, more_shm
from flyte_jupyter.spec.packages import package_of, package_of_command, package_of_library
from flyte_jupyter.spec.quantity import format_bytes

__all__ = ["advise"]


def advise(raised: Raised) -> str:
    """Return what to do about an exception of user code, empty if nothing is known."""
    for row in ROWS:
        if row.types and raised.type not in row.types:
            continue
        text = raised.sentence if row.types else f"{raised.type}: {raised.sentence}"
        match = row.pattern.search(text)
        if match is not None and (said := row.say(raised, match)):
            return said
    return ""


@dataclass(frozen=True, slots=True)
class _Row:
    types: tuple[str, ...]
    pattern: re.Pattern[str]
    say: Callable[[Raised, re.Match[str]], str]


# Packages


def _missing_module(_: Raised, match: re.Match[str]) -> str:
    package = package_of(match[1])
    return (
        f"The task's image lacks {package!r}: add it with --pip {package}, or "
        f'image=flyte.Image.from_debian_base().with_pip_packages("{package}").'
    )


def _missing_library(_: Raised, match: re.Match[str]) -> str:
    package = package_of_library(match[1])
    if not package:
        return ""
    return (
        f"The task's image lacks the library {match[1]}: add it with --apt {package}, or "
        f'image=flyte.Image.from_debian_base().with_apt_packages("{package}").'
    )


def _missing_command(_: Raised, command: str) -> str:
    name = command.strip().rpartition("/")[2]
    package = package_of_command(name)
    return (
        f"The task's image has no command {name!r}: add it with --apt {package}, or "
        f'image=flyte.Image.from_debian_base().with_apt_packages("{package}").'
    )


def _command_not_found(raised: Raised, match: re.Match[str]) -> str:
    # a file that is read and is missing says the same as a program that is started
    started = "_execute_child" in raised.traceback
    return _missing_command(raised, match[1]) if started else ""


def _shell_found_nothing(raised: Raised, match: re.Match[str]) -> str:
    words = re.findall(r"[\w./+-]+", match[1])
    told = re.search(r"(?:^|[\s:])([\w./+-]+): (?:command )?not found", raised.output)
    name = told[1] if told else (words[0] if words else "")
    return _missing_command(raised, name) if name else ""


def _not_executable(_: Raised, match: re.Match[str]) -> str:
    return (
        f"{match[1]} may not be executed, or is a program for another kind of processor: "
        "chmod +x it where the image is made, or install the one for this machine."
    )


# Memory


def _child_was_killed(raised: Raised, _: re.Match[str]) -> str:
    limit = raised.memory_limit
    if raised.oom_kills:
        number = raised.oom_kills
        ended = (
            "A process that it started was" if number == 1 else f"{number} of its processes were"
        )
        if limit is None:
            return f"{ended} ended because the machine ran out of memory; start fewer of them."
        return (
            f"{ended} ended because the container reached its memory limit of "
            f"{format_bytes(limit)}; give it more: {more_memory(limit)}."
        )
    return (
        "A process that it started was killed, most often for lack of memory: start fewer of them, "
        "or say how much they need with memory=."
    )


def _no_memory(raised: Raised, _: re.Match[str]) -> str:
    if raised.memory_limit is None:
        return "It asked for more memory than the machine gives: take less at a time."
    return f"Its limit is {format_bytes(raised.memory_limit)}; give it more: " + (
        f"{more_memory(raised.memory_limit)}."
    )


def _no_shared_memory(raised: Raised, _: re.Match[str]) -> str:
    has = f" (/dev/shm has {format_bytes(raised.shm)})" if raised.shm else ""
    return (
        f"Shared memory ran out{has}: give it more, {more_shm(raised.shm or 0)}, "
        'or shm="auto", or start fewer workers (num_workers=0).'
    )


# Disk and files


def _full_disk(raised: Raised, match: re.Match[str]) -> str:
    if "/dev/shm" in raised.sentence or raised.full[:1] == (SHM,):
        return _no_shared_memory(raised, match)
    return (
        "The disk that it wrote to is full: write less, ask for more with "
        ".override(resources=flyte.Resources(disk=...)), or make room on the machine "
        "(%flyte_images --remove-unused)."
    )


def _not_allowed(raised: Raised, match: re.Match[str]) -> str:
    if raised.target == "local" or not match[1].startswith("/"):
        return ""
    return (
        f"A task runs as the notebook's user, without rights of its own: {match[1]} belongs to "
        "another. Write to the working directory or to /tmp, or set the rights where the image is "
        "made (with_commands)."
    )


def _read_only(raised: Raised, match: re.Match[str]) -> str:
    if raised.target == "local":
        return ""
    return (
        f"{match[1]} is mounted read-only: what is installed there belongs to the image. Write to "
        "the working directory or to /tmp."
    )


# Network


def _no_network(raised: Raised, _: re.Match[str]) -> str:
    if raised.network:
        return ""
    return (
        "The environment has network=False, so nothing can be reached from the task: set "
        "network=True, or pass what it fetches as an input."
    )


def _no_name(raised: Raised, _: re.Match[str]) -> str:
    if raised.target == "local":
        return ""
    return (
        "A host's name could not be resolved from the container: check the name, and the name "
        "servers of the engine (docker run --rm IMAGE cat /etc/resolv.conf)."
    )


def _this_host(raised: Raised, match: re.Match[str]) -> str:
    where = f"{match.string}\n{raised.traceback}"
    if raised.target == "local" or not re.search(r"127\.0\.0\.1|localhost|::1\b", where):
        return ""
    return (
        "localhost is the container itself, not the machine of the notebook: use the machine's "
        "name or address, and let the server listen there."
    )


# Accelerators


def _no_device_memory(_: Raised, __: re.Match[str]) -> str:
    return (
        "The accelerator's own memory is full (memory= is the machine's): take smaller batches, "
        'or a type with more, such as gpu="A100 80G:1".'
    )


def _no_device(raised: Raised, _: re.Match[str]) -> str:
    if not raised.accelerator:
        return (
            "The task asks for no accelerator, so it sees none: add --gpu 1, or resources= with "
            "gpu=1."
        )
    return (
        f"It asked for {raised.accelerator} and its code sees none: check that the image has the "
        "libraries for it, and the machine the driver (nvidia-smi; flyte-jupyter doctor)."
    )


SHM = "/dev/shm"


def _row(types: str, pattern: str, say: Callable[[Raised, re.Match[str]], str]) -> _Row:
    return _Row(tuple(types.split()), re.compile(pattern), say)


OS = "OSError PermissionError FileNotFoundError ConnectionError ConnectionRefusedError TimeoutError"
CONNECTION = (
    r"Connection(?:Refused|Reset|Aborted)?Error|Network is unreachable|Failed to establish|"
    r"Name or service not known|Temporary failure in name resolution|nodename nor servname|"
    r"Could not resolve host|Max retries exceeded|urlopen error|No route to host|"
    r"Cannot assign requested address|ConnectTimeout|ConnectError|gaierror"
)
NAMES = (
    r"Name or service not known|Temporary failure in name resolution|Could not resolve host|"
    r"nodename nor servname|gaierror|NameResolutionError"
)
KILLED = (
    r"BrokenProcessPool|TerminatedWorkerError|died with <Signals\.SIGKILL|"
    r"exit(?:ed with)? (?:code|status) (?:-9|137)\b|killed by signal: Killed|"
    r"SIGKILL\(-9\)"
)
SHARED = (
    r"killed by signal: Bus error|out of shared memory|unable to (?:open|write to|mmap).*shared "
    r"memory|/dev/shm.*No space left|No space left on device.*/dev/shm|<Signals\.SIGBUS"
)
ROWS: tuple[_Row, ...] = (
    _row("ModuleNotFoundError", r"No module named '([\w.]+)'", _missing_module),
    _row("ImportError", r"([\w.+-]+\.so[\d.]*): cannot open shared object file", _missing_library),
    _row("FileNotFoundError", r"No such file or directory: '([^']+)'", _command_not_found),
    _row("", r"Command (.+) returned non-zero exit status 127", _shell_found_nothing),
    _row("OSError", r"Exec format error: '([^']+)'", _not_executable),
    _row("", SHARED, _no_shared_memory),
    _row("", KILLED, _child_was_killed),
    _row("", DISK.pattern, _full_disk),
    _row("", r"Read-only file system: '([^']+)'", _read_only),
    _row("PermissionError", r"(?:Permission denied|not permitted): '([^']+)'", _not_allowed),
    _row("", r"CUDA out of memory|CUDA_ERROR_OUT_OF_MEMORY|OutOfMemoryError", _no_device_memory),
    _row(
        "",
        r"[Nn]o CUDA(?:-capable)? (?:GPUs?|devices?)|Found no NVIDIA driver|libcuda\.so|"
        r"not compiled with CUDA enabled|CUDA driver version is insufficient|"
        r"[Nn]o (?:GPU|gpu)s? (?:is|are|was|were)? ?(?:available|found)",
        _no_device,
    ),
    _row("MemoryError _ArrayMemoryError", r"", _no_memory),
    _row("", CONNECTION, _no_network),
    _row("", NAMES, _no_name),
    _row("", r"Connection refused|ConnectError|Failed to establish", _this_host),
    # whatever the words: one of its processes is known to have ended so
    _row(
        "", r"", lambda raised, match: _child_was_killed(raised, match) if raised.oom_kills else ""
    ),
)
