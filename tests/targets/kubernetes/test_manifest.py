"""What is asked of the cluster is what the settings say, and nothing that a strict one refuses."""

from __future__ import annotations

from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.spec.pod import PodTemplate
from flyte_jupyter.targets.kubernetes.manifest import hub_job, label_value, worker_pod
from flyte_jupyter.targets.protocol import Prepared, StartRequest

SESSION = {"name": "flyte-1", "uid": "2"}


def pod(**fields: Any) -> dict[str, Any]:
    resources = fields.get("resources")
    if resources is not None:
        fields |= {"memory": resources.memory_limit, "cpu": resources.cpu_request}
    request = StartRequest(Prepared("key", environ=(("A", "1"),)), **fields)
    return worker_pod("flyte-1-1", SESSION, "python:3.12-slim", "10.0.0.1", "k", "pem", request)


def container(made: dict[str, Any]) -> dict[str, Any]:
    (only,) = made["spec"]["containers"]
    return dict(only)


def test_no_pod_has_rights_or_a_token() -> None:
    for spec in (pod()["spec"], hub_job("s", "i", "o")["spec"]["template"]["spec"]):
        (only,) = spec["containers"]
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 65532
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert "hostNetwork" not in spec


def test_resources_are_requests_and_limits() -> None:
    given = flyte.Resources(
        cpu=("500m", 2), memory=("250Mi", "1Gi"), gpu="A100:2", disk="5Gi", shm="1Gi"
    )
    made = pod(resources=given)
    assert container(made)["resources"] == {
        "requests": {
            "cpu": "500m",
            "memory": str(250 << 20),
            "ephemeral-storage": str(5 << 30),
        },
        "limits": {
            "cpu": "2000m",
            "memory": str(1 << 30),
            "ephemeral-storage": str(5 << 30),
            "nvidia.com/gpu": "2",
        },
    }
    shm = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": str(1 << 30)}}
    assert shm in made["spec"]["volumes"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in container(made)["volumeMounts"]
    taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert taint in made["spec"]["tolerations"]


def test_a_pod_has_no_volume_that_its_node_would_have_to_look_after_first() -> None:
    made = pod(resources=flyte.Resources(cpu=1, memory="1Gi", disk="1Gi"))
    assert "volumes" not in made["spec"]
    assert "volumeMounts" not in container(made)


@pytest.mark.parametrize(
    ("template", "kept"),
    [
        pytest.param(
            {"containers": [{"securityContext": {"readOnlyRootFilesystem": True}}]},
            {},
            id="nothing else can be written to",
        ),
        pytest.param(
            {"volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]},
            {"sizeLimit": "1Gi"},
            id="the template has one",
        ),
    ],
)
def test_a_volume_is_tmp_where_the_template_asks_for_it(
    template: dict[str, Any], kept: dict[str, Any]
) -> None:
    made = pod(pod_template=PodTemplate(template))
    assert made["spec"]["volumes"] == [{"name": "tmp", "emptyDir": kept}]
    assert container(made)["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_a_single_cpu_is_no_limit() -> None:
    assert container(pod(resources=flyte.Resources(cpu=1)))["resources"] == {
        "requests": {"cpu": "1000m"},
        "limits": {},
    }


def test_a_queue_is_the_label_that_kueue_reads() -> None:
    labels = pod(queue="gcp-useast1-1")["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "gcp-useast1-1"


def test_a_pod_belongs_to_its_session() -> None:
    metadata = pod(group="my env")["metadata"]
    assert metadata["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "flyte-1", "uid": "2"}
    ]
    assert metadata["labels"]["flyte-jupyter/environment"] == "my-env"
    assert label_value("x" * 80) == "x" * 63


def test_variables_of_the_image_and_of_the_user_are_there_and_win() -> None:
    environ = {
        one["name"]: one["value"] for one in container(pod(environ=(("HOME", "/h"),)))["env"]
    }
    assert (environ["A"], environ["HOME"], environ["USER"]) == ("1", "/h", "task")


def test_a_template_adds_and_does_not_take_away() -> None:
    template = PodTemplate(
        {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "mine", "operator": "Exists"}],
            "containers": [
                {
                    "name": "primary",
                    "image": "other",
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    "resources": {"limits": {"memory": "9Gi", "example.com/fpga": "1"}},
                },
                {"name": "beside", "image": "busybox"},
            ],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "d"}}],
        },
        labels={"team": "a", "flyte-jupyter/session": "no"},
    )
    made = pod(pod_template=template, resources=flyte.Resources(memory="1Gi"))
    spec = made["spec"]
    ours, beside = spec["containers"]
    assert ours["image"] == "python:3.12-slim"
    assert ours["resources"]["limits"] == {
        "memory": str(1 << 30),
        "example.com/fpga": "1",
    }
    assert ours["volumeMounts"] == [{"name": "data", "mountPath": "/data"}]
    confined = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert beside == {"name": "beside", "image": "busybox", "securityContext": confined}
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert len(spec["tolerations"]) == 3
    assert made["metadata"]["labels"]["team"] == "a"
    assert made["metadata"]["labels"]["flyte-jupyter/session"] == "flyte-1"
