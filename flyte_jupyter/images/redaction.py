"""What must never be shown: passwords in addresses, and the values of secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

__all__ = ["redact", "secret_values"]

_USER = re.compile(r"(?<=://)[^/@\s'\"`]+@")
_PARAMETER = re.compile(
    r"(?i)([?&][^=&\s]*(?:token|secret|password|passwd|key|sig|signature|credential)[^=&\s]*=)"
    r"[^&\s'\"`]+"
)
_SECRET_NAME = re.compile(r"UV_(?:INDEX_\w+_PASSWORD|PUBLISH_\w+)|\w*(?:TOKEN|PASSWORD|SECRET)\w*")


def redact(text: str, values: Iterable[str] = ()) -> str:
    """Return the text without user and password of addresses, and without the given values."""
    for value in values:
        text = text.replace(value, "***")
    return _PARAMETER.sub(r"\1***", _USER.sub("***@", text))


def secret_values(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the values of variables that are secrets by their name, the longest first.

    Values of a few letters are left out: to blank them would only garble what is shown.
    """
    found = {
        value
        for name, value in environ.items()
        if len(value) >= 6 and _SECRET_NAME.fullmatch(name.upper())
    }
    return tuple(sorted(found, key=len, reverse=True))
