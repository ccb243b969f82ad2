"""What one may do in a namespace: the printed role suffices, and what is missing is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.cluster.api import Api
from flyte_jupyter.cluster.connect import connect
from flyte_jupyter.doctor import examine_cluster
from flyte_jupyter.errors import TargetError
from flyte_jupyter.targets.kubernetes import rbac, rights

from .conftest import Account, until

TASKS = """
    own = flyte.TaskEnvironment("own", image="python:3.9-slim")

    @env.task
    def fine() -> int:
        return 1

    @own.task
    async def parent() -> int:
        return 1 + await fine.aio()
"""
NEEDED = [right for right in rights.IN_NAMESPACE if not right.without]
OPTIONAL = [right for right in rights.IN_NAMESPACE if right.without]
CORE = [right for right in OPTIONAL if "." not in right.group]


@pytest.fixture
def theirs(account: Account, cell: Callable[[str], Any], tmp_path: Path) -> Iterator[Any]:
    """A notebook of somebody whose rights are still to be given."""
    file = account.kubeconfig({"token": account.token()})
    flyte.init(target="kubernetes", kubeconfig=file, state=tmp_path / "state")
    yield cell(TASKS)
    flyte.shut_down()
    until(lambda: not account.core.list_namespaced_pod(account.namespace).items)


def given(account: Account, rows: Sequence[rights.Right], monkeypatch: Any) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rbac, "IN_NAMESPACE", tuple(rows))
        somebody = rbac.account("somebody", account.namespace)
        account.may(rbac.role(account.namespace, [somebody]))


def said(run: flyte.Run) -> str:
    return "\n".join(str(event.data.get("text", "")) for event in run.events(0))


def test_the_printed_role_suffices(account: Account, theirs: Any, monkeypatch: Any) -> None:
    given(account, rights.IN_NAMESPACE, monkeypatch)
    run = flyte.run(theirs.parent)
    assert run.result() == 2
    assert "You may not" not in said(run)


def test_tasks_run_with_the_needed_rights_alone_and_the_rest_is_told(
    account: Account, theirs: Any, monkeypatch: Any
) -> None:
    given(account, NEEDED, monkeypatch)
    run = flyte.run(theirs.fine)
    assert run.result() == 1
    text = said(run)
    for right in CORE:
        assert text.count(right.without) == 1
    assert "You may not list or watch events." in text
    assert "kueue" not in text.casefold()  # there is none here


@pytest.mark.parametrize("right", NEEDED, ids=lambda right: right.resource)
def test_each_right_that_is_missing_is_named(
    right: rights.Right, account: Account, theirs: Any, monkeypatch: Any
) -> None:
    given(account, [one for one in rights.IN_NAMESPACE if one is not right], monkeypatch)
    with pytest.raises(TargetError) as caught:
        flyte.run(theirs.fine).result()
    error = caught.value
    assert error.sentence.startswith(f"You lack rights to run tasks in {account.namespace}")
    assert [line.split(":")[0] for line in error.evidence] == [str(right)]
    assert f"flyte-jupyter rbac --namespace {account.namespace}" in error.remedy


def test_a_cluster_that_lists_no_rights_is_asked_for_each(
    account: Account, monkeypatch: Any
) -> None:
    given(account, [*NEEDED[1:], *OPTIONAL[1:]], monkeypatch)
    api = Api(connect({"kubeconfig": account.kubeconfig({"token": account.token()})}))
    listed = rights.lacking(api, account.namespace, rights.IN_NAMESPACE)
    # as clusters do whose rights are decided elsewhere
    monkeypatch.setattr(rights, "_rules", lambda *_: ([], False))
    asked = rights.lacking(api, account.namespace, rights.IN_NAMESPACE)
    assert listed == asked == {NEEDED[0]: NEEDED[0].verbs, OPTIONAL[0]: OPTIONAL[0].verbs}
    api.close()


def test_a_right_to_one_object_is_none_to_all(account: Account) -> None:
    text = rbac.role(account.namespace, [rbac.account("somebody", account.namespace)])
    account.may(text.replace('resources: ["pods"]', 'resources: ["pods"]\n  resourceNames: ["a"]'))
    api = Api(connect({"kubeconfig": account.kubeconfig({"token": account.token()})}))
    assert set(rights.lacking(api, account.namespace, rights.IN_NAMESPACE)) == {NEEDED[0]}
    api.close()


@pytest.mark.parametrize(
    ("reached", "sentence"),
    [
        ({"certificate-authority-data": None}, "shows a certificate that is not trusted"),
        ({"certificate-authority-data": "aGVsbG8="}, "A certificate of the cluster at"),
        ({"proxy-url": "http://127.0.0.1:9"}, "through the proxy http://127.0.0.1:9"),
    ],
    ids=["untrusted", "unreadable", "proxy"],
)
def test_the_doctor_tells_what_keeps_one_from_the_cluster(
    reached: dict[str, Any], sentence: str, account: Account
) -> None:
    file = account.kubeconfig({"token": account.token()}, **reached)
    *_, last = examine_cluster({"kubeconfig": file})
    assert not last.usable
    assert sentence in last.sentence


def test_the_doctor_tells_who_shows_nothing_that_the_cluster_does_not_know_them(
    account: Account,
) -> None:
    *_, last = examine_cluster({"kubeconfig": account.kubeconfig({})})
    assert last.subject == "you"
    assert "The cluster does not know who you are." in last.sentence


def test_the_doctor_names_what_is_missing(account: Account, monkeypatch: Any) -> None:
    given(account, [*NEEDED[:-1], *OPTIONAL[1:]], monkeypatch)
    file = account.kubeconfig({"token": account.token()})
    found = {one.subject: one for one in examine_cluster({"kubeconfig": file})}
    assert found["context"].sentence.startswith("theirs, server https://")
    assert f"system:serviceaccount:{account.namespace}:somebody" in found["you"].sentence
    assert not found["rights"].usable
    assert any(line.startswith(f"✗ {NEEDED[-1]}") for line in found["rights"].details)
    assert any(line.startswith(f"- {OPTIONAL[0]}") for line in found["rights"].details)
    assert "you may not see them" in found["nodes"].sentence
    assert "kubernetes" not in found  # what cannot work is not tried


def test_the_doctor_makes_and_removes_what_a_session_has(account: Account, core: Any) -> None:
    somebody = rbac.account("somebody", account.namespace)
    account.may(rbac.role(account.namespace, [somebody]))
    file = account.kubeconfig({"token": account.token()})
    found = {one.subject: one for one in examine_cluster({"kubeconfig": file})}
    assert found["rights"].usable
    assert found["kubernetes"].usable
    assert found["kubernetes"].is_target
    until(lambda: not core.list_namespaced_pod(account.namespace).items)


def test_the_doctor_stops_where_nothing_more_can_be_found(account: Account) -> None:
    file = account.kubeconfig({"token": "nobody's"})
    *others, last = examine_cluster({"kubeconfig": file})
    assert [one.usable for one in others] == [True]
    assert not last.usable
    assert "The cluster does not know who you are. Log in again" in last.sentence
    lost = account.kubeconfig({"token": account.token()}, server="https://127.0.0.1:9")
    *_, last = examine_cluster({"kubeconfig": lost})
    assert "The cluster at https://127.0.0.1:9 does not answer." in last.sentence
    (only,) = examine_cluster({"kubeconfig": str(account.folder / "none")})
    assert "There is no Kubernetes cluster to run on." in only.sentence


def test_a_namespace_that_is_not_there_is_told(core: Any) -> None:
    found = {one.subject: one for one in examine_cluster({"namespace": "nowhere-at-all"})}
    assert "there is no namespace nowhere-at-all" in found["namespace"].sentence
    assert "rights" not in found
