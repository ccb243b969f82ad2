"""What the doctor says of targets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flyte_jupyter.doctor import Finding, examine, examine_cluster


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


def test_a_cluster_that_nobody_has_named_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    (only,) = examine_cluster({})
    assert only.sentence.startswith("There is no Kubernetes cluster to run on. Name one in")
    assert not found("kubernetes").usable
    (tmp_path / "none").write_text("a: [")
    (only,) = examine_cluster({})
    assert f"{tmp_path}/none is no kubeconfig." in only.sentence


def test_a_cluster_at_a_glance_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context = {"cluster": "c", "user": "u", "namespace": "team"}
    text = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "mine", "context": context}],
        "current-context": "mine",
    }
    (tmp_path / "config").write_text(json.dumps(text))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    finding = found("kubernetes")
    assert finding.usable
    assert finding.sentence == "each task runs in a pod of the context mine, namespace team."
    assert "https://127.0.0.1:9" in finding.details
