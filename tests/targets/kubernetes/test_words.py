"""What the cluster writes, read as what it means: the words that it wrote in runs of the tests."""

from __future__ import annotations

from typing import Any

import pytest

from flyte_jupyter.cluster.api import ApiError
from flyte_jupyter.diagnose import ExitRecord, Facts, diagnose
from flyte_jupyter.diagnose.pods import POD_ENDS
from flyte_jupyter.errors import RuntimeSystemError, RuntimeUserError
from flyte_jupyter.targets.kubernetes.creation import quota_of
from flyte_jupyter.targets.kubernetes.ends import end_of
from flyte_jupyter.targets.kubernetes.nodes import Nodes
from flyte_jupyter.targets.kubernetes.refusals import refused
from flyte_jupyter.targets.kubernetes.scheduling import Asked, no_node

GPU = "nvidia.com/gpu"
HAS = Nodes(accelerators={"T4": 4}, largest={"cpu": 2000, "memory": 1 << 30})
TAIL = ". no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims"


@pytest.mark.parametrize(
    ("said", "asked", "words"),
    [
        (
            f"0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory{TAIL}",
            Asked({"cpu": "64000m", "memory": "4294967296"}),
            "none has 64 cpu and 4Gi of memory free; the largest node has 2 cpu; the largest node "
            "has 1Gi of memory (1 Insufficient cpu, 1 Insufficient memory)",
        ),
        (
            f"0/3 nodes are available: 3 Insufficient {GPU}{TAIL}",
            Asked({GPU: "3"}, "A100"),
            f"none has 3 {GPU} of type A100 free; the nodes have 4 × T4 (3 Insufficient {GPU})",
        ),
        (
            f"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector{TAIL}",
            Asked({GPU: "3"}, "A100"),
            "no node offers 3 × A100; the nodes have 4 × T4 "
            "(1 node(s) didn't match Pod's node affinity/selector)",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint(s) "
            "{node.kubernetes.io/unreachable: }",
            Asked({}),
            "the nodes are not ready "
            "(1 node(s) had untolerated taint(s) {node.kubernetes.io/unreachable: })",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {team: blue}",
            Asked({}),
            "what is kept for others may not be taken (taint team: blue) "
            "(1 node(s) had untolerated taint {team: blue})",
        ),
        ("no words that are known", Asked({}), "no words that are known"),
    ],
)
def test_the_scheduler_is_put_in_plain_words(said: str, asked: Asked, words: str) -> None:
    assert no_node(said, asked, HAS) == f"waits for a node: {words}"


def target(reason: str) -> dict[str, Any]:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "why"}
    return {"phase": "Failed", "conditions": [condition]}


def terminated(code: int, reason: str = "Error", **status: Any) -> dict[str, Any]:
    state = {"terminated": {"exitCode": code, "reason": reason}}
    return {"containerStatuses": [{"state": state}], **status}


LOW = "The node was low on resource: memory. Threshold quantity: 200Mi, available: 190Mi. "
FULL = 'Container primary exceeded its local ephemeral storage limit "16Mi". '


@pytest.mark.parametrize(
    ("status", "cause", "lost"),
    [
        (terminated(137, "OOMKilled"), "memory", False),
        (terminated(137, reason="Error", message=FULL), "disk", False),
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, "deadline", False),
        ({"phase": "Failed", "reason": "Evicted", "message": LOW}, "evicted", True),
        (target("EvictionByEvictionAPI"), "drained", True),
        (target("PreemptionByScheduler"), "preempted", True),
        (target("DeletionByTaintManager"), "node", True),
        (target("DeletionByPodGC"), "node", True),
        (target("TerminationByKubelet"), "evicted", True),
        (terminated(137), "killed", True),
        (terminated(143), "killed", True),
        (terminated(71), "stream", True),
        (terminated(1), "stream", True),
        ({}, "removed", True),
    ],
)
def test_how_a_pod_has_ended(status: dict[str, Any], cause: str, lost: bool) -> None:
    end = end_of("pod-1", status, "", removed=False)
    assert (end.cause, end.lost) == (cause, lost)


@pytest.mark.parametrize("cause", POD_ENDS)
def test_each_end_of_a_pod_is_an_error_of_its_own(cause: str) -> None:
    error = diagnose(Facts("env.task", ExitRecord(cause=cause, lost=True), None, "kubernetes"))
    assert isinstance(error, RuntimeUserError if POD_ENDS[cause].user else RuntimeSystemError)
    assert error.code == POD_ENDS[cause].code
    assert "env.task" in error.sentence


QUOTA = (
    'pods "x" is forbidden: exceeded quota: few, requested: limits.memory=2Gi,pods=1, '
    "used: limits.memory=1536Mi,pods=3, limited: limits.memory=3Gi,pods=3"
)


def test_a_quota_that_has_no_room_now_may_have_it_later() -> None:
    quota = quota_of(QUOTA)
    assert quota is not None
    assert quota.never() == []
    assert quota.words().endswith("pods: 1 asked for, 3 of 3 taken")


def test_a_quota_that_is_smaller_than_what_is_asked_for_never_has_room() -> None:
    quota = quota_of(QUOTA.replace("limits.memory=3Gi,pods=3", "limits.memory=2Gi,pods=1"))
    assert quota is not None
    assert quota.never() == ["limits.memory", "pods"]  # the hub has a part of each


@pytest.mark.parametrize(
    ("status", "sentence", "words"),
    [
        (401, "Unauthorized", "does not know who you are"),
        (
            403,
            'pods "x" is forbidden: unable to create new content in namespace lab because it is '
            "being terminated",
            "The namespace lab is being deleted",
        ),
        (404, 'namespaces "lab" not found', "The cluster has no namespace lab"),
        (
            403,
            'pods is forbidden: User "me" cannot create resource "pods" in API group ""',
            "You may not make the pod x",
        ),
        (
            422,
            'Pod "x" is invalid: spec.dnsPolicy: Unsupported value: "Never"',
            "its spec.dnsPolicy is not valid",
        ),
        (
            403,
            'pods "x" is forbidden: error looking up service account lab/bot: serviceaccount "bot" '
            "not found",
            "The namespace has no service account bot",
        ),
        (409, "something new", "The cluster refuses the pod x"),
    ],
)
def test_a_refusal_says_what_to_change(status: int, sentence: str, words: str) -> None:
    error = refused("the pod x", ApiError(status, "Reason", sentence))
    assert words in error.sentence
    assert sentence in error.evidence[0]
    assert error.remedy
