"""Base images for the tests, made from Debian's packages where there is no registry to pull from.

CI has no registry. What stands in for the images that the tests and Flyte's pages name are Debian
root file systems: of another release for another Python, one without Python, and one that says it
is of another architecture. The names of images with more in them (`pytorch`, `fastapi`) and of a
Python that no Debian release has (3.12) are further tags of the same. An image of one of these
names that somebody else made or pulled is left as it is.

The packages come from the mirror that this machine's apt is set up with. Root file systems are kept
as archives beside the clone, under a digest of all that decides what is in them.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urljoin

from pythons import ARCHIVE, mirror, run, say

# release: the names that its Python stands behind
PYTHONS = {
    "bookworm": ("python:3.11-slim", "pytorch:latest", "fastapi:latest"),
    "bullseye": ("python:3.9-slim",),
    "trixie": ("python:3.13-slim", "python:3.12-slim", "python:3.12"),
}
NO_PYTHON = "nopython:latest"
OTHER = "otherarch:latest"
LABEL = "flyte_jupyter.ci"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
LOCAL = Path("/usr/local/share/ca-certificates")
# the machine's authorities: as one file where OpenSSL looks, and where the package that makes that
# file would find those that are this machine's own
TRUST = f"""set -e; mkdir -p "$1{AUTHORITIES.parent}" "$1{LOCAL}" "$1/usr/lib/ssl"
if [ -e {AUTHORITIES} ]; then
    cp {AUTHORITIES} "$1{AUTHORITIES}"; ln -sf {AUTHORITIES} "$1/usr/lib/ssl/cert.pem"
fi
if [ -d {LOCAL} ]; then cp -rL {LOCAL}/. "$1{LOCAL}"; fi"""
SETTINGS = (
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "ENV LANG=C.UTF-8",
)
# as in Debian's own slim images
LEAVE_OUT = ("doc", "info", "locale", "man")


def main() -> int:
    """Make the archives that are missing, load what the engine does not have under its name."""
    for program, package in (("docker", "docker.io"), ("mmdebstrap", "mmdebstrap")):
        if not shutil.which(program):
            sys.exit(f"base images need {program}: apt-get install {package}")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flyte_jupyter-ci"
    home.mkdir(parents=True, exist_ok=True)
    uri, keys = mirror()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        work = [pool.submit(with_python, home, uri, keys, *each) for each in PYTHONS.items()]
        work.append(pool.submit(without_python, home, uri, keys))
        work.append(pool.submit(of_another_architecture))
        for each in work:
            say(each.result())
    return 0


def with_python(home: Path, uri: str, keys: str, release: str, names: tuple[str, ...]) -> str:
    """Have the images of a release."""
    start = time.monotonic()
    slim = [f"path-exclude=/usr/share/{name}/*" for name in LEAVE_OUT]
    options = [
        "--variant=apt",
        "--include=python3",
        *(f"--dpkgopt={line}" for line in slim),
        f"--customize-hook={TRUST}",
        # where the official images have it
        '--customize-hook=ln -s /usr/bin/python3 "$1/usr/local/bin/python3"',
        '--customize-hook=ln -s /usr/bin/python3 "$1/usr/local/bin/python"',
    ]
    trusted = [file.read_bytes() for file in (AUTHORITIES, *LOCAL.rglob("*.crt")) if file.exists()]
    key = digest(release.encode(), uri.encode(), keys.encode(), *trusted)
    archive = home / f"{release}-{key}.tar"
    how = "found" if archive.exists() else "made"
    if how == "made":
        bootstrap(archive, uri, keys, release, options)
    label = f"{release}-{key}"
    loaded = load(archive, label, names, [*SETTINGS, 'CMD ["python3"]'])
    return told(how, release, loaded, start)


def without_python(home: Path, uri: str, keys: str) -> str:
    """Have the image without Python: a shell and the usual small programs."""
    start = time.monotonic()
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    key = digest(release.encode(), uri.encode(), keys.encode())
    archive = home / f"nopython-{key}.tar"
    how = "found" if archive.exists() else "made"
    if how == "made":
        options = [
            "--variant=extract",
            "--include=busybox-static",
            # later hooks are not called where packages are only unpacked
            '--extract-hook=mkdir -m 1777 "$1/tmp"; for each in $(chroot "$1" busybox --list); do '
            '[ -e "$1/bin/$each" ] || ln -s busybox "$1/bin/$each"; done',
        ]
        bootstrap(archive, uri, keys, release, options)
    loaded = load(archive, f"nopython-{key}", (NO_PYTHON,), [*SETTINGS, 'CMD ["sh"]'])
    return told(how, NO_PYTHON, loaded, start)


def of_another_architecture() -> str:
    """Have the image of another architecture: nothing in it could be started anyway."""
    start = time.monotonic()
    other = "amd64" if platform.machine() in ("aarch64", "arm64") else "arm64"
    label = f"otherarch-{digest(other.encode())}"
    if outdated(OTHER, label):
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "image.tar"
            write_image(archive, OTHER, other, label)
            run(["docker", "load", "--quiet", "--input", str(archive)])
        return told("made", OTHER, [OTHER], start)
    return told("found", OTHER, [], start)


def write_image(archive: Path, name: str, architecture: str, label: str) -> None:
    """Write what `docker save` would have written of an image with a Python that is an empty file.

    `docker import` is no way to it: its `--platform` leaves the architecture as it is.
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as file:
        program = tarfile.TarInfo("usr/bin/python3")
        program.mode = 0o755
        file.addfile(program)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["python3"], "Env": [SETTINGS[0][4:]], "Labels": {LABEL: label}},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"],
        },
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    contents = {
        "layer.tar": layer.getvalue(),
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    with tarfile.open(archive, "w") as file:
        for path, content in contents.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))


