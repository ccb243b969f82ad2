"""The first process of a container that shares no machine with the kernel.

All that it has of the kernel is the stream on its standard input and output. It carries both what
the process that serves the body says and the body's frames; that process is its child. When the
input ends, or nothing has come for long, the kernel is gone, and the container ends.
"""

from __future__ import annotations

import os
import socket

from flyte_jupyter.wire.relay import READ, Relay
from flyte_jupyter.worker import processes
from flyte_jupyter.worker.container import serve

__all__ = ["main"]

# A laptop that sleeps is not dead.
PATIENCE = 600.0


def main() -> None:
    """Stand between the attached stream and the process that serves the body."""
    control, theirs = socket.socketpair()
    stream, far_stream = socket.socketpair()
    if os.fork() == 0:
        for ours in (control, stream, far_stream):
            ours.close()
        _leave_the_stream()
        processes.adopt_orphans()
        serve(theirs)
        os._exit(0)
    theirs.close()
    for fd in (0, 1):
        os.set_blocking(fd, False)
    relay = Relay(
        lambda: os.read(0, READ),
        lambda data: os.write(1, data),
        0,
        1,
        control,
        stream,
        lambda: os.close(1),
        patience=PATIENCE,
    )
    relay.hand_over(far_stream.detach())
    relay.run()
    os._exit(0)


def _leave_the_stream() -> None:
    """Have nothing but the relay read or write the stream."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
