"""What is deployed to a namespace lies in it: other notebooks and machines have it from there."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import textwrap
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import flyte_jupyter as flyte
from flyte_jupyter import catalog
from flyte_jupyter.cluster.api import Api
from flyte_jupyter.cluster.connect import connect
from flyte_jupyter.deployment.result import State
from flyte_jupyter.session.deployments import deployments, rollback, undeploy, versions
from flyte_jupyter.store.ledger import Row
from flyte_jupyter.targets.kubernetes.configmaps import ConfigMaps
from flyte_jupyter.targets.kubernetes.records import NamespaceLedger

from .conftest import until

OURS = "app.kubernetes.io/managed-by=flyte-jupyter"
Machine = Callable[..., Any]


@pytest.fixture(autouse=True)
def _own_names() -> None:
    """Keep the declarations of other tests out of what is deployed here."""
    known = catalog.current()
    for name in [*known.tasks, *known.environments]:
        known.forget(name)


@pytest.fixture
def kept(fresh_namespace: Callable[..., str]) -> str:
    """A namespace that nothing was deployed to."""
    return fresh_namespace()


@pytest.fixture
def ledger(kept: str) -> NamespaceLedger:
    """The deployments of that namespace."""
    return ledger_of(kept)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A function that runs a program on another machine, and returns what it prints as JSON.

    All that it shares with this one is the cluster: folders, state and caches are its own.
    """

    def run(name: str, namespace: str, source: str) -> Any:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        program = home / "program.py"
        head = f"""
            import json, socket
            socket.gethostname = lambda: {name!r}
            import flyte_jupyter as flyte
            flyte.init(target="kubernetes", namespace={namespace!r})
        """
        program.write_text(
            textwrap.dedent(head) + textwrap.dedent(source) + "\nflyte.shut_down()\n"
        )
        done = subprocess.run(
            [sys.executable, str(program)],
            cwd=home,
            env={**os.environ, "FLYTE_JUPYTER_HOME": str(home / "home"), "HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.stderr == ""
        return json.loads(done.stdout)

    return run


def ledger_of(namespace: str) -> NamespaceLedger:
    cluster = connect({"namespace": namespace})
    return NamespaceLedger(ConfigMaps(Api(cluster), namespace), f"test {namespace}")


def put(ledger: NamespaceLedger, name: str, version: str, at: float, *words: bytes) -> list[str]:
    blobs = {hashlib.sha256(word).hexdigest(): word for word in words}
    row = Row(ledger.place, "/project", name, version, f"content of {version}", at, True)
    ledger.put(row, {"name": name, "version": version}, blobs, blobs)
    return list(blobs)


def maps(core: Any, namespace: str) -> list[str]:
    found = core.list_namespaced_config_map(namespace, label_selector=OURS).items
    return sorted(one.metadata.name for one in found)


def test_the_last_version_is_the_current_one_until_another_is_made_so(
    ledger: NamespaceLedger,
) -> None:
    assert ledger.rows() == []
    assert ledger.read("/project", "a") is None
    put(ledger, "a", "1", 1.0)
    put(ledger, "a", "2", 2.0)
    assert [(row.version, row.current) for row in ledger.rows()] == [("2", True), ("1", False)]
    ledger.make_current("/project", "a", "1", 3.0)
    assert [(row.version, row.current) for row in ledger.rows()] == [("1", True), ("2", False)]
    assert ledger.read("/project", "a") == {"name": "a", "version": "1"}
    assert ledger.read("/project", "a", "2") == {"name": "a", "version": "2"}
    assert ledger.read("/project", "a", "3") is None
    assert ledger.rows("/another") == []
    assert [row.name for row in ledger.rows(None, "a")] == ["a", "a"]


def test_blobs_stay_as_long_as_a_version_needs_them(
    ledger: NamespaceLedger, core: Any, kept: str
) -> None:
    shared, own = put(ledger, "a", "1", 1.0, b"shared", b"own")
    put(ledger, "b", "1", 1.0, b"shared")
    assert ledger.blob(own) == b"own"
    assert ledger.remove("/project", "a") == 1
    assert ledger.blob(own) is None
    assert ledger.blob(shared) == b"shared"
    put(ledger, "b", "1", 2.0)  # the same version, which needs nothing now
    assert ledger.blob(shared) is None
    assert ledger.remove("/project", "b") == 1
    assert ledger.remove("/project", "b") == 0
    assert maps(core, kept) == []


def test_a_blob_larger_than_an_object_is_spread_and_one_that_is_too_large_is_refused(
    ledger: NamespaceLedger, core: Any, kept: str
) -> None:
    large = os.urandom(3 << 20)
    (digest,) = put(ledger, "a", "1", 1.0, large)
    assert ledger_of(kept).blob(digest) == large
    assert len(maps(core, kept)) > 4
    ledger.remove("/project", "a")
    until(lambda: maps(core, kept) == [])
    with pytest.raises(flyte.errors.TargetError, match="a namespace keeps 16"):
        put(ledger, "a", "1", 1.0, bytes(17 << 20))
    assert ledger.rows() == []


def test_machines_that_deploy_at_once_lose_nothing_of_each_other(kept: str) -> None:
    failed: list[BaseException] = []

    def write(number: int) -> None:
        ledger = ledger_of(kept)
        try:
            for step in range(4):
                put(ledger, "same", f"{number}-{step}", float(step), b"shared by all")
                put(ledger, f"own-{number}", "1", float(step), b"shared by all")
                if step % 2:
                    ledger.remove("/project", f"own-{number}")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    ledger = ledger_of(kept)
    rows = ledger.rows()
    assert {row.name for row in rows} == {"same"}
    assert len(rows) == 16
    assert [row.current for row in rows].count(True) == 1
    (digest,) = put(ledger, "same", "last", 9.0, b"shared by all")
    assert ledger.blob(digest) == b"shared by all"


def test_a_blob_that_somebody_has_changed_is_not_taken(
    ledger: NamespaceLedger, core: Any, kept: str
) -> None:
    (digest,) = put(ledger, "a", "1", 1.0, b"code")
    name = f"flyte-blob-{digest[:40]}"
    for changed in (zlib.compress(b"other code"), b"no such form"):
        core.delete_namespaced_config_map(name, kept)
        part = base64.b64encode(changed).decode()
        body = {"metadata": {"name": name}, "data": {"parts": "1"}, "binaryData": {"part": part}}
        core.create_namespaced_config_map(kept, body)
        with pytest.raises(flyte.errors.EngineError, match="not what was deployed"):
            ledger.blob(digest)


TRAINING = """
    base = flyte.TaskEnvironment("base")
    ml = flyte.TaskEnvironment("ml", depends_on=[base], env_vars={"FACTOR": "3"})
    RATE = 2

    @base.task
    def times(x: int) -> int:
        import os

        return x * RATE

    @ml.task
    def train(x: int) -> int:
        import os

        return times(x) * int(os.environ["FACTOR"])
"""


def test_another_machine_calls_what_this_one_has_deployed(
    cell: Any, kept: str, machine: Machine, tmp_path: Path, core: Any
) -> None:
    flyte.init(target="kubernetes", namespace=kept, state=tmp_path / "state", project=str(tmp_path))
    book = cell(TRAINING)
    made = flyte.deploy(book.ml)
    assert {one.state for one in made.environments.values()} <= {State.BUILT, State.DEPLOYED}
    assert maps(core, kept)
    assert not (tmp_path / "state" / "deployments.sqlite").exists()
    there = machine(
        "elsewhere",
        kept,
        """
        train = flyte.reference_task("ml.train")
        print(json.dumps([str(train.signature), flyte.run(train, 7).result()]))
        """,
    )
    assert there == ["(x: int) -> int", 42]
    # the other one may not take the name without being asked, where the project is the same
    refused = machine(
        "another",
        kept,
        f"""
        flyte.init(project={str(tmp_path)!r})
        ml = flyte.TaskEnvironment("ml")

        @ml.task
        def train(x: int) -> int:
            return -x

        try:
            flyte.deploy(ml)
        except flyte.errors.DeploymentError as error:
            print(json.dumps(str(error)))
        """,
    )
    assert "ml was deployed from elsewhere in this project" in refused
    book = cell("RATE = 1")
    changed = flyte.deploy(book.ml)
    assert changed["base"].changes
    assert len(versions("base")) == 2
    rollback("base")
    assert [row.current for row in versions("base")] == [True, False]
    assert {one.record.name for one in deployments()} == {"base", "ml"}
    undeploy("base", "ml")
    flyte.shut_down()
    assert maps(core, kept) == []


def test_a_namespace_that_is_not_there_is_told() -> None:
    with pytest.raises(flyte.errors.TargetError, match="does not keep deployments") as told:
        put(ledger_of("no-such-namespace"), "a", "1", 1.0)
    assert "Name a namespace that exists" in str(told.value)


@pytest.fixture
def as_user(core: Any, kept: str, tmp_path: Path) -> Callable[..., NamespaceLedger]:
    """A function that returns the deployments for somebody with certain rights to config maps."""
    from kubernetes import client

    def be(name: str, *verbs: str) -> NamespaceLedger:
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": list(verbs)}]
        rights = client.RbacAuthorizationV1Api(core.api_client)
        core.create_namespaced_service_account(kept, {"metadata": {"name": name}})
        role = {"metadata": {"name": name}, "rules": rules if verbs else []}
        rights.create_namespaced_role(kept, role)
        group = "rbac.authorization.k8s.io"
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": kept}],
        }
        rights.create_namespaced_role_binding(kept, binding)
        token = core.create_namespaced_service_account_token(name, kept, {"spec": {}})
        config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
        config["users"] = [{"name": name, "user": {"token": token.status.token}}]
        for one in config["contexts"]:
            one["context"]["user"] = name
        file = tmp_path / name
        file.write_text(yaml.safe_dump(config))
        cluster = connect({"kubeconfig": str(file), "namespace": kept})
        return NamespaceLedger(ConfigMaps(Api(cluster), kept), f"{name} {kept}")

    return be


def test_the_rights_that_are_asked_for_are_enough_and_without_them_it_is_told(
    as_user: Callable[..., NamespaceLedger], core: Any, kept: str
) -> None:
    able = as_user("able", "create", "get", "list", "patch", "delete")
    put(able, "a", "1", 1.0, b"code", os.urandom(1 << 20))
    put(able, "a", "2", 2.0, b"code")
    able.make_current("/project", "a", "1", 3.0)
    reader = as_user("reader", "get", "list")
    assert [row.version for row in reader.rows()] == ["1", "2"]
    with pytest.raises(flyte.errors.TargetError, match="does not keep deployments") as told:
        put(reader, "b", "1", 1.0)
    assert "create, get, list, patch and delete configmaps" in str(told.value)
    with pytest.raises(flyte.errors.TargetError, match="does not keep deployments"):
        as_user("nobody").rows()
    assert able.remove("/project", "a") == 2
    until(lambda: maps(core, kept) == [])


def test_a_quota_of_objects_is_told(ledger: NamespaceLedger, core: Any, kept: str) -> None:
    put(ledger, "a", "1", 1.0)
    core.create_namespaced_resource_quota(
        kept, {"metadata": {"name": "few"}, "spec": {"hard": {"count/configmaps": "4"}}}
    )
    quota = core.read_namespaced_resource_quota
    until(lambda: (quota("few", kept).status.used or {}).get("count/configmaps") == "3")
    with pytest.raises(flyte.errors.TargetError, match="does not keep deployments") as told:
        put(ledger, "b", "1", 1.0, b"code")
    assert "%flyte_undeploy" in str(told.value)
    assert len(maps(core, kept)) == 2  # nothing is left of the attempt
    assert {row.name for row in ledger.rows()} == {"a"}
