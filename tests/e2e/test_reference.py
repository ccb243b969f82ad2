"""Deployed tasks are run and called by their names, without their code and packages."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter import catalog
from flyte_jupyter.errors import (
    DeploymentError,
    EngineError,
    InputError,
    InputTypeError,
    NotFoundError,
    SecretError,
)
from flyte_jupyter.session.history import find_run

ROWS = """
    from dataclasses import dataclass

    ml = flyte.TaskEnvironment(name="ml-training")

    @dataclass
    class Row:
        x: int

    @ml.task
    def make(x: int) -> Row:
        return Row(x)

    @ml.task
    def read(row: Row) -> int:
        return row.x
"""

TRAINING = """
    ml = flyte.TaskEnvironment(name="ml-training")

    @ml.task
    def double(x: int) -> int:
        return 2 * x

    @ml.task
    async def train(rows: list[int], rate: float = 0.5) -> float:
        doubled = [await double.aio(one) for one in rows]
        return sum(doubled) * rate
"""
SCALE = """
    ml = flyte.TaskEnvironment(name="ml-training")

    @ml.task
    def scale(x: int) -> int:
        return {factor} * x
"""

OtherKernel = Callable[[str], Any]


@pytest.fixture(autouse=True)
def _own_names() -> None:
    """Keep the declarations of other tests out of what is deployed here."""
    known = catalog.current()
    for name in list(known.environments):
        known.forget(name)


@pytest.fixture
def other_kernel(tmp_path: Path, state: Path) -> OtherKernel:
    """A function that runs a program in a process and a folder of its own, and returns its JSON.

    The process has the same state folder and nothing else of the notebook.
    """

    def run(source: str) -> Any:
        folder = tmp_path / "elsewhere"
        folder.mkdir(exist_ok=True)
        program = folder / "program.py"
        head = "import json\nimport flyte_jupyter as flyte\n"
        head += f"flyte.init(state={str(state)!r})\n"
        program.write_text(head + textwrap.dedent(source) + "\nflyte.shut_down()\n")
        done = subprocess.run(
            [sys.executable, "-W", "error", str(program)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stderr == ""
        return json.loads(done.stdout)

    return run


def deploy(cell: Any, source: str, **options: Any) -> Any:
    book = cell(source)
    flyte.deploy(book.ml, **options)
    return book


# Running


def test_a_deployed_task_is_run_by_its_name(cell: Any) -> None:
    deploy(cell, TRAINING)
    train = flyte.reference_task("ml-training.train")
    assert flyte.run(train, [1, 2, 3]).outputs() == (6.0,)
    assert flyte.with_runcontext(name="mine").run(train, rows=[1], rate=2.0).outputs() == (4.0,)


async def awaited(task: Any, *args: Any) -> Any:
    run = await flyte.run.aio(task, *args)
    return await run.outputs.aio()


def test_it_is_run_in_asynchronous_code(cell: Any) -> None:
    import asyncio

    deploy(cell, TRAINING)
    assert asyncio.run(awaited(flyte.reference_task("ml-training.train"), [2])) == (2.0,)


def test_it_is_mapped(cell: Any) -> None:
    deploy(cell, TRAINING)
    double = flyte.reference_task("ml-training.double")
    assert list(flyte.map(double, range(5))) == [0, 2, 4, 6, 8]


def test_a_task_calls_maps_and_gathers_it(cell: Any) -> None:
    deploy(cell, TRAINING)
    book = cell("""
        import asyncio

        train, twice = flyte.reference_tasks("ml-training.train", "ml-training.double")

        @env.task
        async def several() -> list[float]:
            return await asyncio.gather(train([1]), train([2], rate=1.0), twice.aio(4))

        @env.task
        def mapped(n: int) -> list[int]:
            return list(flyte.map(twice, range(n)))
    """)
    assert flyte.run(book.several).outputs() == ([1.0, 4.0, 8],)
    assert flyte.run(book.mapped, 3).outputs() == ([0, 2, 4],)


def test_another_kernel_needs_neither_its_code_nor_its_packages(
    cell: Any, other_kernel: OtherKernel
) -> None:
    deploy(
        cell,
        """
        import numpy

        ml = flyte.TaskEnvironment(
            name="ml-training", image=flyte.Image.from_debian_base().with_pip_packages("numpy")
        )

        @ml.task
        def total(x: int) -> int:
            return int(numpy.arange(x).sum())

        @ml.task
        def make(x: int):
            return numpy.arange(x)

        @ml.task
        def last(array) -> int:
            return int(array[-1])
        """,
    )
    alone, called, passed_on, kind = other_kernel(f"""
        import sys
        sys.modules["numpy"] = None  # to import it fails

        total, make, last = flyte.reference_tasks(
            *("ml-training." + name for name in ("total", "make", "last")),
            project={os.getcwd()!r},
        )
        env = flyte.TaskEnvironment(name="caller", image=flyte.Image.from_debian_base())

        @env.task
        async def call(x: int) -> tuple[int, bool]:
            try:
                import numpy
            except ImportError:
                return await total.aio(x), True
            return await total.aio(x), False

        @env.task
        async def pass_on(x: int) -> int:
            return await last.aio(await make.aio(x))

        value = flyte.run(make, 3).result()
        print(json.dumps([
            flyte.run(total, 5).result(),
            flyte.run(call, 5).result(),
            flyte.run(pass_on, 7).result(),
            type(value).__name__,
        ]))
    """)
    assert (alone, called, passed_on) == (10, [10, True], 6)
    assert kind == "Opaque"


def test_included_files_are_those_of_the_deployment(
    cell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = tmp_path / "words.txt"
    words.write_text("one two")
    deploy(
        cell,
        """
        ml = flyte.TaskEnvironment(name="ml-training", include=["words.txt"])

        @ml.task
        def read() -> str:
            return open("words.txt").read()
        """,
    )
    words.unlink()
    assert flyte.run(flyte.reference_task("ml-training.read")).outputs() == ("one two",)


def test_a_class_that_is_not_here_is_a_handle_and_one_that_is_here_is_itself(
    cell: Any, other_kernel: OtherKernel
) -> None:
    book = deploy(
        cell,
        ROWS,
    )
    row = flyte.run(flyte.reference_task("ml-training.make"), 3).result()
    assert row == book.Row(3)
    assert type(row) is book.Row
    found = other_kernel(f"""
        from dataclasses import dataclass

        make, read = flyte.reference_tasks(
            "ml-training.make", "ml-training.read", project={os.getcwd()!r}
        )

        @dataclass
        class Row:
            other: str

        row = flyte.run(make, 3).result()
        print(json.dumps([type(row).__name__, flyte.run(read, row).result()]))
    """)
    assert found == ["Opaque", 3]


def test_a_task_that_has_another_class_of_that_name_gets_a_handle_too(cell: Any) -> None:
    deploy(
        cell,
        ROWS,
    )
    book = cell("""
        make, read = flyte.reference_tasks("ml-training.make", "ml-training.read")

        @env.task
        def same(x: int) -> bool:
            row = make(x)
            return row == Row(x) and type(row) is Row
    """)
    assert flyte.run(book.same, 3).result() is True
    book = cell("""
        @dataclass
        class Row:
            other: str

        @env.task
        def other(x: int) -> list:
            row = make(x)
            return [type(row).__name__, read(row), Row("mine").other]
    """)
    assert flyte.run(book.other, 3).result() == ["Opaque", 3, "mine"]


def test_an_asynchronous_body_awaits_it_whatever_it_is(cell: Any) -> None:
    deploy(cell, TRAINING)
    book = cell("""
        train, double = flyte.reference_tasks("ml-training.train", "ml-training.double")

        @env.task
        async def awaits() -> list[float]:
            return [await train([1]), await double(1), await double.aio(2)]

        @env.task
        def waits() -> list[float]:
            return [train([1]), double(1)]
    """)
    assert flyte.run(book.awaits).result() == [1.0, 2, 4]
    assert flyte.run(book.waits).result() == [1.0, 2]


def test_an_exception_whose_class_is_not_here_has_its_name(
    cell: Any, other_kernel: OtherKernel
) -> None:
    deploy(
        cell,
        """
        ml = flyte.TaskEnvironment(name="ml-training")

        class OutOfRowsError(Exception):
            pass

        @ml.task
        def fail() -> int:
            raise OutOfRowsError("none are left")
        """,
    )
    found = other_kernel(f"""
        fail = flyte.reference_task("ml-training.fail", project={os.getcwd()!r})
        try:
            flyte.run(fail).result()
        except flyte.errors.RuntimeUserError as error:
            print(json.dumps([error.code, error.sentence]))
    """)
    assert found == ["OutOfRowsError", "none are left"]


def test_secrets_are_looked_up_at_the_call(cell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "then")
    deploy(
        cell,
        """
        ml = flyte.TaskEnvironment(name="ml-training", secrets="token")

        @ml.task
        def use() -> str:
            import os
            return os.environ["TOKEN"]
        """,
    )
    use = flyte.reference_task("ml-training.use")
    monkeypatch.setenv("TOKEN", "now")
    assert flyte.run(use).outputs() == ("now",)
    monkeypatch.delenv("TOKEN")
    with pytest.raises(SecretError, match="ml-training needs the secret 'token'"):
        flyte.run(use)


def test_a_run_and_an_override_have_their_say(cell: Any) -> None:
    deploy(
        cell,
        """
        ml = flyte.TaskEnvironment(name="ml-training", env_vars={"A": "deployed", "B": "deployed"})

        @ml.task
        def look() -> list[str]:
            import os
            return [os.environ.get(name, "") for name in "ABC"]
        """,
    )
    look = flyte.reference_task("ml-training.look")
    mine = look.override(env_vars={"B": "override"}, short_name="peek")
    assert isinstance(mine, flyte.ReferenceTask)
    run = flyte.with_runcontext(env_vars={"C": "run"}).run(mine)
    assert run.result() == ["deployed", "override", "run"]
    assert run.name.startswith("peek-")
    book = cell("""
        look = flyte.reference_task("ml-training.look")

        @env.task
        async def call() -> list[list[str]]:
            return [
                await look.override(env_vars={"B": "override"}).aio(),
                await look.with_overrides(env_vars={"B": "other"}),
                await look.aio(),
            ]
    """)
    assert flyte.run(book.call).result() == [
        ["deployed", "override", ""],
        ["deployed", "other", ""],
        ["deployed", "deployed", ""],
    ]


def test_it_runs_where_it_was_deployed_unless_the_run_says_where(
    cell: Any, docker_engine: Any, nothing_left: None
) -> None:
    deploy(
        cell,
        """
        ml = flyte.TaskEnvironment(name="ml-training")

        @ml.task
        def where() -> str:
            import socket
            return socket.gethostname()
        """,
        target="docker",
    )
    book = cell("""
        where = flyte.reference_task("ml-training.where")

        @env.task
        async def both() -> list[str]:
            return [await where.aio(), await where.override(target="local").aio()]
    """)
    assert book.where.target == "docker"
    run = flyte.run(book.where)
    here = socket.gethostname()
    assert (run.target, run.result() == here) == ("docker", False)
    run = flyte.with_runcontext(target="local").run(book.where)
    assert (run.target, run.result() == here) == ("local", True)
    assert [name == here for name in flyte.run(book.both).result()] == [False, True]
    flyte.shut_down()


def test_a_file_beside_the_notebook_refers_to_it_too(
    cell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "helpers_of_mine", None)  # it goes with the test
    del sys.modules["helpers_of_mine"]
    deploy(cell, TRAINING)
    (tmp_path / "helpers_of_mine.py").write_text(
        textwrap.dedent("""
            import flyte_jupyter as flyte

            double = flyte.reference_task("ml-training.double")
            again = flyte.remote.Task.get("ml-training.double", auto_version="latest")

            def quadruple(x):
                return double(double(x)) + 0 * again(x)
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    book = cell("""
        import helpers_of_mine
        from helpers_of_mine import double

        @env.task
        def call(x: int) -> int:
            return helpers_of_mine.quadruple(x) + double(x)
    """)
    assert flyte.run(book.call, 1).result() == 6


