"""What Kueue tells of a workload is said as what it means for a task; recorded from Kueue 0.18."""

from __future__ import annotations

from typing import Any

import pytest

from flyte_jupyter.targets.kubernetes.queues import Place, ending, words

FIRST = "couldn't assign flavors to pod set main: "
USED = "insufficient unused quota for cpu in flavor default, 200m more needed"
WHOLE = (
    "insufficient quota for cpu in flavor default, previously considered podsets requests (0) + "
    "current podset request (5) > maximum capacity (1)"
)
GATED = {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}


def workload(*conditions: tuple[str, str, str, str], **rest: Any) -> dict[str, Any]:
    keys = ("type", "status", "reason", "message")
    told = [dict(zip(keys, one, strict=True)) for one in conditions]
    active = rest.pop("active", True)
    return {
        "spec": {"queueName": "gpus", "active": active},
        "status": {"conditions": told, **rest},
    }


def made(queue: str | None = "gpus", gate: str = "kueue.x-k8s.io/admission") -> dict[str, Any]:
    labels = {} if queue is None else {"kueue.x-k8s.io/queue-name": queue}
    return {
        "metadata": {"uid": "1", "namespace": "n", "labels": labels},
        "spec": {"schedulingGates": [{"name": gate}] if gate else None},
    }


def place(**fields: Any) -> Place:
    return Place(made(**fields), lambda: None)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([], "waits in queue gpus"),
        (
            [("QuotaReserved", "False", "Pending", FIRST + USED)],
            f"waits in queue gpus: {USED}",
        ),
        (
            [("QuotaReserved", "False", "Pending", FIRST + WHOLE)],
            f"waits in queue gpus, whose whole quota is less than it asks for: {WHOLE}",
        ),
        (
            [("QuotaReserved", "False", "Inadmissible", "LocalQueue gpus is stopped")],
            "waits in queue gpus: LocalQueue gpus is stopped",
        ),
        (
            [("QuotaReserved", "True", "QuotaReserved", "Quota reserved in ClusterQueue cq")],
            "has its quota of queue gpus",
        ),
        (
            [
                ("QuotaReserved", "True", "QuotaReserved", "Quota reserved in ClusterQueue cq"),
                ("Admitted", "True", "Admitted", "The workload is admitted"),
            ],
            "",
        ),
    ],
)
def test_the_conditions_are_one_line(told: list[tuple[str, str, str, str]], said: str) -> None:
    assert words(workload(*told)) == said


def test_the_checks_that_are_open_are_named() -> None:
    checks = [
        {"name": "budget", "state": "Ready", "message": ""},
        {"name": "machines", "state": "Pending", "message": "2 of 4 are there"},
        {"name": "license", "state": "Retry", "message": ""},
    ]
    reserved = ("QuotaReserved", "True", "QuotaReserved", "Quota reserved in ClusterQueue cq")
    assert words(workload(reserved, admissionChecks=checks)) == (
        "has its quota of queue gpus and waits for machines (2 of 4 are there), license (Retry)"
    )


def test_what_is_in_no_queue_waits_for_none() -> None:
    # another controller's gate is not Kueue's, and a label alone holds nothing back
    for outside in (place(gate="example.com/gate"), place(gate="")):
        assert outside.why(GATED) == ""
        assert outside.trouble("it") is None


def test_without_news_the_gate_tells() -> None:
    inside = place()
    assert inside.why({}) == "waits in queue gpus"
    assert inside.why(GATED) == "waits in queue gpus"
    assert inside.why({"conditions": [{"type": "PodScheduled", "status": "True"}]}) == ""
    inside.deaf()
    assert "one may not list workloads" in inside.why(GATED)


def test_a_queue_given_by_the_cluster_is_named_by_its_own_name() -> None:
    assert place(queue="default").why(GATED) == "waits in queue default"


def test_what_needs_a_queue_and_has_none_does_not_wait_for_ever() -> None:
    problem = place(queue=None).trouble("the hub of the session")
    assert problem is not None
    assert "namespace n" in str(problem)
    assert "LocalQueue 'default'" in problem.remedy


def test_what_was_taken_out_of_its_queue_is_told_with_who_did() -> None:
    inside = place()
    refused = {"name": "machines", "state": "Rejected", "message": "no such machines"}
    inside.happened(workload(active=True))
    assert inside.trouble("it") is None
    inside.happened(workload(active=False, admissionChecks=[refused]))
    assert "machines: no such machines" in str(inside.trouble("it"))


def test_what_a_pod_was_ended_for_is_told() -> None:
    preempted = {
        "type": "TerminationTarget",
        "status": "True",
        "reason": "WorkloadEvictedDueToPreempted",
        "message": "Preempted to accommodate a workload (UID: 8ec3d72c) due to prioritization in "
        "the ClusterQueue; preemptor path: /cq; preemptee path: /cq",
    }
    assert "Preempted to accommodate" in ending({"conditions": [preempted]})
    assert ending(GATED) == ""
