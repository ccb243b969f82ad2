"""What cuts a kernel off from its pods for a while: nothing that had finished is lost."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.cluster.api import Api
from flyte_jupyter.cluster.connect import connect
from flyte_jupyter.targets.kubernetes.listening import Listener

from .conftest import until
from .faulting import SLEEPER, Proxy, proxied


@pytest.fixture
def proxy(core: Any, tmp_path: Path) -> Iterator[tuple[Proxy, Path]]:
    """A proxy before the API server, and a kubeconfig that goes through it."""
    between, path = proxied(tmp_path)
    yield between, path
    flyte.shut_down()
    between.close()


def test_large_values_arrive_whole_however_often_the_connection_is_cut(
    proxy: tuple[Proxy, Path],
    cell: Callable[[str], Any],
    core: Any,
    namespace: str,
    tmp_path: Path,
) -> None:
    between, kubeconfig = proxy
    flyte.init(
        target="kubernetes",
        namespace=namespace,
        kubeconfig=str(kubeconfig),
        state=tmp_path / "state",
    )
    there = cell("""
        import hashlib, os

        @env.task(max_inline_io_bytes=1 << 28)
        def doubles(data: bytes) -> tuple[str, bytes]:
            data += os.urandom(len(data))
            return hashlib.sha256(data).hexdigest(), data
    """)
    data = bytes(range(256)) * (1 << 16)
    run = flyte.run(there.doubles, data)
    until(lambda: run.phase == "running")
    cuts = 0
    step = 4 << 20
    while not run.done:
        carried = between.carried
        until(lambda before=carried: run.done or between.carried > before + step)
        between.cut()
        cuts += 1
    digest, doubled = run.result()
    assert cuts > 2
    assert doubled.startswith(data)
    assert hashlib.sha256(doubled).hexdigest() == digest
    flyte.shut_down()
    until(lambda: not core.list_namespaced_pod(namespace).items)


def test_a_watch_that_has_expired_is_begun_anew(
    core: Any, namespace: str, pod: Callable[..., str], order: Callable[..., None]
) -> None:
    # one that has just begun knows nothing of what was before
    order("kill", "kube-apiserver")
    order("start", "kube-apiserver")

    class Late(Api):
        def watch(self, path: str, **query: str) -> Any:
            asked.append(query["resourceVersion"])
            if len(asked) == 1:
                query["resourceVersion"] = "1"  # long forgotten
            return super().watch(path, **query)

    asked: list[str] = []
    lists: list[float] = []
    heard: list[str] = []
    refusals: list[Exception | None] = []
    listener = Listener(
        Late(connect({"namespace": namespace})),
        f"/api/v1/namespaces/{namespace}/pods",
        "",
        lambda _, at: lists.append(at),
        lambda _, found: heard.append(found["metadata"]["name"]),
        refusals.append,
    )
    threading.Thread(target=listener.listen, daemon=True).start()
    until(lambda: len(asked) > 1)
    assert len(lists) == 2
    assert 410 in [getattr(one, "status", None) for one in refusals]
    assert refusals[-1] is None
    name = pod("true")
    until(lambda: name in heard)
    listener.close()
    core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)


def test_a_kernel_that_sleeps_for_a_while_goes_on(
    kernel: Callable[[str], Any], core: Any, namespace: str
) -> None:
    process = kernel(SLEEPER.format(namespace=namespace, patience=60, seconds=3))
    assert process.stdout.readline() == "begun\n", process.stderr.read()
    process.send_signal(signal.SIGSTOP)
    time.sleep(5)  # the task ends meanwhile
    process.send_signal(signal.SIGCONT)
    assert process.stdout.readline() == "29 30\n"
    process.wait()
    until(lambda: not core.list_namespaced_pod(namespace).items)


def test_a_kernel_that_sleeps_for_longer_than_the_cluster_waits_is_told(
    kernel: Callable[[str], Any], core: Any, namespace: str
) -> None:
    process = kernel(SLEEPER.format(namespace=namespace, patience=6, seconds=600))
    assert process.stdout.readline() == "begun\n", process.stderr.read()
    process.send_signal(signal.SIGSTOP)
    until(lambda: not core.list_namespaced_pod(namespace).items)
    process.send_signal(signal.SIGCONT)
    assert process.stdout.readline().startswith("This kernel was away from the cluster for longer")
    assert process.wait() == 0