def test_the_body_of_a_cell_calls_it(cell: Any) -> None:
    deploy(cell, TRAINING)
    book = cell('double = flyte.reference_task("ml-training.double")')
    run = flyte.run_cell("y = double(4)\ny + 1", vars(book))
    assert run.result()["assigned"] == {"y": 8}


# Inputs


def test_inputs_are_checked_before_anything_runs(
    cell: Any, journal: Callable[..., list[tuple[Any, ...]]]
) -> None:
    deploy(cell, TRAINING)
    double = flyte.reference_task("ml-training.double")
    with pytest.raises(InputError, match=r"double\(\) has no input 'y'"):
        flyte.run(double, y=1)
    with pytest.raises(InputTypeError, match=r"Input 'x' of double\(\)"):
        flyte.run(double, "three")
    book = cell("""
        double = flyte.reference_task("ml-training.double")

        @env.task
        async def call() -> int:
            return await double.aio("three")
    """)
    with pytest.raises(InputTypeError, match=r"Input 'x' of double\(\)"):
        flyte.run(book.call).result()
    assert journal("SELECT task FROM actions") == [("env.call",)]


def test_a_call_outside_a_run_says_what_to_do(cell: Any) -> None:
    deploy(cell, TRAINING)
    train, double = flyte.reference_tasks("ml-training.train", "ml-training.double")
    for call in (lambda: double(1), lambda: double.aio(1), lambda: train([1])):
        with pytest.raises(EngineError) as caught:
            call()
        assert "is a deployed task, whose code is not here" in caught.value.sentence
        assert "flyte.run(reference, ...)" in caught.value.remedy


