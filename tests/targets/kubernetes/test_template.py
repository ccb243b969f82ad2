"""A template wins where ours are only defaults, and adds to the rest; what is not taken is said."""

from __future__ import annotations

from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.spec import Settings
from flyte_jupyter.spec.pod import PodTemplate
from flyte_jupyter.targets.kubernetes.capabilities import capabilities
from flyte_jupyter.targets.kubernetes.manifest import pod_name, worker_pod
from flyte_jupyter.targets.kubernetes.remedies import remedy_for
from flyte_jupyter.targets.protocol import Honour, Prepared, StartRequest


def spec_of(template: dict[str, Any], **fields: Any) -> dict[str, Any]:
    request = StartRequest(Prepared("key"), pod_template=PodTemplate(template), **fields)
    session = {"name": "flyte-1", "uid": "2"}
    pod = worker_pod(
        "flyte-1-1", session, "python:3.12-slim", "10.0.0.1", "k", "c", request, ["blob"]
    )
    spec: dict[str, Any] = pod["spec"]
    return spec


def test_a_volume_or_a_mount_of_the_same_name_is_the_users_unless_the_start_needs_it() -> None:
    spec = spec_of({
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "room", "hostPath": {"path": "/"}},
            {"name": "data", "emptyDir": {}},
        ],
        "containers": [
            {"name": "primary", "volumeMounts": [{"name": "data", "mountPath": "/tmp"}]}
        ],
    })  # fmt: skip
    volumes = {one["name"]: one for one in spec["volumes"]}
    assert volumes["tmp"]["emptyDir"] == {"sizeLimit": "1Gi"}
    assert volumes["room"] == {"name": "room", "emptyDir": {}}
    mounts = {one["mountPath"]: one["name"] for one in spec["containers"][0]["volumeMounts"]}
    assert mounts == {"/tmp": "data", "/opt/flyte_jupyter": "room"}


def test_an_affinity_of_the_users_and_that_of_an_accelerator_both_count() -> None:
    mine = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    required = {"nodeSelectorTerms": [mine]}
    template = {
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required},
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []},
        }
    }
    resources = flyte.Resources(gpu="A100:1")
    alone = spec_of({}, resources=resources)["affinity"]["nodeAffinity"]
    both = spec_of(template, resources=resources)["affinity"]
    of = "requiredDuringSchedulingIgnoredDuringExecution"
    terms = both["nodeAffinity"][of]["nodeSelectorTerms"]
    assert [term["matchExpressions"] for term in terms] == [
        [*term["matchExpressions"], *mine["matchExpressions"]]
        for term in alone[of]["nodeSelectorTerms"]
    ]
    assert "podAntiAffinity" in both


def test_a_toleration_of_the_same_taint_is_the_users() -> None:
    key = "node.kubernetes.io/unreachable"
    mine = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    found = spec_of({"tolerations": [mine]})["tolerations"]
    assert [one for one in found if one["key"] == key] == [mine]
    assert len(found) == 2


def test_a_token_is_there_only_where_a_template_asks_for_it() -> None:
    assert spec_of({})["automountServiceAccountToken"] is False
    asked = {"automountServiceAccountToken": True, "serviceAccountName": "theirs"}
    spec = spec_of(asked, service_account="ours")
    assert spec["automountServiceAccountToken"] is True
    assert spec["serviceAccountName"] == "ours"


def test_fields_that_we_know_nothing_of_pass_through() -> None:
    given = {
        "runtimeClassName": "gvisor",
        "imagePullSecrets": [{"name": "registry"}],
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a"]}],
        "dnsPolicy": "Default",
        "somethingNew": {"a": 1},
    }
    spec = spec_of(given)
    assert {key: spec[key] for key in given} == given


def test_a_capability_is_added_to_what_is_dropped() -> None:
    context = {"capabilities": {"add": ["NET_BIND_SERVICE"]}}
    spec = spec_of({"containers": [{"name": "primary", "securityContext": context}]})
    assert spec["containers"][0]["securityContext"]["capabilities"] == {
        "drop": ["ALL"],
        "add": ["NET_BIND_SERVICE"],
    }
    # as root it has what the image's user has, and what the template says itself
    context = {"runAsUser": 0, "capabilities": {"drop": ["ALL"]}}
    spec = spec_of({"containers": [{"name": "primary", "securityContext": context}]})
    assert spec["containers"][0]["securityContext"] == context
    assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}


def test_what_is_not_taken_of_a_template_is_said() -> None:
    template = PodTemplate(
        {"restartPolicy": "Always", "containers": [{"name": "main", "image": "x", "args": ["y"]}]},
        primary_container_name="main",
    )
    told = capabilities(Settings(pod_template=template))["pod_template"]
    assert told.honour is Honour.APPROXIMATED
    assert "image of its container 'main'" in told.note
    assert "args of its container 'main' and its restartPolicy are not taken" in told.note
    plain = capabilities(Settings(pod_template=PodTemplate({"nodeSelector": {"a": "b"}})))
    assert plain["pod_template"].honour is Honour.HONOURED


def test_a_pods_name_can_be_read_and_is_no_longer_than_a_host_name() -> None:
    assert pod_name("flyte-1", "ML training_2", 3) == "flyte-1-ml-training-2-3"
    assert pod_name("flyte-1", "", 3) == "flyte-1-3"
    assert len(pod_name("flyte-12345678", "x" * 80, 10**9)) < 63


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        (
            'strict decoding error: unknown field "spec.containers[0].securityContext.privilged"',
            "did you mean 'privileged'?",
        ),
        (
            'pods "a" is forbidden: unable to validate against any security context constraint: '
            "[provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: 65532]",
            "'runAsNonRoot': False",
        ),
        (
            'pods "a" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi',
            "resources=",
        ),
        ('Pod "a" is invalid: spec.containers[0].image: Required value', "image="),
        ("something else", ""),
    ],
)
def test_the_field_to_change_is_named(sentence: str, words: str) -> None:
    assert words in remedy_for(sentence)
    assert bool(words) == bool(remedy_for(sentence))
