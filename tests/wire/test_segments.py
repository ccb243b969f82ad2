"""Segments: shared by descriptor, copy-on-write for who receives them, recycled when free."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.channels import Channel
from flyte_jupyter.wire.exchange import Outbox, Packed, lay_out, value_of
from flyte_jupyter.wire.frames import CHUNK, Frame, Kind
from flyte_jupyter.wire.segments import MOST, SHARED_FROM, Segments, process_segments

pytestmark = pytest.mark.skipif(process_segments() is None, reason="no files in memory here")

SIZE = 3 << 20


class Side:
    """One end of a stream that carries descriptors, with segments as a process has them."""

    def __init__(self, budget: int = 1 << 30) -> None:
        self.segments = Segments(budget)
        self.outbox = Outbox("t")
        self.connect()

    def connect(self) -> None:
        self.channel = Channel(self.segments)

    def lend(self, other: Side, *buffers: Any) -> Frame:
        """Freeze buffers and send them; return the frame as it arrives."""
        frozen = tuple(self.segments.freeze(buffers))
        return self.pass_on(other, *frozen)

    def pass_on(self, other: Side, *frozen: Any) -> Frame:
        self.tell(other)
        header, laid = lay_out({}, Packed(b"0", frozen), self.outbox, self.channel)
        other.channel.arrived([os.dup(fd) for fd in laid.fds])
        if laid.shared:
            header["shared"] = other.channel.take([list(entry) for entry in laid.shared])
        return Frame(Kind.CALL, 1, 0, header, [bytes(b) for b in laid.inline])

    def tell(self, other: Side) -> None:
        """Send what is to be said of segments."""
        news = self.channel.news()
        if news is not None:
            other.channel.told(news)


@pytest.fixture
def sides() -> Iterator[tuple[Side, Side]]:
    """Two ends of a stream."""
    one, other = Side(), Side()
    yield one, other
    one.channel.close()
    other.channel.close()
    for side in (one, other):
        side.segments.tidy(idle=0)
        assert len(side.segments) == 0


def opened(frame: Frame) -> tuple[Any, ...]:
    return value_of(frame).buffers


def test_a_large_buffer_arrives_as_it_was_sent(sides: tuple[Side, Side]) -> None:
    one, other = sides
    content = os.urandom(SIZE)
    frame = one.lend(other, content)
    assert frame.buffers == [b"0"]
    (view,) = opened(frame)
    assert view == content


def test_what_is_received_can_be_written_and_nobody_else_sees_it(
    sides: tuple[Side, Side],
) -> None:
    one, other = sides
    source = bytearray(SIZE)
    frozen = one.segments.freeze([source])
    source[0] = 9
    (first,) = opened(one.pass_on(other, *frozen))
    first[1] = 7
    (second,) = opened(one.pass_on(other, *frozen))
    assert (first[0], first[1]) == (0, 7)
    assert (second[0], second[1]) == (0, 0)
    assert bytes(frozen[0][:2]) == b"\0\0"


def test_the_other_side_cannot_write_to_a_segment_nor_shorten_it(
    sides: tuple[Side, Side],
) -> None:
    import mmap

    one, other = sides
    frame = one.lend(other, bytes(SIZE))
    (fd,) = [segment.fd for segment in other.segments.all.values()]
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 1)
    with pytest.raises(PermissionError):
        os.pwrite(fd, b"x", 0)
    with pytest.raises(PermissionError):
        mmap.mmap(fd, SIZE)
    del frame


def test_a_segment_is_used_again_once_nobody_holds_it(sides: tuple[Side, Side]) -> None:
    one, other = sides
    for number in range(20):
        frame = one.lend(other, bytes([number]) * SIZE)
        (view,) = opened(frame)
        assert view == bytes([number]) * SIZE
        view[:] = bytes(SIZE)
        del view, frame
        other.tell(one)
    assert len(one.segments) == len(other.segments) == 1
    assert one.segments.total == SIZE


def test_a_view_keeps_its_content_while_others_come_and_go(sides: tuple[Side, Side]) -> None:
    one, other = sides
    (kept,) = opened(one.lend(other, b"k" * SIZE))
    piece = kept[100:200]
    del kept
    for _ in range(5):
        (view,) = opened(one.lend(other, b"x" * SIZE))
        assert view[0] == ord("x")
        del view
        other.tell(one)
    assert piece == b"k" * 100
    assert len(one.segments) == 2


def test_content_outlives_the_side_that_sent_it(sides: tuple[Side, Side]) -> None:
    one, other = sides
    (view,) = opened(one.lend(other, b"k" * SIZE))
    one.channel.close()
    other.channel.close()
    one.segments.tidy(idle=0)
    assert len(one.segments) == 0
    assert view == b"k" * SIZE
    view[0] = 1
    del view
    assert len(other.segments) == 0


def test_what_a_lost_side_was_lent_comes_back(sides: tuple[Side, Side]) -> None:
    one, other = sides
    frame = one.lend(other, bytes(SIZE))
    one.channel.close()
    one.connect()
    one.segments.freeze([bytes(SIZE)])
    assert len(one.segments) == 1
    del frame


def test_what_is_passed_on_unchanged_is_not_copied(sides: tuple[Side, Side]) -> None:
    one, middle = sides
    last = Side()
    beyond = Side()
    (view,) = opened(one.lend(middle, b"v" * SIZE))
    middle.channel, back = Channel(middle.segments), middle.channel
    (passed,) = opened(middle.lend(last, view))
    assert passed == b"v" * SIZE
    assert middle.segments.total == last.segments.total == 0
    passed[5] = 1
    assert view == b"v" * SIZE
    # what was changed is another value
    (changed,) = opened(last.lend(beyond, passed))
    assert changed[5] == 1
    assert last.segments.total == SIZE
    middle.channel.close()
    middle.channel = back


def test_a_segment_that_was_passed_on_is_held_for_those_who_have_it(
    sides: tuple[Side, Side],
) -> None:
    one, middle = sides
    last = Side()
    back, onward = middle.channel, Channel(middle.segments)
    (view,) = opened(one.lend(middle, b"v" * SIZE))
    middle.channel = onward
    (passed,) = opened(middle.lend(last, view))
    middle.channel = back
    del view
    middle.tell(one)
    one.segments.freeze([b"x" * SIZE])
    assert passed == b"v" * SIZE
    assert len(one.segments) == 2
    del passed
    last.channel, news = last.channel, last.channel.news()
    assert news is not None
    onward.told(news)
    middle.tell(one)
    one.segments.freeze([b"x" * SIZE])
    assert len(one.segments) == 2
    onward.close()


def test_what_comes_back_to_its_maker_is_not_the_memory_that_it_fills(
    sides: tuple[Side, Side],
) -> None:
    one, other = sides
    (view,) = opened(one.lend(other, b"v" * SIZE))
    (back,) = opened(other.lend(one, view))
    del view
    other.tell(one)
    back[0] = 1
    one.segments.freeze([b"x" * SIZE])
    assert bytes(back[:2]) == b"\1v"
    assert other.segments.total == 0


def test_small_buffers_share_a_segment_and_smaller_ones_travel_inside(
    sides: tuple[Side, Side],
) -> None:
    one, other = sides
    buffers = [bytes([n]) * SHARED_FROM for n in range(8)] + [b"little"]
    frame = one.lend(other, *buffers)
    assert len(frame.buffers) == 2
    assert [bytes(b) for b in opened(frame)] == buffers
    assert len(one.segments) == 1


def test_over_the_budget_buffers_are_offered_as_elsewhere() -> None:
    one, other = Side(budget=4 << 20), Side()
    kept = one.segments.freeze([bytes(SIZE)])
    frame = one.lend(other, bytes(SIZE))
    (ref,) = opened(frame)
    assert one.outbox.owns(ref)
    del kept
    (view,) = opened(one.lend(other, bytes(SIZE)))
    assert view.nbytes == SIZE


def test_a_changed_value_without_room_is_what_it_is_now(sides: tuple[Side, Side]) -> None:
    one, _ = sides
    poor = Side(budget=0)
    (view,) = opened(one.lend(poor, bytes(SIZE)))
    view[7] = 7
    (frozen,) = poor.segments.freeze([view])
    view[7] = 8
    assert frozen[7] == 7
    poor.channel.close()


def test_descriptors_stay_few() -> None:
    one = Side()
    frozen = [one.segments.freeze([bytes(SHARED_FROM)])[0] for _ in range(MOST + 10)]
    assert len(one.segments) == MOST
    assert frozen[-1] == bytes(SHARED_FROM)
    frozen.clear()
    one.segments.tidy(idle=0)


def test_the_file_of_a_value_has_what_was_sent(sides: tuple[Side, Side], tmp_path: Any) -> None:
    one, other = sides
    (view,) = opened(one.lend(other, b"s" * SIZE))
    view[:100] = bytes(100)
    path = tmp_path / "value"
    with path.open("wb", buffering=0) as file:
        assert other.segments.write_to(file.fileno(), view[10:])
        assert not other.segments.write_to(file.fileno(), b"no segment")
    assert path.read_bytes() == b"s" * (SIZE - 10)


def test_a_segment_that_a_forked_process_may_see_is_not_filled_again(
    sides: tuple[Side, Side],
) -> None:
    one, other = sides
    (view,) = opened(one.lend(other, b"v" * SIZE))
    other.segments.spoil()
    del view
    other.tell(one)
    one.tell(other)
    assert len(one.segments) == len(other.segments) == 0


@pytest.mark.parametrize(
    "entry",
    [
        ["never shown"],
        ["without descriptor", 1 << 20],
        [],
        "no list",
        [["x"], 1 << 20],
        ["larger than its file", 1 << 40],
    ],
)
def test_a_segment_that_may_not_be_lent_is_refused(entry: Any) -> None:
    one = Side()
    if len(entry) == 2 and entry[0] != "without descriptor":
        fd = os.memfd_create("test")
        os.ftruncate(fd, 1 << 20)
        one.channel.arrived([fd])
    with pytest.raises(ProtocolError):
        one.channel.take([entry])
    one.channel.close()
    one.segments.tidy(idle=0)


def test_a_file_that_could_be_shortened_is_refused() -> None:
    one = Side()
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 1 << 20)
    one.channel.arrived([fd])
    with pytest.raises(ProtocolError, match="no segment"):
        one.channel.take([["key", 1 << 20]])


def test_descriptors_that_no_frame_names_are_closed_with_the_stream() -> None:
    one = Side()
    read, write = os.pipe()
    one.channel.arrived([read, write])
    one.channel.close()
    for fd in (read, write):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


@pytest.mark.parametrize("slot", [[0, 0, SIZE + 1], [0, -1, 2], [1, 0, 1], [0, SIZE, 1]])
def test_a_value_outside_of_its_segment_is_refused(slot: list[int]) -> None:
    one, other = Side(), Side()
    frame = one.lend(other, bytes(SIZE))
    frame.header["value"][1] = slot
    with pytest.raises(ProtocolError):
        value_of(frame)


def test_a_stream_without_descriptors_offers_buffers() -> None:
    one = Side()
    header, laid = lay_out({}, Packed(b"0", (bytes(4 * CHUNK),)), one.outbox)
    assert "shared" not in header
    assert laid.offered == ["t1"]


def test_nothing_is_left_of_segments_that_are_dropped() -> None:
    before = len(os.listdir("/proc/self/fd"))
    one, other = Side(), Side()
    frames = [one.lend(other, bytes(SIZE)) for _ in range(10)]
    frames.clear()
    gc.collect()
    other.tell(one)
    one.segments.tidy(idle=0)
    one.tell(other)
    assert len(one.segments) == len(other.segments) == 0
    # a page map each
    assert len(os.listdir("/proc/self/fd")) <= before + 2
