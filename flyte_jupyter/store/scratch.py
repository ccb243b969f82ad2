"""Temporary folders whose names say which process made them, so that dead ones can be told."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flyte_jupyter.store.owners import owner

__all__ = ["scratch_folder", "scratch_folders"]

PREFIX = "flyte-jupyter-"
# stands for the colon, which separates paths elsewhere; no name of a host has it
SEPARATOR = "+"


def scratch_folder() -> str:
    """Make an empty temporary folder and return its path; who made it removes it."""
    return tempfile.mkdtemp(prefix=f"{PREFIX}{owner().replace(':', SEPARATOR)}+")


def scratch_folders() -> Iterator[tuple[Path, str]]:
    """Yield path and owner of the temporary folders of this user that are there."""
    for folder in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        parts = folder.name.removeprefix(PREFIX).split(SEPARATOR)
        try:
            ours = folder.stat().st_uid == os.getuid()
        except OSError:  # it was removed meanwhile
            continue
        if ours and len(parts) == 4 and not folder.is_symlink():
            yield folder, ":".join(parts[:3])
