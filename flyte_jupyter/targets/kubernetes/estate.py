"""What another kernel needs to take over a session: a file of this machine for each that runs."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flyte_jupyter.store.folders import state_folder
from flyte_jupyter.targets.kubernetes.trust import Trust

__all__ = ["Estate", "estates", "forget", "keep"]


@dataclass(frozen=True, slots=True)
class Estate:
    """One session.

    Args:
        session: its name, with which the names of its pods begin.
        namespace: where it is.
        options: what the cluster was found by.
        owner: the kernel, as :func:`flyte_jupyter.store.owners.owner` writes it.
        trust: what the session is let in by.
    """

    session: str
    namespace: str
    options: Mapping[str, Any]
    owner: str
    trust: Trust


def keep(estate: Estate) -> None:
    """Write a session down, for nobody but this user."""
    plain = {**asdict(estate), "trust": {**asdict(estate.trust), "key": estate.trust.key.hex()}}
    path = _file(estate.session)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(plain, file)


def forget(session: str) -> None:
    """Forget a session that is no more."""
    with contextlib.suppress(OSError):
        _file(session).unlink()


def estates() -> Iterator[Estate]:
    """Yield the sessions that this machine knows."""
    for path in sorted(_folder().glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # another version's
            plain = json.loads(path.read_text("utf-8"))
            trust = plain.pop("trust")
            yield Estate(**plain, trust=Trust(**{**trust, "key": bytes.fromhex(trust["key"])}))


def _file(session: str) -> Path:
    return _folder() / f"{session}.json"


def _folder() -> Path:
    folder = state_folder() / "sessions"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
