"""A cluster that is brought down leaves nothing on the machine, whatever ran in it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import PROGRAM, manifest, until


@pytest.fixture
def other(order: Callable[..., None]) -> Iterator[Path]:
    """The folder of a second cluster, beside the one of the tests."""
    # the path of a socket is short, and the folders of tests are deep
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "cluster"
        cluster(place, "up")
        yield place
        cluster(place, "down")


def cluster(place: Path, *words: str) -> None:
    subprocess.run([sys.executable, PROGRAM, "--place", place, *words], check=True)


def traces(place: Path, number: int) -> list[str]:
    """Return what on this machine tells of a cluster."""
    link, node, group = f"fjkube{number}", f"10.251.{number}.2", f"flyte-jupyter-cluster-{number}"
    told = ["ip -brief link", "ip route", "iptables-save", "ps -eo args", "cat /proc/self/mounts"]
    found = [
        line
        for command in told
        for line in subprocess.check_output(command.split(), text=True).splitlines()
        if any(sign in line for sign in (link, f"{node}/", f"{node} ", str(place)))
    ]
    found += map(str, Path("/sys/fs/cgroup").glob(f"**/{group}"))
    return [*found, str(place)] if place.exists() else found


def settings() -> list[str]:
    names = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")
    return [Path("/proc/sys", name).read_text() for name in names]


@pytest.mark.parametrize("how", ["down", "killed"])
def test_a_cluster_leaves_nothing(core: Any, other: Path, how: str) -> None:
    from kubernetes import client, config

    before = settings()
    number = int((other / "number").read_text())
    with config.new_client_from_config(str(other / "kubeconfig")) as connection:
        second = client.CoreV1Api(connection)
        text = "import time; time.sleep(9999)"
        second.create_namespaced_pod("default", manifest("long", "python3", "-c", text))
        until(lambda: second.read_namespaced_pod("long", "default").status.phase == "Running")
    assert traces(other, number)
    if how == "killed":
        os.kill(int((other / "process").read_text()), 9)
    cluster(other, "down")
    assert traces(other, number) == []
    assert settings() == before


def test_clusters_are_side_by_side(core: Any, other: Path) -> None:
    from kubernetes import client, config

    with config.new_client_from_config(str(other / "kubeconfig")) as connection:
        second = client.CoreV1Api(connection).list_node().items[0]
        first = core.list_node().items[0]
        assert first.metadata.uid != second.metadata.uid
