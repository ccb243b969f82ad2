"""Framed digests: no two different images, files or folders share one.

Every part is hashed as its type, its length and its bytes, so neither the parts' borders nor their
kinds can be confused: ``pip("ab", "c")`` is not ``pip("a", "bc")``, nor is ``apt("curl")``
``pip("curl")``.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, Iterator

__all__ = ["digest", "digest_file", "digest_folder"]

_IGNORED = frozenset({"__pycache__", ".git", ".ipynb_checkpoints", ".DS_Store"})


def digest(*parts: Any) -> str:
    """Return the digest of values made of strings, numbers, None, tuples and frozen layers."""
    from hashlib import sha256

    hasher = sha256()
    for chunk in _frames(tuple(parts)):
        hasher.update(chunk)
    return hasher.hexdigest()


def digest_file(path: str) -> str:
    """Return the digest of a file's content.

    Raises:
        OSError: it cannot be read.
    """
    from hashlib import sha256

    hasher = sha256()
    with open(path, "rb") as stream:
        while True:
            chunk = stream.read(1 << 20)
            if not chunk:
                return hasher.hexdigest()
            hasher.update(chunk)


def digest_folder(path: str) -> str:
    """Return the digest of the names and contents in a folder, caches left out.

    Raises:
        OSError: something in it cannot be read.
    """
    import os

    found = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(set(folders) - _IGNORED)
        inside = os.path.relpath(folder, path)
        for name in sorted(set(files) - _IGNORED):
            file = os.path.join(folder, name)
            if os.path.islink(file) and not os.path.exists(file):
                content = "-> " + os.readlink(file)
            else:
                content = digest_file(file)
            executable = os.access(file, os.X_OK)
            found.append((os.path.join(inside, name).replace(os.sep, "/"), executable, content))
    return digest(tuple(found))


def _frames(value: Any) -> Iterator[bytes]:
    if isinstance(value, (tuple, list)):
        yield b"(%d" % len(value)
        for item in value:
            yield from _frames(item)
    elif is_dataclass(value):
        skipped = getattr(value, "unhashed", ())
        names = [field.name for field in fields(value) if field.name not in skipped]
        tag = getattr(value, "tag", type(value).__name__)
        yield from _frames((tag, *((name, getattr(value, name)) for name in names)))
    else:
        data = b"" if value is None else str(value).encode("utf-8", "surrogatepass")
        yield b"%s:%d:" % (type(value).__name__.encode(), len(data))
        yield data
