"""What a pod waits for is said while it does; what will never be is an error at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.targets.kubernetes import trouble

from .conftest import manifest, until
from .faulting import TASKS, said_of, with_token

KINDS = ["pods", "pods/log", "pods/portforward", "jobs", "secrets"]


@pytest.fixture
def own(
    fresh_namespace: Callable[..., str], cell: Callable[[str], Any], tmp_path: Any
) -> Iterator[tuple[str, Any]]:
    """A namespace with rules of its own, and a notebook that runs its tasks there."""
    name = fresh_namespace()
    flyte.init(target="kubernetes", namespace=name, state=tmp_path / "state")
    yield name, cell(TASKS)
    flyte.shut_down()


def hears(run: flyte.Run, *words: str) -> str:
    """Wait until a run says that it waits for something, and return all that it has said."""
    until(
        lambda: run.done or any(all(word in why for word in words) for why in said_of(run, "why"))
    )
    said = "\n".join(said_of(run, "why"))
    assert not run.done, said
    return said


def with_pod(task: Any, **spec: Any) -> Any:
    """Return a task whose pod has more than its settings say."""
    return task.override(pod_template=flyte.PodTemplate(pod_spec=spec))


def test_that_no_node_is_large_enough_is_said_with_what_there_is(
    book: Callable[[str], Any], core: Any
) -> None:
    there = book(TASKS)
    cpu = core.list_node().items[0].status.allocatable["cpu"]
    run = flyte.run(there.fine.override(resources=flyte.Resources(cpu=900)))
    hears(run, "none has 900 cpu free", f"the largest node has {cpu} cpu", "Insufficient cpu")
    run.abort()


def test_that_no_node_has_such_an_accelerator_is_said(book: Callable[[str], Any]) -> None:
    there = book(TASKS)
    run = flyte.run(there.fine.override(resources=flyte.Resources(gpu="A100:3")))
    hears(run, "no node offers 3 × A100", "no node has an accelerator")
    run.abort()


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TriggeredScaleUp", "waits for a node that the cluster adds"),
        ("NotTriggerScaleUp", "waits for a node, and the cluster adds none"),
    ],
)
def test_what_an_autoscaler_says_of_a_pod_is_told(
    reason: str, words: str, book: Callable[[str], Any], core: Any, namespace: str
) -> None:
    there = book(TASKS)
    run = flyte.run(there.fine.override(resources=flyte.Resources(cpu=900)))
    hears(run, "none has 900 cpu free")
    workers = core.list_namespaced_pod(namespace, label_selector="flyte-jupyter/kind=worker")
    (pod,) = [one for one in workers.items if one.spec.containers[0].resources.requests]
    now = datetime.now(UTC).isoformat()
    # as the autoscaler of a cluster does it, which this one need not have
    told = {
        "metadata": {"generateName": "scaler-"},
        "involvedObject": {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": pod.metadata.name,
            "namespace": namespace,
            "uid": pod.metadata.uid,
        },
        "reason": reason,
        "message": "pool of nodes: 1->2 (max: 5)",
        "source": {"component": "cluster-autoscaler"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "type": "Normal",
        "count": 1,
    }
    core.create_namespaced_event(namespace, told)
    hears(run, words, "1->2 (max: 5)")
    run.abort()


def test_a_volume_that_is_not_there_is_said_and_then_an_error(
    book: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "NODE_GRACE", 3.0)
    there = book(TASKS)
    volume = {"name": "data", "secret": {"secretName": "nowhere"}}
    mounts = [{"name": "data", "mountPath": "/data"}]
    primary = {"name": "primary", "volumeMounts": mounts}
    run = flyte.run(with_pod(there.fine, volumes=[volume], containers=[primary]))
    hears(run, "waits for a volume", "nowhere")
    with pytest.raises(flyte.errors.TargetError, match="cannot be mounted") as caught:
        run.result()
    assert "FailedMount" in caught.value.evidence[0]


@pytest.fixture
def runtime(core: Any) -> Iterator[str]:
    """A way to run containers that the cluster knows, and no node has."""
    from kubernetes import client

    classes = client.NodeV1Api(core.api_client)
    name = "flyte-jupyter-test-nowhere"
    try:
        classes.create_runtime_class({"metadata": {"name": name}, "handler": "nowhere"})
    except client.ApiException as error:
        pytest.skip(f"needs the right to make runtime classes: {error.reason}")
    yield name
    classes.delete_runtime_class(name)


def test_a_node_that_cannot_begin_a_pod_is_said_and_then_an_error(
    runtime: str, book: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "NODE_GRACE", 3.0)
    there = book(TASKS)
    run = flyte.run(with_pod(there.fine, runtimeClassName=runtime))
    hears(run, "waits for its node to begin it", "nowhere")
    with pytest.raises(flyte.errors.TargetError, match="cannot begin it"):
        run.result()


def test_what_a_container_lacks_is_named_with_what_to_change(
    book: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "CONFIG_GRACE", 1.0)
    there = book(TASKS)
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "nowhere", "key": "a"}}}]
    task = with_pod(there.fine, containers=[{"name": "primary", "env": env}])
    with pytest.raises(flyte.errors.TargetError, match="cannot be made as it is asked") as caught:
        flyte.run(task).result()
    assert "Make the secret nowhere" in caught.value.remedy


def test_an_image_that_is_not_there_is_an_error_after_a_moment(
    book: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "GRACE", 1.0)
    monkeypatch.setattr(trouble, "PASSING_GRACE", 1.0)
    there = book("""
        away = flyte.TaskEnvironment("away", image="localhost:1/nothing/there:1")

        @away.task
        def never() -> int:
            return 1
    """)
    with pytest.raises(flyte.errors.ImageBuildError, match="The cluster has no image"):
        flyte.run(there.never).result()


def test_a_quota_is_waited_for_and_then_used(own: tuple[str, Any], core: Any) -> None:
    namespace, there = own
    first = flyte.run(there.counts.override(resources=flyte.Resources(cpu="10m")), 6.0)
    until(lambda: first.phase == "running")
    used = len(core.list_namespaced_pod(namespace).items)
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": str(used)}}}
    core.create_namespaced_resource_quota(namespace, quota)
    until(lambda: core.read_namespaced_resource_quota("few", namespace).status.used)
    second = flyte.run(there.fine.override(resources=flyte.Resources(cpu="20m")))
    hears(second, "waits for room in the quota few", f"pods: 1 asked for, {used} of {used} taken")
    assert first.result() > 0
    assert second.result() == 1


def test_more_than_a_quota_has_is_an_error_with_the_numbers(
    own: tuple[str, Any], core: Any
) -> None:
    namespace, there = own
    assert flyte.run(there.fine).result() == 1
    hard = {"limits.memory": "4Gi"}
    core.create_namespaced_resource_quota(
        namespace, {"metadata": {"name": "small"}, "spec": {"hard": hard}}
    )
    until(lambda: core.read_namespaced_resource_quota("small", namespace).status.used)
    large = there.fine.override(resources=flyte.Resources(memory="8Gi"))
    with pytest.raises(flyte.errors.TargetError, match="more than the quota small") as caught:
        flyte.run(large).result()
    assert "limits.memory: 8Gi asked for" in caught.value.evidence[0].replace("8589934592", "8Gi")
    silent = there.fine.override(resources=flyte.Resources(cpu="10m"))
    with pytest.raises(
        flyte.errors.TargetError, match=r"wants every pod to say its limits\.memory"
    ):
        flyte.run(silent).result()


def test_what_the_namespace_does_not_allow_is_an_error_that_says_what_to_change(
    own: tuple[str, Any], core: Any
) -> None:
    namespace, there = own
    assert flyte.run(there.fine).result() == 1
    limit = {"type": "Container", "max": {"cpu": "1"}}
    core.create_namespaced_limit_range(
        namespace, {"metadata": {"name": "bounds"}, "spec": {"limits": [limit]}}
    )
    large = there.fine.override(resources=flyte.Resources(cpu=("10m", 3)))
    with pytest.raises(flyte.errors.TargetError, match="The maximum of cpu in this namespace is 1"):
        flyte.run(large).result()
    core.delete_namespaced_limit_range("bounds", namespace)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    core.patch_namespace(namespace, {"metadata": {"labels": labels}})
    until(lambda: refuses_hosts(core, namespace))
    with pytest.raises(flyte.errors.TargetError, match="not as safe as this namespace asks for"):
        flyte.run(with_pod(there.fine, hostNetwork=True)).result()
    with pytest.raises(flyte.errors.TargetError, match=r"its spec\.\S+ is not valid"):
        flyte.run(with_pod(there.fine, dnsPolicy="Never")).result()


def refuses_hosts(core: Any, namespace: str) -> bool:
    """Say whether a namespace's label has come to those who check its pods."""
    from kubernetes.client import ApiException

    body = manifest("by-hand")
    body["spec"]["hostNetwork"] = True
    try:
        core.create_namespaced_pod(namespace, body, dry_run="All")
    except ApiException as error:
        return "PodSecurity" in str(error.body)
    return False


