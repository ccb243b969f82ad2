"""Packages as a folder that containers mount, installed by uv on this machine for an image.

Nothing is unpacked twice: the files are those of uv's cache, by hard links, and a folder with one
layer more begins as the folder without it. What the image has counts as installed, as it would for
a pip that runs in it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from flyte_jupyter.images import bytecode
from flyte_jupyter.images.bytecode import LIBRARY
from flyte_jupyter.images.installing import Wanted, refused, run, tried, wanted
from flyte_jupyter.images.probe import Distribution, Probe
from flyte_jupyter.images.recipe import Installation
from flyte_jupyter.images.sharing import Folders, Progress, silent
from flyte_jupyter.images.uv import Outcome
from flyte_jupyter.spec import layers
from flyte_jupyter.spec.hashing import digest

__all__ = ["PACKAGES", "RECORD", "Packages", "packages_environ", "platform_of", "read_versions"]

# where the folder is in a container; before the image's own packages on sys.path
PACKAGES = "/opt/flyte_jupyter/packages"
# changed when a folder of the same layers would be filled differently
LAYOUT = 1
RECORD = "record.json"
# versions of glibc that uv knows by name; an image with another one gets the next lower
GLIBC = (17, 28, *range(31, 41))
NO_WHEEL = re.compile(
    r"no (?:usable )?wheels|[Bb]uilding source distributions|building from source is disabled"
    r"|source distribution|Wheels are required"
)
# a wheel that an index offers names the oldest libc it runs with; one that was built here does not
BUILT_HERE = re.compile(r"^Tag: \S+-linux_\w+$", re.MULTILINE)


# installs into a folder from inside a container: folder, words, arguments of uv, its variables
Inside = Callable[[Path, str, "list[str]", Mapping[str, str], Progress], Awaitable[None]]


class Packages:
    """The package folders below one cache folder. May be used by several loops and processes.

    Args:
        home: the cache folder.
    """

    def __init__(self, home: Path) -> None:
        self._folders = Folders(home, "packages", _whole)

    @property
    def home(self) -> Path:
        """The folder that holds them."""
        return self._folders.home / self._folders.kind

    def key(self, probe: Probe, installations: Sequence[Installation]) -> str:
        """Return what names the folder of some layers on an image."""
        key = digest(
            "packages",
            LAYOUT,
            probe.minor,
            platform_of(probe),
            probe.python,
            [[name, version, *requires] for name, version, requires in probe.distributions],
        )[:32]
        for layer in installations:
            key = digest("packages", key, layer)[:32]
        return key

    def found(self, key: str) -> Path | None:
        """Return the folder to mount if it is there."""
        place = self._folders.place(key)
        return place / LIBRARY if _whole(place) else None

    async def install(
        self,
        probe: Probe,
        installations: Sequence[Installation],
        progress: Progress,
        inside: Inside | None = None,
    ) -> Path:
        """Return the folder to mount for some layers, one after the other.

        Args:
            probe: the image.
            installations: the layers; at least one.
            progress: called with each step, if there is one.
            inside: installs what has to be built in a container; None where that is not possible.

        Raises:
            ImageBuildError: a package cannot be had.
        """
        key = self.key(probe, installations)
        found = self.found(key)
        if found is not None:
            return found
        before = None
        if len(installations) > 1:
            before = await self.install(probe, installations[:-1], progress, inside)

        async def fill(folder: Path, say: Progress) -> None:
            await _fill(folder, probe, installations[-1], before, self.home, say, inside)
            record = {
                "layers": [str(layer) for layer in installations],
                "python": "{}.{}".format(*probe.minor),
                "platform": platform_of(probe),
                "versions": read_versions(folder / LIBRARY),
            }
            (folder / RECORD).write_text(json.dumps(record), "utf-8")

        place = await self._folders.make(key, fill, progress)
        return place / LIBRARY


def packages_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which programs of an image find the packages.

    Args:
        environ: the image's own.
    """
    path = environ.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    inherited = environ.get("PYTHONPATH")
    if inherited and PACKAGES in inherited.split(":"):
        return {}
    return {
        "PATH": f"{PACKAGES}/bin:{path}",
        "PYTHONPATH": f"{PACKAGES}:{inherited}" if inherited else PACKAGES,
    }


