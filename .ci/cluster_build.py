"""The test cluster's programs, built from the Go modules of Kubernetes and etcd.

`tests/cluster` is a small Go module of ours: one binary that holds every program of a cluster, and
the pause program of a pod. They are built once, and kept beside the clone under a digest of their
sources and of `go.sum`. Go is this machine's, or Debian's where that is missing or too old.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pythons import download, run, say

SOURCES = Path(__file__).parent.parent / "tests" / "cluster"
# a release of Debian that has the compiler that go.mod asks for, and the package it is in
RELEASE, PACKAGE = "forky", "golang-{}-go"
USUAL = Path("/usr/local/go/bin/go")
# what they say of themselves; without it clients see the version v0.0.0-master
VERSIONED = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


def programs() -> Path:
    """Return the folder with the binaries `cluster` and `pause`, built if they are missing."""
    return built("cluster", SOURCES, build)


def built(name: str, module: Path, build: Callable[[Path], None]) -> Path:
    """Return the folder of what is made of a Go module once.

    Args:
        name: What it is.
        module: The folder of the module.
        build: Makes it in a folder, which gets its name only once that is done.
    """
    home = cache()
    place = home / f"{name}-{key(module)}"
    if place.exists():
        return place
    with open(home / "cluster-build.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            partial = place.with_name(place.name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            build(partial)
            partial.rename(place)
    return place


def cache() -> Path:
    """Return the folder of what CI keeps beside the clone."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flyte_jupyter-ci"
    home.mkdir(parents=True, exist_ok=True)
    return home


def key(module: Path) -> str:
    """Return a digest of all that decides what the binaries of a module are."""
    hashed = hashlib.sha256(platform.machine().encode())
    for path in sorted(sources(module)):
        content = path.read_bytes()
        hashed.update(f"{path.relative_to(module)} {len(content)}\n".encode() + content)
    return hashed.hexdigest()[:12]


def sources(module: Path) -> Iterator[Path]:
    """Yield the files that Go reads."""
    yield from (module / "go.mod", module / "go.sum")
    yield from module.rglob("*.go")


def build(place: Path) -> None:
    """Build the cluster's binaries."""
    start = time.monotonic()
    version = wanted(r"^\s*k8s\.io/kubernetes v(\S+)")
    major, minor, _ = version.split(".", 2)
    told = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    stamps = {f"{package}.{name}": told[name] for package in VERSIONED for name in told}
    say(f"building Kubernetes {version}, once: some ten minutes of processor time")
    for program, package in (("cluster", "."), ("pause", "./pause")):
        make(SOURCES, package, place / program, stamps)
    size = (place / "cluster").stat().st_size / 1e6
    say(f"built Kubernetes {version}, {size:.0f} MB, in {time.monotonic() - start:.0f} s")


def make(module: Path, package: str, program: Path, stamps: Mapping[str, str]) -> None:
    """Make a program of a package.

    Args:
        module: The folder of the module that asks for it.
        package: Its name.
        program: The file that is made.
        stamps: What its variables are set to.
    """
    flags = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in stamps.items())])
    options = ["-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", str(program), package]
    # how far it is, or why it fails, is Go's to say
    go(module, "build", *options, stdout=sys.stderr)


def go(module: Path, *words: str, stdout: Any = subprocess.PIPE) -> str:
    """Run Go in a module, and return what it writes."""
    # a module of ours needs no other compiler than this one, and no C
    environment = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOWORK": "off"}
    command = [compiler(cache()), *words]
    done = subprocess.run(
        command, cwd=module, env=environment, stdout=stdout, text=True, check=True
    )
    return done.stdout or ""


def wanted(pattern: str) -> str:
    """Return what go.mod says at the first line of a pattern."""
    found = re.search(pattern, (SOURCES / "go.mod").read_text(), re.MULTILINE)
    assert found, pattern
    return found[1]


def compiler(home: Path) -> str:
    """Return a Go that is new enough: this machine's, or Debian's, unpacked and not installed."""
    floor = wanted(r"^go (\S+)")
    for program in (shutil.which("go"), str(USUAL)):
        if program and Path(program).exists():
            own = {**os.environ, "GOTOOLCHAIN": "local"}
            found = subprocess.run(
                [program, "env", "GOVERSION"], capture_output=True, text=True, env=own, check=False
            )
            if numbers(found.stdout) >= numbers(floor):
                return program
    minor = ".".join(floor.split(".")[:2])
    place = home / f"go{minor}-{RELEASE}"
    program = place / "usr" / "lib" / f"go-{minor}" / "bin" / "go"
    if not program.exists():
        unpack(minor, place)
    say(f"Go {minor} is Debian's, of {RELEASE}")
    return str(program)


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers in a version, to be compared."""
    return tuple(int(each) for each in re.findall(r"\d+", version)[:3])


def unpack(minor: str, place: Path) -> None:
    """Unpack Debian's Go beside the clone."""
    if not shutil.which("apt-get"):
        sys.exit(f"the test cluster is built with Go {minor} or newer, which is not on PATH")
    partial = place.with_name(place.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for package in download(RELEASE, [PACKAGE.format(minor)], partial / "apt"):
        if package.name.startswith("golang-"):
            run(["dpkg-deb", "-x", str(package), str(partial)])
    shutil.rmtree(partial / "apt")
    partial.rename(place)


if __name__ == "__main__":
    print(programs())
