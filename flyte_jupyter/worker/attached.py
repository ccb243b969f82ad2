"""The first process of a container that shares no machine with the kernel.

All that it has of the kernel is the stream on its standard input and output. It carries both what
the process that serves the body says and the body's frames; that process is its child. When the
input ends, or nothing has come for long, the kernel is gone, and the container ends.
"""

from __future__ import annotations

import os
import socket
from typing import Callable, NoReturn

from flyte_jupyter.wire.relay import MARK, Far, Relay
from flyte_jupyter.worker import processes
from flyte_jupyter.worker.container import serve

__all__ = ["main", "stand_between"]


def main(patience: str) -> None:
    """Stand between the attached stream and the process that serves the body.

    Args:
        patience: seconds without a word of the kernel after which it counts as gone.
    """
    stand_between(Far(0, 1), float(patience), _leave_the_stream)


def stand_between(far: Far, patience: float, leave: Callable[[], None]) -> NoReturn:
    """Relay between a stream to the kernel and a child that serves the body, and end with it.

    Args:
        far: the stream.
        patience: seconds without a word of the kernel after which it counts as gone.
        leave: called in the child, which must neither read nor write the stream.
    """
    control, theirs = socket.socketpair()
    stream, far_stream = socket.socketpair()
    child = os.fork()
    if child == 0:
        for ours in (control, stream, far_stream):
            ours.close()
        leave()
        processes.adopt_orphans()
        serve(theirs)
        os._exit(0)
    theirs.close()
    far.write(MARK)
    relay = Relay(far, control, stream, patience)
    relay.hand_over(far_stream.detach())
    if relay.run():
        # the container ends as what it was for has ended
        _, status = os.waitpid(child, 0)
        os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
    if relay.silent:
        from flyte_jupyter.worker.body import LAST_WORD, STREAM_ENDED

        os.write(2, LAST_WORD)  # a kernel that is there after all takes it for what it is
        os._exit(STREAM_ENDED)
    os._exit(0)


def _leave_the_stream() -> None:
    """Have nothing but the relay read or write the stream."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
