"""Tests shared out to processes: file by file, and each process with a cluster of its own."""

from __future__ import annotations

import os

from xdist.scheduler import LoadScopeScheduling

__all__ = ["ByFile", "take_a_cluster"]

CLUSTERS = "FLYTE_JUPYTER_TEST_CLUSTERS"


class ByFile(LoadScopeScheduling):
    """Gives the tests of a file to one process, which makes what they share once.

    Tests of clusters say of a node that it has accelerators, and kill programs: where there is one
    cluster for all processes, one of them has all of these tests.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        there = file.startswith("tests/cluster/") or "kubernetes" in nodeid
        return "cluster" if there and not _clusters() else file


def take_a_cluster() -> None:
    """Have this process use its own cluster, where there are several."""
    clusters = _clusters()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    if clusters and worker.isdigit():
        os.environ["KUBECONFIG"] = clusters[int(worker) % len(clusters)]


def _clusters() -> list[str]:
    """Return the kubeconfigs of the clusters, where there are several."""
    return list(filter(None, os.environ.get(CLUSTERS, "").split(os.pathsep)))
