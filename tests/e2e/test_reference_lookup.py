"""Deployed tasks are found by name: in this project first, with an error that helps if not."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter import catalog
from flyte_jupyter.errors import EngineError, InputError, NotFoundError, SpecTypeError, TargetError

TASKS = """
    ml = flyte.TaskEnvironment(name="ml-training")
    tools = flyte.TaskEnvironment(name="tools")

    @ml.task
    async def train(rows: list[int], rate: float = 0.5, *, name: str | None = None) -> float:
        '''Train it.'''
        return {result}

    @tools.task
    def clean(rows: "list[int]"):
        return rows
"""


@pytest.fixture(autouse=True)
def _own_names() -> None:
    """Keep the declarations of other tests out of what is deployed here."""
    known = catalog.current()
    for name in list(known.environments):
        known.forget(name)


def deploy(cell: Any, result: float = 1.0, project: str | None = None, **options: Any) -> None:
    if project is not None:
        flyte.init(project=project)
    book = cell(TASKS.format(result=result))
    flyte.deploy(book.ml, book.tools, **options)


def test_it_says_what_it_is(cell: Any) -> None:
    deploy(cell, version="v1")
    train = flyte.reference_task("ml-training.train")
    signature = "(rows: list[int], rate: float = 0.5, *, name: str | None = None) -> float"
    assert str(train.signature) == signature
    assert (train.name, train.version, train.target) == ("ml-training.train", None, "local")
    assert train.project == os.getcwd()
    text = repr(train)
    said = "version the current one (v1 when this was made); project "
    assert text.startswith(f"<ReferenceTask ml-training.train{signature}: {said}")
    assert train.place.when in text
    html = train._repr_html_()
    for part in ("Deployed task ml-training.train", "v1", "Train it.", os.getcwd()):
        assert part in html
    again = flyte.reference_task("ml-training.train", version="v1").override(retries=2)
    assert repr(again).startswith(f"<ReferenceTask ml-training.train{signature} with retries=")
    assert ": version v1; " in repr(again)
    assert "retries (override)" in again._repr_html_()
    assert str(flyte.reference_task("tools.clean").signature) == "(rows: list[int])"


def test_nothing_deployed_says_how_to_deploy() -> None:
    with pytest.raises(NotFoundError) as caught:
        flyte.reference_task("ml-training.train")
    assert str(caught.value) == (
        "no task 'ml-training.train' is deployed: nothing is.\n"
        "Deploy its environment in its own notebook: flyte.deploy(environment)."
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ml_training.train", "ml-training.train"),
        ("ml-training.trian", "ml-training.train"),
        ("train", "ml-training.train"),
        ("clean", "tools.clean"),
    ],
)
def test_a_wrong_name_is_told_the_right_one(cell: Any, name: str, meant: str) -> None:
    deploy(cell)
    with pytest.raises(NotFoundError) as caught:
        flyte.reference_task(name)
    assert str(caught.value) == (
        f"no task {name!r} is deployed; did you mean {meant!r}?\n"
        "Deployed are ml-training.train and tools.clean."
    )


def test_a_version_that_is_gone_names_those_that_are_there(cell: Any) -> None:
    deploy(cell, 1.0, version="v1")
    deploy(cell, 2.0, version="v2")
    with pytest.raises(NotFoundError) as caught:
        flyte.reference_task("ml-training.train", version="v3")
    assert caught.value.sentence.startswith("ml-training.train has no version 'v3'")
    assert caught.value.remedy == "Of ml-training there are v2 and v1."


def test_a_version_without_the_task_is_none_of_it(cell: Any) -> None:
    deploy(cell, version="v1")
    catalog.current().forget("ml-training.train")
    book = cell("""
        @ml.task
        def other() -> int:
            return 1
    """)
    flyte.deploy(book.ml, version="v2")
    assert flyte.reference_task("ml-training.train", version="v1").version == "v1"
    with pytest.raises(NotFoundError):
        flyte.reference_task("ml-training.train")


def test_this_project_comes_first_then_the_only_other_one(cell: Any, tmp_path: Path) -> None:
    mine, other, third = (str(tmp_path / name) for name in ("mine", "other", "third"))
    deploy(cell, 1.0, other)
    flyte.init(project=mine)
    assert flyte.reference_task("ml-training.train").project == other
    deploy(cell, 2.0, mine)
    assert flyte.reference_task("ml-training.train").project == mine
    named = flyte.reference_task("ml-training.train", project=other)
    assert flyte.run(named, [1]).result() == 1.0
    flyte.init(project=third)
    with pytest.raises(NotFoundError) as caught:
        flyte.reference_task("ml-training.train")
    assert caught.value.sentence == (
        f"ml-training.train is deployed in several projects: {mine} and {other}."
    )
    assert caught.value.remedy == (
        f"Say which: reference_task('ml-training.train', project={mine!r})."
    )
    with pytest.raises(NotFoundError, match=f"is deployed in {third}: nothing is"):
        flyte.reference_task("ml-training.train", project=third)


def test_two_references_to_two_projects_are_two_tasks(cell: Any, tmp_path: Path) -> None:
    one, other = (str(tmp_path / name) for name in ("one", "other"))
    deploy(cell, 1.0, one)
    deploy(cell, 2.0, other)
    book = cell(f"""
        first = flyte.reference_task("ml-training.train", project={one!r})
        second = flyte.reference_task("ml-training.train", project={other!r})

        @env.task
        async def both() -> list[float]:
            return [await first([]), await second([])]
    """)
    assert flyte.run(book.both).result() == [1.0, 2.0]


def test_the_default_target_comes_first_then_the_only_other_one(
    cell: Any, docker_engine: Any
) -> None:
    book = cell("""
        ml = flyte.TaskEnvironment(name="ml-training")

        @ml.task
        def where() -> str:
            import socket
            return socket.gethostname()
    """)
    flyte.deploy(book.ml, target="docker")
    assert flyte.reference_task("ml-training.where").target == "docker"
    flyte.deploy(book.ml, target="local")
    assert flyte.reference_task("ml-training.where").target == "local"
    flyte.init(target="docker")
    assert flyte.reference_task("ml-training.where").target == "docker"
    flyte.init(target="local")
    book = cell("""
        here = flyte.reference_task("ml-training.where", target="local")
        there = flyte.reference_task("ml-training.where", target="docker")

        @env.task
        async def both() -> list[str]:
            return [await here.aio(), await there.aio()]
    """)
    found = flyte.run(book.both).result()
    assert [name == socket.gethostname() for name in found] == [True, False]
    flyte.shut_down()


def test_what_is_no_name_and_no_target_is_said() -> None:
    with pytest.raises(SpecTypeError, match="3 is an int; name a deployed task"):
        flyte.reference_task(3)  # type: ignore[arg-type]
    with pytest.raises(TargetError, match="There is no target 'dokcer'; did you mean 'docker'"):
        flyte.reference_task("a.b", target="dokcer")


def test_a_reference_cannot_be_deployed(cell: Any) -> None:
    deploy(cell)
    with pytest.raises(SpecTypeError) as caught:
        flyte.deploy(flyte.reference_task("ml-training.train"))
    assert str(caught.value) == (
        "ml-training.train is deployed already, and its code is not here.\n"
        "Deploy its environment where it is declared."
    )


# Flyte's own names


def test_flytes_names_give_the_same(cell: Any) -> None:
    import asyncio

    deploy(cell, version="v1")
    remote = flyte.remote.Task.get("ml-training.train", project=os.getcwd(), domain="development")
    assert isinstance(remote, flyte.ReferenceTask)
    assert remote.fetch() is remote
    assert flyte.run(remote, [1]).result() == 1.0
    assert flyte.remote.Task.get("ml-training.train", version="v1").version == "v1"
    for word in ("latest", "current"):
        assert flyte.remote.Task.get("ml-training.train", auto_version=word).version is None
    got = asyncio.run(flyte.remote.Task.get.aio("ml-training.train", auto_version="latest"))
    assert got.name == "ml-training.train"
    with pytest.raises(InputError, match=r"neither 'latest' nor 'current'; did you mean 'latest'"):
        flyte.remote.Task.get("ml-training.train", auto_version="lastest")
    with pytest.raises(InputError, match="exclude each other"):
        flyte.remote.Task.get("ml-training.train", version="v1", auto_version="latest")


@pytest.mark.parametrize(
    ("head", "call"),
    [
        ("import flyte_jupyter.remote", "flyte_jupyter.remote.Task.get('ml-training.train')"),
        ("from flyte_jupyter.remote import Task", "Task.get('ml-training.train')"),
        ("from flyte_jupyter import remote", "remote.Task.get('ml-training.train')"),
        ("", "flyte.remote.Task.get('ml-training.train')"),
        ("", "flyte.reference_task('ml-training.train')"),
        ("from flyte_jupyter import reference_task", "reference_task('ml-training.train')"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_reference_is_made_outside_of_tasks(
    cell: Any, head: str, call: str, inside: bool
) -> None:
    book = cell(f"""
        {"" if inside else head}

        @env.task
        def look() -> int:
            {head if inside else ""}
            {call}
    """)
    with pytest.raises(EngineError) as caught:
        flyte.run(book.look).result()
    assert "'ml-training.train' cannot be looked up inside a task" in caught.value.sentence
    assert caught.value.remedy.startswith("Make the reference outside the task")
