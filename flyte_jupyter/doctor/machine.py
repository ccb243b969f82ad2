"""What this machine has: Python, and each target at a glance."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from flyte_jupyter.doctor.finding import Finding
from flyte_jupyter.doctor.lab import examine_extension

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon

__all__ = ["examine", "examine_target"]


def examine() -> Iterator[Finding]:
    """Yield what is found out, the cheapest first."""
    yield _python()
    yield _alias()
    yield _default()
    yield examine_extension()
    from flyte_jupyter.session.session import target_names

    known = target_names()
    for name, probe in _PROBES.items():
        finding = probe()
        if name in known:
            yield finding
        else:
            yield Finding(
                name,
                False,
                f"this version of flyte_jupyter runs no tasks there. {finding.sentence}",
                finding.details,
            )


def examine_target(name: str) -> Iterator[Finding]:
    """Yield what is found out of one target of this machine.

    Args:
        name: the target's.
    """
    yield _python()
    yield _PROBES[name]()


def _python() -> Finding:
    version = platform.python_version()
    if sys.platform == "win32":
        return Finding(
            "Python", False, f"{version} on Windows; install this package inside WSL2 instead."
        )
    return Finding("Python", True, f"{version} on {platform.system()} {platform.machine()}.")


def _alias() -> Finding:
    from flyte_jupyter.notebook.alias import official_is_installed

    if official_is_installed():
        return Finding(
            "import flyte",
            True,
            "gives the official package, which is installed here; "
            "use `import flyte_jupyter as flyte` for this one.",
        )
    return Finding("import flyte", True, "gives this package once the extension is loaded.")


def _default() -> Finding:
    from flyte_jupyter.errors import TargetError
    from flyte_jupyter.session.session import VARIABLE, default_target

    try:
        name = default_target()
    except TargetError as error:
        return Finding("default target", False, f"{error.sentence} {error.remedy}".rstrip())
    why = f"as {VARIABLE} says" if os.environ.get(VARIABLE) else f"unless {VARIABLE} names another"
    return Finding("default target", True, f"{name}, {why}.")


def _local() -> Finding:
    from flyte_jupyter.images import Interpreters
    from flyte_jupyter.store.folders import cache_folder

    if sys.platform == "win32":
        return Finding("local", False, "needs Linux or macOS; WSL2 is Linux.", is_target=True)
    details = [
        f"Python {found.text} at {found.path}"
        for found in Interpreters(cache_folder() / "interpreters.json").installed()
    ]
    if importlib.util.find_spec("uv") is None:
        return Finding(
            "local",
            False,
            "tasks run, but environments with packages need uv: pip install uv.",
            tuple(details),
            is_target=True,
        )
    sentence = "every task runs in a process of its own; packages are installed by uv."
    return Finding("local", True, sentence, tuple(details), is_target=True)


def _docker() -> Finding:
    from flyte_jupyter.daemon import connect
    from flyte_jupyter.errors import TargetError

    if sys.platform == "win32":
        return Finding("docker", False, "needs Linux or macOS; WSL2 is Linux.", is_target=True)
    try:
        daemon = connect()
        try:
            sentence, details = _engine(daemon)
        finally:
            daemon.close()
    except TargetError as error:
        words = f"{error.sentence} {error.remedy}".rstrip()
        return Finding("docker", False, words, tuple(error.evidence), is_target=True)
    return Finding("docker", True, sentence, tuple(details), is_target=True)


def _engine(daemon: Daemon) -> tuple[str, Iterator[str]]:
    kind = "Podman" if daemon.podman else "Docker"
    where = "on this machine" if daemon.local else "elsewhere, or in a machine of its own"
    named = f", named by {daemon.origin}" if daemon.origin else ""
    sentence = f"every task runs in a container of {kind} {daemon.version} {where}."
    return sentence, iter((f"{daemon.url}{named}", *_of_engine(daemon)))


def _of_engine(daemon: Daemon) -> Iterator[str]:
    from flyte_jupyter.images.stack import base_of
    from flyte_jupyter.targets.docker.devices import HANDS_OUT_NOTHING, inventory
    from flyte_jupyter.targets.docker.facts import engine_facts
    from flyte_jupyter.targets.nvidia import nvidia_devices

    facts, has = engine_facts(daemon), inventory(daemon)
    yield f"{has.cpu // 1000} processors, {has.memory / (1 << 30):.1f} GiB of memory"
    can = {
        "memory": facts.limits_memory,
        "swap": facts.limits_swap,
        "cpu": facts.limits_cpu,
        "processes": facts.limits_pids,
        "disk": facts.limits_disk,
    }
    held = ", ".join(name for name, yes in can.items() if yes) or "nothing"
    free = ", ".join(name for name, yes in can.items() if not yes)
    yield (
        f"limits {held}"
        + (f"; not {free}" if free else "")
        + (f" (cgroup version {daemon.cgroup_version})")
    )
    if daemon.rootless:
        yield "rootless: root inside a container is the user outside"
    yield "builds images with " + ("BuildKit" if daemon.buildkit else "the classic builder")
    if has.accelerators:
        counts = ", ".join(f"{n} × {kind or 'GPU'}" for kind, n in has.accelerators.items())
        yield f"hands out {counts}"
    elif facts.local and nvidia_devices():
        yield f"GPUs of this machine: {HANDS_OUT_NOTHING}"
    else:
        yield "hands out no GPU"
    base = base_of(None)
    assert isinstance(base, str), "the default image is a reference"
    if daemon.ask(f"/images/{base}/json")[0] == 200:
        yield f"the default image {base} is there"
    else:
        yield f"the default image {base} is fetched by the first task, or by: docker pull {base}"


def _kubernetes() -> Finding:
    from flyte_jupyter.cluster.connect import connect
    from flyte_jupyter.errors import TargetError

    try:
        cluster = connect()
    except TargetError as error:
        words = f"{error.sentence} {error.remedy}".rstrip()
        return Finding("kubernetes", False, words, tuple(error.evidence), is_target=True)
    where = f"the context {cluster.context}" if cluster.context else "the cluster that this is in"
    sentence = f"each task runs in a pod of {where}, namespace {cluster.namespace}."
    asks = "not asked yet whether it answers and what you may do there: "
    asks += "flyte-jupyter doctor --on kubernetes"
    return Finding("kubernetes", True, sentence, (cluster.url, asks), is_target=True)


_PROBES: dict[str, Callable[[], Finding]] = {
    "local": _local,
    "docker": _docker,
    "kubernetes": _kubernetes,
}
