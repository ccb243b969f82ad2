"""``import flyte_jupyter as flyte``: what it has, and what it says of what it has not."""

from __future__ import annotations

import pytest

import flyte_jupyter as flyte


@pytest.mark.parametrize("name", [name for name in flyte.__all__ if not name.startswith("__")])
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(flyte, name) is not None


@pytest.mark.parametrize(
    ("name", "meant"), [("deplyo", "deploy"), ("reference_tsk", "reference_task")]
)
def test_a_misspelt_name_is_answered_with_the_one_that_is_meant(name: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=f"did you mean '{meant}'"):
        getattr(flyte, name)
