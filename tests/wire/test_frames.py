from __future__ import annotations

import pytest

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.frames import CHUNK, Frame, FrameDecoder, Kind, encode_frame


def wire(*frames: list) -> bytes:
    return b"".join(bytes(part) for parts in frames for part in parts)


def test_a_frame_comes_out_as_it_went_in():
    data = wire(encode_frame(Kind.CALL, 7, {"task": "a.b", "n": 1}, [b"one", b"", b"three"], 9))

    (frame,) = FrameDecoder().feed(data)

    header = {"task": "a.b", "n": 1}
    assert frame == Frame(Kind.CALL, 7, 9, header, [b"one", b"", b"three"])


def test_frames_are_found_whatever_the_pieces_they_arrive_in():
    sent = [
        encode_frame(Kind.LOG, n, {"text": "x" * n}, [bytes(n)] if n % 2 else ()) for n in range(9)
    ]
    data = wire(*sent)
    decoder = FrameDecoder()

    got = [frame for at in range(len(data)) for frame in decoder.feed(data[at : at + 1])]

    assert [frame.call for frame in got] == list(range(9))
    assert [len(frame.header.get("text", "")) for frame in got] == list(range(9))
    assert decoder.idle


def test_a_header_carries_any_text():
    text = "naïve \ud800 \u2028 \x00"

    (frame,) = FrameDecoder().feed(wire(encode_frame(Kind.LOG, 1, {"text": text})))

    assert frame.header["text"] == text


def test_a_frame_that_is_too_large_is_refused_by_its_sender():
    with pytest.raises(ProtocolError, match="is larger than"):
        encode_frame(Kind.DATA, 0, None, [bytes(5 * CHUNK)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no frame"),
        (bytes([99]) + bytes(19), "no frame"),
        (b"\x01\x00\x00\x00" + bytes(8) + b"\xff\xff\xff\x7f" + bytes(4), "is larger than"),
        (
            b"\x01\x00\x01\x00" + bytes(8) + bytes(4) + b"\x05\0\0\0" + b"\x04\0\0\0" + bytes(9),
            "add up",
        ),
        (b"\x01\x00\x00\x00" + bytes(8) + b"\x02\0\0\0" + bytes(4) + b"[]", "no JSON object"),
        (b"\x01\x00\x00\x00" + bytes(8) + b"\x02\0\0\0" + bytes(4) + b"{x", "no JSON"),
    ],
)
def test_bytes_that_are_no_frame_are_refused(data, reason):
    with pytest.raises(ProtocolError, match=reason):
        list(FrameDecoder().feed(data))
