"""Bytecode of package folders: compiled once, behind, and taken along to the next folder."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon

__all__ = ["COMPILED", "LIBRARY", "adopt", "clone", "compile_behind", "compile_in_container"]

# name of the library in its folder, and of the folder in a container that compiles
LIBRARY = "lib"
INSIDE = "/opt/flyte_jupyter/compiling"
LEAST_SHARES = 2

# file beside a library that says that its bytecode is there, and of which Python
COMPILED = "compiled"
# how many other folders are looked through for bytecode of the same files
NEIGHBOURS = 4
CACHE = "__pycache__"
# Compiles unless somebody does, and says so in the end. The kernel may end before.
COMPILER = """
import compileall, fcntl, os, sys
library, place, done = sys.argv[1:]
lock = os.open(os.path.dirname(library), os.O_RDONLY)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.nice(19)
    compileall.compile_dir(library, quiet=2, maxlevels=40, stripdir=library, prependdir=place)
    with open(done, "w") as stream:
        stream.write("{}.{}".format(*sys.version_info))
except OSError:
    pass
"""


def clone(source: Path, target: Path) -> None:
    """Make a folder with the same files as another one, by hard links where that is possible."""
    for folder, _, files in os.walk(source):
        into = os.path.join(target, os.path.relpath(folder, source))
        os.makedirs(into, exist_ok=True)
        for name in files:
            path = os.path.join(folder, name)
            try:
                os.link(path, os.path.join(into, name), follow_symlinks=False)
            except OSError:
                shutil.copy2(path, os.path.join(into, name), follow_symlinks=False)


def adopt(library: Path, home: Path, python: str) -> None:
    """Take over the bytecode that other folders have of the same files.

    Args:
        library: folder of packages that is being filled.
        home: where the other folders are.
        python: minor version, such as ``3.11``.
    """
    tag = f".cpython-{python.replace('.', '')}.pyc"
    for other in _compiled(home, python):
        missing = False
        for folder, _, files in os.walk(library):
            names = [name for name in files if name.endswith(".py")]
            if not names or folder.endswith(CACHE):
                continue
            theirs = os.path.join(other, os.path.relpath(folder, library))
            if not os.path.isdir(os.path.join(theirs, CACHE)):
                missing = True
                continue
            ours = os.path.join(folder, CACHE)
            os.makedirs(ours, exist_ok=True)
            for name in names:
                cached = os.path.join(CACHE, name[:-3] + tag)
                if not _take(folder, theirs, name, cached):
                    missing = True
        if not missing:
            return


def compile_behind(library: Path, program: str, place: str) -> None:
    """Start to compile a folder; returns at once. What is done when everything ends stays.

    Args:
        library: the folder.
        program: a Python of the version that will use it, on this machine.
        place: where the folder is in containers.
    """
    import subprocess

    done = library.parent / COMPILED
    if done.exists():
        return
    command = [program, "-I", "-S", "-c", COMPILER, str(library), place, str(done)]
    # the shell leaves it behind, so that it is nobody's child here
    subprocess.run(
        ["/bin/sh", "-c", '"$@" &', "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=False,
    )


def compile_in_container(
    library: Path, daemon: Daemon, image: str, program: str, place: str
) -> None:
    """Start to compile a folder in a container, which ends by itself; nothing is waited for.

    Args:
        library: the folder.
        daemon: an engine that sees the folder.
        image: id of the image that it is for.
        program: Python of the image.
        place: where the folder is in other containers.
    """
    import threading

    if not (library.parent / COMPILED).exists():
        arguments = (library.parent, daemon, image, program, place)
        threading.Thread(target=_start_compiler, args=arguments, daemon=True).start()


def _start_compiler(home: Path, daemon: Daemon, image: str, program: str, place: str) -> None:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from flyte_jupyter.daemon.labels import labels

    words = [COMPILER, f"{INSIDE}/{LIBRARY}", place, f"{INSIDE}/{COMPILED}"]
    config = {
        "Image": image,
        "Entrypoint": [program],
        "Cmd": ["-I", "-S", "-c", *words],
        "User": daemon.user(),
        "Labels": labels("build"),
        "HostConfig": {
            "AutoRemove": True,
            "Binds": [f"{home}:{INSIDE}"],
            "CapDrop": ["ALL"],
            "CpuShares": LEAST_SHARES,
            "LogConfig": {"Type": "none"},
            "NetworkMode": "none",
        },
    }
    # without bytecode everything works, only slower
    with contextlib.suppress(DockerException, RequestException):
        api = daemon.fresh()
        try:
            api.start(api.create_container_from_config(config)["Id"])
        finally:
            api.close()


def _take(folder: str, theirs: str, name: str, cached: str) -> bool:
    """Link the bytecode of one file if the other folder has it of the very same file."""
    try:
        mine, other = os.stat(os.path.join(folder, name)), os.stat(os.path.join(theirs, name))
        if (mine.st_size, mine.st_mtime_ns) != (other.st_size, other.st_mtime_ns):
            return False
        os.link(os.path.join(theirs, cached), os.path.join(folder, cached))
    except FileExistsError:
        return True
    except OSError:
        return False
    return True


def _compiled(home: Path, python: str) -> Iterator[str]:
    """Yield folders whose bytecode is there, the youngest first."""
    found = []
    for done in home.glob("*/" + COMPILED):
        try:
            if done.read_text() == python:
                found.append((done.stat().st_mtime, str(done.parent / LIBRARY)))
        except OSError:
            continue
    for _, library in sorted(found, reverse=True)[:NEIGHBOURS]:
        yield library