# Versions


def test_a_reference_follows_the_current_deployment(cell: Any) -> None:
    deploy(cell, SCALE.format(factor=2))
    scale = flyte.reference_task("ml-training.scale")
    assert flyte.run(scale, 1).result() == 2
    deploy(cell, SCALE.format(factor=3))
    assert flyte.run(scale, 1).result() == 3
    flyte.rollback("ml-training")
    assert flyte.run(scale, 1).result() == 2


def test_a_reference_to_a_version_stays_and_tells_of_a_newer_one_once(cell: Any) -> None:
    deploy(cell, SCALE.format(factor=2), version="v1")
    deploy(cell, SCALE.format(factor=3), version="v2")
    scale = flyte.reference_task("ml-training.scale", version="v1")
    runs = [flyte.run(scale, 1) for _ in range(2)]
    assert [run.result() for run in runs] == [2, 2]
    notes = [one.data["text"] for run in runs for one in run.events() if one.kind == "note"]
    assert notes == ["ml-training.scale: version v1 is called; the current one is v2."]


def test_versions_of_one_task_and_a_task_of_that_name_live_in_one_run(cell: Any) -> None:
    deploy(cell, SCALE.format(factor=2), version="v1")
    deploy(cell, SCALE.format(factor=3), version="v2")
    book = cell(SCALE.format(factor=5))
    book = cell("""
        first = flyte.reference_task("ml-training.scale", version="v1")
        second = flyte.reference_task("ml-training.scale", version="v2")
        current = flyte.reference_task("ml-training.scale")

        @env.task
        async def call() -> list[int]:
            return [await one.aio(1) for one in (first, second, current, scale)]
    """)
    run = flyte.run(book.call)
    assert run.result() == [2, 3, 3, 5]
    names = [one.task for one in run.actions[1:]]
    assert names[1] == names[2] != names[0]
    assert names[3] == "ml-training.scale"
    assert all(name.startswith("ml-training.scale@") for name in names[:3])


