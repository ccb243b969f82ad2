"""Layers as the instructions of a Dockerfile, with the files that they copy.

What is said here holds for every builder: what BuildKit can do better is added by mounts, which
leave nothing in the image.
"""

from __future__ import annotations

import json
import os
import posixpath
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images.packages import PACKAGES, packages_environ
from flyte_jupyter.images.sources import LEFT_OUT, unchanged
from flyte_jupyter.spec import layers

__all__ = [
    "AUTHORITIES",
    "CERTIFICATE_VARIABLES",
    "BakedPackages",
    "Dockerfile",
    "Entry",
    "apt_command",
    "quoted",
]

# where a build finds the certificates of the user's network; /dev is never part of an image
AUTHORITIES = "/dev/flyte_jupyter/certificates.pem"
APT_CACHE = "/dev/flyte_jupyter-apt"
APT_FOLDER = "/var/tmp/flyte_jupyter-apt"
# what reads the place of certificates from a variable
CERTIFICATE_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the build context.

    Args:
        name: where it is in the context.
        source: file of this machine, or None.
        data: what is in it, if it is no file.
    """

    name: str
    source: str | None = None
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class BakedPackages:
    """A folder of packages as a layer.

    Args:
        library: the folder.
        before: the folder that the image has already, or None.
        words: what it stands for.
    """

    library: Path
    before: Path | None
    words: str


@dataclass
class Dockerfile:
    """Instructions that grow layer by layer.

    Args:
        base: what it stands on.
        user: user of the base; the layers are laid by root.
        environ: variables of the base.
        buildkit: it is read by BuildKit.
        authorities: certificates of the user's network, for BuildKit to mount.
    """

    base: str
    user: str
    environ: Mapping[str, str]
    buildkit: bool
    authorities: bytes = b""
    lines: list[str] = field(default_factory=list)
    context: list[Entry] = field(default_factory=list)

    def text(self) -> str:
        """Return the Dockerfile."""
        is_root = self.user.partition(":")[0] in ("", "0", "root")
        head = [f"FROM {self.base}", *([] if is_root else ["USER 0:0"])]
        return "\n".join([*head, *self.lines, *([] if is_root else [f"USER {self.user}"]), ""])

    def entries(self) -> list[Entry]:
        """Return the build context, without the Dockerfile."""
        if not (self.authorities and self.buildkit):
            return self.context
        return [*self.context, Entry("authorities/certificates.pem", data=self.authorities)]

    def add(self, layer: layers.Layer | BakedPackages) -> None:
        """Add the instructions of one layer.

        Raises:
            ImageBuildError: a file is gone, or has changed since the image was declared.
        """
        if isinstance(layer, BakedPackages):
            self._packages(layer)
        elif isinstance(layer, layers.AptPackages):
            self._apt(layer)
        elif isinstance(layer, layers.Commands):
            for command in layer.commands:
                self._run(command)
        elif isinstance(layer, layers.EnvVars):
            several = [name for name, value in layer.items if "\n" in value]
            if several:
                raise ImageBuildError(
                    f"The variable {several[0]} of the image has more than one line, which no "
                    "Dockerfile can say.",
                    remedy="Give it to the environment instead: env_vars={...}.",
                )
            pairs = [f"{name}={quoted(value)}" for name, value in layer.items]
            self.lines += [f"ENV {' '.join(pairs)}"] if pairs else []
        elif isinstance(layer, layers.WorkDir):
            self.lines.append(f"WORKDIR {quoted(layer.path)}")
        elif isinstance(layer, (layers.SourceFile, layers.SourceFolder)):
            self._source(layer)

    def _packages(self, layer: BakedPackages) -> None:
        folder = f"packages/{len(self.context)}"
        fresh, gone = _changes(layer.library, layer.before)
        if gone:
            names = " ".join(shlex.quote(f"{PACKAGES}/{name}") for name in gone)
            self._run(f"rm -rf {names}")
        self.context += [
            Entry(f"{folder}/{name}", os.path.join(layer.library, name)) for name in fresh
        ]
        if fresh:
            self.lines.append(f'COPY ["{folder}/", "{PACKAGES}/"]')
        if layer.before is None:
            environ = packages_environ(self.environ)
            self.lines.append("ENV " + " ".join(f"{k}={quoted(v)}" for k, v in environ.items()))

    def _apt(self, layer: layers.AptPackages) -> None:
        if self.buildkit:
            # kept between builds, beside the image
            cache = f"type=cache,id=flyte_jupyter-apt,target={APT_CACHE},sharing=locked"
            self._run(apt_command(layer.packages, APT_CACHE), cache)
        else:
            self._run(apt_command(layer.packages))

    def _run(self, command: str, *mounts: str) -> None:
        if self.buildkit and self.authorities:
            target = posixpath.dirname(AUTHORITIES)
            mounts = (f"type=bind,source=authorities,target={target}", *mounts)
            places = " ".join(f"{one}={AUTHORITIES}" for one in CERTIFICATE_VARIABLES)
            command = f"export {places}\n{command}"
        flags = "".join(f"--mount={mount} " for mount in mounts)
        self.lines.append(f"RUN {flags}{json.dumps(['/bin/sh', '-c', command])}")

    def _source(self, layer: layers.SourceFile | layers.SourceFolder) -> None:
        folder = f"sources/{len(self.context)}"
        into = layer.dst if layer.dst.endswith("/") else layer.dst + "/"
        name = os.path.basename(layer.src)
        if isinstance(layer, layers.SourceFile):
            unchanged(layer.src, layer.digest, is_file=True)
            self.context.append(Entry(f"{folder}/{name}", layer.src))
            whole = layer.dst.endswith("/") or posixpath.basename(layer.dst) in (".", "..")
            target = into if whole else layer.dst
            self.lines.append(f"COPY {json.dumps([f'{folder}/{name}', target])}")
            return
        unchanged(layer.src, layer.digest, is_file=False)
        self.context += [
            Entry(f"{folder}/{inner}", os.path.join(layer.src, inner))
            for inner in sorted(_files(layer.src))
        ]
        target = into if layer.copy_contents_only else f"{into}{name}/"
        self.lines.append(f"COPY {json.dumps([folder + '/', target])}")


def apt_command(packages: Iterable[str], folder: str = "") -> str:
    """Return the command that installs Debian packages and leaves nothing else behind.

    Args:
        packages: their names.
        folder: where lists and archives are kept beside the image, if there is such a place.
    """
    kept = folder or APT_FOLDER
    lists, archives = f"{kept}/lists", f"{kept}/archives"
    options = f"-o Dir::State::Lists={lists} -o Dir::Cache::Archives={archives}"
    options += " -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
    certificates = f"$([ -e {AUTHORITIES} ] && echo -o Acquire::https::CAInfo={AUTHORITIES})"
    names = " ".join(map(shlex.quote, packages))
    return (
        f"mkdir -p {lists}/partial {archives}/partial && export DEBIAN_FRONTEND=noninteractive && "
        f"apt-get {options} {certificates} update && "
        f"apt-get {options} {certificates} install -y --no-install-recommends {names}"
        + ("" if folder else f" && rm -rf {kept}")
    )


def quoted(value: str) -> str:
    """Return a value as an instruction takes it: nothing in it means anything."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def _changes(library: Path, before: Path | None) -> tuple[list[str], list[str]]:
    """Return the files that are new or others, and the ones that are gone."""
    now = dict(_stamps(library))
    was = dict(_stamps(before)) if before else {}
    fresh = sorted(name for name, stamp in now.items() if was.get(name) != stamp)
    return fresh, sorted(set(was) - set(now))


def _stamps(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    for place, _, files in os.walk(folder):
        for file in files:
            path = os.path.join(place, file)
            # the link is what counts, not where it leads
            status = os.lstat(path)
            yield os.path.relpath(path, folder), (status.st_size, status.st_mtime_ns)


def _files(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        ignored = LEFT_OUT(place, [*folders, *files])
        folders[:] = sorted(set(folders) - ignored)
        relative = os.path.relpath(place, folder)
        for name in set(files) - ignored:
            yield name if relative == "." else os.path.join(relative, name)
