"""The first process of a pod: it has reached the hub of the session, then serves one body.

What goes over that connection is what an attached stream carries elsewhere, and the same relay
stands between it and the process that serves the body.
"""

from __future__ import annotations

import os
import socket

from flyte_jupyter.wire.relay import MARK, Relay
from flyte_jupyter.worker import processes
from flyte_jupyter.worker.container import serve

__all__ = ["main"]


def main(hub: socket.socket, patience: float) -> None:
    """Stand between the hub and the process that serves the body.

    Args:
        hub: the connection.
        patience: seconds without a word of the kernel after which it counts as gone.
    """
    control, theirs = socket.socketpair()
    stream, far_stream = socket.socketpair()
    child = os.fork()
    if child == 0:
        for ours in (hub, control, stream, far_stream):
            ours.close()
        processes.adopt_orphans()
        serve(theirs)
        os._exit(0)
    theirs.close()
    hub.sendall(MARK)
    hub.setblocking(False)
    relay = Relay(hub.fileno(), hub.fileno(), control, stream, patience)
    relay.hand_over(far_stream.detach())
    ended = relay.run()
    hub.close()
    if ended:
        # the pod ends as what it was for has ended
        _, status = os.waitpid(child, 0)
        os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
    if relay.silent:
        from flyte_jupyter.worker.body import LAST_WORD, STREAM_ENDED

        os.write(2, LAST_WORD)  # a kernel that is there after all takes it for what it is
        os._exit(STREAM_ENDED)
    os._exit(0)