def test_a_changed_signature_is_refused_before_anything_runs(cell: Any) -> None:
    deploy(cell, SCALE.format(factor=2))
    scale = flyte.reference_task("ml-training.scale")
    book = cell("""
        scale = flyte.reference_task("ml-training.scale")

        @env.task
        async def call() -> int:
            return await scale.aio(1)
    """)
    version = flyte.deploy(
        cell("""
        @ml.task
        async def scale(x: float, factor: int = 4) -> float:
            return factor * x
        """).ml
    )["ml-training"].version
    book.scale = scale
    for task in (scale, book.call):
        with pytest.raises(DeploymentError) as caught:
            flyte.run(task, 1) if task is scale else flyte.run(task)
        assert str(caught.value) == (
            f"ml-training.scale was deployed again as version {version}, with another signature.\n"
            "  then: def scale(x: int) -> int\n"
            "  now:  async def scale(x: float, factor: int = 4) -> float\n"
            "Run reference_task('ml-training.scale') again, and give it what it takes now."
        )
    assert flyte.run(flyte.reference_task("ml-training.scale"), 1.5).result() == 6.0


def test_another_default_and_another_body_are_no_other_signature(cell: Any) -> None:
    deploy(cell, TRAINING)
    train = flyte.reference_task("ml-training.train")
    deploy(cell, TRAINING.replace("rate: float = 0.5", "rate: float = 2.0"))
    assert flyte.run(train, [1]).result() == 4.0


