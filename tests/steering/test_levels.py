"""What holds at a level, who said so, and what a typed text makes of it."""

from __future__ import annotations

from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.catalog import Catalog
from flyte_jupyter.errors import SpecError
from flyte_jupyter.spec.settings import layer, overridable
from flyte_jupyter.steering.fields import FIELDS, field_named
from flyte_jupyter.steering.levels import Level, State, reset, set_text, settings_at, states


def state(catalog: Catalog, level: Level, name: str) -> State:
    return next(one for one in states(catalog, level) if one.field.name == name)


def give(catalog: Catalog, level: Level, name: str, text: str) -> None:
    set_text(catalog, level, field_named(name), text)


DEBIAN = flyte.Image.from_debian_base
# row, text, what is set, other rows that show it
TAKEN = (
    ("cpu", "500m", {"cpu": "500m"}, {"cpu": "500m"}),
    ("cpu_limit", "4", {"cpu": (2, 4)}, {"cpu": "2", "cpu_limit": "4"}),
    ("memory", "1.5Gi", {"memory": "1536Mi"}, {"memory": "1536Mi", "memory_limit": ""}),
    ("memory_limit", "8Gi", {"memory": ("4Gi", "8Gi")}, {"memory": "4Gi"}),
    ("memory", "", {"memory": None}, {"memory": ""}),
    ("shm", "auto", {"shm": "auto"}, {}),
    ("disk", "10Gi", {"disk": "10Gi"}, {}),
    ("gpu", "2", {"gpu": 2}, {"accelerator": ""}),
    ("gpu", "A100:2", {"gpu": "A100:2"}, {"gpu": "2", "accelerator": "A100"}),
    ("accelerator", "T4", {"gpu": "T4:1"}, {"gpu": "1"}),
    ("env_vars", "A=1\nB=3\nC=x y", {"env_vars": {"B": "3", "C": "x y"}}, {}),
    ("env_vars", "A=1", {"env_vars": {"B": None}}, {}),
    ("target", "docker", {"target": "docker"}, {}),
    ("queue", "gpus", {"queue": "gpus"}, {}),
    ("interruptible", "yes", {"interruptible": True}, {}),
    ("network", "no", {"network": False}, {}),
    ("service_account", "bot", {"service_account": "bot"}, {}),
    ("reusable", "1, 4", {"reusable": flyte.ReusePolicy((1, 4))}, {"idle_ttl": "30s"}),
    ("concurrency", "3", {"reusable": flyte.ReusePolicy(concurrency=3)}, {"reusable": "2"}),
    ("idle_ttl", "10m", {"reusable": flyte.ReusePolicy(idle_ttl=600)}, {}),
    ("retries", "3", {"retries": 3}, {}),
    ("timeout", "1h30m", {"timeout": 5400}, {}),
    ("cache", "auto", {"cache": "auto"}, {}),
    ("secrets", "KEY\nother", {"secrets": ["KEY", "other"]}, {}),
    ("pod_template", "gpu-pod", {"pod_template": "gpu-pod"}, {}),
    ("max_inline_io_bytes", "20Mi", {"max_inline_io_bytes": "20Mi"}, {}),
    ("image", "3.12", {"image": DEBIAN("3.12").with_pip_packages("pandas")}, {}),
    ("packages", "numpy\na==2", {"image": DEBIAN().with_pip_packages("numpy", "a==2")}, {}),
    (
        "apt", "git",
        {"image": DEBIAN().with_apt_packages("git").with_pip_packages("pandas")},
        {"packages": "pandas"},
    ),
)  # fmt: skip


@pytest.mark.parametrize(("row", "text", "fields", "others"), TAKEN)
def test_a_text_sets_what_code_would(
    catalog: Catalog, ml: Level, row: str, text: str, fields: Any, others: Any
) -> None:
    give(catalog, ml, row, text)
    assert catalog.overrides["ml"] == layer(fields, "panel")
    assert state(catalog, ml, row).overridden
    assert state(catalog, ml, row).origin == "panel"
    for name, shown in others.items():
        assert state(catalog, ml, name).text == shown


@pytest.mark.parametrize("row", [field.name for field in FIELDS])
def test_every_shown_text_is_taken_and_changes_nothing(
    catalog: Catalog, ml: Level, row: str
) -> None:
    flyte.TaskEnvironment(
        "ml",
        image=flyte.Image.from_base("python:3.12-slim").with_pip_packages("pandas", pre=True),
        resources=flyte.Resources(
            cpu=(1, 4), memory=("1Gi", "4Gi"), disk="1Gi", shm="auto",
            gpu=flyte.GPU("A100", 2, "1g.5gb"),
        ),
        env_vars={"A": "x=y"}, cache=flyte.Cache(salt="a"), interruptible=False, network=True,
        reusable=flyte.ReusePolicy((1, 3), 90), queue="q", target="local", service_account="me",
        secrets=[flyte.Secret("key", as_env_var="TOKEN")], max_inline_io_bytes=1001,
        pod_template=flyte.PodTemplate(labels={"a": "b"}),
    )  # fmt: skip
    before = settings_at(catalog, ml)
    give(catalog, ml, row, state(catalog, ml, row).text)
    assert settings_at(catalog, ml) == before


