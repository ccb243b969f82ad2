"""The images of the test cluster's node, which has no registry to pull from.

They are what the Docker engine has under the names of `base_images.py`, and that of the process
which holds a pod. To unpack them takes long; so it is done once, on a node of its own, and a
cluster gets links to the files. That costs no space: what is in an image is never written to.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import IO

from base_images import NO_PYTHON, PYTHONS
from cluster_build import cache
from cluster_files import PAUSE, Cluster
from cluster_host import begin, end, order, wait_for
from pythons import run, say

NAMES = (*(name for each in PYTHONS.values() for name in each), NO_PYTHON)
KEPT = "cluster-images-"


def fill(cluster: Cluster, binaries: Path) -> None:
    """Give a node whose container runtime does not run yet its images."""
    images = known()
    if not images:
        say("no base images: make them with .ci/base_images.py, bring them with `load`")
    decides = [(binaries / "pause").read_bytes(), json.dumps(images).encode()]
    home = cache()
    kept = home / f"{KEPT}{hashlib.sha256(b'+'.join(decides)).hexdigest()[:12]}"
    with open(home / "cluster-images.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            for other in home.glob(f"{KEPT}*"):
                shutil.rmtree(other)
            unpack(kept, binaries, [name for names in images.values() for name in names])
        copy(kept, cluster.place / "containerd")


def known() -> dict[str, list[str]]:
    """Return the images that the Docker engine has of those that are wanted, and their names."""
    if not shutil.which("docker"):
        return {}
    shown = ["docker", "image", "inspect", "--format", "{{.Id}} {{json .RepoTags}}", *NAMES]
    done = subprocess.run(shown, capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines():
        image, _, names = line.partition(" ")
        if image:
            found[image] = sorted(set(json.loads(names)) & set(NAMES))
    return dict(sorted(found.items()))


def unpack(kept: Path, binaries: Path, images: list[str]) -> None:
    """Have a container runtime unpack images, and keep its files."""
    start = time.monotonic()
    place = kept.with_name("cluster-unpack")
    end(place)
    try:
        cluster = begin(place, binaries / "cluster")
        serve(cluster)
        archive = place / "pause.tar"
        write_image(archive, PAUSE, binaries / "pause")
        with archive.open("rb") as stream:
            take(cluster, stream)
        if images:
            load(cluster, images)
        order(cluster, "kill containerd")
        (place / "containerd").rename(kept)
    finally:
        end(place)
    say(f"unpacked {len(images)} images, once, in {time.monotonic() - start:.1f} s")


def copy(kept: Path, place: Path) -> None:
    """Copy a container runtime's files as links, and those that it writes to for real."""
    shutil.rmtree(place, ignore_errors=True)
    command = ["cp", "--archive", str(kept), str(place)]
    if subprocess.run([*command, "--link"], capture_output=True, check=False).returncode:
        # another file system
        shutil.rmtree(place, ignore_errors=True)
        run(command)
    for file in place.rglob("*.db"):
        if "snapshots" not in file.parts:
            file.unlink()
            shutil.copyfile(kept / file.relative_to(place), file)


def serve(cluster: Cluster) -> None:
    """Start the container runtime, and wait until it answers."""
    order(cluster, "start containerd")
    asked = ["ctr", "--address", str(cluster.runtime), "--timeout", "2s", "version"]
    wait_for(
        "the container runtime",
        lambda: subprocess.run(asked, capture_output=True, check=False).returncode == 0,
    )


def load(cluster: Cluster, images: list[str]) -> None:
    """Bring images of the Docker engine's."""
    with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
        assert saved.stdout
        take(cluster, saved.stdout)
    if saved.returncode:
        sys.exit(f"the Docker engine did not give {', '.join(images)}")


def take(cluster: Cluster, archive: IO[bytes]) -> None:
    """Take an archive of images, as `docker save` writes it."""
    program = ["ctr", "--address", str(cluster.runtime), "--namespace", "k8s.io"]
    done = subprocess.run(
        [*program, "images", "import", "-"], stdin=archive, capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the node did not take an image: {done.stderr.decode()}")


def write_image(archive: Path, name: str, program: Path) -> None:
    """Write an image that is one program, as `docker save` would."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as file:
        member = file.gettarinfo(str(program), program.name)
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mode = 0o755
        with program.open("rb") as stream:
            file.addfile(member, stream)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}
    config = {
        "architecture": machine.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"]},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"],
        },
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as file:
        for path, content in (
            ("layer.tar", layer.getvalue()),
            ("config.json", json.dumps(config).encode()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
