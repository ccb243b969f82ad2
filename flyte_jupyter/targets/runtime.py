"""The guest's rooms as a folder of their own, so that any Python can import them and nothing else.

The folder holds ``errors``, ``spec``, ``wire`` and ``worker`` under the name ``flyte_jupyter``,
with the guest face in the place of the notebook's. It is made once for each content and shared.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flyte_jupyter.store.folders import runtime_folder

__all__ = ["guest_runtime", "is_compiled", "note_compiled"]

ROOMS = ("errors.py", "spec", "wire", "worker")
FACE = '''"""The guest face; it is imported when something of it is first used."""

from importlib import import_module


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    if name in ("errors", "spec", "wire", "worker"):
        return import_module("flyte_jupyter." + name)
    face = import_module("flyte_jupyter.worker.face")
    value = globals()[name] = getattr(face, name)
    return value
'''


@functools.cache
def guest_runtime() -> str:
    """Return the folder to put on ``sys.path`` of a worker.

    Raises:
        OSError: the cache folder cannot be written.
    """
    package = Path(__file__).parent.parent
    files = sorted(_files(package))
    stamp = hashlib.sha256(FACE.encode())
    for path in files:
        status = path.stat()
        stamp.update(
            f"{path.relative_to(package)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode()
        )
    folder = runtime_folder() / stamp.hexdigest()[:16]
    if not folder.is_dir():
        _make(folder, package, files)
    return str(folder)


def is_compiled(version: tuple[int, int]) -> bool:
    """Return whether the guest's rooms have their bytecode for a Python."""
    return _mark(version).exists()


def note_compiled(version: tuple[int, int]) -> None:
    """Note that the guest's rooms have their bytecode for a Python."""
    with contextlib.suppress(OSError):
        _mark(version).touch()


def _mark(version: tuple[int, int]) -> Path:
    return Path(guest_runtime(), f"compiled-{version[0]}.{version[1]}")


def _files(package: Path) -> Iterator[Path]:
    for room in ROOMS:
        path = package / room
        if path.is_file():
            yield path
        else:
            yield from path.rglob("*.py")


def _make(folder: Path, package: Path, files: list[Path]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    try:
        for path in files:
            copy = partial / "flyte_jupyter" / path.relative_to(package)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        (partial / "flyte_jupyter" / "__init__.py").write_text(FACE)
        os.rename(partial, folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process made the same folder first
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
