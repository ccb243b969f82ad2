"""One stream carries two, both ways, as far as each reader goes, and to the end of each."""

import array
import contextlib
import os
import socket
import struct
import threading
import time

import pytest

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.relay import CONTROL, MOST, PULSE, STREAM, Far, Pieces, Relay, chunk

PATIENCE = 60.0
MUCH = 4 * MOST


class Ends:
    """A relay at work, and all that it stands between.

    The kernel is ``far``; ``control`` and ``stream`` are what the container has.
    """

    def __init__(self, patience=None, hand_over=None):
        self.far, far = socket.socketpair()
        self.control, control = socket.socketpair()
        self.stream, stream = socket.socketpair()
        for one in (self.far, self.control, self.stream):
            one.settimeout(PATIENCE)
        far.setblocking(False)
        self._far = far
        self._pieces = Pieces()
        self._heard = []
        self.over = self.failed = None
        self.relay = relay = Relay(Far(far.fileno(), far.fileno()), control, stream, patience)
        if hand_over is not None:
            relay.hand_over(hand_over)

        def run():
            try:
                self.over = relay.run()
            except ProtocolError as error:
                self.failed = error
            far.shutdown(socket.SHUT_WR)

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def say(self, channel, data):
        self.far.sendall(chunk(channel, len(data)) + data)

    def hear(self):
        """Return the next part of a chunk; None at the end."""
        while not self._heard:
            data = self.far.recv(1 << 16)
            if not data:
                return None
            self._heard += [(channel, bytes(part)) for channel, part in self._pieces.feed(data)]
        return self._heard.pop(0)

    def hear_all(self):
        said = {CONTROL: b"", STREAM: b"", PULSE: b""}
        while (part := self.hear()) is not None:
            said[part[0]] += part[1]
        return said

    def ended(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        return self.over

    def close(self):
        for one in (self.far, self.control, self.stream):
            one.close()
        self.ended()
        self._far.close()


@pytest.fixture
def ends():
    made = []

    def start(**given):
        made.append(Ends(**given))
        return made[-1]

    yield start
    for one in made:
        one.close()


def read(connection, count):
    data = bytearray()
    while len(data) < count:
        part = connection.recv(1 << 18)
        if not part:
            break
        data += part
    return bytes(data)


def test_both_channels_both_ways(ends):
    both = ends()
    both.say(CONTROL, b"spawn\n")
    both.say(STREAM, b"call")
    assert both.control.recv(100) == b"spawn\n"
    assert both.stream.recv(100) == b"call"
    both.control.sendall(b"started\n")
    assert both.hear() == (CONTROL, b"started\n")
    both.stream.sendall(b"result")
    assert both.hear() == (STREAM, b"result")


def test_a_chunk_may_come_in_any_parts(ends):
    both = ends()
    for byte in chunk(STREAM, 3) + b"abc" + chunk(PULSE, 0) + chunk(CONTROL, 2) + b"de":
        both.far.sendall(bytes([byte]))
    assert read(both.stream, 3) == b"abc"
    assert read(both.control, 2) == b"de"


def test_a_descriptor_comes_with_the_first_line(ends):
    read_end, write_end = os.pipe()
    both = ends(hand_over=write_end)
    both.say(CONTROL, b"spawn\n")
    data, beside, _, _ = both.control.recvmsg(100, socket.CMSG_SPACE(16))
    assert data == b"spawn\n"
    fds = array.array("i")
    fds.frombytes(beside[0][2][:4])
    os.write(fds[0], b"here")
    assert os.read(read_end, 10) == b"here"
    both.say(CONTROL, b"kill\n")
    assert both.control.recvmsg(100, socket.CMSG_SPACE(16))[:2] == (b"kill\n", [])
    for fd in (read_end, fds[0]):
        os.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(write_end)


def test_much_both_ways_at_once_with_slow_readers(ends):
    both = ends()
    there, back = os.urandom(1 << 20) * (MUCH >> 20), os.urandom(1 << 20) * (MUCH >> 20)
    heard = []

    def speak_far():
        for at in range(0, len(there), 1 << 18):
            both.say(STREAM, there[at : at + (1 << 18)])

    def speak_near():
        both.stream.sendall(back)

    def listen_near():
        heard.append(read(both.stream, len(there)))

    # nobody reads until both have nowhere left to write to
    speakers = [threading.Thread(target=speak) for speak in (speak_far, speak_near)]
    for one in speakers:
        one.start()
    assert all(_stuck(one) for one in speakers)
    listener = threading.Thread(target=listen_near)
    listener.start()
    said = bytearray()
    while len(said) < len(back) and (part := both.hear()) is not None:
        said += part[1]
    for one in (*speakers, listener):
        one.join(PATIENCE)
    (heard_near,) = heard
    assert heard_near == there
    assert said == back


def _stuck(thread):
    thread.join(0.2)
    return thread.is_alive()


def test_what_waits_to_be_read_is_bounded(ends):
    both = ends()
    part = chunk(STREAM, 1 << 18) + bytes(1 << 18)
    sent = 0

    def send():
        nonlocal sent
        while sent < 8 * MOST:
            sent += both.far.send(part)

    both.far.settimeout(0.5)
    with pytest.raises(TimeoutError):
        send()
    assert sent < 3 * MOST


def test_a_line_is_heard_while_frames_wait(ends):
    both = ends()
    both.say(STREAM, bytes(2 << 20))
    both.say(CONTROL, b"kill\n")
    assert both.control.recv(100) == b"kill\n"


def test_frames_of_a_body_come_before_the_line_that_it_has_ended(ends):
    both = ends()
    both.stream.sendall(b"x" * 100_000)
    both.stream.close()
    both.control.sendall(b"exit\n")
    both.control.close()
    parts = []
    while (part := both.hear()) is not None:
        parts.append(part)
    assert parts[-2:] == [(CONTROL, b"exit\n"), (CONTROL, b"")]
    assert (STREAM, b"") in parts[:-2]
    assert sum(len(data) for channel, data in parts if channel == STREAM) == 100_000
    assert both.ended() is True


def test_a_body_that_ends_its_stream_leaves_the_control_socket(ends):
    both = ends()
    both.stream.close()
    assert both.hear() == (STREAM, b"")
    both.say(STREAM, b"too late")
    both.say(CONTROL, b"more\n")
    assert both.control.recv(100) == b"more\n"


def test_a_stream_that_the_kernel_ends_is_read_to_its_end(ends):
    both = ends()
    both.say(STREAM, b"bye")
    both.say(STREAM, b"")
    assert read(both.stream, 100) == b"bye"
    both.control.sendall(b"exit\n")
    while (part := both.hear()) != (CONTROL, b"exit\n"):
        assert part == (STREAM, b"")


@pytest.mark.parametrize("how", ["far", "control"])
def test_the_kernel_s_end_ends_all(ends, how):
    both = ends()
    if how == "far":
        both.far.shutdown(socket.SHUT_WR)
    else:
        both.say(CONTROL, b"")
    assert both.ended() is False
    assert both.control.recv(1) == both.stream.recv(1) == b""


def test_the_kernel_s_end_is_noticed_though_nobody_reads(ends):
    both = ends()
    both.far.settimeout(0.5)
    with pytest.raises(TimeoutError):
        both.far.sendall((chunk(STREAM, 1 << 18) + bytes(1 << 18)) * 64)
    both.far.close()
    assert both.ended() is False


def test_a_chunk_that_is_torn_off_is_no_chunk(ends):
    both = ends()
    both.far.sendall(chunk(CONTROL, 100) + b"half a line")
    both.far.shutdown(socket.SHUT_WR)
    assert both.ended() is False
    assert read(both.control, 100) == b"half a line"
    assert both.failed is None


def test_what_is_no_chunk_is_refused(ends):
    both = ends()
    both.far.sendall(b"Traceback (most recent call last)")
    both.ended()
    assert "no channel b'T'" in str(both.failed)
    assert both.control.recv(1) == b""


def test_a_kernel_that_is_silent_for_long_is_gone(ends):
    start = time.monotonic()
    both = ends(patience=0.3)
    assert both.ended() is False
    assert both.relay.silent
    assert time.monotonic() - start >= 0.3


def test_a_kernel_that_gives_a_sign_of_life_is_there(ends):
    both = ends(patience=0.6)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        both.say(PULSE, b"")
        # what the container says itself is no sign of the kernel
        both.stream.sendall(b"log")
        assert both.hear() == (STREAM, b"log")
        both.thread.join(0.1)
    assert both.thread.is_alive()
    while both.thread.is_alive() and time.monotonic() < until + PATIENCE:
        with contextlib.suppress(BrokenPipeError):
            both.stream.sendall(b"log")
        both.thread.join(0.1)
    assert both.over is False


def test_who_is_not_listened_to_is_not_silent(ends):
    both = ends(patience=0.3)
    both.far.settimeout(0.2)
    with pytest.raises(TimeoutError):
        both.far.sendall((chunk(STREAM, 1 << 18) + bytes(1 << 18)) * 64)
    both.thread.join(0.8)
    assert both.thread.is_alive()
    both.stream.close()
    assert both.ended() is False


def test_pieces_of_any_header():
    engine = Pieces(struct.Struct(">BxxxI"), ())
    data = b"\x01\0\0\0\0\0\0\x03abc" + b"\x02\0\0\0\0\0\0\x01d" + b"\x07\0\0\0\0\0\0\0"
    found = [(kind, bytes(part)) for kind, part in engine.feed(data)]
    assert found == [(1, b"abc"), (2, b"d"), (7, b"")]
