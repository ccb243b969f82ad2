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
from collections.abc import Iterator
from pathlib import Path

from pythons import download, run, say

SOURCES = Path(__file__).parent.parent / "tests" / "cluster"
# a release of Debian that has the compiler that go.mod asks for, and the package it is in
RELEASE, PACKAGE = "forky", "golang-{}-go"
USUAL = Path("/usr/local/go/bin/go")
# what they say of themselves; without it clients see the version v0.0.0-master
VERSIONED = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


def programs() -> Path:
    """Return the folder with the binaries `cluster` and `pause`, built if they are missing."""
    home = cache()
    place = home / f"cluster-{key()}"
    with open(home / "cluster-build.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            build(home, place)
    return place


def cache() -> Path:
    """Return the folder of what CI keeps beside the clone."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flyte_jupyter-ci"
    home.mkdir(parents=True, exist_ok=True)
    return home


def key() -> str:
    """Return a digest of all that decides what the binaries are."""
    hashed = hashlib.sha256(platform.machine().encode())
    for path in sorted(sources()):
        content = path.read_bytes()
        hashed.update(f"{path.relative_to(SOURCES)} {len(content)}\n".encode() + content)
    return hashed.hexdigest()[:12]


def sources() -> Iterator[Path]:
    """Yield the files that Go reads."""
    yield from (SOURCES / "go.mod", SOURCES / "go.sum")
    yield from SOURCES.rglob("*.go")


def build(home: Path, place: Path) -> None:
    """Build the binaries into a folder that is there only once they all are."""
    start = time.monotonic()
    partial = place.with_name(place.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    # a module of ours needs no other compiler than this one, and no C
    environment = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOWORK": "off"}
    version = wanted(r"^\s*k8s\.io/kubernetes v(\S+)")
    major, minor, _ = version.split(".", 2)
    told = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    stamps = [f"-X {package}.{name}={told[name]}" for package in VERSIONED for name in told]
    say(f"building Kubernetes {version}, once: some ten minutes of processor time")
    go = [compiler(home), "build", "-trimpath", "-buildvcs=false", "-ldflags"]
    go.append(" ".join(["-s", "-w", *stamps]))
    for program, package in (("cluster", "."), ("pause", "./pause")):
        command = [*go, "-o", str(partial / program), package]
        # how far it is, or why it fails, is Go's to say
        subprocess.run(command, cwd=SOURCES, env=environment, stdout=sys.stderr, check=True)
    partial.rename(place)
    size = (place / "cluster").stat().st_size / 1e6
    say(f"built Kubernetes {version}, {size:.0f} MB, in {time.monotonic() - start:.0f} s")


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
