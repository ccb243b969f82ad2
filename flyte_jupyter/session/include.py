"""Files that travel with the code, because an environment says ``include=``."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator

from flyte_jupyter.errors import SpecError
from flyte_jupyter.spec.naming import did_you_mean
from flyte_jupyter.wire.exchange import Packed, pack
from flyte_jupyter.wire.values import encode

__all__ = ["included_files"]


def included_files(patterns: tuple[str, ...], environment: str) -> tuple[str, Packed]:
    """Read the files that an environment includes, relative to the notebook's folder.

    Args:
        patterns: files, folders or glob patterns; a task finds them at the same relative paths in
            its working directory, those from outside of the notebook's folder by their names.
        environment: name for messages.

    Returns:
        Hash of the files, and the files as a value: a dictionary from path to content.

    Raises:
        SpecError: a pattern fits nothing.
    """
    found: dict[str, bytes] = {}
    for pattern in patterns:
        paths = list(_files(pattern))
        if not paths:
            folder = os.path.dirname(pattern) or "."
            near = os.listdir(folder) if os.path.isdir(folder) else []
            hint = did_you_mean(os.path.basename(pattern), near)
            raise SpecError(
                f"{environment} includes {pattern!r}, and there is no such file in "
                f"{os.getcwd()!r}{hint}"
            )
        for path in paths:
            with open(path, "rb") as file:
                found[_place(path)] = file.read()
    digest = hashlib.sha256()
    for path, content in sorted(found.items()):
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return f"files-{digest.hexdigest()}", pack(encode(found))


def _files(pattern: str) -> Iterator[str]:
    for path in sorted(glob.glob(os.path.expanduser(pattern), recursive=True)):
        if os.path.isfile(path):
            yield path
        else:
            for folder, _, names in os.walk(path):
                yield from (os.path.join(folder, name) for name in sorted(names))


def _place(path: str) -> str:
    relative = os.path.relpath(path)
    return os.path.basename(path) if relative.startswith(os.pardir) else relative
