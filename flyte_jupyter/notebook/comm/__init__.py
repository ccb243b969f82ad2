"""The comm that front ends open: what the side bar shows and does, also while a cell runs.

Only the name of the target is registered when the extension is loaded; the rest is imported when a
front end opens it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte_jupyter.notebook.comm.hub import Hub

__all__ = ["can_act_while_busy", "on_change", "register", "unregister"]

TARGET = "flyte_jupyter"

_hub: Hub | None = None
_lock = threading.Lock()
_listeners: list[Callable[[], None]] = []


def can_act_while_busy() -> bool:
    """Say whether a front end can end a run while a cell is being executed.

    That takes one that has opened our comm, and a kernel with subshells, which hears it then. An
    element with the attribute ``data-flyte-jupyter-cancel="NAME OF THE RUN"`` is a button for that.
    """
    hub = _hub
    return hub is not None and hub.acts_while_busy


def on_change(listener: Callable[[], None]) -> Callable[[], None]:
    """Call back when `can_act_while_busy` may have changed, on whatever thread it has.

    Returns:
        A function that ends it.
    """
    _listeners.append(listener)

    def stop() -> None:
        if listener in _listeners:
            _listeners.remove(listener)

    return stop


def register(shell: Any) -> None:
    """Let front ends open the comm of a shell's kernel; a terminal has none."""
    manager = _manager(shell)
    if manager is not None:
        manager.register_target(TARGET, _opened)


def unregister(shell: Any) -> None:
    """Let every front end go, and no other in."""
    global _hub
    manager = _manager(shell)
    if manager is not None:
        manager.unregister_target(TARGET, _opened)
    with _lock:
        hub, _hub = _hub, None
    if hub is not None:
        hub.close()


def _manager(shell: Any) -> Any:
    return getattr(getattr(shell, "kernel", None), "comm_manager", None)


def _opened(comm: Any, message: Any) -> None:
    global _hub
    from IPython import get_ipython

    from flyte_jupyter.notebook.comm.hub import Hub

    with _lock:
        if _hub is None:
            _hub = Hub(get_ipython(), _tell)
        hub = _hub
    hub.opened(comm, message)


def _tell() -> None:
    for listener in tuple(_listeners):
        listener()