@contextmanager
def unreachable_checker(core: Any, namespace: str) -> Iterator[None]:
    """Have something check every pod of a namespace that is not there."""
    from kubernetes import client

    api = client.AdmissionregistrationV1Api(core.api_client)
    name = f"{namespace}.flyte-jupyter.test"
    webhook = {
        "name": name,
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["pods"],
            }
        ],
        "clientConfig": {"url": "https://127.0.0.1:1/check"},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    try:
        api.create_validating_webhook_configuration(
            {"metadata": {"name": name}, "webhooks": [webhook]}
        )
    except client.ApiException as error:
        pytest.skip(f"needs the right to make webhooks: {error.reason}")
    try:
        yield
    finally:
        api.delete_validating_webhook_configuration(name)


def test_a_pod_is_asked_for_again_until_what_checks_it_is_back(
    own: tuple[str, Any], core: Any
) -> None:
    namespace, there = own
    assert flyte.run(there.fine).result() == 1
    with unreachable_checker(core, namespace):
        run = flyte.run(there.fine.override(resources=flyte.Resources(cpu="10m")))
        hears(run, "waits for the cluster, which says", "failed calling webhook")
    assert run.result() == 1


def test_where_events_may_not_be_read_that_is_said(
    fresh_namespace: Callable[..., str], core: Any, cell: Callable[[str], Any], tmp_path: Any
) -> None:
    from kubernetes import client

    namespace = fresh_namespace()
    name = {"metadata": {"name": "me"}}
    core.create_namespaced_service_account(namespace, name)
    rules = [{"apiGroups": ["", "batch"], "resources": KINDS, "verbs": ["*"]}]
    rights = client.RbacAuthorizationV1Api(core.api_client)
    rights.create_namespaced_role(namespace, {**name, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "me", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "me"}
    rights.create_namespaced_role_binding(
        namespace, {**name, "subjects": [subject], "roleRef": role}
    )
    token = core.create_namespaced_service_account_token("me", namespace, {"spec": {}}).status.token
    kubeconfig = with_token(tmp_path, token)
    flyte.init(
        target="kubernetes", namespace=namespace, kubeconfig=kubeconfig, state=tmp_path / "state"
    )
    there = cell(TASKS)
    volume = {"name": "data", "secret": {"secretName": "nowhere"}}
    primary = {"name": "primary", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    run = flyte.run(with_pod(there.fine, volumes=[volume], containers=[primary]))
    hears(run, "waits for its container", "events, which may not be read here")
    run.abort()
    flyte.shut_down()
