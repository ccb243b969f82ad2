"""Deployments are looked for where a session has something to do; a cluster is one such place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import flyte_jupyter as flyte
from flyte_jupyter import catalog
from flyte_jupyter.errors import TargetError
from flyte_jupyter.session.deployments import deployments


@pytest.fixture
def _away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have kubectl's configuration name a cluster that does not answer."""
    import kubernetes.config  # noqa: F401, it keeps what KUBECONFIG says at its first import

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "away",
        "contexts": [{"name": "away", "context": {"cluster": "away", "user": "me"}}],
        "clusters": [{"name": "away", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "me", "user": {}}],
    }
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(file))


@pytest.mark.usefixtures("_away")
def test_a_cluster_that_is_not_used_is_not_asked_what_is_deployed(
    cell: Callable[[str], Any], tmp_path: Path
) -> None:
    known = catalog.current()
    for name in [*known.tasks, *known.environments]:
        known.forget(name)
    flyte.init(target="local", project=str(tmp_path), state=tmp_path / "state")
    book = cell("""
        here = flyte.TaskEnvironment("here")

        @here.task
        def one() -> int:
            return 1
    """)
    flyte.deploy(book.here)
    assert [one.record.name for one in deployments()] == ["here"]
    assert flyte.run(flyte.reference_task("here.one")).result() == 1
    with pytest.raises(TargetError, match="does not answer"):
        deployments(target="kubernetes")
    flyte.init(target="kubernetes")
    with pytest.raises(TargetError, match="does not answer"):
        flyte.reference_task("here.one")
    assert "here" in repr(flyte.graph(book.here))
    flyte.shut_down()
