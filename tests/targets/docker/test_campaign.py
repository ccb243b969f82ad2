"""The campaign in its short form: whatever happens to runs and kernels, nothing of them is left."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
CALLS, FAILING, INTERRUPTS, KILLS = 80, 20, 3, 2


def test_nothing_is_left_of_calls_interrupts_and_killed_kernels(
    docker_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from campaign import campaign

    report = campaign(CALLS, FAILING, INTERRUPTS, KILLS)
    monkeypatch.delitem(sys.modules, "campaign")
    assert report.wrong == []
    assert sum(report.calls.values()) == CALLS
    assert (report.interrupted, report.killed) == (INTERRUPTS, KILLS)
    assert {kind: names for kind, names in report.left.items() if names} == {}
