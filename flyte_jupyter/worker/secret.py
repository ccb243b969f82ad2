"""Secrets as files: laid where the container has memory for them, never on a disk."""

from __future__ import annotations

import os
from typing import Mapping

__all__ = ["lay_secrets"]


def lay_secrets(texts: Mapping[str, str]) -> None:
    """Write secrets to their files, for the task's user alone.

    A call beside this one may read them meanwhile, so that each file is replaced as a whole.

    Args:
        texts: value by path.
    """
    for path, text in texts.items():
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        partial = f"{path}.{os.getpid()}"
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        os.replace(partial, path)
