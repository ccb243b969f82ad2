"""One connection to the hub: encrypted, lines at first, then messages."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

from flyte_jupyter.errors import TargetError
from flyte_jupyter.targets.kubernetes.boot import NAME

__all__ = ["Speaker"]

READ = 256 * 1024


class Speaker(asyncio.Protocol):
    """The kernel's end.

    It encrypts what goes over any transport; asyncio does that only over its own.

    Args:
        trust: trusts the hub.

    Attributes:
        lost: done once the connection has ended.
    """

    def __init__(self, trust: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._cipher = trust.wrap_bio(self._coming, self._going, server_hostname=NAME)
        self._shaken = False
        self._unsent: list[Any] = []
        self._text = bytearray()
        self._news = asyncio.Event()
        self._hear: Callable[[Any], None] | None = None
        self._problem = ""
        self.lost: asyncio.Future[None] = loop.create_future()

    # from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to agree on keys."""
        self._transport = cast("asyncio.Transport", transport)
        self._shake()

    def data_received(self, data: bytes) -> None:
        """Decrypt what comes, and hand it on."""
        self._coming.write(data)
        if not self._shaken and not self._shake():
            return
        try:
            while not self.lost.done():
                self._heard(self._cipher.read(READ))
        except ssl.SSLWantReadError:
            self._flush()  # what the protocol itself has to say
        except ssl.SSLError as error:
            self._end(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that it has ended."""
        self._end("" if exc is None else str(exc))

    def _shake(self) -> bool:
        """Go on with agreeing on keys; say whether that is done."""
        try:
            self._cipher.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._end(f"it is not the hub of this session: {error}")
            return False
        self._shaken = True
        unsent, self._unsent = self._unsent, []
        for data in unsent:
            self.write(data)
        self._flush()
        return True

    def _heard(self, data: bytes) -> None:
        if not data:
            self._end("")
        elif self._hear is not None:
            self._hear(data)
        else:
            self._text += data
            self._news.set()

    def _flush(self) -> None:
        if self._transport is not None and self._going.pending:
            self._transport.write(self._going.read())

    def _end(self, problem: str) -> None:
        self._problem = self._problem or problem
        self._news.set()
        if self._transport is not None:
            self._transport.close()
        if not self.lost.done():
            self.lost.set_result(None)

    # the kernel's side

    async def line(self) -> str:
        """Return the next line.

        Raises:
            TargetError: the connection has ended.
        """
        while b"\n" not in self._text:
            if self.lost.done():
                raise TargetError(
                    "The hub of the session has ended the connection.",
                    evidence=[self._problem] if self._problem else (),
                )
            self._news.clear()
            await self._news.wait()
        text, _, rest = bytes(self._text).partition(b"\n")
        self._text = bytearray(rest)
        return text.decode("ascii", "replace")

    def hear(self, hear: Callable[[Any], None]) -> None:
        """Hand on from now on what comes, as it comes."""
        self._hear = hear
        if self._text:
            hear(bytes(self._text))
            self._text.clear()

    def write(self, data: Any) -> None:
        """Send bytes, if there is a connection."""
        if self._transport is None or self.lost.done():
            return
        if not self._shaken:
            self._unsent.append(data)
            return
        self._cipher.write(data)
        self._flush()

    def close(self) -> None:
        """End it."""
        self._end("")
