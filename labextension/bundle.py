"""The bundle of the JupyterLab extension: whether it is up to date, and its building.

It needs Node, and ``jlpm`` and ``jupyter-builder`` of the Python package jupyter-builder. The npm
packages are those of ``yarn.lock``; JupyterLab's own are read only by who checks the types.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["OUTPUT", "BundleError", "RegistryError", "build", "has_node", "is_fresh"]

HERE = Path(__file__).parent.resolve()
OUTPUT = HERE.parent / "flyte_jupyter" / "labextension"
STAMP = "sources.sha256"
SOURCES = ("package.json", "yarn.lock", ".yarnrc.yml", "rspack.config.js", "src", "style", "schema")
# rspack's own demand
NODE = (20, 19)
# a registry that does not answer must not hold up an installation for minutes
PATIENCE = {"YARN_HTTP_TIMEOUT": "20000", "YARN_HTTP_RETRY": "2"}


class BundleError(Exception):
    """The bundle cannot be built."""


class RegistryError(BundleError):
    """What the bundle is built of cannot be fetched."""


def is_fresh() -> bool:
    """Say whether the bundle is there and made of the sources as they are now."""
    stamp = OUTPUT / STAMP
    return stamp.is_file() and stamp.read_text().strip() == fingerprint()


def fingerprint() -> str:
    """Return what names the sources: equal for equal sources, wherever and whenever they lie."""
    whole = hashlib.sha256()
    for source in SOURCES:
        path = HERE / source
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                content = file.read_bytes().replace(b"\r\n", b"\n")
                whole.update(f"{file.relative_to(HERE).as_posix()} {len(content)}\n".encode())
                whole.update(content)
    return whole.hexdigest()


def has_node() -> bool:
    """Say whether a Node that is new enough is on the path."""
    found = shutil.which("node")
    if found is None:
        return False
    try:
        done = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    version = re.match(r"v(\d+)\.(\d+)", done.stdout)
    return version is not None and tuple(map(int, version.groups())) >= NODE


def build() -> None:
    """Build the bundle.

    Raises:
        RegistryError: the npm packages that it needs cannot be fetched.
        BundleError: it needs something that is not here, or the sources are wrong.
    """
    if not has_node():
        wanted = ".".join(map(str, NODE))
        raise RegistryError(f"there is no Node from version {wanted} on, and none could be had.")
    # what somebody has installed to work on it stays complete
    complete = (HERE / "node_modules" / "typescript").exists()
    fetch = ["install", "--immutable"] if complete else ["workspaces", "focus", "--production"]
    done = _run("jlpm", *fetch)
    if done.returncode:
        raise RegistryError(f"npm packages cannot be fetched.\n{_last(done.stdout)}")
    done = _run("jupyter-builder", "build", ".")
    if done.returncode:
        raise BundleError(f"the sources of the JupyterLab extension are wrong.\n{done.stdout}")
    (OUTPUT / STAMP).write_text(fingerprint() + "\n")
    for notes in OUTPUT.glob("schemas/*/package.json.orig"):
        notes.unlink()


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    here = os.path.dirname(sys.executable)
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), here))
    found = shutil.which(program, path=path)
    if found is None:
        raise BundleError(f"there is no {program}: pip install jupyter-builder")
    return subprocess.run(
        [found, *arguments],
        cwd=HERE,
        env={**PATIENCE, **os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _last(text: str) -> str:
    """Return the lines of yarn that say what is wrong."""
    lines = [line for line in text.splitlines() if re.search("error|YN0001|YN0035|YN0082", line)]
    return "\n".join((lines or text.splitlines())[-3:])


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait until nobody else builds here."""
    try:
        import fcntl
    except ImportError:  # Windows, where nobody else does
        yield
        return
    with (HERE / "package.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    with _alone():
        if is_fresh():
            print(f"{OUTPUT} is up to date.")
        else:
            try:
                build()
            except BundleError as error:
                sys.exit(str(error))
            print(f"{OUTPUT} is built.")
