"""What a hub remembers of pods that have ended: what an heir has to hear, and no more."""

from __future__ import annotations

import pytest

from flyte_jupyter.worker import estate, hub
from flyte_jupyter.worker.estate import Answers, Sorter
from flyte_jupyter.worker.hub import Hub


def test_small_answers_take_no_more_room_than_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estate, "MOST", 100_000)
    answers = Answers()
    for call in range(10_000):
        answers.keep(1, call, b"x")
    kept = answers.of(1)
    assert 0 < len(kept) <= 100_000 // estate.BESIDE
    answers.keep(2, 0, b"y" * 50_000)
    answers.keep(2, 0, b"z" * 60_000)  # again, as after a cut
    assert answers.of(2) == b"z" * 60_000
    assert answers.of(1)


def test_pods_that_have_ended_are_forgotten_once_nothing_is_to_be_heard_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "MANY", 3)
    one = Hub(b"key", b"", 600.0)
    for number in range(1, 5):
        one._sorters[number] = Sorter(f"pod-{number}", number, one._answers)
    one._pods[3] = None  # type: ignore[assignment]
    one._answers.keep(2, 1, b"an answer")
    one._tell(hub.END, 4)  # which the kernel has not told to have heard
    one._forget()
    assert set(one._sorters) == {2, 3, 4}
