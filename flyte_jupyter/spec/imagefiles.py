"""What an image takes from local files, read when it is declared, so that a slip shows there."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Any

from flyte_jupyter.errors import SpecError, SpecTypeError
from flyte_jupyter.spec import layers
from flyte_jupyter.spec.hashing import digest, digest_file, digest_folder
from flyte_jupyter.spec.naming import closest, kind, shown

__all__ = [
    "python_version",
    "read_project",
    "read_script",
    "read_text",
    "refreshed",
    "source_file",
    "source_folder",
]

# PEP 723 gives this expression
_METADATA = r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$"


def python_version(value: Any) -> tuple[int, int]:
    """Return a Python version as a pair; None is the version of this process.

    Raises:
        SpecTypeError: no version.
        SpecError: a version that no task can run on.
    """
    import sys

    if value is None:
        return sys.version_info[:2]
    if isinstance(value, float):
        raise SpecTypeError(
            f"python_version={value!r} is a float, in which 3.1 and 3.10 are one; "
            f"write {str(value)!r} or {tuple(int(part) for part in str(value).split('.'))!r}."
        )
    parts = value.split(".") if isinstance(value, str) else value
    try:
        major, minor = (int(part) for part in tuple(parts)[:2])
    except (TypeError, ValueError):
        raise SpecTypeError(
            f"python_version={shown(value)} is no version; write (3, 12) or '3.12'."
        ) from None
    if major != 3 or minor < 9:
        raise SpecError(f"python_version={shown(value)} is too old or unknown; take 3.9 or later.")
    return major, minor


def read_text(field: str, file: Any) -> tuple[str, str]:
    """Return a file's absolute path and its text.

    Raises:
        SpecError: it cannot be read.
    """
    path = _existing(field, file, folder=False)
    try:
        with open(path, encoding="utf-8") as stream:
            return path, stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{field}={str(path)!r} cannot be read: {error}.") from None


def read_script(script: Any, version: Any) -> layers.UvScript:
    """Return the base that a script's inline metadata (PEP 723) describes.

    Args:
        script: path of the script.
        version: Python to take, or None for this process's where the script does not object.

    Raises:
        SpecError: it cannot be read, or has no or wrong metadata.
    """
    path, text = read_text("script", script)
    blocks = [match for match in re.finditer(_METADATA, text + "\n") if match["type"] == "script"]
    if len(blocks) != 1:
        raise SpecError(
            f"script={path!r} has {len(blocks) or 'no'} blocks of inline metadata; write one: "
            "'# /// script', '# dependencies = [...]', '# ///'."
        )
    header = "".join(
        line[2:] if line.startswith("# ") else line[1:]
        for line in blocks[0]["content"].splitlines(keepends=True)
    )
    try:
        import tomllib
    except ModuleNotFoundError:
        raise SpecError("from_uv_script reads TOML, which Python has since 3.11.") from None
    try:
        said = tomllib.loads(header)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"script={path!r} has inline metadata that is no TOML: {error}.") from None
    wanted = said.get("requires-python")
    python = python_version(version)
    if version is None and wanted:
        python = _least_python(wanted, python)
    return layers.UvScript(path, python, wanted, tuple(said.get("dependencies", ())), header)


def read_project(pyproject: Any, uvlock: Any, with_project: bool) -> tuple[str, str | None, str]:
    """Return the paths of a uv project's two files, and the digest of what counts.

    Raises:
        SpecError: one of them cannot be read.
    """
    path, text = read_text("pyproject_file", pyproject)
    lock = os.path.join(os.path.dirname(path), "uv.lock")
    if uvlock is None and not os.path.exists(lock):
        return path, None, digest(text, None, _project(path, with_project))
    lock, locked = read_text("uvlock", uvlock or lock)
    return path, lock, digest(text, locked, _project(path, with_project))


def source_file(src: Any, dst: Any) -> layers.SourceFile:
    """Return the layer that copies a file.

    Raises:
        SpecError: no such file, or no destination.
    """
    path = _existing("src", src, folder=False)
    return layers.SourceFile(path, _destination(dst), _read(digest_file, path))


def source_folder(src: Any, dst: Any, contents_only: bool) -> layers.SourceFolder:
    """Return the layer that copies a folder.

    Raises:
        SpecError: no such folder, or no destination.
    """
    path = _existing("src", src, folder=True)
    content = _read(digest_folder, path)
    return layers.SourceFolder(path, _destination(dst), content, bool(contents_only))


def refreshed(part: Any) -> Any:
    """Return a base or layer with its files read again.

    Raises:
        SpecError: a file that is gone.
    """
    if isinstance(part, layers.DockerfileBase):
        return layers.DockerfileBase(*read_text("file", part.path))
    if isinstance(part, layers.UvScript):
        return read_script(part.path, part.python)
    if isinstance(part, layers.Requirements):
        path, text = read_text("file", part.path)
        return replace(part, path=path, lines=tuple(text.splitlines()))
    if isinstance(part, layers.UvProject):
        read = read_project(part.pyproject, part.uvlock, part.install_project)
        return replace(part, pyproject=read[0], uvlock=read[1], digest=read[2])
    if isinstance(part, layers.SourceFile):
        return source_file(part.src, part.dst)
    if isinstance(part, layers.SourceFolder):
        return source_folder(part.src, part.dst, part.copy_contents_only)
    return part


def _existing(field: str, value: Any, folder: bool) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise SpecTypeError(f"{field}={shown(value)} is {kind(value)}; give a path.")
    path = os.path.abspath(os.path.expanduser(os.fspath(value)))
    if (os.path.isdir if folder else os.path.isfile)(path):
        return path
    wanted, other = ("folder", "file") if folder else ("file", "folder")
    if os.path.exists(path):
        raise SpecError(f"{field}={str(value)!r} is a {other}; give a {wanted}.")
    beside, name = os.path.split(path)
    found = closest(name, os.listdir(beside)) if os.path.isdir(beside) else None
    near = f"; did you mean {os.path.join(os.path.dirname(str(value)), found)!r}?" if found else "."
    raise SpecError(f"{field}={str(value)!r}: there is no such {wanted} in {beside!r}{near}")


def _read(read: Any, path: str) -> str:
    try:
        return str(read(path))
    except OSError as error:
        raise SpecError(f"src={path!r} cannot be read: {error}.") from None


def _destination(dst: Any) -> str:
    if not isinstance(dst, str) or not dst.strip():
        raise SpecTypeError(f"dst={shown(dst)} is no path in the image; write one such as '/app'.")
    return dst


def _project(path: str, with_project: bool) -> str | None:
    return _read(digest_folder, os.path.dirname(path)) if with_project else None


def _least_python(wanted: str, current: tuple[int, int]) -> tuple[int, int]:
    """Return this process's version if the script takes it, else the lowest one it names."""
    bounds = re.findall(r"(>=|<=|<|>|==|~=)\s*3\.(\d+)", wanted)
    holds = {
        ">=": current[1].__ge__,
        ">": current[1].__ge__,
        "<": current[1].__lt__,
        "<=": current[1].__le__,
        "==": current[1].__eq__,
        "~=": current[1].__ge__,
    }
    if all(holds[sign](int(minor)) for sign, minor in bounds):
        return current
    named = [int(minor) for sign, minor in bounds if sign in (">=", ">", "==", "~=")]
    if named:
        return 3, max(named)
    # only upper bounds are named, and this process is above them
    upper = min(int(minor) - (sign == "<") for sign, minor in bounds)
    return 3, upper
