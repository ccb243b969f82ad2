"""Other Pythons for the tests, unpacked from other Debian releases without installing them.

Prints their paths, separated like ``PATH``, for ``FLYTE_JUPYTER_PYTHONS``. The packages come from
the mirror that this machine's apt is set up with, through apt itself, in folders of their own. Each
Python runs with the C library of its own release: its program is patched to load from where it was
unpacked, so that it can be linked to, renamed in a process list and started by others like any.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urljoin

# release: Python in it, and what Debian has split off from it that uv asks for
RELEASES = {"bullseye": ("3.9", ["python3-distutils"]), "trixie": ("3.13", [])}
# not Python's own need, but packages with C++ in them link to it
BESIDE = ("libstdc++6", "libgcc-s1")
# what the closure of dependencies holds and a Python never loads
UNUSED = {"dpkg", "debconf", "perl-base", "tar"}
# where mirrors keep releases that have left the main archive
ARCHIVE = "/debian-archive/debian/"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
CHECK = (
    "import sys, ssl, sqlite3, ctypes, lzma, bz2, zlib, subprocess, multiprocessing, venv; "
    "subprocess.run([sys.executable, '-I', '-S', '-c', 'pass'], check=True); "
    "print(sys.version.split()[0])"
)


def main() -> int:
    """Unpack what is missing, check each Python, print the paths."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        say("there is no apt here: set FLYTE_JUPYTER_PYTHONS to a Python 3.9 and a 3.13")
        print(os.environ.get("FLYTE_JUPYTER_PYTHONS", ""))
        return 0
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flyte_jupyter-ci"
    programs = []
    for release, (version, split) in RELEASES.items():
        start = time.monotonic()
        place = home / f"python{version}-{release}-{recipe()}"
        program = place / "usr" / "bin" / f"python{version}"
        how = "found"
        if not program.exists():
            how = "unpacked"
            unpack(release, version, split, place)
        text = run([str(program), "-I", "-c", CHECK]).strip()
        say(f"{how} Python {text} of {release} in {time.monotonic() - start:.1f} s")
        programs.append(str(program))
    print(os.pathsep.join(programs))
    return 0


def recipe() -> str:
    """Return a digest of all that decides what is unpacked."""
    return hashlib.sha256(Path(__file__).read_bytes() + platform.machine().encode()).hexdigest()[
        :12
    ]


def unpack(release: str, version: str, split: list[str], place: Path) -> None:
    """Download, unpack and patch one Python."""
    partial = place.with_name(place.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    wanted = [f"python{version}", *split, *BESIDE]
    for package in download(release, wanted, partial / "apt"):
        if package.name.split("_")[0] not in UNUSED:
            run(["dpkg-deb", "-x", str(package), str(partial)])
    shutil.rmtree(partial / "apt")
    shutil.rmtree(partial / "usr" / "share" / "doc", ignore_errors=True)
    patch(partial / "usr" / "bin" / f"python{version}", partial, place)
    shutil.rmtree(place, ignore_errors=True)
    partial.rename(place)


def download(release: str, wanted: list[str], folder: Path) -> list[Path]:
    """Return the files of the wanted packages and of all that they need."""
    uri, keys = mirror()
    problem = ""
    for address in (uri, urljoin(uri, ARCHIVE)):
        options = apt_folders(folder, f"deb {keys}{address} {release} main\n")
        done = subprocess.run(
            ["apt-get", *options, "-qq", "update"], capture_output=True, text=True, check=False
        )
        # apt ends well even if a release is not there; what it says then begins with a letter
        problem = done.stderr.strip()
        if done.returncode == 0 and not problem.startswith(("E:", "Err:")):
            install = ["install", "--download-only", "--no-install-recommends", "-y", "-qq"]
            run(["apt-get", *options, *install, *wanted])
            return sorted((folder / "archives").glob("*.deb"))
    sys.exit(f"{release} is not to be had from the mirror of this machine:\n{problem}")


def apt_folders(folder: Path, sources: str) -> list[str]:
    """Return the options that keep apt from reading or changing the machine's own state."""
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(sources)
    (folder / "status").write_text("")
    settings = {
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Acquire::Languages": "none",
        "Acquire::Check-Valid-Until": "false",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "APT::Sandbox::User": "",
        "APT::Update::Post-Invoke-Success::": "",
    }
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def mirror() -> tuple[str, str]:
    """Return the address of the machine's own Debian mirror, and its key as a source option."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    columns = "$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(SIGNED_BY)"
    listing = ["apt-get", "indextargets", "--format", columns, "Created-By: Packages"]
    lines = run(listing).splitlines()
    for line in lines:
        uri, release, component, keys = line.split("|")
        if release == codename and component == "main":
            known = keys if keys.startswith("/") else KEYRING
            return uri, f"[signed-by={known}] " if os.path.exists(known) else ""
    sys.exit("apt has no Debian mirror in its sources; add one, and run apt-get update")


def patch(program: Path, root: Path, place: Path) -> None:
    """Make a program load its libraries, and the loader itself, from where it will lie."""
    patchelf = tool("patchelf")
    name = Path(run([patchelf, "--print-interpreter", str(program)]).strip()).name
    loader = real(next(root.rglob(name)), root)
    folders = sorted({str(place / file.parent.relative_to(root)) for file in root.rglob("lib*.so*")
                      if file.parent.name.endswith("-linux-gnu")})  # fmt: skip
    run([patchelf, "--set-interpreter", str(place / loader.relative_to(root)), str(program)])
    # the older kind of path also holds for what the libraries load in their turn
    run([patchelf, "--force-rpath", "--set-rpath", ":".join(folders), str(program)])


def real(path: Path, root: Path) -> Path:
    """Follow links as they would lead if the root were the system's."""
    while path.is_symlink():
        link = os.readlink(path)
        path = root / link.lstrip("/") if link.startswith("/") else path.parent / link
    return Path(os.path.normpath(path))


def tool(name: str) -> str:
    """Return the path of a program, from this environment if the machine has none."""
    found = shutil.which(name)
    if found is None:
        run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", name])
        found = str(Path(sys.executable).parent / name)
    return found


def run(command: list[str]) -> str:
    """Return what a command writes; end with what it complained about if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def say(text: str) -> None:
    """Tell what is done, beside the paths that are the result."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
