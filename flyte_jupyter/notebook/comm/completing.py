"""Completion that a front end asks for through the comm, while the kernel executes a cell."""

from __future__ import annotations

from typing import Any

__all__ = ["completions"]


def completions(shell: Any, code: str, cursor: int) -> dict[str, Any]:
    """Return what can stand at a place, as IPython knows it.

    Args:
        shell: the IPython shell.
        code: the source of the cell.
        cursor: the place in it, in characters.

    Returns:
        ``matches`` with ``text`` and ``type``, and ``start`` and ``end`` of what they replace.
    """
    from IPython.core.completer import provisionalcompleter, rectify_completions

    with provisionalcompleter():
        found = list(rectify_completions(code, shell.Completer.completions(code, cursor)))
    return {
        "matches": [{"text": one.text, "type": one.type or ""} for one in found],
        "start": found[0].start if found else cursor,
        "end": found[0].end if found else cursor,
    }
