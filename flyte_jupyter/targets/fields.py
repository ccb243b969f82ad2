"""How the rows of a target's table of capabilities are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flyte_jupyter.targets.protocol import Capability, Honour

__all__ = ["EVERYWHERE", "HONOURED", "honoured", "ignored"]

HONOURED = Capability(Honour.HONOURED)


def ignored(note: str) -> Callable[[Any], Capability]:
    """Return the row of a field that has no effect, whatever its value, with what is said then."""
    return lambda _: Capability(Honour.IGNORED, note)


def honoured(_: Any) -> Capability:
    """Be the row of a field that is honoured, whatever its value."""
    return HONOURED


def _cache(cache: Any) -> Capability:
    if not cache.enabled:
        return HONOURED
    return Capability(Honour.IGNORED, "results are made anew; no earlier one is taken")


#: The rows of fields that are not the target's doing.
EVERYWHERE: Mapping[str, Callable[[Any], Capability]] = {
    "cache": _cache,
    "description": honoured,
    "docs": honoured,
    "entrypoint": honoured,
    "env_vars": honoured,
    "include": honoured,
    "max_inline_io_bytes": honoured,
    "report": ignored("no report is made"),
    "retries": honoured,
    "reusable": honoured,
    "short_name": honoured,
    "target": honoured,
    "timeout": honoured,
}
