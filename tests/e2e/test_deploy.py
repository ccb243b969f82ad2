"""Environments are deployed in the order of depends_on, once, and again where they changed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter import catalog
from flyte_jupyter.deployment.result import State
from flyte_jupyter.session import session
from flyte_jupyter.session.deploy import deploy
from flyte_jupyter.session.deployments import deployments, rollback, standing, undeploy, versions
from flyte_jupyter.targets.local import LocalTarget

# the block of Flyte's page on several environments
SEED = """
    base_env = flyte.TaskEnvironment(name="base", image="python:3.12")
    ml_env = flyte.TaskEnvironment(name="ml", image="pytorch:latest", depends_on=[base_env])
    api_env = flyte.TaskEnvironment(name="api", image="fastapi:latest", depends_on=[ml_env])
"""
TASKS = """
    base = flyte.TaskEnvironment("base")
    ml = flyte.TaskEnvironment("ml", depends_on=[base])
    api = flyte.TaskEnvironment("api", depends_on=[ml])

    def doubled(x: int) -> int:
        return 2 * x

    @ml.task
    def train(x: int) -> int:
        return doubled(x)

    @api.task
    def serve(x: int) -> int:
        return x
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path) -> None:
    flyte.init(project=str(tmp_path))


@pytest.fixture(autouse=True)
def _own_names() -> None:
    """Forget what other tests have declared: tasks of an environment of a name here among it."""
    known = catalog.current()
    for name in [*known.tasks, *known.environments]:
        known.forget(name)


@pytest.fixture(params=["local", "docker"])
def _on_each(request: pytest.FixtureRequest) -> None:
    if request.param == "local":
        request.getfixturevalue("needs_python")("3.12")
    else:
        request.getfixturevalue("docker_engine")
        for image in ("python:3.12", "pytorch:latest", "fastapi:latest"):
            request.getfixturevalue("needs_image")(image)
    flyte.init(target=request.param)


def states(deployment: Any) -> dict[str, State]:
    return {name: one.state for name, one in deployment.environments.items()}


@pytest.mark.usefixtures("_on_each")
def test_the_observed_order_is_base_then_ml_then_api(cell: Any) -> None:
    book = cell(SEED)
    deployment = flyte.deploy(book.api_env)
    base, ml, api = (deployment[name] for name in ("base", "ml", "api"))
    assert all(one.ok for one in (base, ml, api))
    assert base.ended <= ml.started <= ml.ended <= api.started <= api.ended
    kept = {one.record.name: one.record.deployed for one in deployments()}
    assert kept["base"] < kept["ml"] < kept["api"]
    assert set(states(flyte.deploy(book.api_env)).values()) == {State.CACHED}


def test_only_what_changed_is_deployed_again(cell: Any) -> None:
    book = cell(TASKS)
    first = flyte.deploy(book.api)
    assert all(one.changes == ("new",) for one in first.environments.values())
    book = cell("""
        @ml.task
        def train(x: int) -> int:
            return doubled(x) + 1
    """)
    dry = flyte.deploy(book.api, dryrun=True)
    assert states(dry) == {"base": State.CACHED, "ml": State.DEPLOYED, "api": State.CACHED}
    assert "task train" in dry["ml"].changes[0]
    assert standing(["ml"])["ml"].word == "changed"  # the dry run has changed nothing
    again = flyte.deploy(book.api)
    assert states(again) == states(dry)
    assert again["base"].version == first["base"].version
    assert again["ml"].version != first["ml"].version
    assert standing(["ml"])["ml"].word == "deployed"


def test_what_has_changed_since_is_told(cell: Any) -> None:
    cell(TASKS)
    flyte.deploy("api")
    cell("""
        def doubled(x: int) -> int:
            return x + x

        ml = flyte.TaskEnvironment(
            "ml",
            image=flyte.Image.from_debian_base().with_pip_packages("pandas==2.2.3"),
            resources=flyte.Resources(cpu=1),
            depends_on=[base],
        )
    """)
    words = standing(["ml"])["ml"].sentence
    assert "changed since deployed: task train (" in words
    assert "package pandas==2.2.3 is new" in words
    assert "resources not set" in words
    assert standing(["base"])["base"].word == "deployed"


