"""Amounts as a reader says them, rounded: ``1.2 MiB``, ``3 min 20 s``; and times as typed."""

from __future__ import annotations

import re
from datetime import timedelta

__all__ = ["parse_span", "readable_bytes", "readable_seconds"]

_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


def parse_span(text: str) -> timedelta | None:
    """Return a length of time such as ``90``, ``90s`` or ``1h30m``; None where it is none."""
    match = _SPAN.fullmatch(text.replace(" ", ""))
    if match is None or not text.strip():
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def readable_bytes(count: float) -> str:
    """Return a number of bytes for people: ``812 B``, ``1.2 MiB``."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def readable_seconds(seconds: float) -> str:
    """Return a length of time for people: ``20 ms``, ``1.4 s``, ``3 min 20 s``."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