def test_what_is_taken_away_is_not_run_any_more(cell: Any) -> None:
    deploy(cell, TRAINING)
    train = flyte.reference_task("ml-training.train")
    flyte.undeploy("ml-training")
    with pytest.raises(NotFoundError) as caught:
        flyte.run(train, [1])
    assert caught.value.sentence == (
        f"ml-training.train is not deployed any more in {os.getcwd()} on local."
    )


def test_a_deployed_task_keeps_the_deployed_tasks_that_it_calls(cell: Any) -> None:
    deploy(cell, SCALE.format(factor=2))
    book = cell("""
        scale = flyte.reference_task("ml-training.scale")
        app = flyte.TaskEnvironment(name="app")

        @app.task
        async def serve(x: int) -> int:
            return await scale.aio(x) + 1
    """)
    flyte.deploy(book.app)
    serve = flyte.reference_task("app.serve")
    assert flyte.run(serve, 1).result() == 3
    deploy(cell, SCALE.format(factor=3))
    flyte.undeploy("ml-training")
    assert flyte.run(serve, 1).result() == 3


def test_a_deployed_task_that_calls_itself_and_others_in_a_circle_runs(cell: Any) -> None:
    deploy(
        cell,
        """
        ml = flyte.TaskEnvironment(name="ml-training")

        @ml.task
        async def even(n: int) -> bool:
            return n == 0 or await odd(n - 1)

        @ml.task
        async def odd(n: int) -> bool:
            return n != 0 and await even(n - 1)
        """,
    )
    assert flyte.run(flyte.reference_task("ml-training.even"), 4).result() is True


# Displays and history


def test_explain_says_what_is_deployed_and_where_it_runs(cell: Any) -> None:
    book = deploy(cell, TRAINING, version="v1")
    train = flyte.reference_task("ml-training.train")
    page = flyte.explain(train, [1], target="local")
    assert page.ok
    text = str(page)
    assert "async def train(rows: list[int], rate: float = 0.5) -> float" in text
    assert f"version v1 of {os.getcwd()}, deployed " in text
    assert "ml-training.double@" in text
    assert "rows: " in text
    wrong = flyte.explain(train, ["one"])
    assert [type(one) for one in wrong.errors] == [InputTypeError]
    flyte.undeploy("ml-training")
    assert [type(one) for one in flyte.explain(train).errors] == [NotFoundError]
    book.train = train
    cell("""
        @env.task
        def call() -> float:
            return train([1])
    """)
    assert [type(one) for one in flyte.explain(book.call).errors] == [NotFoundError]


def test_logs_are_found_by_the_name_of_the_task(cell: Any) -> None:
    deploy(cell, TRAINING)
    run = flyte.run(flyte.reference_task("ml-training.train"), [1])
    run.wait()
    flyte.shut_down()
    for word in ("train", "ml-training.train", run.task_name, run.task_name.partition(".")[2]):
        found, part = find_run((word,))
        assert (found.name, part) == (run.name, word)
    for word in ("double", "ml-training.double"):
        assert find_run((word,))[0].name == run.name
