"""``%flyte_rerun``: a recorded run again, with what the line says instead."""

from __future__ import annotations

from typing import Any

import pytest

from flyte_jupyter.notebook.usage import MagicUsageError

DECLARE = """%%flyte_env maths
def scale(x: int, factor: float = 2.0) -> float:
    return x * factor
"""


@pytest.fixture
def ran(cell: Any) -> Any:
    """A function that runs a cell, after one run of ``scale(3)``."""
    assert cell(DECLARE).success
    assert cell("first = %flyte_run --no-wait scale(3)\nfirst.wait().name").success
    return cell


def test_the_last_run_is_run_again(ran: Any) -> None:
    assert ran("%flyte_rerun").result == 6.0


def test_a_line_changes_inputs_and_options(ran: Any, shell: Any) -> None:
    name = shell.user_ns["first"].name
    assert ran(f"%flyte_rerun --queue fast {name}(factor=1 / 2)").result == 1.5
    assert ran("%flyte_rerun first(x=5) --retries 1").result == 10.0


def test_a_run_without_waiting_is_given_itself(ran: Any) -> None:
    assert ran("again = %flyte_rerun --no-wait first\nagain.result()").result == 6.0


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("first(7)", "an input of a recorded run is changed by its name"),
        ("first x=7", "'first x=7' is no run"),
        ("first(x=7) --qeue a", "there is no option '--qeue'; did you mean '--queue'?"),
    ],
)
def test_a_wrong_line_is_said(ran: Any, line: str, sentence: str) -> None:
    error = ran(f"%flyte_rerun {line}").error
    assert isinstance(error, MagicUsageError)
    assert error.sentence == sentence
