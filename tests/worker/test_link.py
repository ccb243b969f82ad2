"""Who reads the stream of a worker: the main thread while it is idle, another one otherwise."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Iterator

import pytest

from flyte_jupyter.wire.frames import Frame, Kind, encode_frame
from flyte_jupyter.worker.link import Link


class Stream:
    """A link with the other end of its stream, and who has read each frame."""

    def __init__(self) -> None:
        near, self.far = socket.socketpair()
        fd = near.detach()
        self.ended = threading.Event()
        self.link = Link(fd, fd, self._receive, self.ended.set)
        self.readers: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.link.start()

    def close(self) -> None:
        assert self.link._socket is not None
        self.link._socket.close()  # a worker, which ends with its stream, has no need to
        for fd in self.link._wake_pipe:
            os.close(fd)

    def _receive(self, _: Frame) -> None:
        self.readers.put(threading.get_ident())

    def send(self) -> None:
        self.far.sendall(encode_frame(Kind.NOTE, 0, {"text": ""})[0])

    def read_here(self) -> int:
        """Read as an idle main thread does; return who has read."""
        self.link.read_while(self.readers.empty)
        return self.readers.get()


@pytest.fixture
def stream() -> Iterator[Stream]:
    made = Stream()
    yield made
    made.far.close()
    assert made.ended.wait(10), "the end of the stream is seen, whoever reads"
    made.close()


def test_an_idle_thread_reads_itself(stream: Stream) -> None:
    stream.send()
    stream.read_here()  # it may have been read before this thread asked
    for _ in range(3):
        stream.send()
        assert stream.read_here() == threading.get_ident()


def test_the_other_thread_reads_at_once_where_a_frame_is_waited_for(stream: Stream) -> None:
    stream.send()
    stream.read_here()
    for _ in range(3):
        stream.link.attend()
        stream.send()
        assert stream.readers.get(timeout=10) != threading.get_ident()
        stream.send()
        stream.read_here()


def test_the_other_thread_takes_over_from_one_that_does_not_come_back(stream: Stream) -> None:
    stream.send()
    stream.read_here()
    stream.send()  # nobody has asked for it
    assert stream.readers.get(timeout=10) != threading.get_ident()


def test_the_reading_goes_to_and_fro(stream: Stream) -> None:
    for turn in range(200):
        stream.send()
        if turn % 3:
            stream.read_here()
        else:
            stream.link.attend()
            stream.readers.get(timeout=10)
