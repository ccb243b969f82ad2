"""The hub of a session in a cluster: pods dial it, the kernel reaches it through the API server.

A pod shows that it is the one that it says it is, gets the guest's rooms, and has a stream to the
kernel from then on. Where the kernel's connection is cut, the hub keeps what is on its way until
the kernel is back. A kernel that stays away for long is gone: the hub ends, and so do the pods.
Before that, another kernel may take over what it has left; where it has left nothing to be done,
nobody waits for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import socket
import ssl
import struct
import sys
import time
from typing import Dict, Optional

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.link import (
    ARRIVED,
    BLOB,
    BLOB_END,
    BLOB_PART,
    BYE,
    BYTES,
    END,
    HANDED_OVER,
    MOST,
    PART,
    Messages,
    message,
    proof,
)
from flyte_jupyter.wire.relay import MARK, STREAM, chunk
from flyte_jupyter.worker.estate import Answers, Sorter

__all__ = ["Hub", "main"]

# Seconds for who has connected to say who it is.
HELLO = 30.0
# A kernel that waits for nothing is waited for no longer than this.
IDLE = 60.0
BLOBS = "/tmp/blobs"
# So many pods that have ended are worth a look for what can be forgotten of them.
MANY = 500
# A machine that answers nothing for about half a minute is gone.
ALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 4), ("TCP_KEEPCNT", 4))
# So is one that takes nothing of what was sent to it, however often that is sent again. A pod that
# only does not read now, as its task keeps the interpreter to itself, does take some of it.
LOOK = 5.0
TRIES = 6
TCP_INFO, TRIED, UNTAKEN = 104, 2, 24


class Blob:
    """Something that the kernel brings once, and pods fetch: the packages of an image, say.

    Args:
        name: what it is asked for by.
    """

    def __init__(self, name: str) -> None:
        os.makedirs(BLOBS, exist_ok=True)
        self.path = os.path.join(BLOBS, name)
        self.file = open(self.path, "wb")  # noqa: SIM115, closed at its end
        self.whole = asyncio.Event()

    def end(self) -> None:
        """Let pods have it."""
        self.file.close()
        self.whole.set()


class Hub:
    """Joins the streams of pods into the one link to the kernel.

    Args:
        key: the session's; each pod has one of its own that is made from it.
        rooms: the guest's rooms, as the kernel has packed them.
        patience: seconds without the kernel after which it counts as gone.
    """

    def __init__(self, key: bytes, rooms: bytes, patience: float) -> None:
        self._key = key
        self._rooms = rooms
        self._patience = patience
        self._name = os.urandom(8).hex()
        self._messages = Messages()
        self._kernel: Optional[asyncio.StreamWriter] = None
        self._inherited = False
        self._pods: Dict[int, asyncio.StreamWriter] = {}
        self._sorters: Dict[int, Sorter] = {}
        self._enough = MANY
        self._answers = Answers()
        self._unheard = False
        self._blobs: Dict[str, Blob] = {}
        self._coming: Dict[int, Blob] = {}
        self._more = asyncio.Event()
        self._over = asyncio.Event()
        self._count = 0
        self._room = asyncio.Event()
        self._room.set()
        self._heard = time.monotonic()

    async def serve(self, listener: socket.socket, trust: ssl.SSLContext) -> None:
        """Serve until the kernel has ended the session or is gone; every pod ends with this."""
        server = await asyncio.start_server(self._met, sock=listener, ssl=trust)
        looking = asyncio.ensure_future(self._look_for_the_lost())
        try:
            async with server:
                while not self._over.is_set():
                    left = self._heard + self._patience - time.monotonic()
                    idle = self._heard + IDLE - time.monotonic()
                    if left <= 0 or (idle <= 0 and not self._waited_for):
                        return
                    left = min(left, IDLE) if self._waited_for else min(left, idle)
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(self._over.wait(), left)
        finally:
            looking.cancel()

    async def _look_for_the_lost(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            for writer in list(self._pods.values()):
                with contextlib.suppress(OSError):  # it has just been closed
                    if not writer.is_closing() and _takes_nothing(writer.get_extra_info("socket")):
                        writer.transport.abort()

    @property
    def _waited_for(self) -> bool:
        """True while a pod works, or has answered what no kernel has heard."""
        return bool(self._answers.open or self._unheard)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonce = os.urandom(16).hex()
        try:
            writer.write(f"hub {self._name} {nonce}\n".encode())
            line = await asyncio.wait_for(reader.readline(), HELLO)
            kind, *rest = line.decode("ascii", "replace").split()
            if kind == "kernel":
                await self._serve_kernel(reader, writer, nonce, *rest)
            elif kind == "heir":
                await self._serve_heir(reader, writer, nonce, *rest)
            elif kind == "pod":
                await self._serve_pod(reader, writer, nonce, *rest)
        except (TimeoutError, OSError, ValueError, TypeError, ProtocolError) as error:
            print(f"A connection ended: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            writer.close()

    async def _serve_kernel(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        nonce: str,
        shown: str,
        taken: str,
        known: str,
    ) -> None:
        """Serve the kernel.

        Args:
            reader: leads from it.
            writer: leads to it.
            nonce: what it was asked with.
            shown: shows that it knows the key.
            taken: how many messages it has.
            known: the hub's name as it knows it; another one where an heir has taken over.
        """
        if not hmac.compare_digest(shown, proof(self._key, "kernel", nonce)):
            raise ProtocolError("That is not the kernel of this session.")
        if self._inherited and known != self._name:
            writer.write(b"gone\n")
            return
        again = list(self._messages.again(int(taken)))
        self._meet(writer)
        writer.write(f"taken {self._messages.taken}\n".encode())
        for one in again:
            writer.write(one)
        await self._listen(reader, writer)

    async def _serve_heir(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, nonce: str, shown: str
    ) -> None:
        """Hand over to another kernel what the last one has left, and serve that one."""
        if not hmac.compare_digest(shown, proof(self._key, "heir", nonce)):
            raise ProtocolError("That is no kernel that may take over.")
        left, self._messages = list(self._messages.kept), Messages()
        self._name = os.urandom(8).hex()
        self._inherited = True
        self._meet(writer)
        writer.write(f"heir {self._name}\n".encode())
        streams = {*self._pods, *self._answers.streams(), *(number for _, number, _ in left)}
        for number in sorted(streams & self._sorters.keys()):
            self._tell(ARRIVED, number, self._sorters[number].name.encode())
            if self._sorters[number].begun:
                self._tell(BYTES, number, MARK)
            answers = self._answers.of(number)
            if answers:
                self._tell(BYTES, number, chunk(STREAM, len(answers)) + answers)
        for kind, number, data in left:
            if kind == BYTES and data != MARK:
                self._tell(BYTES, number, data)
        for number in sorted(streams - self._pods.keys()):
            self._tell(END, number)
        self._tell(HANDED_OVER, 0)
        await self._listen(reader, writer)

    def _meet(self, writer: asyncio.StreamWriter) -> None:
        """Have a kernel, which may be the same over another connection."""
        if self._kernel is not None:
            self._kernel.close()
        self._kernel = writer
        self._unheard = False
        self._heard = time.monotonic()
        self._room.set()

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while self._kernel is writer:
                data = await reader.read(PART)
                if not data:
                    return
                self._heard = time.monotonic()
                for kind, number, payload in self._messages.feed(data):
                    self._carry(kind, number, payload)
                writer.write(self._messages.news())
                if self._messages.waiting < MOST:
                    self._room.set()
        finally:
            if self._kernel is writer:
                self._kernel = None

    def _carry(self, kind: bytes, number: int, payload: bytes) -> None:
        if kind == BYE:
            self._over.set()
            return
        if kind in (BLOB, BLOB_PART, BLOB_END):
            self._take(kind, number, payload)
            return
        pod = self._pods.get(number)
        if pod is None:
            return  # it has ended, and the kernel is about to hear of it
        if kind == BYTES:
            self._answers.asked(number, payload)
            pod.write(payload)
        elif kind == END:
            pod.close()

    def _take(self, kind: bytes, number: int, payload: bytes) -> None:
        if kind == BLOB:
            name = os.path.basename(payload.decode())
            self._blobs[name] = self._coming[number] = Blob(name)
            self._more.set()
        elif kind == BLOB_PART:
            self._coming[number].file.write(payload)
        else:
            self._coming.pop(number).end()

    async def _send_blob(self, name: str, writer: asyncio.StreamWriter) -> None:
        """Send a blob once it is whole."""
        while name not in self._blobs:
            self._more.clear()
            await self._more.wait()
        blob = self._blobs[name]
        await blob.whole.wait()
        writer.write(os.path.getsize(blob.path).to_bytes(8, "big"))
        with open(blob.path, "rb") as file:
            while True:
                data = file.read(1 << 20)
                if not data:
                    return
                writer.write(data)
                await writer.drain()

    async def _serve_pod(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        nonce: str,
        name: str,
        shown: str,
        *blobs: str,
    ) -> None:
        own = proof(self._key, "pod", name)
        if not hmac.compare_digest(shown, proof(own.encode(), "pod", nonce)):
            raise ProtocolError(f"{name} has not the key of that pod.")
        writer.write(len(self._rooms).to_bytes(4, "big") + self._rooms)
        for blob in blobs:
            await self._send_blob(blob, writer)
        self._count += 1
        number = self._count
        self._pods[number] = writer
        sorter = self._sorters[number] = Sorter(name, number, self._answers)
        _keep_alive(writer)
        self._tell(ARRIVED, number, name.encode())
        try:
            while True:
                await self._room.wait()
                data = await reader.read(PART)
                if not data:
                    return
                for whole in sorter.feed(data):
                    self._unheard = self._unheard or self._kernel is None
                    self._tell(BYTES, number, whole)
        finally:
            del self._pods[number]
            self._answers.ended(number)
            self._tell(END, number)
            self._forget()

    def _forget(self) -> None:
        """Forget pods of which there is nothing left that an heir would have to hear."""
        if len(self._sorters) < self._enough:
            return
        told = {number for _, number, _ in self._messages.kept}
        needed = {*self._pods, *self._answers.streams(), *told}
        self._sorters = {k: v for k, v in self._sorters.items() if k in needed}
        self._enough = 2 * len(self._sorters) + MANY

    def _tell(self, kind: bytes, number: int, data: bytes = b"") -> None:
        one = self._messages.sent(message(kind, number, data))
        if self._messages.waiting >= MOST:
            self._room.clear()
        if self._kernel is not None:
            self._kernel.write(one)


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Have a connection end whose other side is gone with its machine: that one says no word."""
    peer: socket.socket = writer.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, number in ALIVE:
        if hasattr(socket, name):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), number)


def _takes_nothing(peer: socket.socket) -> bool:
    """Say whether what was sent has been sent again and again, and never been taken."""
    if not hasattr(socket, "TCP_INFO"):
        return False
    told = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO)
    return told[TRIED] >= TRIES and struct.unpack_from("=I", told, UNTAKEN)[0] > 0


def main(
    listener: socket.socket, trust: ssl.SSLContext, key: str, rooms: bytes, patience: float
) -> None:
    """Be the hub until the kernel is gone.

    Args:
        listener: the socket that the first program has listened on.
        trust: has the hub's certificate.
        key: the session's, in hexadecimal digits.
        rooms: the guest's rooms, as they came.
        patience: seconds without the kernel after which it counts as gone.
    """

    async def serve() -> None:
        await Hub(bytes.fromhex(key), rooms, patience).serve(listener, trust)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
