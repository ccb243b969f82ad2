"""Tracebacks of user code: what the user wrote, without the frames that called it."""

from __future__ import annotations

import os
from typing import Any, List, Set

__all__ = ["user_traceback"]

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# the event loop stands between this package and a task that is a coroutine function
CALLERS = (HERE, os.path.join(os.path.dirname(os.__file__), "asyncio", ""))


def user_traceback(error: BaseException) -> str:
    """Return the traceback of an exception, with the one of the task that raised it first."""
    lines: List[str] = []
    _append(error, lines, set())
    return "".join(lines)


def _append(error: BaseException, lines: List[str], seen: Set[int]) -> None:
    import traceback

    seen.add(id(error))
    remote = getattr(error, "remote_traceback", "")
    own = _own_frames(error.__traceback__)
    if remote:
        # it tells its own causes
        lines.append(remote.rstrip("\n") + "\n")
        if own:
            lines.append("\nThe task that raised it was called here:\n\n")
            lines.extend(traceback.format_list(_without_ours(own)))
        return
    cause = error.__cause__
    context = None if error.__suppress_context__ else error.__context__
    before = cause if cause is not None else context
    if before is not None and id(before) not in seen:
        _append(before, lines, seen)
        lines.append(
            "\nThe above exception was the direct cause of the following exception:\n\n"
            if cause is not None
            else "\nDuring handling of the above exception, another exception occurred:\n\n"
        )
    if own is not None:
        lines.append("Traceback (most recent call last):\n")
        lines.extend(traceback.format_list(_without_ours(own)))
    lines.extend(traceback.format_exception_only(type(error), error))


def _own_frames(tb: Any) -> Any:
    """Return the traceback from the first frame that neither is ours nor calls for us."""
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(CALLERS):
        tb = tb.tb_next
    return tb


def _without_ours(tb: Any) -> Any:
    import traceback

    frames = traceback.extract_tb(tb)
    return traceback.StackSummary.from_list(
        [frame for frame in frames if not frame.filename.startswith(HERE)]
    )
