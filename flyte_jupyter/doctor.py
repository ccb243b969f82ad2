"""What works on this machine, found out by trying, said in plain sentences."""

from __future__ import annotations

import importlib.util
import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Finding", "examine"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        subject: what it is.
        usable: whether it works here.
        sentence: what was found, and what to do if it does not work.
        details: lines for the curious.
        is_target: whether tasks run there.
    """

    subject: str
    usable: bool
    sentence: str
    details: tuple[str, ...] = ()
    is_target: bool = False


def examine() -> Iterator[Finding]:
    """Yield what is found out, the cheapest first."""
    yield _python()
    yield _alias()
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
    if importlib.util.find_spec("docker") is None:
        return Finding("docker", False, "The docker package is missing: pip install docker.")
    import docker

    try:
        _knock(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
        client = docker.from_env(timeout=5)
        version = client.version().get("Version", "?")
        client.close()
    except (OSError, docker.errors.DockerException) as error:
        reason = str(error).splitlines()[0][:160]
        return Finding(
            "docker",
            False,
            "No Docker daemon answers here; start one, or point DOCKER_HOST at one.",
            (reason,),
            is_target=True,
        )
    return Finding("docker", True, f"Docker {version} answers.", is_target=True)


def _knock(host: str) -> None:
    """Open and close a local socket: the client itself leaks one that nobody answers.

    Raises:
        OSError: nobody answers.
    """
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(host.removeprefix("unix://"))


def _kubernetes() -> Finding:
    config = Path(os.environ.get("KUBECONFIG", "~/.kube/config").split(os.pathsep)[0]).expanduser()
    inside = "KUBERNETES_SERVICE_HOST" in os.environ
    if not inside and not config.is_file():
        return Finding(
            "kubernetes",
            False,
            "No cluster is configured: there is no kubeconfig; set KUBECONFIG to one.",
            is_target=True,
        )
    where = "this pod's own cluster" if inside else str(config)
    return Finding("kubernetes", True, f"A cluster is configured by {where}.", is_target=True)


_PROBES: dict[str, Callable[[], Finding]] = {
    "local": _local,
    "docker": _docker,
    "kubernetes": _kubernetes,
}
