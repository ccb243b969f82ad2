"""What a container makes of each field, said for every field there is."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.spec import GPU, Device, Resources, Settings
from flyte_jupyter.targets.docker import capabilities as on_docker
from flyte_jupyter.targets.docker.capabilities import capabilities
from flyte_jupyter.targets.docker.facts import EngineFacts
from flyte_jupyter.targets.kubernetes import capabilities as on_kubernetes
from flyte_jupyter.targets.local import capabilities as on_local
from flyte_jupyter.targets.protocol import Honour

NAMES = [field.name for field in fields(Settings)]
GIB = 1 << 30


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "target", [on_local, on_docker, on_kubernetes], ids=["local", "docker", "kubernetes"]
)
def test_every_field_is_spoken_for_on_every_target(target: Any, name: str) -> None:
    assert name in target.FIELDS or name in ("image", "resources")


def said(**given: Any) -> dict[str, tuple[str, str]]:
    info = given.pop("info", EngineFacts(processors=2, memory=GIB))
    env = flyte.TaskEnvironment(name="env", **given)
    found = capabilities(env.settings, info)
    return {name: (str(one.honour), one.note) for name, one in found.items()}


def test_what_containers_are_for_is_honoured() -> None:
    image = flyte.Image.from_base("debian:12").with_apt_packages("curl").with_commands(["true"])
    found = said(
        image=image,
        network=False,
        secrets=[flyte.Secret("k", mount="/etc/flyte/secrets")],
        env_vars={"A": "1"},
        include=["a.txt"],
        reusable=True,
        resources=Resources(cpu=(1, 2), memory="1Gi", shm="1Gi"),
    )
    assert set(found.values()) == {("honoured", "")}


def test_what_only_a_cluster_has_is_said() -> None:
    found = said(
        interruptible=True, queue="gpus", pod_template="x", service_account="me", cache="auto"
    )
    notes = {name: note for name, (honour, note) in found.items() if honour == Honour.IGNORED}
    assert sorted(notes) == ["cache", "interruptible", "pod_template", "queue", "service_account"]
    assert all(notes.values())


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (EngineFacts(limits_disk=True), Honour.HONOURED),
        (EngineFacts(storage="overlay2 on ext4"), Honour.IGNORED),
        (None, Honour.APPROXIMATED),
    ],
)
def test_the_disk_is_divided_where_the_storage_can(
    info: EngineFacts | None, expected: Honour
) -> None:
    honour, note = said(resources=Resources(disk="1Gi"), info=info)["disk"]
    assert honour == expected
    assert bool(note) is (expected is not Honour.HONOURED)
    if info is not None and note:
        assert "overlay2 on ext4" in note


@pytest.mark.parametrize(
    ("lack", "field"),
    [
        ("limits_memory", "memory"),
        ("limits_swap", "memory"),
        ("weighs_cpu", "cpu"),
        ("limits_cpu", "cpu limit"),
    ],
)
def test_what_an_engine_cannot_limit_is_said(lack: str, field: str) -> None:
    poor = EngineFacts(**{lack: False})
    found = said(resources=Resources(cpu=(1, 2), memory="1Gi"), info=poor)
    assert found[field][0] == Honour.APPROXIMATED
    assert "this engine cannot" in found[field][1]


CDI = EngineFacts(local=False, cdi=True, cdi_devices=("nvidia.com/gpu=0",))


@pytest.mark.parametrize(
    ("gpu", "info", "expected", "words"),
    [
        (1, EngineFacts(local=False), Honour.IGNORED, "container toolkit"),
        (1, CDI, Honour.HONOURED, ""),
        ("A100:1", CDI, Honour.APPROXIMATED, "does not say which type"),
        (GPU("A100", 1, "1g.5gb"), CDI, Honour.APPROXIMATED, "partition does not exist"),
        (Device("NEURON"), CDI, Honour.IGNORED, "hands out no such device"),
        (Device("TPU"), CDI, Honour.IGNORED, "TPU"),
        (1, None, Honour.HONOURED, ""),
    ],
)
def test_accelerators_are_honoured_as_far_as_the_engine_has_them(
    gpu: Any, info: EngineFacts | None, expected: Honour, words: str
) -> None:
    honour, note = said(resources=Resources(gpu=gpu), info=info)["gpu"]
    assert honour == expected
    assert words in note