def bootstrap(archive: Path, uri: str, keys: str, release: str, options: list[str]) -> None:
    """Write the root file system of a release into an archive."""
    # mmdebstrap knows what to write by the end of the name
    partial = archive.with_name(f"{archive.stem}.partial.tar")
    problems = []
    for address in (uri, urljoin(uri, ARCHIVE)):
        source = f"deb {keys}{address} {release} main"
        command = ["mmdebstrap", "--quiet", "--aptopt=Acquire::Check-Valid-Until false"]
        done = subprocess.run(
            [*command, *options, release, str(partial), source],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            partial.rename(archive)
            return
        partial.unlink(missing_ok=True)
        problems.append(f"{source}\n{done.stderr.strip()}")
    sys.exit(f"no root file system of {release} is to be had:\n" + "\n".join(problems))


def load(archive: Path, label: str, names: tuple[str, ...], settings: list[str]) -> list[str]:
    """Load an archive as an image unless the engine has it, and return the names it gave."""
    missing = [name for name in names if outdated(name, label)]
    if not missing:
        return []
    changes = [f"--change={line}" for line in [*settings, f"LABEL {LABEL}={label}"]]
    image = run(["docker", "import", *changes, str(archive)]).strip()
    for name in missing:
        before = inspected(name, "{{.Id}}")
        run(["docker", "tag", image, name])
        if before:
            # refused, and rightly so, while something is made of it
            subprocess.run(["docker", "rmi", before], capture_output=True, check=False)
    return missing


def outdated(name: str, label: str) -> bool:
    """Say whether a name is free, or has an image that an earlier form of this program made."""
    labels = inspected(name, "{{json .Config.Labels}}")
    if not labels:
        return True
    found = (json.loads(labels) or {}).get(LABEL)
    return found is not None and found != label


def inspected(name: str, template: str) -> str:
    """Return what the engine tells of an image, ``""`` where it has none of that name."""
    command = ["docker", "image", "inspect", "--format", template, name]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def digest(*parts: bytes) -> str:
    """Return a digest of what decides what is in an archive, this program included."""
    hashed = hashlib.sha256()
    for part in (Path(__file__).read_bytes(), platform.machine().encode(), *parts):
        hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.hexdigest()[:12]


def told(how: str, what: str, loaded: list[str], start: float) -> str:
    """Return the line about an image."""
    images = ", ".join(loaded) if loaded else "nothing, the engine has its images"
    return f"{how} {what}, loaded {images}, after {time.monotonic() - start:.1f} s"


if __name__ == "__main__":
    sys.exit(main())