def platform_of(probe: Probe) -> str:
    """Return uv's name for what wheels an image can use."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(probe.machine, probe.machine)
    libc, _, version = probe.libc.partition(" ")
    numbers = re.match(r"2\.(\d+)", version)
    if libc != "glibc" or numbers is None:
        return f"{machine}-unknown-linux-{'musl' if libc != 'glibc' else 'gnu'}"
    fitting = [known for known in GLIBC if known <= int(numbers[1])]
    return f"{machine}-manylinux_2_{fitting[-1] if fitting else GLIBC[0]}"


def read_versions(library: Path) -> dict[str, str]:
    """Return the version of each distribution in a folder of packages."""
    return dict(_versions(library.glob("*.dist-info")))


async def _fill(
    folder: Path,
    probe: Probe,
    layer: Installation,
    before: Path | None,
    home: Path,
    say: Progress,
    inside: Inside | None,
) -> None:
    import asyncio

    library = folder / LIBRARY
    if before is None:
        library.mkdir()
    else:
        await asyncio.to_thread(bytecode.clone, before, library)
    library.chmod(0o755)
    stubs = _lay_stubs(library, probe.distributions)
    say(f"Installing {layer}")
    await _install(folder, library, probe, layer, say, inside)
    await asyncio.to_thread(_finish, library, probe, stubs, home)


async def _install(
    folder: Path,
    library: Path,
    probe: Probe,
    layer: Installation,
    say: Progress,
    inside: Inside | None,
) -> None:
    before = set(os.listdir(library))
    asked = wanted(layer, folder)
    command = ["pip", "install", "--target", str(library), *asked.options]
    if isinstance(layer, layers.UvProject):
        command += await _project(layer, folder, asked)
    else:
        command += asked.packages
    here = ["--python", _this_python(), "--python-version", probe.text]
    here += ["--python-platform", platform_of(probe)]
    outcome = await tried([*command, *here, "--only-binary", ":all:"], asked.environ, say)
    if outcome.code != 0 and _needs_building(outcome):
        say("A package has no wheel; building it")
        # what is pure Python can be built anywhere
        again = await tried([*command, *here], asked.environ, silent)
        if again.code == 0 and not _built_here(library):
            return
        if inside is not None:
            _forget(library, before)
            await inside(folder, str(layer), command, asked.environ, say)
            return
    if outcome.code != 0:
        raise refused(str(layer), outcome, asked.environ)


async def _project(layer: layers.UvProject, folder: Path, asked: Wanted) -> list[str]:
    """Return what to install for a project of uv: what its lock file says, or what it asks for."""
    home = os.path.dirname(layer.pyproject)
    itself = [home] if layer.install_project else []
    if layer.uvlock is None:
        return itself or ["-r", layer.pyproject]
    locked = folder / "locked.txt"
    export = ["export", "--frozen", "--no-dev", "--no-emit-project", "--no-editable", "--no-header"]
    export += ["--no-annotate", "--project", home, "--output-file", str(locked)]
    await run(str(layer), export, asked.environ, silent)
    if not layer.install_project:
        return ["--no-deps", "-r", str(locked)]
    # the project itself has no hash, so the others cannot ask for theirs
    text = locked.read_text("utf-8")
    locked.write_text(re.sub(r"\s*\\\n\s*--hash=\S+", "", text), "utf-8")
    return ["--no-deps", "-r", str(locked), home]


def _needs_building(outcome: Outcome) -> bool:
    return NO_WHEEL.search("\n".join(outcome.lines)) is not None


def _built_here(library: Path) -> bool:
    for wheel in library.glob("*.dist-info/WHEEL"):
        if BUILT_HERE.search(wheel.read_text("utf-8", "replace")):
            return True
    return False


def _forget(library: Path, before: Collection[str]) -> None:
    """Remove what an installation that was of no use has added."""
    import shutil

    for name in set(os.listdir(library)) - set(before):
        place = library / name
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink()


def _lay_stubs(library: Path, distributions: Iterable[Distribution]) -> list[Path]:
    """Let uv see what the image has, so that it takes it for installed."""
    stubs = []
    for name, version, requires in distributions:
        plain = re.sub(r"[-_.]+", "_", name).lower()
        stub = library / f"{plain}-{version}.dist-info"
        if any(re.sub(r"[-_.]+", "_", have).lower() == plain for have in read_versions(library)):
            continue  # an earlier layer has brought another one
        stub.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {one}" for one in requires]
        (stub / "METADATA").write_text("\n".join(lines) + "\n", "utf-8")
        (stub / "RECORD").write_text(f"{stub.name}/METADATA,,\n{stub.name}/RECORD,,\n", "utf-8")
        stubs.append(stub)
    return stubs


def _finish(library: Path, probe: Probe, stubs: Iterable[Path], home: Path) -> None:
    import shutil

    for stub in stubs:
        # what has been installed over it says what wheel it came from
        if not (stub / "WHEEL").exists():
            shutil.rmtree(stub, ignore_errors=True)
    (library / ".lock").unlink(missing_ok=True)
    for script in (library / "bin").glob("*"):
        _redirect(script, probe.python)
    bytecode.adopt(library, home, "{}.{}".format(*probe.minor))


def _redirect(script: Path, python: str) -> None:
    """Have a script run by the image's Python, with the packages that it belongs to."""
    if script.is_symlink() or not script.is_file():
        return
    data = script.read_bytes()
    first, end, rest = data.partition(b"\n")
    if not first.startswith(b"#!") or b"python" not in first or not end:
        return
    # the shell runs the first lines and never sees the others; for Python they are a string
    head = (
        "#!/bin/sh\n"
        f"'''exec' env PYTHONPATH={PACKAGES}${{PYTHONPATH:+:$PYTHONPATH}} {python} \"$0\" \"$@\"\n"
        "' '''\n"
    )
    # never written in place: the file may be one of uv's cache
    fresh = script.with_name(script.name + ".fresh")
    fresh.write_bytes(head.encode() + rest)
    fresh.chmod(0o755)
    fresh.replace(script)


def _versions(infos: Iterable[Path]) -> Iterable[tuple[str, str]]:
    for info in sorted(infos):
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        yield name.replace("_", "-").lower(), version


def _whole(place: Path) -> bool:
    return (place / RECORD).exists()


def _this_python() -> str:
    import sys

    # which one makes no difference, as long as uv need not look for it
    return sys.executable
