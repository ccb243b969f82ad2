"""The first process of a pod: it has reached the hub of the session, then serves one body.

What goes over that connection, encrypted, is what an attached stream carries elsewhere.
"""

from __future__ import annotations

import ssl
from typing import Any, List

from flyte_jupyter.wire.relay import READ, Far
from flyte_jupyter.worker.attached import stand_between

__all__ = ["main"]


class Encrypted(Far):
    """The connection to the hub.

    Args:
        hub: the connection.
    """

    def __init__(self, hub: ssl.SSLSocket) -> None:
        super().__init__(hub.fileno(), hub.fileno())
        hub.settimeout(0)
        self._hub = hub

    def read(self) -> bytes:
        """Return all that has come: what is decrypted already is not told of by poll."""
        parts: List[bytes] = []
        size = 0
        try:
            while size < READ or self._hub.pending():
                part = self._hub.recv(READ)
                parts.append(part)
                size += len(part)
                if not part:
                    break
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if not parts:
                raise BlockingIOError from None
        return b"".join(parts)

    def write(self, *parts: Any) -> int:
        """Write what can be written now; return how much."""
        try:
            return self._hub.send(parts[0] if len(parts) == 1 else b"".join(parts))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None


def main(hub: ssl.SSLSocket, patience: float) -> None:
    """Stand between the hub and the process that serves the body.

    Args:
        hub: the connection.
        patience: seconds without a word of the kernel after which it counts as gone.
    """
    stand_between(Encrypted(hub), patience, hub.close)
