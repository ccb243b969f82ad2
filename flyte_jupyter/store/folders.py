"""Where this package keeps what outlives a kernel, and what can be made again.

``FLYTE_JUPYTER_HOME`` puts everything below one folder. Without it the platform's own places are
taken: the XDG folders on Linux, ``~/Library`` on macOS.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from flyte_jupyter.errors import TargetError

__all__ = ["cache_folder", "runtime_folder", "state_folder"]

NAME = "flyte_jupyter"
# kind: (variable of the XDG base folders, its default below the home folder, macOS's place)
PLACES = {
    "state": ("XDG_STATE_HOME", ".local/state", "Library/Application Support"),
    "cache": ("XDG_CACHE_HOME", ".cache", "Library/Caches"),
}


def state_folder() -> Path:
    """Return the folder of what must not be lost: the journal, logs, kept values.

    Raises:
        TargetError: it cannot be made.
    """
    return _made(_place("state"))


def cache_folder() -> Path:
    """Return the folder of what can be made again: virtual environments, probed interpreters.

    Raises:
        TargetError: it cannot be made.
    """
    return _made(_place("cache"))


def runtime_folder() -> Path:
    """Return the folder of the guest's rooms, as workers import them.

    Raises:
        TargetError: it cannot be made.
    """
    return _made(_place("cache") / "runtime")


def _place(kind: str) -> Path:
    home = os.environ.get("FLYTE_JUPYTER_HOME")
    if home:
        return Path(os.path.abspath(os.path.expanduser(home))) / kind
    variable, default, on_macos = PLACES[kind]
    if sys.platform == "darwin":
        return Path.home() / on_macos / NAME
    given = os.environ.get(variable, "")
    # the XDG rules say that a relative path is to be ignored
    return (Path(given) if os.path.isabs(given) else Path.home() / default) / NAME


def _made(folder: Path) -> Path:
    try:
        # what lies here are the user's values and code: nobody else's to read
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(
            f"The folder {str(folder)!r} cannot be made: {error.strerror}.",
            remedy="Set FLYTE_JUPYTER_HOME to a folder that can be written.",
        ) from None
    return folder
