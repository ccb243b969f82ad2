"""A kernel that is a pod itself, as in a JupyterHub, and several clusters in one kernel."""

from __future__ import annotations

import sysconfig
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.session import session
from flyte_jupyter.targets.kubernetes import KubernetesTarget, rbac, rights

from .conftest import Account, manifest, until

ROOT = Path(flyte.__file__).parent.parent
IMAGE = "python:{}.{}-slim"
PROGRAM = """\
    import socket
    import flyte_jupyter as flyte

    env = flyte.TaskEnvironment("env")

    @env.task
    def where() -> str:
        return socket.gethostname()

    if __name__ == "__main__":
        flyte.init(target="kubernetes")
        print(socket.gethostname(), flyte.run(where).result())
"""


def test_a_kernel_in_a_pod_runs_tasks_in_its_own_namespace_without_a_port_forwarded(
    account: Account, core: Any, order: Callable[..., None], tmp_path: Path, monkeypatch: Any
) -> None:
    rows = tuple(one for one in rights.IN_NAMESPACE if one.resource != rights.FORWARD)
    monkeypatch.setattr(rbac, "IN_NAMESPACE", rows)
    account.may(rbac.role(account.namespace, [rbac.account("somebody", account.namespace)]))
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    # the node of a cluster of ours is this machine: what is installed here is mounted there
    places = {"repo": ROOT, "site": sysconfig.get_paths()["purelib"], "program": tmp_path}
    body = manifest(
        "kernel",
        "python3",
        "/program/program.py",
        image=IMAGE.format(*sysconfig.get_python_version().split(".")),
        env=[{"name": "PYTHONPATH", "value": "/repo:/site"}, {"name": "HOME", "value": "/tmp"}],
        volumeMounts=[{"name": n, "mountPath": f"/{n}", "readOnly": True} for n in places],
    )
    volumes = [{"name": n, "hostPath": {"path": str(place)}} for n, place in places.items()]
    body["spec"].update(serviceAccountName="somebody", volumes=volumes)
    core.create_namespaced_pod(account.namespace, body)
    read = core.read_namespaced_pod
    until(lambda: read("kernel", account.namespace).status.phase in ("Succeeded", "Failed"))
    log = core.read_namespaced_pod_log("kernel", account.namespace)
    (names,) = (line.split() for line in log.splitlines() if line.startswith("kernel "))
    assert names[1].startswith("flyte-"), log
    core.delete_namespaced_pod("kernel", account.namespace, grace_period_seconds=0)
    until(lambda: not core.list_namespaced_pod(account.namespace).items)


@pytest.fixture
def two(account: Account, namespace: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Two targets by name, with their namespaces: of an administrator, and of somebody else."""
    account.may(rbac.role(account.namespace, [rbac.account("somebody", account.namespace)]))
    file = account.kubeconfig({"token": account.token()})
    for name, options in {"ours": {"namespace": namespace}, "theirs": {"kubeconfig": file}}.items():
        row = session.TargetRow(lambda _, options=options: KubernetesTarget(options))
        monkeypatch.setitem(session.TARGETS, name, row)
    return {"ours": namespace, "theirs": account.namespace}


def test_contexts_are_side_by_side_in_one_kernel(
    two: dict[str, str], core: Any, cell: Callable[[str], Any], tmp_path: Path
) -> None:
    flyte.init(target="ours", state=tmp_path / "state")
    there = cell("""
        @env.task
        def where() -> str:
            import socket, time

            time.sleep(5)
            return socket.gethostname()
    """)
    runs = {name: flyte.with_runcontext(target=name).run(there.where) for name in two}
    seen: dict[str, set[str]] = {name: set() for name in two}
    while not all(run.done for run in runs.values()):
        for name, place in two.items():
            pods = core.list_namespaced_pod(place).items
            seen[name].update(pod.metadata.name for pod in pods)
    results = {name: run.result() for name, run in runs.items()}
    assert results["ours"] in seen["ours"] - seen["theirs"]
    assert results["theirs"] in seen["theirs"] - seen["ours"]
    flyte.shut_down()
    for place in two.values():
        until(lambda place=place: not core.list_namespaced_pod(place).items)
