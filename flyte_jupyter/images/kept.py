"""The virtual environments that are kept: what is in them, whether something uses them, their end.

A note beside the packages says what is in an environment; it is touched when the environment is
taken into use, so that its time says when that was.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from flyte_jupyter.images.built import BuiltImage, folder_size

__all__ = ["listed", "note", "remove", "touch"]

NOTE = "flyte_jupyter.txt"
SHORT = 12


def note(place: Path, description: str) -> None:
    """Write what is in an environment that was just made."""
    (place / NOTE).write_text(description + "\n", "utf-8")


def touch(place: Path) -> None:
    """Note that an environment is taken into use."""
    with contextlib.suppress(OSError):  # it may be another user's
        os.utime(place / NOTE)


def listed(folder: Path, wanted: Collection[str] = ()) -> list[BuiltImage]:
    """Return the environments below a folder.

    Args:
        folder: the folder, which need not exist.
        wanted: names of the folders of environments that are needed, whether they are used or not.
    """
    commands = list(_commands())
    return [
        _described(place, place.name in wanted or any(str(place) in text for text in commands))
        for place in sorted(folder.glob("*"))
        if place.is_dir() and not place.name.startswith(".")
    ]


def remove(folder: Path, names: Collection[str]) -> list[BuiltImage]:
    """Remove environments by their names; return those that were removed."""
    removed = []
    for one in listed(folder):
        if one.name not in names:
            continue
        (place,) = folder.glob(one.name + "*")
        # gone at once for whoever looks for it, whatever the time that its files take
        grave = Path(tempfile.mkdtemp(prefix=".removed-", dir=folder))
        place.rename(grave / place.name)
        shutil.rmtree(grave, ignore_errors=True)
        removed.append(one)
    return removed


def _described(place: Path, in_use: bool) -> BuiltImage:
    try:
        text = (place / NOTE).read_text("utf-8").strip()
        used = (place / NOTE).stat().st_mtime
    except OSError:
        text, used = "", place.stat().st_mtime
    return BuiltImage(
        name=place.name[:SHORT],
        kind="environment",
        description=text or "packages of an earlier version",
        size=folder_size(place),
        created=place.stat().st_ctime,
        used=used,
        in_use=in_use,
    )


def _commands() -> Iterator[str]:
    """Yield the command lines of all processes that can be seen."""
    if sys.platform != "linux":
        import subprocess

        command = ["ps", "-axo", "command="]
        yield from subprocess.run(
            command, capture_output=True, text=True, check=False
        ).stdout.splitlines()
        return
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                yield Path("/proc", name, "cmdline").read_bytes().decode("utf-8", "replace")