def test_a_failure_stops_what_comes_after_it_and_nothing_else(cell: Any) -> None:
    cell("""
        base = flyte.TaskEnvironment("base")
        broken = flyte.TaskEnvironment(
            "broken",
            image=flyte.Image.from_debian_base().with_pip_packages("no-such-package-anywhere"),
            depends_on=[base],
        )
        beside = flyte.TaskEnvironment("beside", depends_on=[base])
        after = flyte.TaskEnvironment("after", depends_on=[beside, broken])
        last = flyte.TaskEnvironment("last", depends_on=[after])
        also = flyte.TaskEnvironment("also", depends_on=[beside])
    """)
    with pytest.raises(flyte.errors.DeploymentError) as caught:
        flyte.deploy("last", "also")
    deployment = caught.value.deployment
    assert states(deployment) == {
        "base": State.DEPLOYED,
        "broken": State.FAILED,
        "beside": State.DEPLOYED,
        "after": State.SKIPPED,
        "last": State.SKIPPED,
        "also": State.DEPLOYED,
    }
    assert deployment["after"].why == "broken failed"
    assert "no-such-package-anywhere" in str(caught.value)
    assert {one.record.name for one in deployments()} == {"base", "beside", "also"}


def test_code_that_cannot_be_shipped_fails_its_environment_alone(cell: Any) -> None:
    cell("""
        import threading
        lock = threading.Lock()
        good = flyte.TaskEnvironment("good")
        bad = flyte.TaskEnvironment("bad")

        @good.task
        def fine() -> int:
            return 1

        @bad.task
        def holds() -> bool:
            return lock.locked()
    """)
    with pytest.raises(flyte.errors.DeploymentError, match="lock") as caught:
        flyte.deploy("good", "bad")
    assert states(caught.value.deployment) == {"good": State.DEPLOYED, "bad": State.FAILED}


def test_versions_can_be_named_and_rolled_back(cell: Any) -> None:
    cell(TASKS)
    flyte.deploy("ml", version="v1")
    cell("""
        @ml.task
        def train(x: int) -> int:
            return 0
    """)
    with pytest.raises(flyte.errors.DeploymentError, match="'v1' of ml was deployed with another"):
        flyte.deploy("ml", version="v1")
    flyte.deploy("ml", version="v2")
    assert [(one.version, one.current) for one in versions("ml")] == [("v2", True), ("v1", False)]
    assert rollback("ml").version == "v1"
    assert standing(["ml"])["ml"].record.version == "v1"
    assert rollback("ml", "v2").version == "v2"
    with pytest.raises(flyte.errors.NotFoundError, match="no version 'v3'"):
        rollback("ml", "v3")
    with pytest.raises(flyte.errors.NotFoundError, match="'mll' is not deployed; did you mean"):
        rollback("mll")


def test_what_is_taken_away_is_gone_with_all_versions(cell: Any, state: Path) -> None:
    cell(TASKS)
    flyte.deploy("api")
    gone = undeploy("ml", "api")
    assert {row.name for row in gone} == {"ml", "api"}
    assert [one.record.name for one in deployments()] == ["base"]
    with pytest.raises(flyte.errors.NotFoundError):
        undeploy("base", "api")
    assert [one.record.name for one in deployments()] == ["base"]


def test_a_name_that_was_deployed_from_elsewhere_is_taken_over_only_if_asked(
    cell: Any, tmp_path: Path, state: Path
) -> None:
    program = tmp_path / "other.py"
    program.write_text(
        textwrap.dedent(f"""
            import flyte_jupyter as flyte
            flyte.init(state={str(state)!r}, project={str(tmp_path)!r})
            flyte.deploy(flyte.TaskEnvironment("shared"))
            flyte.shut_down()
        """)
    )
    subprocess.run([sys.executable, str(program)], check=True, cwd=tmp_path)
    cell("shared = flyte.TaskEnvironment('shared', description='mine')")
    with pytest.raises(flyte.errors.DeploymentError, match="from elsewhere") as caught:
        flyte.deploy("shared")
    assert "other.py" in str(caught.value)
    assert flyte.deploy("shared", take_over=True).ok
    assert flyte.deploy("shared")["shared"].state is State.CACHED