# row, text, the words of the refusal, the same said in code
REFUSED = (
    ("cpu", "two", lambda: flyte.Resources(cpu="two")),
    ("memory", "4 gigs", lambda: flyte.Resources(memory="4 gigs")),
    ("memory_limit", "1Gi", lambda: flyte.Resources(memory=("4Gi", "1Gi"))),
    ("shm", "lots", lambda: flyte.Resources(shm="lots")),
    ("disk", "7", lambda: flyte.Resources(disk="7")),
    ("gpu", "H1000:2", lambda: flyte.Resources(gpu="H1000:2")),
    ("partition", "1g", lambda: flyte.GPU(None, 1, "1g")),
    ("retries", "-1", lambda: flyte.RetryStrategy(-1)),
    ("reusable", "4,1", lambda: flyte.ReusePolicy((4, 1))),
    ("idle_ttl", "5", lambda: flyte.ReusePolicy(idle_ttl=5)),
    ("cache", "perhaps", lambda: flyte.TaskEnvironment("x", cache="perhaps")),
    ("queue", "a b", lambda: flyte.TaskEnvironment("x", queue="a b")),
    ("image", "Not An Image", lambda: flyte.TaskEnvironment("x", image="Not An Image")),
    ("packages", "pandas==", lambda: flyte.Image.from_debian_base().with_pip_packages("pandas==")),
)  # fmt: skip


@pytest.mark.parametrize(("row", "text", "code"), REFUSED)
def test_a_bad_text_is_refused_in_the_words_that_code_gets(
    catalog: Catalog, ml: Level, row: str, text: str, code: Any
) -> None:
    with pytest.raises(SpecError) as in_code:
        code()
    with pytest.raises(SpecError) as in_panel:
        give(catalog, ml, row, text)
    assert str(in_panel.value).replace("retries=", "count=") == str(in_code.value)
    assert not catalog.overrides


def test_a_line_without_a_value_is_no_variable(catalog: Catalog, ml: Level) -> None:
    with pytest.raises(SpecError, match=r"env_vars: 'FAST' has no '='; write FAST=value\."):
        give(catalog, ml, "env_vars", "FAST")
    with pytest.raises(SpecError, match="no length of time; write 90, 90s, 10m or 1h30m"):
        give(catalog, ml, "timeout", "soon")


def test_later_wins_and_is_named(catalog: Catalog, ml: Level, of_score: Level) -> None:
    assert state(catalog, of_score, "cpu").origin == "environment"
    assert state(catalog, of_score, "memory").origin == "task"
    assert state(catalog, of_score, "disk").origin == "default"
    give(catalog, ml, "cpu", "1")
    assert state(catalog, of_score, "cpu").origin == "panel, for the environment"
    give(catalog, of_score, "cpu", "3")
    score = state(catalog, of_score, "cpu")
    assert (score.text, score.declared, score.origin) == ("3", "1", "panel")
    call = catalog.tasks["ml.score"].override(memory="1Gi")
    run = layer({"cpu": 4}, "run")
    called = {one.field.name: one for one in states(catalog, of_score, call=call, run=run)}
    assert (called["memory"].text, called["memory"].origin) == ("1Gi", "override")
    assert (called["cpu"].text, called["cpu"].origin) == ("4", "run")


def test_a_level_agrees_with_what_a_run_is_given(
    catalog: Catalog, ml: Level, of_score: Level
) -> None:
    give(catalog, ml, "memory", "2Gi")
    give(catalog, of_score, "gpu", "T4:2")
    resolved = catalog.resolve(catalog.tasks["ml.score"])
    assert settings_at(catalog, of_score) == resolved.settings


def test_what_holds_anyway_is_no_override(
    catalog: Catalog, ml: Level, of_train: Level, of_score: Level
) -> None:
    give(catalog, of_train, "memory", "2Gi")
    give(catalog, of_train, "memory", "4Gi")
    assert not catalog.overrides
    give(catalog, of_train, "env_vars", "A=5\nB=2")
    give(catalog, of_train, "env_vars", "A=1\nB=2")
    assert not catalog.overrides
    # one of its tasks asks for more by itself: to say it for all of them does change something
    give(catalog, ml, "memory", "4Gi")
    assert state(catalog, of_score, "memory").text == "4Gi"
    assert state(catalog, ml, "memory").note == "score declares 8Gi"


def test_a_reset_takes_back_one_row(catalog: Catalog, of_train: Level) -> None:
    for row, text in (("cpu", "1"), ("memory", "1Gi"), ("memory_limit", "2Gi"), ("gpu", "T4:2")):
        give(catalog, of_train, row, text)
    reset(catalog, of_train, field_named("memory_limit"))
    assert state(catalog, of_train, "memory").text == "1Gi"
    assert state(catalog, of_train, "memory_limit").text == ""
    reset(catalog, of_train, field_named("accelerator"))
    assert state(catalog, of_train, "gpu").text == "2"
    reset(catalog, of_train, field_named("memory"))
    assert not state(catalog, of_train, "memory").overridden
    assert state(catalog, of_train, "cpu").text == "1"
    reset(catalog, of_train)
    assert not catalog.overrides


def test_what_belongs_to_an_environment_is_fixed_for_one_task(
    catalog: Catalog, of_train: Level
) -> None:
    fixed = {one.field.name for one in states(catalog, of_train) if one.fixed}
    assert fixed == {"image", "packages", "apt"}
    assert "clone_with" in state(catalog, of_train, "image").fixed


def test_every_row_speaks_of_a_field_that_a_panel_may_set() -> None:
    assert {field.about for field in FIELDS} <= set(overridable("panel"))


def test_a_share_goes_with_its_type(catalog: Catalog, of_train: Level) -> None:
    for row, text in (("accelerator", "A100"), ("partition", "1g.5gb"), ("gpu", "2")):
        give(catalog, of_train, row, text)
    assert str(settings_at(catalog, of_train).resources.device) == "A100/1g.5gb:2"
    give(catalog, of_train, "accelerator", "T4")
    assert str(settings_at(catalog, of_train).resources.device) == "T4:2"
    give(catalog, of_train, "gpu", "0")
    assert settings_at(catalog, of_train).resources.device is None
