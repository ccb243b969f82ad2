"""What a target offers, and what a slider goes through."""

from __future__ import annotations

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.errors import TargetError
from flyte_jupyter.session import session
from flyte_jupyter.spec import Settings
from flyte_jupyter.steering.offer import Offer, look, noted, steps
from flyte_jupyter.targets.local import machine
from flyte_jupyter.targets.protocol import Inventory

GI = 1 << 30
FREE = Inventory(2000, 8 * GI, {"A100": 1, "T4": 0})
CLUSTER = Offer("kubernetes", Inventory(64_000, 256 * GI, {"A100": 4, "T4": 2}, FREE))


def test_types_that_are_there_can_be_chosen_and_the_rest_has_a_reason() -> None:
    choices = {choice.name: choice for choice in CLUSTER.accelerators()}
    assert [c.text for c in choices.values() if c.offered] == [
        "A100 (1 of 4 free)",
        "T4 (0 of 2 free)",
    ]
    assert choices["H100"].reason == "kubernetes has A100 and T4"
    assert all(choice.reason for choice in choices.values() if not choice.offered)


def test_parts_of_a_device_count_as_its_type() -> None:
    offer = Offer("local", Inventory(1000, GI, {"A100/1g.5gb": 3, "A100/2g.10gb": 1}))
    assert [c.text for c in offer.accelerators() if c.offered] == ["A100 (4 there)"]


def test_a_type_of_no_catalogue_stays_to_be_seen() -> None:
    assert CLUSTER.accelerators("OURS")[2].name == "OURS"
    assert not CLUSTER.accelerators("OURS")[2].offered


def test_what_there_is_is_said_with_what_is_free() -> None:
    assert CLUSTER.words == (
        "kubernetes has 64 cores (2 free), 256Gi memory (8Gi free), 4 × A100 (1 free) "
        "and 2 × T4 (0 free)"
    )
    assert Offer("docker").words == "docker is asked for what it has …"


def test_this_machine_without_devices_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "accelerators", lambda: ())
    machine.inventory.cache_clear()
    offer = look("local", Settings())
    machine.inventory.cache_clear()
    reasons = {choice.name: choice.reason for choice in offer.accelerators()}
    assert reasons["A100"] == "local has no GPU"
    assert not any(choice.offered for choice in offer.accelerators())


def test_a_target_that_cannot_be_asked_gives_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise TargetError("There is no engine.")

    monkeypatch.setattr(session, "make_target", refuse)
    offer = look("docker", Settings())
    assert offer.words == "There is no engine."
    assert {choice.reason for choice in offer.accelerators()} == {"There is no engine."}


def test_what_a_target_ignores_is_said_at_its_row() -> None:
    settings = Settings(queue="q", resources=flyte.Resources(cpu=(1, 2), disk="1Gi"))
    offer = noted(Offer("local", Inventory(2000, GI)), settings)
    assert offer.note("disk") == "local, ignored: the disk of this machine is not divided"
    assert offer.note("cpu_limit").startswith("local, in part: counted when tasks are admitted")
    assert offer.note("queue").startswith("local, ignored: this machine has one queue")
    assert offer.note("cpu") == ""


STEPS = (
    ("cpu", Inventory(2000, GI), (), ["", "100m", "250m", "500m", "1", "1500m", "2"]),
    ("cpu_limit", Inventory(1000, GI), ("3",), ["", "100m", "250m", "500m", "1", "3"]),
    ("memory", Inventory(1, GI // 2), ("auto",), ["", "64Mi", "128Mi", "256Mi", "512Mi"]),
    ("gpu", Inventory(1, 1, {"T4": 2}), (), ["0", "1", "2"]),
    ("gpu", Inventory(1, 1), ("4",), ["0", "4"]),
)  # fmt: skip


@pytest.mark.parametrize(("row", "has", "current", "expected"), STEPS)
def test_a_slider_ends_where_the_target_does(
    row: str, has: Inventory, current: tuple[str, ...], expected: list[str]
) -> None:
    assert steps(row, Offer("x", has), current) == expected


def test_a_slider_is_short_for_the_largest_machine() -> None:
    large = Offer("x", Inventory(224_000, 4096 * GI))
    assert steps("memory", large)[-1] == "4Ti"
    assert len(steps("memory", large)) < 60
    assert steps("cpu", large)[-1] == "224"
    assert len(steps("cpu", large)) < 60


def test_what_runs_hold_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    offer = Offer("local", Inventory(4000, 8 * GI, {"T4": 2}))
    monkeypatch.setattr(session, "free_of", lambda _: Inventory(1000, GI, {"T4": 1}))
    now = noted(offer, Settings())
    assert now.words == "local has 4 cores (1 free), 8Gi memory (1Gi free) and 2 × T4 (1 free)"
