"""Policies, secrets and pod templates as values."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from flyte_jupyter.spec import (
    Backoff,
    Cache,
    PodTemplate,
    RetryStrategy,
    ReusePolicy,
    Secret,
    TaskEnvironment,
    Timeout,
)


@pytest.mark.parametrize(
    ("given", "behavior"),
    [("auto", "auto"), ("on", "auto"), ("True", "auto"), (True, "auto"), ("OVERRIDE", "override"),
     ("off", "disable"), (False, "disable"), ("disabled", "disable")],
)  # fmt: skip
def test_every_word_for_a_cache_behaviour_is_taken(given: Any, behavior: str) -> None:
    assert Cache.of(given) == Cache(behavior)


def test_waits_grow_up_to_their_cap() -> None:
    wait = Backoff(timedelta(seconds=1), factor=2, cap=timedelta(seconds=5))
    assert [wait.delay(n) for n in range(5)] == [1, 2, 4, 5, 5]
    assert wait.delay(100_000) == 5
    assert Backoff(2).delay(7) == 2


def test_times_are_taken_as_seconds_or_timedelta() -> None:
    assert Timeout.of(90) == Timeout(max_runtime=timedelta(seconds=90))
    assert Timeout.of(timedelta(minutes=1)) == Timeout(60)
    assert Timeout.of(0) is None
    assert Timeout.of(Timeout()) is None


def test_retries_are_taken_as_a_count_or_a_strategy() -> None:
    assert RetryStrategy.of(3) == RetryStrategy(3) == RetryStrategy.of(RetryStrategy(3))
    assert RetryStrategy.of(0) is None
    assert RetryStrategy.of(RetryStrategy(0)) is None


def test_replicas_are_a_count_or_a_range() -> None:
    assert ReusePolicy(3).replicas == (3, 3)
    policy = ReusePolicy((0, 4), idle_ttl=60)
    assert (policy.min_replicas, policy.max_replicas) == (0, 4)
    assert policy.idle_ttl == timedelta(seconds=60)
    assert ReusePolicy().scaledown_ttl == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("secret", "variable", "path"),
    [
        (Secret("api-key"), "API_KEY", None),
        (Secret("api-key", group="team"), "TEAM_API_KEY", None),
        (Secret("k", as_env_var="Mine"), "Mine", None),
        (Secret("1st"), "_1ST", None),
        (Secret("k", mount="/etc/flyte/secrets/"), None, "/etc/flyte/secrets/k"),
        (
            Secret("k", "g", "/etc/flyte/secrets", "K"),
            "K",
            "/etc/flyte/secrets/g/k",
        ),
    ],
)
def test_a_secret_says_where_the_task_finds_it(
    secret: Secret, variable: str | None, path: str | None
) -> None:
    assert secret.variable == variable
    assert secret.path == path


def test_a_secret_given_twice_is_one() -> None:
    assert TaskEnvironment("x", secrets=["a", Secret("a")]).secrets == (Secret("a"),)


class FakeContainer:
    attribute_map: ClassVar = {"name": "name", "image_pull_policy": "imagePullPolicy"}
    name = "primary"
    image_pull_policy = "Always"


class FakePodSpec:
    attribute_map: ClassVar = {
        "containers": "containers",
        "node_selector": "nodeSelector",
        "volumes": "volumes",
    }
    containers: ClassVar = [FakeContainer()]
    node_selector: ClassVar = {"disk": "ssd"}
    volumes = None


def test_a_pod_spec_of_the_kubernetes_client_becomes_its_manifest() -> None:
    template = PodTemplate(FakePodSpec())
    assert template.pod_spec == {
        "containers": [{"name": "primary", "imagePullPolicy": "Always"}],
        "nodeSelector": {"disk": "ssd"},
    }
    assert template == PodTemplate(template.pod_spec)


def test_a_pod_template_is_a_value_that_cannot_be_changed_through_what_it_hands_out() -> None:
    spec = {"nodeSelector": {"a": "b"}}
    template = PodTemplate(spec)
    spec["nodeSelector"]["a"] = "c"
    template.pod_spec["nodeSelector"]["a"] = "d"
    assert template == PodTemplate({"nodeSelector": {"a": "b"}})
    assert hash(template) == hash(PodTemplate({"nodeSelector": {"a": "b"}}))
    assert repr(template) == "PodTemplate(pod_spec={'nodeSelector': {'a': 'b'}})"


def test_a_pod_template_does_not_change_and_can_be_pickled() -> None:
    template = PodTemplate({"a": 1}, "main")
    with pytest.raises(AttributeError, match="does not change"):
        template.primary_container_name = "other"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(template)) == template
    assert template.primary_container_name == "main"


@pytest.mark.parametrize(
    "shown",
    [Cache("auto"), Backoff(1), RetryStrategy(1), Timeout(1), ReusePolicy(), Secret("k"),
     PodTemplate({"a": 1})],
)  # fmt: skip
def test_every_policy_has_a_plain_and_a_rich_form(shown: Any) -> None:
    assert repr(shown).startswith(type(shown).__name__ + "(")
    assert "<caption" in shown._repr_html_()
