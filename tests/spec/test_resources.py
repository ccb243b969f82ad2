"""Resources: equal by amount, merged field by field."""

from __future__ import annotations

from itertools import product

import pytest

from flyte_jupyter.spec import (
    AMD_GPU,
    GPU,
    HABANA_GAUDI,
    TPU,
    Device,
    GPUAccelerator,
    Neuron,
    Resources,
    register_device,
)
from flyte_jupyter.spec.accelerators import device_types, find_type


def test_equal_amounts_are_equal_however_they_are_written() -> None:
    one, other = Resources(cpu=1, memory="1Gi"), Resources(cpu="1000m", memory="1024Mi")
    assert one == other
    assert hash(one) == hash(other)
    assert one != Resources(cpu=2, memory="1Gi")


def test_resources_show_what_was_given() -> None:
    asked = Resources(cpu="8", memory="16Gi", gpu="A100:2")
    assert repr(asked) == "Resources(cpu='8', memory='16Gi', gpu='A100:2')"
    assert str(asked) == "cpu 8, memory 16Gi, gpu A100:2"
    assert str(Resources(cpu=(1, 4))) == "cpu 1 to 4"


def test_resources_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Resources(cpu=1).cpu = 2  # type: ignore[misc]


def test_an_override_of_the_gpu_keeps_cpu_and_memory() -> None:
    merged = Resources(cpu=8, memory="16Gi").merge(Resources(gpu="A100:2"))
    assert merged == Resources(cpu=8, memory="16Gi", gpu="A100:2")


@pytest.mark.parametrize("field", ["cpu", "memory", "gpu", "disk", "shm"])
def test_zero_clears_a_field(field: str) -> None:
    base = Resources(cpu=8, memory="16Gi", gpu=1, disk="1Gi", shm="auto")
    merged = base.merge(Resources(**{field: 0})).settled()
    assert merged is not None
    assert getattr(merged, field) is None
    assert sum(getattr(merged, name) is not None for name in ("cpu", "memory", "gpu")) >= 2


def test_a_count_alone_changes_the_count_and_a_type_alone_the_type() -> None:
    assert Resources(gpu="A100:1").merge(Resources(gpu=4)).device == GPU("A100", 4)
    assert Resources(gpu=4).merge(Resources(gpu="A100")).device == GPU("A100", 4)
    assert Resources(gpu="T4:4").merge(Resources(gpu="A100:1")).device == GPU("A100", 1)


GPUS = [None, 0, 2, 3, "T4", "A100", "A100:4", GPU("A100", 1, "1g.5gb"), Device()]


@pytest.mark.parametrize(("a", "b", "c"), list(product(GPUS, repeat=3)))
def test_merging_is_associative(a: object, b: object, c: object) -> None:
    one, two, three = Resources(gpu=a), Resources(gpu=b), Resources(gpu=c)
    left, right = one.merge(two).merge(three), one.merge(two.merge(three))
    assert left.settled() == right.settled()


def test_resources_come_back_from_plain_values() -> None:
    for asked in (
        Resources(cpu=(1, "2500m"), memory="1Gi", gpu=GPU("A100", 1, "1g.5gb"), shm="auto"),
        Resources(gpu=0, disk="10G"),
    ):
        again = Resources.from_plain(asked.to_plain())
        assert again == asked
        assert repr(again) == repr(asked)


def test_every_family_of_devices_can_be_asked_for() -> None:
    assert TPU("V5P", "2x2x1") == Device("TPU", "V5P", 1, "2x2x1")
    assert Neuron("trn1") == Device("NEURON", "Trn1", 1)
    assert AMD_GPU("mi300x", 8) == Device("AMD_GPU", "MI300X", 8)
    assert HABANA_GAUDI("gaudi1") == Device("HABANA_GAUDI", "Gaudi1")
    assert GPU("h100", 1, partition="1g.10gb").partition == "1g.10gb"


@pytest.mark.parametrize("row", device_types(), ids=lambda row: str(row.name))
def test_every_type_of_the_catalogue_has_its_spellings(row: object) -> None:
    name = row.name  # type: ignore[attr-defined]
    for spelling in (name, name.lower(), name.upper(), name.replace(" ", "_"), f"nvidia-{name}"):
        assert find_type(spelling) == row


def test_every_type_of_the_catalogue_is_a_member() -> None:
    assert {getattr(GPUAccelerator, name).device for name in dir(GPUAccelerator)} == {
        row.name for row in device_types()
    }


def test_a_type_of_ones_own_can_be_registered() -> None:
    register_device("Z9000", aliases=("Zett",), partitions=("half",), most=2)
    assert Resources(gpu="zett:2").device == GPU("Z9000", 2)
    assert GPU("Z9000") == GPUAccelerator.NVIDIA_Z9000
    assert GPU("Z9000", 1, "half").partition == "half"


def test_a_raw_device_may_name_what_the_catalogue_does_not_know() -> None:
    assert str(Device("GPU", "Prototype", 3)) == "Prototype:3"


def test_tables_in_a_notebook_are_escaped() -> None:
    html = Device("GPU", "<script>", 1)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert '<th scope="row"' in Resources(cpu=1)._repr_html_()
