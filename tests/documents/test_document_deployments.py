"""What the documents declare is deployed in the order that they promise, observed by its times."""

from __future__ import annotations

from typing import Any

import pytest
from document_accounts import ACCOUNTS, BY_NAME, only

each = pytest.mark.parametrize("played", ACCOUNTS, indirect=True, ids=lambda a: a.name)

# when the turn of each came, and when it was done; since when it is on record
DEPLOY = """
deployment = flyte.deploy()
times = {name: (one.started, one.ended) for name, one in deployment.environments.items()}
after = {name: one.depends_on for name, one in deployment.environments.items()}
records = {one.record.name: one.record for one in flyte.deployments()}
"""


@pytest.fixture
def deployed(played: Any, request: pytest.FixtureRequest) -> Any:
    """A document whose environments are deployed, anew for each test."""
    if played.target == "local" and played.account.name == "depends-on":
        # what python:3.12 stands for there
        request.getfixturevalue("needs_python")("3.12")
    played.kernel.does(DEPLOY)
    return played


@each
def test_all_that_a_document_declares_is_deployed(deployed: Any) -> None:
    kernel = deployed.kernel
    assert kernel.value("deployment.ok")
    assert kernel.value("sorted(records)") == sorted(deployed.account.environments)
    assert kernel.value("{record.target for record in records.values()}") == {deployed.target}
    tasks = {
        name: sorted(f"{name}.{task}" for task in tasks)
        for name, tasks in deployed.account.environments.items()
    }
    assert kernel.value("{name: sorted(record.tasks) for name, record in records.items()}") == tasks


@each
def test_every_environment_begins_when_what_it_depends_on_has_ended(deployed: Any) -> None:
    times, after = deployed.kernel.value("times"), deployed.kernel.value("after")
    for name, dependencies in after.items():
        started, ended = times[name]
        assert started <= ended
        for dependency in dependencies:
            assert times[dependency][1] <= started, f"{name} began before {dependency} had ended"


@only("depends-on")
def test_base_is_deployed_before_ml_and_ml_before_api(deployed: Any) -> None:
    kernel = deployed.kernel
    assert kernel.value("(after['api'], after['ml'], after['base'])") == (("ml",), ("base",), ())
    moments = kernel.value("[moment for name in ('base', 'ml', 'api') for moment in times[name]]")
    assert moments == sorted(moments)
    recorded = kernel.value("[records[name].deployed for name in ('base', 'ml', 'api')]")
    assert recorded == sorted(recorded)
    assert len(set(recorded)) == 3


@only("alphafold")
def test_the_steps_of_alphafold_are_deployed_one_after_the_other(deployed: Any) -> None:
    kernel = deployed.kernel
    names = ("preprocessing", "alphafold", "visualization")
    recorded = kernel.value(f"[records[name].deployed for name in {names}]")
    assert recorded == sorted(recorded)


@each
def test_a_second_deployment_finds_nothing_to_do(deployed: Any) -> None:
    deployed.kernel.does("again = flyte.deploy()")
    assert deployed.kernel.value("{str(one.state) for one in again.environments.values()}") == {
        "cached"
    }


def test_an_environment_with_more_than_there_is_is_deployed_and_says_so(
    documents: Any, kernel: Any, target: str, request: pytest.FixtureRequest
) -> None:
    if target == "local":
        request.getfixturevalue("needs_python")("3.12")
    kernel.does("import flyte")
    kernel.does(documents[BY_NAME["depends-on"].digest].python[0])
    kernel.does("deployment = flyte.deploy(ml_env)")
    assert kernel.value("[(one.name, one.ok) for one in deployment.environments.values()]") == [
        ("base-utils", True),
        ("ml-training", True),
    ]
    # which nodes a cluster has, or will have when a task runs, is not for a deployment to say
    if target != "kubernetes":
        said = "any('2 × A100 of' in one for one in deployment['ml-training'].notes)"
        assert kernel.value(said)
