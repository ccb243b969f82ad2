"""The first process of a pod: it has reached the hub of the session, then serves one body.

What goes over that connection is what an attached stream carries elsewhere.
"""

from __future__ import annotations

import socket

from flyte_jupyter.worker.attached import stand_between

__all__ = ["main"]


def main(hub: socket.socket, patience: float) -> None:
    """Stand between the hub and the process that serves the body.

    Args:
        hub: the connection.
        patience: seconds without a word of the kernel after which it counts as gone.
    """
    stand_between(hub.fileno(), hub.fileno(), patience, hub.close)
