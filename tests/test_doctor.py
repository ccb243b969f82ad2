"""What the doctor says of targets."""

from __future__ import annotations

from typing import Any

import pytest

from flyte_jupyter.doctor import Finding, examine


def found(subject: str) -> Finding:
    return next(finding for finding in examine() if finding.subject == subject)


def test_an_engine_is_told_with_what_it_can_do(docker_engine: Any) -> None:
    finding = found("docker")
    assert finding.usable
    assert finding.is_target
    assert f" {docker_engine.version} " in finding.sentence
    text = "\n".join(finding.details)
    for words in (docker_engine.url, "processors", "limits memory", "builds images", "default"):
        assert words in text


def test_where_there_is_no_engine_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    finding = found("docker")
    assert not finding.usable
    assert finding.sentence.startswith(
        "There is no Docker engine at /nowhere/docker.sock (from DOCKER_HOST): the socket does not "
        "exist. Start it"
    )


def test_the_default_target_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLYTE_JUPYTER_TARGET", raising=False)
    assert "local, unless FLYTE_JUPYTER_TARGET names another." in found("default target").sentence
    monkeypatch.setenv("FLYTE_JUPYTER_TARGET", "docker")
    assert found("default target").sentence == "docker, as FLYTE_JUPYTER_TARGET says."
    monkeypatch.setenv("FLYTE_JUPYTER_TARGET", "dokcer")
    assert not found("default target").usable
