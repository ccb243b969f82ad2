"""What a session is told: its target, the options of targets, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.errors import TargetError
from flyte_jupyter.session import session


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A session that nothing was said to."""
    monkeypatch.delenv("FLYTE_JUPYTER_TARGET", raising=False)
    monkeypatch.setattr(session, "_config", session.Config())
    monkeypatch.setattr(session, "_asked", {})
    yield
    flyte.shut_down()


def test_a_fresh_session_runs_on_this_machine() -> None:
    assert session.default_target() == "local"


def test_the_environment_variable_names_the_target_of_a_fresh_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLYTE_JUPYTER_TARGET", "docker")
    assert session.default_target() == "docker"
    flyte.init(target="local")
    assert session.default_target() == "local"


def test_a_wrong_variable_is_an_error_where_it_is_first_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLYTE_JUPYTER_TARGET", "dokcer")
    env = flyte.TaskEnvironment(name="env")

    @env.task
    def one() -> int:
        return 1

    with pytest.raises(TargetError) as raised:
        flyte.run(one)
    assert raised.value.sentence == (
        "FLYTE_JUPYTER_TARGET names the target 'dokcer', which there is not; did you mean 'docker'?"
    )


def test_options_reach_the_target_that_they_are_for() -> None:
    flyte.init(target="docker", context="box")
    assert session.config().options == {"docker": {"context": "box"}}
    flyte.init(host="ssh://me@box")
    assert session.config().options == {"docker": {"host": "ssh://me@box"}}
    flyte.init(host=None)
    assert session.config().options == {"docker": {}}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"target": "dcoker"}, "There is no target 'dcoker'; did you mean 'docker'?"),
        (
            {"target": "docker", "hots": "x"},
            "The target 'docker' has no option 'hots'; did you mean 'host'?",
        ),
        (
            {"target": "local", "host": "x"},
            "The target 'local' has no option 'host'; 'docker' has: "
            "flyte.init(target='docker', host=...).",
        ),
        ({"target": "docker", "host": 5}, "host=5 is no name; give a string."),
        (
            {"target": "docker", "host": "tcp://x:1", "context": "y"},
            "host= and context= both say where docker is; give one.",
        ),
        (
            {"target": "kubernetes", "lease": 60},
            "lease=60 is too short: a kernel that lives may be silent for as long.",
        ),
        (
            {"target": "local", "lease": 600},
            "The target 'local' has no option 'lease'; 'docker' "
            "has: flyte.init(target='docker', lease=...).",
        ),
    ],
)
def test_what_is_wrong_is_said_at_once(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(TargetError) as raised:
        flyte.init(**given)  # type: ignore[arg-type]
    assert raised.value.sentence == sentence
    assert session.config() == session.Config()


def test_a_cluster_is_named_by_a_context_and_a_namespace_together() -> None:
    flyte.init(target="kubernetes", context="prod", namespace="team")
    assert session.config().options["kubernetes"] == {"context": "prod", "namespace": "team"}


def test_a_lease_is_given_in_seconds_or_as_a_length_of_time() -> None:
    flyte.init(target="kubernetes", lease=300)
    flyte.init(target="docker", host="ssh://me@box", lease=timedelta(hours=1))
    assert session.config().options == {
        "kubernetes": {"lease": 300.0},
        "docker": {"host": "ssh://me@box", "lease": 3600.0},
    }
    with pytest.raises(flyte.errors.SpecTypeError, match="lease='soon' is a str; give seconds"):
        flyte.init(target="docker", lease="soon")


def test_a_target_that_is_elsewhere_now_is_met_anew() -> None:
    flyte.init(target="docker", host="unix:///nowhere/a.sock")
    first = session.make_target("docker")
    flyte.init(host="unix:///nowhere/a.sock")
    assert session.make_target("docker") is first
    flyte.init(host="unix:///nowhere/b.sock")
    assert session.make_target("docker") is not first


def test_without_an_engine_a_run_fails_with_one_sentence_and_explain_says_it() -> None:
    flyte.init(target="docker", host="unix:///nowhere/docker.sock")
    env = flyte.TaskEnvironment(name="env")

    @env.task
    def one() -> int:
        return 1

    text = str(flyte.explain(one))
    sentence = "There is no Docker engine at /nowhere/docker.sock (from the option host)"
    assert sentence in text
    with pytest.raises(TargetError, match=r"no Docker engine at /nowhere/docker\.sock"):
        flyte.run(one).outputs()
