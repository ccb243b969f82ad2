"""Layers of settings: merged field by field, cleared by None, written as JSON and read again."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from flyte_jupyter.errors import SpecTypeError
from flyte_jupyter.spec import (
    GPU,
    UNSET,
    Backoff,
    Cache,
    Image,
    PodTemplate,
    Resources,
    RetryStrategy,
    ReusePolicy,
    Secret,
    Settings,
    Timeout,
)
from flyte_jupyter.spec.fields import FIELD_TABLE, LEVELS
from flyte_jupyter.spec.settings import (
    apply_layer,
    from_plain,
    layer,
    merge_layers,
    merge_settings,
    overridable,
    to_plain,
)

FULL = merge_settings(
    Settings(),
    image=Image.from_debian_base((3, 12)).with_pip_packages("pandas", secret_mounts="token"),
    resources=Resources(cpu=(1, 4), memory="4Gi", gpu=GPU("A100", 1, "1g.5gb"), shm="auto"),
    env_vars={"B": "2", "A": "1"},
    secrets=[Secret("key", group="team", as_env_var="KEY"), "other"],
    description="all of it",
    short_name="short",
    docs="does all of it",
    cache=Cache("override", version_override="1", ignored_inputs=("x",), max_age=60),
    retries=RetryStrategy(3, Backoff(0.5, 2, cap=timedelta(minutes=1))),
    timeout=Timeout(60, timedelta(hours=1), None),
    reusable=ReusePolicy((1, 4), idle_ttl=60, scope="run"),
    queue="gpu",
    interruptible=True,
    target="docker",
    include=["data.csv"],
    pod_template=PodTemplate({"nodeSelector": {"a": "b"}}, labels={"x": "y"}),
    service_account="trainer",
    max_inline_io_bytes=1,
    network=False,
    report=True,
    entrypoint=False,
)


def test_every_field_of_the_settings_is_in_the_table() -> None:
    assert set(FIELD_TABLE) == set(Settings.__dataclass_fields__)
    assert {name for name, _ in FULL.given()} == set(FIELD_TABLE)


def test_settings_come_back_from_json() -> None:
    assert Settings.from_plain(json.loads(json.dumps(to_plain(FULL)))) == FULL


@pytest.mark.parametrize("name", sorted(FIELD_TABLE))
def test_every_field_is_kept_where_it_passes_again(name: str) -> None:
    value = getattr(FULL, name)
    assert FIELD_TABLE[name].check(value) == value


@pytest.mark.parametrize("name", sorted(set(FIELD_TABLE) - {"image"}))
def test_every_field_can_be_cleared(name: str) -> None:
    assert getattr(merge_settings(FULL, **{name: None}), name) is None


def test_settings_are_equal_and_hashable_by_value() -> None:
    again = Settings.from_plain(to_plain(FULL))
    assert hash(again) == hash(FULL)
    assert {FULL: 1}[again] == 1
    assert again != merge_settings(FULL, queue="other")


def test_unset_is_not_given() -> None:
    assert layer({"queue": UNSET, "retries": 3}) == {"retries": RetryStrategy(3)}
    assert not UNSET


def test_variables_merge_one_by_one() -> None:
    base = merge_settings(Settings(), env_vars={"A": "1", "B": "2"})
    assert merge_settings(base, env_vars={"B": "3", "C": "4"}).env_vars == {
        "A": "1",
        "B": "3",
        "C": "4",
    }
    assert merge_settings(base, env_vars={"A": None}).env_vars == {"B": "2"}
    assert merge_settings(base, env_vars={}).env_vars is None


def test_an_override_of_one_resource_keeps_the_others() -> None:
    base = Settings(resources=Resources(cpu=8, memory="16Gi"))
    assert merge_settings(base, gpu="A100:2").resources == Resources(8, "16Gi", "A100:2")
    assert merge_settings(base, cpu=None).resources == Resources(memory="16Gi")
    assert merge_settings(base, resources=None).resources is None


@pytest.mark.parametrize("field", ["retries", "timeout"])
def test_zero_clears_a_policy(field: str) -> None:
    assert getattr(merge_settings(FULL, **{field: 0}), field) is None


LAYERS: list[dict[str, Any]] = [
    {},
    {"env_vars": {"A": "1"}},
    {"env_vars": {"A": None, "B": "2"}},
    {"env_vars": {}},
    {"resources": None, "queue": "q"},
    {"cpu": 2, "queue": None},
    {"gpu": "A100:2"},
    {"gpu": 4, "retries": 3},
    {"gpu": 0, "memory": "1Gi"},
]


@pytest.mark.parametrize(("one", "other"), list(product(LAYERS, LAYERS)))
def test_two_layers_have_the_effect_of_their_merge(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = layer(one), layer(other)
    apart = apply_layer(apply_layer(FULL, first), second)
    assert apply_layer(FULL, merge_layers(first, second)) == apart


@pytest.mark.parametrize(("one", "other"), list(product(LAYERS, LAYERS)))
def test_a_layer_comes_back_from_json(one: dict[str, Any], other: dict[str, Any]) -> None:
    merged = merge_layers(layer(one), layer(other))
    again = from_plain(json.loads(json.dumps(to_plain(merged))))
    assert again == merged
    assert apply_layer(FULL, again) == apply_layer(FULL, merged)
    assert merge_settings(FULL, **again) == apply_layer(FULL, merged)


@pytest.mark.parametrize("level", LEVELS)
def test_every_name_that_is_offered_at_a_level_is_taken_there(level: str) -> None:
    for name in overridable(level):
        layer({name: None}, level)


@pytest.mark.parametrize("level", LEVELS)
def test_every_other_field_is_refused_at_a_level(level: str) -> None:
    for name in set(FIELD_TABLE) - set(overridable(level)):
        with pytest.raises(SpecTypeError, match=f"^{name}= cannot be given here: .+"):
            layer({name: None}, level)


def test_settings_show_what_is_set_and_no_secret_value() -> None:
    assert repr(Settings(queue="q")) == "Settings(queue='q')"
    html = FULL._repr_html_()
    assert "max_inline_io_bytes" in html
    assert "<table>" in html
