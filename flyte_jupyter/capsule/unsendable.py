"""What cannot be sent to a container, and what to do instead."""

from __future__ import annotations

from typing import Any

from flyte_jupyter.capsule.model import Place
from flyte_jupyter.errors import CapsuleError, FlyteError

__all__ = ["refuse", "refuse_known"]

_OPEN = "Open it inside the task, and pass its path or address as an input."
_MAKE = "Make it inside the task."
_SHELL = (
    "Magics, '!' commands and the shell exist only in the notebook: use subprocess, or a plain "
    "function, inside the task."
)

# (type by module and name, what it is, remedy); the first that is among the type's bases counts.
KNOWN: tuple[tuple[str, str, str], ...] = (
    ("_io._IOBase", "an open file", _OPEN),
    ("tempfile._TemporaryFileWrapper", "an open file", _OPEN),
    ("socket.socket", "an open socket", _OPEN),
    ("sqlite3.Connection", "an open database connection", _OPEN),
    ("sqlite3.Cursor", "an open database cursor", _OPEN),
    ("psycopg2.extensions.connection", "an open database connection", _OPEN),
    ("sqlalchemy.engine.base.Engine", "a pool of database connections", _OPEN),
    ("_thread.lock", "a lock", _MAKE),
    ("_thread.RLock", "a lock", _MAKE),
    ("threading.Condition", "a condition", _MAKE),
    ("threading.Event", "an event", _MAKE),
    ("threading.Semaphore", "a semaphore", _MAKE),
    ("threading.Thread", "a thread", _MAKE),
    ("threading.local", "thread-local data", _MAKE),
    ("concurrent.futures._base.Executor", "a pool of workers", _MAKE),
    ("concurrent.futures._base.Future", "a future", "Wait for its result and pass that."),
    ("multiprocessing.process.BaseProcess", "a process", _MAKE),
    ("subprocess.Popen", "a process", _MAKE),
    ("builtins.generator", "a generator", "Pass a list of what it yields, or make it in the task."),
    ("builtins.async_generator", "an asynchronous generator", _MAKE),
    ("builtins.coroutine", "a coroutine", "Await it and pass what it gives."),
    ("_asyncio.Task", "an asyncio task", "Await it and pass what it gives."),
    ("_asyncio.Future", "an asyncio future", "Await it and pass what it gives."),
    ("asyncio.events.AbstractEventLoop", "an event loop", _MAKE),
    ("builtins.frame", "a stack frame", "Pass the values that you need from it."),
    ("builtins.traceback", "a traceback", "Pass it as text."),
    ("mmap.mmap", "a memory map", _OPEN),
    ("IPython.core.interactiveshell.InteractiveShell", "the IPython shell", _SHELL),
)


def refuse_known(value: Any, place: Place) -> None:
    """Refuse what can never be sent.

    Raises:
        CapsuleError: it is an open file, a lock, a thread or the like.
    """
    holder = getattr(value, "__self__", value)  # a method of the shell is as bad as the shell
    names = {f"{base.__module__}.{base.__qualname__}" for base in type(holder).__mro__}
    for name, what, remedy in KNOWN:
        if name in names:
            raise _error(value, place, f", which is {what} and cannot be sent", remedy)


def refuse(value: Any, place: Place, error: Exception) -> CapsuleError:
    """Return the error for a value that turned out not to be sendable."""
    cause = error.sentence if isinstance(error, FlyteError) else f"{type(error).__name__}: {error}"
    remedy = "Make it inside the task, or pass what it is made from as an input."
    return _error(value, place, " that cannot be sent", remedy, (cause,))


def _error(
    value: Any, place: Place, what: str, remedy: str, evidence: tuple[str, ...] = ()
) -> CapsuleError:
    kind = type(value)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    article = "an" if name.lstrip("_")[0] in "aeiouAEIOU" else "a"
    where = f" ({place})" if place.label else ""
    return CapsuleError(
        f"{place.who} reads {place.name!r}, {article} {name}{what}{where}.",
        evidence=evidence,
        remedy=remedy,
    )
