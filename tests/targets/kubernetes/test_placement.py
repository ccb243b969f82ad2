"""Which nodes a pod may go to is told by the labels of clouds, of the cluster and of the user."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_jupyter.errors import TargetError
from flyte_jupyter.spec import Device
from flyte_jupyter.targets.kubernetes import labels
from flyte_jupyter.targets.kubernetes.nodes import Nodes
from flyte_jupyter.targets.kubernetes.placement import affinity, labels_of, resource_of


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The user's own table, which is not there yet."""
    monkeypatch.setenv("FLYTE_JUPYTER_HOME", str(tmp_path))
    labels.table_of_labels.cache_clear()
    (tmp_path / "state").mkdir()
    yield tmp_path / "state" / "accelerators.json"
    labels.table_of_labels.cache_clear()


def terms(device: Device, nodes: Nodes | None = None) -> list[Any]:
    found = affinity(device, nodes)
    assert found is not None
    required = found["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return list(required["nodeSelectorTerms"])


def test_each_family_of_labels_is_a_term_of_its_own() -> None:
    keys = [term["matchExpressions"][0]["key"] for term in terms(Device(device="T4"))]
    assert keys == [
        "nvidia.com/gpu.product",
        "cloud.google.com/gke-accelerator",
        "karpenter.k8s.aws/instance-gpu-name",
        "eks.amazonaws.com/instance-gpu-name",
        "k8s.amazonaws.com/accelerator",
    ]


def test_more_memory_serves_who_asks_for_the_type_and_not_the_other_way() -> None:
    product = "nvidia.com/gpu.product"
    assert "NVIDIA-A100-SXM4-80GB" in labels_of(Device(device="A100"), None)[product]
    assert "NVIDIA-A100-SXM4-40GB" not in labels_of(Device(device="A100 80G"), None)[product]


def test_a_part_is_a_resource_where_the_nodes_offer_it_and_else_a_product() -> None:
    part = Device(device="A100", partition="1g.5gb")
    assert resource_of(part, None) == "nvidia.com/gpu"
    values = labels_of(part, None)["nvidia.com/gpu.product"]
    assert "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb" in values
    cut = Nodes(resources={"nvidia.com/mig-1g.5gb": 2})
    assert resource_of(part, cut) == "nvidia.com/mig-1g.5gb"
    assert "NVIDIA-A100-SXM4-40GB" in labels_of(part, cut)["nvidia.com/gpu.product"]
    gke = next(term for term in terms(part) if "gke" in term["matchExpressions"][0]["key"])
    assert gke["matchExpressions"][1]["values"] == ["1g.5gb"]


def test_any_device_of_a_family_has_no_affinity() -> None:
    assert affinity(Device(), None) is None


def test_a_user_s_table_adds_labels_and_types(own: Path) -> None:
    own.write_text(json.dumps({"example.com/gpu": {"A100": ["sxm"]}}))
    assert labels_of(Device(device="A100"), None)["example.com/gpu"] == ["sxm"]
    assert "example.com/gpu" not in labels_of(Device(device="T4"), None)


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"a": {"A100": 1}}'])
def test_what_is_no_table_is_told(own: Path, text: str) -> None:
    own.write_text(text)
    with pytest.raises(TargetError, match="no table of the labels"):
        labels_of(Device(device="A100"), None)
