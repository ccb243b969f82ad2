"""Many calls of one task stand in one row, whatever order their events came in."""

from __future__ import annotations

import random
from typing import Any

from flyte_jupyter.engine.events import Event
from flyte_jupyter.notebook.groups import HANDFUL, LISTED
from flyte_jupyter.notebook.state import RunState, state_of
from flyte_jupyter.notebook.view import html, plain

Told = tuple[str, str | None, dict[str, Any]]


def called(name: str, parent: str | None, task: str) -> Told:
    return "action", name, {"parent": parent, "task": f"env.{task}", "environment": "env"}


def went(name: str, phase: str, attempt: int = 1) -> Told:
    return "phase", name, {"attempt": attempt, "phase": phase, "why": ""}


def events_of(*told: Told) -> list[Event]:
    first: Told = ("run", None, {"name": "run-1", "task": "env.whole", "target": "local"})
    return [
        Event("run-1", seq, 100.0 + seq, kind, action, data)
        for seq, (kind, action, data) in enumerate([first, *told])
    ]


def mapped(count: int, parent: str | None = "a0", task: str = "part", first: int = 1) -> list[Told]:
    return [called(f"a{n}", parent, task) for n in range(first, first + count)]


def begun(*told: Told) -> list[Event]:
    return events_of(called("a0", None, "whole"), went("a0", "running"), *told)


def test_a_handful_of_calls_are_shown_one_by_one() -> None:
    text = plain(state_of(begun(*mapped(HANDFUL))))
    assert text.count("part queued") == HANDFUL


def test_more_calls_share_a_row_that_counts_their_phases() -> None:
    state = state_of(
        begun(
            *mapped(12),
            *(went(f"a{n}", "running") for n in range(1, 5)),
            *(went(f"a{n}", "succeeded") for n in range(1, 4)),
        )
    )
    assert plain(state).splitlines()[1:] == [
        "▶ whole running [env]",
        "└─ ▶ part × 12: 1 running, 8 queued, 3 succeeded [env]",
    ]
    assert '<progress max="12" value="3" aria-label="part: 3 of 12 calls done">' in html(state)


def test_failures_of_a_group_are_listed_with_their_reason_and_the_others_counted() -> None:
    failures: list[Told] = []
    for n in range(1, LISTED + 4):
        failures.append(("error", f"a{n}", {"type": "ValueError", "sentence": f"no {n}\nmore"}))
        failures.append(went(f"a{n}", "failed"))
    lines = plain(state_of(begun(*mapped(12), *failures))).splitlines()
    assert "part × 12: 4 queued, 8 failed" in lines[2]
    assert lines[3] == "   ├─ ✗ part failed: ValueError: no 4"
    assert lines[-1] == "   └─ … and 3 more that failed"
    assert len(lines) == 4 + LISTED


def test_what_the_calls_of_a_group_call_stands_below_the_group() -> None:
    parts = mapped(12)
    below = [called(f"a{n + 20}", f"a{n}", "load") for n in range(1, 13)]
    text = plain(state_of(begun(*parts, *below)))
    assert text.splitlines()[2:] == [
        "└─ ○ part × 12: 12 queued [env]",
        "   └─ ○ load × 12: 12 queued [env]",
    ]


def test_calls_that_came_before_the_fold_move_below_the_group_with_all_that_they_know() -> None:
    """Each part calls before the next part is called, and some of it has ended by then."""
    told: list[Told] = []
    for n in range(12):
        part, load = f"a{2 * n + 1}", f"a{2 * n + 2}"
        told += [called(part, "a0", "part"), called(load, part, "load"), went(load, "running")]
        used = {"attempt": 1, "peak_memory": (n + 1) << 20, "cpu_seconds": 0.5}
        told += [("stats", load, used), went(load, "succeeded")]
    state = state_of(begun(*told))
    assert plain(state).splitlines()[2:] == [
        "└─ ○ part × 12: 12 queued [env]",
        "   └─ ✓ load × 12: 12 succeeded [env]",
    ]
    group = state.actions["a0"].groups["env.part"].groups["env.load"]
    assert group.peak_memory == 12 << 20
    assert group.cpu_seconds == 6.0
    assert state.ready == 12


def test_two_callers_that_are_shown_have_a_group_each() -> None:
    state = state_of(
        begun(
            *mapped(2),
            *mapped(10, "a1", "load", 10),
            *mapped(11, "a2", "load", 30),
        )
    )
    assert plain(state).splitlines()[2:] == [
        "├─ ○ part queued [env]",
        "│  └─ ○ load × 10: 10 queued [env]",
        "└─ ○ part queued [env]",
        "   └─ ○ load × 11: 11 queued [env]",
    ]


def test_a_map_outside_a_run_has_no_caller() -> None:
    state = state_of(events_of(*mapped(30, None, "part", 0), went("a3", "running")))
    assert plain(state).splitlines() == [
        "Run(whole: running)",
        "▶ part × 30: 1 running, 29 queued [env]",
    ]


def test_a_burst_gives_the_same_view_as_events_one_by_one() -> None:
    chance = random.Random(3)
    told: list[Told] = []
    names = ["a0"]
    for n in range(1, 400):
        caller = chance.choice(names[-40:])
        names.append(f"a{n}")
        told.append(called(f"a{n}", caller, chance.choice(("part", "load", "clean"))))
        for _ in range(3):
            one = chance.choice(names)
            phase = chance.choice(("waiting", "running", "succeeded", "failed"))
            told.append(went(one, phase, chance.choice((1, 2))))
            told.append(("log", one, {"text": f"{n}\n", "stream": "stdout", "attempt": 1}))
    events = begun(*told)
    slow = RunState()
    for event in events:
        slow.feed([event])
        assert plain(slow)
    fast = state_of(events)
    assert plain(fast, log_lines=12) == plain(slow, log_lines=12)
    assert html(fast, now=1e4) == html(slow, now=1e4)
    assert all(
        sum(group.counts.values()) == len(group.members)
        for action in fast.actions.values()
        for group in action.groups.values()
    )


def test_twenty_thousand_calls_are_no_larger_on_the_page_than_two_thousand() -> None:
    sizes = []
    for count in (2_000, 20_000):
        logs: list[Told] = [
            ("log", f"a{n}", {"text": "x" * 90 + "\n", "stream": "stdout", "attempt": 1})
            for n in range(1, count)
        ]
        sizes.append(len(html(state_of(begun(*mapped(count), *logs)), now=1e5)))
    assert max(sizes) < 16_000
    assert abs(sizes[1] - sizes[0]) < 100


def test_the_calls_that_wrote_last_share_the_log_of_their_group() -> None:
    logs: list[Told] = [
        ("log", f"a{n}", {"text": f"loss {n}\n", "stream": "stdout", "attempt": 1})
        for n in range(1, 30)
    ]
    text = plain(state_of(begun(*mapped(30), *logs)), log_lines=3)
    assert text.endswith(
        "── log of part (the calls that wrote last)\na27 │ loss 27\na28 │ loss 28\na29 │ loss 29"
    )
