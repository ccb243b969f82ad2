from __future__ import annotations

import pytest

from flyte_jupyter.engine.admission import Admission, Claim, Need
from flyte_jupyter.targets.protocol import Inventory

GIB = 1 << 30


class Queue:
    """An admission whose grants and refusals are written down by name."""

    def __init__(self, cpu=2000, memory=8 * GIB, devices=()):
        counts = {}
        for _, kind in devices:
            counts[kind] = counts.get(kind, 0) + 1
        self.admission = Admission(Inventory(cpu, memory, counts), devices)
        self.started: list[str] = []
        self.refused: dict[str, str] = {}

    def enter(self, name, need, parent=None):
        claim = Claim(name, need, parent, 0 if parent is None else parent.depth + 1)

        def decided(refusal):
            if refusal is None:
                self.started.append(name)
            else:
                self.refused[name] = str(refusal)

        self.admission.enter(claim, decided)
        return claim


def test_what_fits_starts_at_once_and_the_rest_when_there_is_room():
    queue = Queue(cpu=2000)
    first = queue.enter("first", Need(cpu=1000))
    queue.enter("second", Need(cpu=1000))
    queue.enter("third", Need(cpu=1000))
    assert queue.started == ["first", "second"]

    queue.admission.leave(first)

    assert queue.started == ["first", "second", "third"]


def test_a_small_request_may_pass_a_large_one_that_does_not_fit():
    queue = Queue(cpu=2000)
    queue.enter("running", Need(cpu=1500))
    queue.enter("large", Need(cpu=2000))
    queue.enter("small", Need(cpu=500))

    assert queue.started == ["running", "small"]


@pytest.mark.parametrize(
    ("kind", "wanted", "given"),
    [
        ("A100", "", True),
        ("A100", "A100", True),
        ("A100 80G", "A100", True),
        ("A100", "A100 80G", False),
        ("A100/1g.5gb", "A100/1g.5gb", True),
        ("A100/1g.5gb", "A100", False),
        ("A100/1g.5gb", "", True),
        ("T4", "A100", False),
        ("", "A100", True),
        ("NEURON", "", False),
        ("NEURON", "Trn1", True),
        ("MI300X", "AMD_GPU", True),
        ("T4", "AMD_GPU", False),
    ],
)
def test_a_device_serves_whoever_asks_for_its_kind(kind, wanted, given):
    queue = Queue(devices=[("0", kind)])
    need = Need(accelerator=wanted, count=1)
    assert (queue.admission.check("task", need) is None) is given
    claim = queue.enter("task", need)
    assert claim.devices == (("0",) if given else ())


def test_what_waits_longest_is_not_passed_for_ever(monkeypatch):
    queue = Queue(cpu=2000)
    queue.enter("running", Need(cpu=1500))
    large = queue.enter("large", Need(cpu=2000))
    large.since -= 60
    queue.enter("small", Need(cpu=500))

    assert queue.started == ["running"]


def test_a_parent_that_awaits_a_child_gives_its_processors_back():
    queue = Queue(cpu=1000)
    parent = queue.enter("parent", Need(cpu=1000))
    queue.admission.awaits(parent)

    child = queue.enter("child", Need(cpu=1000), parent)
    assert queue.started == ["parent", "child"]

    queue.admission.leave(child)
    queue.admission.resumes(parent)
    queue.enter("other", Need(cpu=1000))
    assert queue.started == ["parent", "child"]


def test_a_parent_keeps_its_memory_and_a_child_that_needs_it_is_refused():
    queue = Queue(memory=8 * GIB)
    parent = queue.enter("pipeline.main", Need(memory=6 * GIB))
    queue.admission.awaits(parent)

    queue.enter("ml.train", Need(memory=4 * GIB), parent)

    assert queue.refused["ml.train"] == (
        "ml.train would wait for ever: it needs memory 4Gi, and the memory that is missing is "
        "held by the tasks that wait for it.\n"
        "  pipeline.main holds memory 6Gi\n"
        "Give the calling task less, or let it end before this one starts."
    )


def test_a_child_that_needs_the_only_accelerator_of_its_parent_is_refused():
    queue = Queue(devices=[("0", "A100")])
    parent = queue.enter("main", Need(count=1, accelerator="A100"))
    queue.admission.awaits(parent)

    queue.enter("train", Need(count=1), parent)

    assert "the accelerator that is missing is held" in queue.refused["train"]


def test_parents_that_wait_for_each_others_room_are_found_out():
    queue = Queue(cpu=4000, memory=8 * GIB)
    parents = [queue.enter(name, Need(memory=4 * GIB)) for name in ("one", "two")]
    for parent in parents:
        queue.admission.awaits(parent)
        queue.enter(f"{parent.name}.child", Need(memory=2 * GIB), parent)
    assert queue.refused == {}

    queue.admission.stuck()

    assert list(queue.refused) == ["two.child"]
    assert "every running task waits for a task that is queued" in queue.refused["two.child"]


def test_nothing_is_refused_while_something_still_runs():
    queue = Queue(memory=8 * GIB)
    parent = queue.enter("parent", Need(memory=4 * GIB))
    queue.admission.awaits(parent)
    queue.enter("busy", Need(memory=4 * GIB))
    queue.enter("child", Need(memory=2 * GIB), parent)

    queue.admission.stuck()

    assert queue.refused == {}


def test_accelerators_are_handed_out_by_type_and_taken_back():
    queue = Queue(devices=[("0", "T4"), ("1", "A100"), ("2", "A100")])
    first = queue.enter("first", Need(count=1, accelerator="A100"))
    second = queue.enter("second", Need(count=2))
    assert first.devices == ("1",)
    assert second.devices == ("0", "2")

    queue.enter("third", Need(count=2, accelerator="A100"))
    assert queue.started == ["first", "second"]
    queue.admission.leave(first)
    queue.admission.leave(second)
    assert queue.started == ["first", "second", "third"]


@pytest.mark.parametrize(
    ("need", "sentence"),
    [
        (Need(cpu=8000), "big asks for more than the target has: cpu 8 of 2."),
        (Need(memory=32 * GIB), "big asks for more than the target has: memory 32Gi of 8Gi."),
        (
            Need(count=2, accelerator="A100"),
            "big asks for more than the target has: 2 × A100 of 0.",
        ),
    ],
)
def test_a_request_above_the_whole_capacity_is_named(need, sentence):
    error = Queue().admission.check("big", need)

    assert error is not None
    assert error.sentence == sentence
    assert "clamp" in error.remedy


def test_clamping_keeps_what_there_is():
    admission = Queue(cpu=2000, memory=8 * GIB).admission

    clamped = admission.clamp(Need(8000, 32 * GIB, "A100", 2))

    assert clamped == Need(2000, 8 * GIB, "A100", 0)
