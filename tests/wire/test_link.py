"""What goes over the link of kernel and hub arrives once and in order, however often it is cut."""

from __future__ import annotations

import pytest

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.link import BYTES, MOST, NEWS, Messages, message, proof


def sent(side: Messages, *words: bytes) -> bytes:
    return b"".join(side.sent(message(BYTES, 1, word)) for word in words)


def heard(side: Messages, data: bytes) -> list[bytes]:
    return [payload for _, _, payload in side.feed(data)]


def test_messages_arrive_in_any_parts() -> None:
    one, other = Messages(), Messages()
    data = sent(one, b"first", b"", b"third")
    assert [word for byte in data for word in heard(other, bytes([byte]))] == [
        b"first",
        b"",
        b"third",
    ]


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_what_was_lost_on_the_way_comes_again_and_nothing_twice(cut: int) -> None:
    one, other = Messages(), Messages()
    words = [b"a", b"bb", b"ccc", b"dddd"]
    found = heard(other, sent(one, *words)[:cut])
    again = b"".join(one.again(other.taken))
    assert list(other.again(one.taken)) == []
    found += heard(other, again)
    assert found == words


def test_what_was_taken_is_not_kept() -> None:
    one, other = Messages(), Messages()
    for _ in range(NEWS - 1):
        heard(other, sent(one, b"x"))
    assert other.news() == b""
    heard(other, sent(one, b"x"))
    heard(one, other.news())
    assert one.waiting == 0
    assert other.news() == b""


def test_who_did_not_begin_it_cannot_go_on() -> None:
    one = Messages()
    sent(one, b"a", b"b")
    with pytest.raises(ProtocolError, match="did not begin it"):
        list(one.again(3))
    list(one.again(2))
    with pytest.raises(ProtocolError, match="did not begin it"):
        list(one.again(1))


@pytest.mark.parametrize(
    "data", [b"?" + bytes(12), b"d" + bytes(8) + (MOST + 1).to_bytes(4, "big")]
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="has no message"):
        heard(Messages(), data)


def test_a_proof_tells_words_apart() -> None:
    found = {proof(b"key", "pod", "a"), proof(b"key", "poda"), proof(b"other", "pod", "a")}
    assert len(found) == 3
