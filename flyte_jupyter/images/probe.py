"""What an image has: its Python is asked, once, in a container that is thrown away."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.errors import ImageBuildError, TargetError
from flyte_jupyter.spec.hashing import digest

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon

__all__ = ["QUESTION", "Distribution", "Probe", "Probes", "read_answer"]

OLDEST = (3, 9)
# changed when the question is another one
FORM = 1
# where Python is if the image does not say so by its PATH
PROGRAMS = (
    "python3",
    "python",
    "/usr/local/bin/python3",
    "/usr/bin/python3",
    "/opt/conda/bin/python",
    "/opt/venv/bin/python",
)
SEEN = "/opt/flyte_jupyter/seen"
MEMORY = 512 * 2**20
#: Program that tells what an image has; its argument is a file that it may see.
#: Every Python since 2.7 understands it, so that an old one can say how old it is.
QUESTION = r"""
import json, os, sys
said = {"python": sys.executable, "version": list(sys.version_info[:3])}
try:
    import platform, sysconfig
    said["implementation"] = sys.implementation.name
    said["machine"] = os.uname()[4]
    said["uid"] = os.getuid()
    said["purelib"] = sysconfig.get_path("purelib")
    said["libc"] = " ".join(platform.libc_ver())
    if not said["libc"].strip():
        import glob
        said["libc"] = "musl" if glob.glob("/lib/ld-musl-*") else ""
    try:
        with open(sys.argv[1]) as stream:
            said["seen"] = stream.read()
    except (IOError, OSError):
        said["seen"] = ""
    # packages of ours are layers, not what the image has
    sys.path[:] = [place for place in sys.path if not place.startswith("/opt/flyte_jupyter/")]
    from importlib.metadata import distributions
    found = {}
    for one in distributions():
        if one.metadata["Name"]:
            found.setdefault(one.metadata["Name"], (one.version, one.requires or []))
    said["distributions"] = [(name,) + found[name] for name in sorted(found)]
except Exception:
    said["why"] = "%s: %s" % (sys.exc_info()[0].__name__, sys.exc_info()[1])
print("\n<<" + json.dumps(said) + ">>")
"""
NO_PROGRAM = re.compile(r"executable file not found|no such file or directory|not a directory")
WRONG_MACHINE = re.compile(r"exec format error|does not match the (?:specified|detected)", re.I)


Distribution = tuple[str, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Probe:
    """What an image has.

    Args:
        python: program of its Python.
        version: major, minor and micro.
        libc: such as ``glibc 2.36`` or ``musl``.
        machine: such as ``x86_64``.
        purelib: where pip would install there.
        uid: number of the user that its containers run as.
        distributions: (name, version, requirements) of each package that Python finds there.
    """

    python: str
    version: tuple[int, int, int]
    libc: str
    machine: str
    purelib: str
    uid: int
    distributions: tuple[Distribution, ...] = ()

    @property
    def minor(self) -> tuple[int, int]:
        """Major and minor version."""
        return self.version[:2]

    @property
    def text(self) -> str:
        """The version as people write it, such as ``3.12.1``."""
        return ".".join(map(str, self.version))


class Probes:
    """What is known of images, kept in files between kernels.

    Args:
        folder: where the files are; one for each id of an image.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def known(self, image: str) -> Probe | None:
        """Return what was found of an image before; nothing is started.

        Args:
            image: its id.
        """
        try:
            said = json.loads(self._file(image).read_text("utf-8"))
            if said.pop("form") != FORM:
                return None
            said["version"] = tuple(said["version"])
            said["distributions"] = tuple(_listed(said["distributions"]))
            return Probe(**said)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def ask(self, daemon: Daemon, image: str, name: str) -> Probe:
        """Start a container of an image to see what Python it has; blocks.

        Args:
            daemon: the engine; it learns whether its containers see folders of this machine.
            image: id of the image.
            name: the image as the user named it.

        Raises:
            ImageBuildError: no task can run in it.
        """
        import secrets

        self._folder.mkdir(parents=True, exist_ok=True)
        nonce = self._folder / f"{secrets.token_hex(8)}.seen"
        nonce.write_text(nonce.name)
        nonce.chmod(0o644)
        try:
            said = _answer(daemon, image, name, str(nonce))
        finally:
            nonce.unlink()
        if daemon.local:
            self._saw(daemon, said.get("seen") == nonce.name)
        probe = _checked(said, name)
        data = json.dumps({"form": FORM, **asdict(probe)})
        partial = nonce.with_suffix(".partial")
        partial.write_text(data, "utf-8")
        partial.replace(self._file(image))
        return probe

    def folders(self, daemon: Daemon) -> bool:
        """Tell the engine what was found of its view of this machine; return if that is known.

        Args:
            daemon: the engine.
        """
        try:
            seen = json.loads(self._sight(daemon).read_text("utf-8"))
        except (OSError, ValueError):
            return False
        daemon.folders_seen(bool(seen))
        return True

    def _saw(self, daemon: Daemon, seen: bool) -> None:
        daemon.folders_seen(seen)
        self._sight(daemon).write_text(json.dumps(seen), "utf-8")

    def _sight(self, daemon: Daemon) -> Path:
        # the same folder of caches may be mounted in several machines and containers
        key = digest("sight", daemon.id, daemon.url, socket.gethostname())[:32]
        return self._folder / f"{key}.sight"

    def _file(self, image: str) -> Path:
        return self._folder / (image.rpartition(":")[2] + ".json")


