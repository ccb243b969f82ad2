"""What is printed goes out soon, and a line in one piece where others print beside it."""

from __future__ import annotations

import types

import pytest

from flyte_jupyter.worker import output
from flyte_jupyter.worker.output import QUIET, LogBook


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """The time, which stands still unless a test sets it."""
    clock = types.SimpleNamespace(now=1000.0)
    monkeypatch.setattr(output, "time", types.SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_line_that_is_printed_in_pieces_is_sent_whole_after_a_silence(
    clock: types.SimpleNamespace,
) -> None:
    sent: list[str] = []
    asked: list[float | None] = []
    book = LogBook(
        lambda call, stream, text: sent.append(text),
        # the reading thread is as quick as it can be
        lambda: asked.append(book.tick()),
    )
    for piece in ("process", " ", "17", "\n"):
        book.write(1, "stdout", piece)
    assert sent == ["process 17\n"]
    assert asked == [pytest.approx(QUIET * 1000)]


def test_a_line_that_is_only_begun_is_sent_in_a_moment(clock: types.SimpleNamespace) -> None:
    sent: list[str] = []
    book = LogBook(lambda call, stream, text: sent.append(text), lambda: None)
    book.write(1, "stdout", "50 %")
    clock.now += 2 * QUIET
    assert book.tick() is None
    assert sent == ["50 %"]