def test_a_request_above_what_there_is_is_deployed_with_a_word(cell: Any) -> None:
    cell("""
        huge = flyte.TaskEnvironment("huge", resources=flyte.Resources(cpu=4000, gpu="A100:2"))
    """)
    deployment = flyte.deploy("huge")
    assert deployment.ok
    assert any("4000" in note for note in deployment["huge"].notes), deployment["huge"].notes


def test_a_wave_is_carried_out_side_by_side_after_the_one_before(
    cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell("""
        one = flyte.TaskEnvironment("one", description="first")
        two = flyte.TaskEnvironment("two", description="first")
        three = flyte.TaskEnvironment("three", description="second", depends_on=[one])
        four = flyte.TaskEnvironment("four", description="second", depends_on=[two])
    """)
    made = LocalTarget.prepare
    begun: list[str] = []
    meeting = asyncio.Barrier(2)

    async def prepare(self: Any, settings: Any, progress: Any) -> Any:
        begun.append(settings.description)
        async with asyncio.timeout(10):
            await meeting.wait()  # only who works beside another one gets past this
        return await made(self, settings, progress)

    monkeypatch.setattr(LocalTarget, "prepare", prepare)
    assert flyte.deploy("three", "four").ok
    assert begun == ["first", "first", "second", "second"]


def test_an_image_that_several_share_is_made_once(cell: Any, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text(str(tmp_path))  # no other test has made this image
    cell(f"""
        image = flyte.Image.from_debian_base().with_source_file({str(tmp_path / "file.txt")!r})
        envs = [flyte.TaskEnvironment(f"sharing-{{i}}", image=image) for i in range(4)]
    """)
    target = session.make_target("local")
    before = {one.name for one in asyncio.run(target.images())}
    deployment = flyte.deploy(*(f"sharing-{i}" for i in range(4)))
    assert len({one.digest for one in deployment.environments.values()}) == 1
    assert len({one.name for one in asyncio.run(target.images())} - before) == 1


def test_an_interrupt_ends_what_was_begun_and_keeps_what_was_done(
    cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell(TASKS)
    made, ended = LocalTarget.prepare, threading.Event()

    async def prepare(self: Any, settings: Any, progress: Any) -> Any:
        if settings.description != "slow":
            return await made(self, settings, progress)
        progress("is slow")
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(LocalTarget, "prepare", prepare)
    cell("ml = flyte.TaskEnvironment('ml', description='slow', depends_on=[base])")
    seen: list[Any] = []

    def watch(deployment: Any) -> None:
        seen[:] = [deployment]
        if deployment["ml"].progress:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deploy(["api"], watch=watch)
    assert ended.wait(10)
    assert states(seen[0]) == {
        "base": State.DEPLOYED,
        "ml": State.SKIPPED,
        "api": State.SKIPPED,
    }
    assert [one.record.name for one in deployments()] == ["base"]


def test_nothing_to_deploy_and_unknown_names_are_told() -> None:
    with pytest.raises(flyte.errors.NotFoundError, match="no environment is named 'nobody'"):
        flyte.deploy("nobody")
    with pytest.raises(flyte.errors.SpecTypeError, match="42 is"):
        flyte.deploy(42)


def test_a_circle_that_arose_by_declaring_again_is_named(cell: Any) -> None:
    cell("""
        first = flyte.TaskEnvironment("first")
        second = flyte.TaskEnvironment("second", depends_on=[first])
        third = flyte.TaskEnvironment("third")
        first = flyte.TaskEnvironment("first", depends_on=[third])
        third.add_dependency(flyte.TaskEnvironment("fourth"))
        fourth = flyte.TaskEnvironment("fourth", depends_on=[second])
    """)
    with pytest.raises(flyte.errors.CycleError) as caught:
        flyte.deploy("fourth")
    circle = ("first", "second", "third", "fourth")
    assert all(f"{name} depends on" in str(caught.value) for name in circle)


def test_flyte_s_own_way_to_look_at_a_deployment(cell: Any) -> None:
    cell(TASKS)
    deployments = flyte.deploy("api")
    assert deployments[0].summary_repr().endswith("3 deployed")
    rows = [dict(row) for row in deployments[0].table_repr()]
    assert [row["name"] for row in rows] == ["base", "ml", "api"]
    assert "wave 3  api" in repr(deployments)