def _answer(daemon: Daemon, image: str, name: str, nonce: str) -> Mapping[str, Any]:
    mounted = daemon.local
    for program in PROGRAMS:
        command = [program, "-c", QUESTION, SEEN]
        try:
            try:
                output = _run(daemon, image, command, nonce if mounted else "")
            except _NotMountedError:
                mounted = False
                output = _run(daemon, image, command, "")
            if WRONG_MACHINE.search(output):
                raise _WrongMachineError(output.strip().splitlines()[-1])
        except _NoProgramError:
            continue
        except _WrongMachineError as error:
            raise ImageBuildError(
                f"The image {name!r} is made for another architecture than this engine's machine, "
                f"which is {daemon.platform}.",
                evidence=(str(error),),
                remedy="Take an image for this architecture, or build one with "
                f"platform={daemon.platform!r}.",
            ) from None
        return _said(output, name, program)
    raise ImageBuildError(
        f"The image {name!r} has no Python, which a task needs.",
        evidence=(f"looked for: {', '.join(PROGRAMS)}",),
        remedy="Take an image with Python 3.9 or later, such as python:3.12-slim, or add it: "
        f"Image.from_base({name!r}).with_apt_packages('python3').",
    )


def _said(output: str, name: str, program: str) -> Mapping[str, Any]:
    for line in output.splitlines():
        if line.startswith("<<") and line.endswith(">>"):
            return dict(json.loads(line[2:-2]))
    raise ImageBuildError(
        f"The Python of the image {name!r} does not start.",
        evidence=output.splitlines()[-10:],
        remedy=f"Try it: docker run --rm --entrypoint {program} {name} --version",
    )


def read_answer(output: str, name: str) -> Probe:
    """Return what an image has, from what :data:`QUESTION` has printed in it.

    Args:
        output: all that was printed.
        name: the image as the user named it.

    Raises:
        ImageBuildError: no task can run in it.
    """
    return _checked(_said(output, name, "python3"), name)


class _NoProgramError(Exception):
    pass


class _WrongMachineError(Exception):
    pass


class _NotMountedError(Exception):
    pass


def _run(daemon: Daemon, image: str, command: list[str], nonce: str) -> str:
    """Return what a container of the image says."""
    from docker.errors import APIError

    from flyte_jupyter.daemon import explained
    from flyte_jupyter.daemon.failures import said
    from flyte_jupyter.daemon.labels import labels
    from flyte_jupyter.daemon.streams import Stream

    host: dict[str, Any] = {
        "NetworkMode": "none",
        "LogConfig": {"Type": "none"},
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Memory": MEMORY,
        "PidsLimit": 64,
    }
    if nonce:
        mount = {"Type": "bind", "Source": nonce, "Target": SEEN, "ReadOnly": True}
        host["Mounts"] = [mount]
    api = daemon.fresh()
    container = None
    try:
        config = {
            "Image": image,
            "Entrypoint": command[:1],
            "Cmd": command[1:],
            "Env": ["PYTHONDONTWRITEBYTECODE=1"],
            "Labels": labels("probe"),
            "HostConfig": host,
        }
        container = api.create_container_from_config(config)["Id"]
        with Stream(api.attach(container, stdout=True, stderr=True, stream=True)) as output:
            api.start(container)
            return b"".join(output).decode("utf-8", "replace")
    except APIError as error:
        words = said(error)
        if "bind source path does not exist" in words or "invalid mount config" in words:
            raise _NotMountedError from None
        if WRONG_MACHINE.search(words):
            raise _WrongMachineError(words.splitlines()[0]) from None
        if container is not None and NO_PROGRAM.search(words):
            raise _NoProgramError from None
        raise explained(error, image=image) from None
    finally:
        if container is not None:
            _remove(api, container)
        api.close()


def _remove(api: Any, container: str) -> None:
    from docker.errors import APIError
    from requests.exceptions import RequestException

    try:
        api.remove_container(container, force=True, v=True)
    except (APIError, RequestException) as error:
        if getattr(error, "status_code", None) not in (404, 409):
            raise TargetError(f"A container could not be removed: {error}.") from None


def _checked(said: Mapping[str, Any], name: str) -> Probe:
    version = tuple(said["version"])
    if version[:2] < OLDEST:
        text = ".".join(map(str, version))
        raise ImageBuildError(
            f"The image {name!r} has Python {text}; a task needs {OLDEST[0]}.{OLDEST[1]} or later.",
            remedy="Take an image with a newer Python, such as python:3.12-slim.",
        )
    missing = [key for key in ("python", "machine", "purelib") if not said.get(key)]
    if missing or "distributions" not in said:
        raise ImageBuildError(
            f"The Python of the image {name!r} is not whole: its standard library cannot be used.",
            evidence=[str(said[key]) for key in ("why",) if key in said],
            remedy="Take an image with a full Python (in Debian: the package python3, not "
            "python3-minimal).",
        )
    return Probe(
        str(said["python"]),
        version,
        str(said["libc"]),
        str(said["machine"]),
        str(said["purelib"]),
        int(said["uid"]),
        tuple(_listed(said["distributions"])),
    )


def _listed(distributions: Any) -> Iterator[Distribution]:
    for name, version, requires in distributions:
        yield str(name), str(version), tuple(map(str, requires))
