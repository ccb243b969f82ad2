"""The folder of a Dockerfile as a build context, as the docker command takes it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from flyte_jupyter.images.dockerfile import Entry
from flyte_jupyter.spec.hashing import digest, digest_file
from flyte_jupyter.spec.layers import DockerfileBase

__all__ = ["context_digest", "context_files", "context_stamp"]

IGNORE = ".dockerignore"


def context_files(base: DockerfileBase) -> Iterator[Entry]:
    """Yield the files of the context, without what its ``.dockerignore`` names.

    Args:
        base: the Dockerfile.
    """
    from docker.utils.build import exclude_paths

    home = os.path.dirname(base.path)
    for name in sorted(exclude_paths(home, _ignored(base), os.path.basename(base.path))):
        path = os.path.join(home, name)
        # what is left out is left out here: the engine need not know
        if name and name != IGNORE and (os.path.isfile(path) or os.path.islink(path)):
            yield Entry(name.replace(os.sep, "/"), path)


def context_stamp(base: DockerfileBase) -> str:
    """Return what changes whenever a file of the context is written; cheap.

    Args:
        base: the Dockerfile.
    """
    stamps = []
    for entry in context_files(base):
        status = os.lstat(entry.source or "")
        stamps.append((entry.name, status.st_size, status.st_mtime_ns, status.st_mode))
    return digest("stamp", base.text, tuple(stamps))


def context_digest(base: DockerfileBase) -> str:
    """Return the digest of names and contents.

    Args:
        base: the Dockerfile.
    """
    found = []
    for entry in context_files(base):
        path = entry.source or ""
        content = "-> " + os.readlink(path) if os.path.islink(path) else digest_file(path)
        found.append((entry.name, os.access(path, os.X_OK), content))
    return digest("context", tuple(found))


def _ignored(base: DockerfileBase) -> list[str]:
    for name in (
        base.path + ".dockerignore",
        os.path.join(os.path.dirname(base.path), ".dockerignore"),
    ):
        try:
            with open(name, encoding="utf-8") as stream:
                lines = [line.strip() for line in stream]
        except (OSError, UnicodeDecodeError):
            continue
        return [line for line in lines if line and not line.startswith("#")]
    return []
