"""The folders that workers of this machine work in; they stay where a supervisor was killed."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator

from flyte_jupyter.store.owners import is_alive
from flyte_jupyter.store.scratch import scratch_folders
from flyte_jupyter.targets.protocol import Leftover

__all__ = ["sweep"]


def sweep(remove: Collection[str] = ()) -> list[Leftover]:
    """Return the folders that are there, or remove those that are named and return these.

    Args:
        remove: their paths.
    """
    if not remove:
        return list(_folders())
    removed = [folder for folder in _folders() if folder.name in remove]
    for folder in removed:
        shutil.rmtree(folder.name, ignore_errors=True)
    return removed


def _folders() -> Iterator[Leftover]:
    for path, owner in scratch_folders():
        try:
            made = path.stat().st_mtime
        except OSError:  # it was removed meanwhile
            continue
        yield Leftover(
            name=str(path),
            owner=owner,
            description="a folder that workers work in",
            kind="folder",
            created=made,
            alive=is_alive(owner),
        )
