"""Every generation of Flyte's spellings means the same thing here."""

from __future__ import annotations

from typing import Any

import pytest

from flyte_jupyter.spec import (
    GPU,
    Device,
    GPUAccelerator,
    Image,
    Resources,
    Secret,
    Settings,
    TaskEnvironment,
)

SAME_SETTINGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"limits": Resources(cpu="4", mem="16Gi")},
        {"resources": Resources(cpu=(4, 4), memory=("16Gi", "16Gi"))},
    ),
    (
        {"limits": Resources(gpu="1"), "accelerator": GPUAccelerator.NVIDIA_A10G},
        {"resources": Resources(gpu="A10G:1")},
    ),
    ({"accelerator": GPUAccelerator.NVIDIA_A10G}, {"resources": Resources(gpu=GPU("A10G"))}),
    ({"accelerator": "nvidia-tesla-t4"}, {"resources": Resources(gpu="T4:1")}),
    (
        {"resources": Resources(cpu=1), "limits": Resources(cpu=4)},
        {"resources": Resources(cpu=(1, 4))},
    ),
    (
        {"requests": Resources(memory="1Gi"), "limits": Resources(memory="2Gi")},
        {"resources": Resources(memory=("1Gi", "2Gi"))},
    ),
    (
        {"resources": Resources(gpu=2), "accelerator": GPUAccelerator.NVIDIA_A100},
        {"resources": Resources(gpu="A100:2")},
    ),
    ({"task_queue": "gcp-useast-1"}, {"queue": "gcp-useast-1"}),
    ({"container_image": "python:3.12"}, {"image": "python:3.12"}),
    ({"image": "python:3.12"}, {"image": Image.from_base("python:3.12")}),
    ({"image": "auto"}, {"image": Image.from_debian_base()}),
    ({"image": None}, {}),
    ({"environment": {"A": "1"}}, {"env_vars": {"A": "1"}}),
    ({"secrets": "api-key"}, {"secrets": [Secret("api-key")]}),
    ({"secret_requests": ["a", Secret("b")]}, {"secrets": [Secret("a"), Secret("b")]}),
    ({"cache": True}, {"cache": "auto"}),
    ({"cache": "disable"}, {"cache": False}),
    ({"reusable": "off"}, {}),
    ({"max_inline_io_bytes": "100Mi"}, {"max_inline_io_bytes": 100 * 1024 * 1024}),
    ({"plugin_config": None}, {}),
]


@pytest.mark.parametrize(("one", "other"), SAME_SETTINGS)
def test_two_spellings_mean_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = (TaskEnvironment("spelled", **fields) for fields in (one, other))
    assert first.settings == second.settings
    assert first == second
    assert hash(first.settings) == hash(second.settings)


SAME_GPU = [
    (1, "1"),
    ("A100:2", GPU("A100", 2)),
    ("a100:2", "A100:2"),
    ("A100", "A100:1"),
    ("nvidia-tesla-a100:2", "A100:2"),
    ("a100-80g:1", "A100 80G:1"),
    ("A100_80GB:1", "A100 80G:1"),
    ("l40S:1", "L40s:1"),
    ("L40S SHARED:1", "L40s shared:1"),
    ("NVIDIA_A10G:1", GPUAccelerator.NVIDIA_A10G),
    ("Trn1:16", Device("NEURON", "Trn1", 16)),
    ("MI300X", GPUAccelerator.AMD_MI300X),
    (1, Device()),
]


@pytest.mark.parametrize(("one", "other"), SAME_GPU)
def test_two_spellings_ask_for_the_same_accelerator(one: Any, other: Any) -> None:
    assert Resources(gpu=one).device == Resources(gpu=other).device
    assert Resources(gpu=one) == Resources(gpu=other)


SAME_OVERRIDE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"task_queue": "q"}, {"queue": "q"}),
    ({"cpu": 2, "mem": "4Gi"}, {"resources": Resources(cpu=2, memory="4Gi")}),
    ({"gpu": "A100:2"}, {"resources": Resources(gpu="A100:2")}),
    ({"limits": Resources(memory="4Gi")}, {"memory": ("4Gi", "4Gi")}),
    ({"retries": 0}, {"retries": None}),
    ({"timeout": 0}, {"timeout": None}),
    ({"env_vars": {}}, {"env_vars": None}),
    ({"secrets": []}, {"secrets": None}),
    ({"reusable": "off"}, {"reusable": None}),
]


@pytest.mark.parametrize(("one", "other"), SAME_OVERRIDE)
def test_two_spellings_of_an_override_are_the_same(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    env = TaskEnvironment("spelled")

    @env.task
    def work() -> None: ...

    assert work.override(**one).overrides == work.with_overrides(**other).overrides


def test_limits_alone_set_request_and_limit() -> None:
    asked = TaskEnvironment("spelled", limits=Resources(cpu="4", mem="16Gi")).resources
    assert (asked.cpu_request, asked.cpu_limit) == (4000, 4000)
    assert (asked.memory_request, asked.memory_limit) == (16 * 2**30, 16 * 2**30)


def test_a_single_cpu_is_a_request_and_a_single_memory_is_both() -> None:
    asked = Resources(cpu="500m", memory="250Mi")
    assert (asked.cpu_request, asked.cpu_limit) == (500, None)
    assert (asked.memory_request, asked.memory_limit) == (250 * 2**20, 250 * 2**20)


def test_every_parameter_of_flytes_environment_is_taken() -> None:
    env = TaskEnvironment(
        name="whole",
        depends_on=[],
        pod_template="template",
        description="all of it",
        secrets="key",
        env_vars={"A": "1"},
        resources=Resources(cpu=1),
        interruptible=True,
        image="python:3.12",
        include=("data.csv",),
        service_account="trainer",
        cache="auto",
        reusable=None,
        plugin_config=None,
        queue="gpu",
        max_inline_io_bytes=1,
        network=False,
    )
    empty = set(Settings.__dataclass_fields__) - {name for name, _ in env.settings.given()}
    assert empty == {
        "short_name", "docs", "retries", "timeout", "reusable", "report", "entrypoint",
        "target",
    }  # fmt: skip
