"""When an action waited and when it ran, and what the view's parts say of it."""

from __future__ import annotations

import re

import pytest

from flyte_jupyter.engine.events import Phase
from flyte_jupyter.notebook.state import ActionState, Failure, RunState
from flyte_jupyter.notebook.view.cancel import Cancel, cancel_button
from flyte_jupyter.notebook.view.card import failure_card, place_of
from flyte_jupyter.notebook.view.timeline import Extent, bars, spans_of

NAMES = {phase.value: phase for phase in Phase}


def action(*moments: tuple[float, str], created: float = 0.0) -> ActionState:
    one = ActionState("a1", task="env.part", created=created)
    one.moments = [(time, NAMES[phase]) for time, phase in moments]
    one.phase = one.moments[-1][1] if moments else Phase.QUEUED
    return one


def told(one: ActionState, end: float = 10.0) -> list[tuple[str, float, float]]:
    return [(span.kind, span.begin, span.end) for span in spans_of(one, end)]


def test_waiting_preparing_and_running_are_told_apart() -> None:
    one = action((1, "preparing"), (3, "waiting"), (4, "running"), (9, "succeeded"))
    assert told(one) == [
        ("waiting", 0, 1),
        ("preparing", 1, 3),
        ("waiting", 3, 4),
        ("running", 4, 9),
    ]


def test_waiting_for_another_reason_is_still_waiting() -> None:
    assert told(action((1, "waiting"), (2, "waiting"), (3, "running"))) == [
        ("waiting", 0, 3),
        ("running", 3, 10),
    ]


def test_an_attempt_that_failed_has_the_colour_of_failure_before_the_next_one() -> None:
    one = action((1, "running"), (3, "queued"), (5, "running"), (8, "succeeded"))
    phases = [(span.kind, span.phase) for span in spans_of(one, 10) if span.kind == "running"]
    assert phases == [("running", Phase.FAILED), ("running", Phase.SUCCEEDED)]


def test_a_call_that_was_never_begun_has_only_waited() -> None:
    assert told(action((6, "aborted"))) == [("waiting", 0, 6)]


def test_bars_say_in_words_what_they_show_and_stay_within_their_time() -> None:
    drawn = bars(action((4, "running"), (9, "succeeded")), Extent(0, 10))
    assert 'role="img" aria-label="waited 4.0 s, ran 5.0 s"' in drawn
    assert re.findall(r"left:([\d.]+)%;width:([\d.]+)%", drawn) == [
        ("0.0", "40.0"),
        ("40.0", "50.0"),
    ]
    assert "dashed" in drawn


def test_a_moment_is_wide_enough_to_be_seen() -> None:
    drawn = bars(action((9999.9, "running"), (10000, "succeeded"), created=9999.9), Extent(0, 1e4))
    assert "left:99.6%;width:0.4%" in drawn


# The failure


TRACEBACK = (
    "Traceback (most recent call last):\n"
    "  Cell In[2], line 4\n    part(k)\n"
    "  Cell In[3], line 9, in part\n    return 1 / 0\nZeroDivisionError: division by zero"
)
FAILURE = Failure(
    "OOMError", "it <needed> more", TRACEBACK, "Give it more.", 2, True, "signal 9 (SIGKILL)"
)


def test_a_card_gives_cause_place_evidence_and_remedy() -> None:
    one = action((1, "failed"))
    one.peak_memory, one.asked_memory = 127 << 20, 128 << 20
    words = re.sub(r"<[^>]+>", "|", failure_card(one, FAILURE))
    assert "cause||OOMError: it &lt;needed&gt; more" in words
    assert "where||Cell In[3], line 9|" in words
    assert "signal 9 (SIGKILL) · attempt 2 · peak memory 127.0 MiB of 128Mi" in words
    assert "what to do||Give it more." in words
    assert "return 1 / 0" in words


def test_a_card_beside_an_exception_repeats_nothing_of_it() -> None:
    card = failure_card(action((1, "failed")), FAILURE, raised=True)
    assert "SIGKILL" in card
    assert not re.search("needed|Give it more|return 1|alert", card)


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("  Cell In[3], line 9, in part", "Cell In[3], line 9"),
        ('  File "steps.py", line 12, in part', "steps.py, line 12"),
        ("nothing", ""),
    ],
)
def test_the_innermost_place_of_a_traceback_is_found(line: str, place: str) -> None:
    assert place_of(f"  Cell In[1], line 1\n{line}" if place else line) == place


# The button


def running(name: str = "run-1") -> RunState:
    return RunState(name, phase=Phase.RUNNING)


def test_the_extension_finds_an_enabled_button_where_the_kernel_hears_it() -> None:
    button = cancel_button(running(), Cancel(blocking=True, reachable=True))
    assert 'data-flyte-jupyter-cancel="run-1"' in button
    assert "disabled" not in button


def test_a_button_that_the_kernel_cannot_hear_is_disabled_and_says_why() -> None:
    button = cancel_button(running(), Cancel(blocking=True))
    assert re.search(r'data-flyte-jupyter-cancel="run-1"[^>]* disabled', button)
    assert "stop button" in re.sub(r"<button.*?</button>", "", button)


def test_there_is_one_button_or_the_words_for_it() -> None:
    assert cancel_button(running(), Cancel(blocking=False, beside=True)) == ""
    assert "run.abort()" in cancel_button(running(), Cancel(blocking=False))


def test_a_run_that_has_ended_has_no_button() -> None:
    state = running()
    state.phase = Phase.SUCCEEDED
    assert cancel_button(state, Cancel(blocking=True, reachable=True)) == ""
    assert cancel_button(running(), None) == ""
