"""Deployed tasks in a notebook: run by magics, imported under Flyte's names, shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.errors import InputTypeError
from flyte_jupyter.launching.interfaces import annotations_for
from flyte_jupyter.notebook.command import read_command
from flyte_jupyter.notebook.splitting import split


@pytest.fixture
def deployed(cell: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A function that executes a cell beside a deployed task, of which only a reference is left."""
    flyte.init(state=tmp_path / "state", project=str(tmp_path))
    assert cell(
        "%%flyte_env ml-training\n"
        "import datetime, typing\n"
        "def train(rows: int, rate: float = 0.5, name: str = '', deep: bool = False,\n"
        "          day: datetime.date | None = None, tags: list[str] = (),\n"
        "          how: typing.Literal['fast', 'slow'] = 'fast', options: dict[str, int] = {},\n"
        "          pair: tuple[int, str] = (1, ''), more: tuple[float, ...] = (),\n"
        "          rest=None) -> str:\n"
        "    return f'{name}{rows * rate}'\n"
    ).success
    assert cell("import flyte_jupyter as flyte; flyte.deploy('ml-training')").success
    assert cell("train = flyte.reference_task('ml-training.train')").success
    yield cell
    flyte.shut_down()


def test_magics_run_it_by_its_variable(deployed: Callable[..., Any]) -> None:
    for line in (
        "%flyte_run train(4, name='n')",
        "%flyte_run train.override(retries=1)(rows=4, name='n')",
        "%flyte run train --rows 4 --name n",
    ):
        ran = deployed(line)
        assert ran.success, ran.error
        assert ran.result == "n2.0"
    page = deployed("%flyte_explain train(4)")
    assert page.success
    assert "of " in str(page.result)
    assert page.result.ok


def test_flytes_modules_are_imported(deployed: Callable[..., Any]) -> None:
    ran = deployed(
        "import flyte\nimport flyte.remote\nfrom flyte.remote import Task\n"
        "assert Task is flyte.remote.Task\n"
        "one = Task.get('ml-training.train', auto_version='latest')\n"
        "one.name, flyte.run(one, 2).result()"
    )
    assert ran.success, ran.error
    assert ran.result == ("ml-training.train", "1.0")


def test_inputs_of_a_line_are_typed_by_the_deployment(
    deployed: Callable[..., Any], shell: Any, session_catalog: Any
) -> None:
    def read(line: str) -> Any:
        return read_command(split(line), shell.user_ns, session_catalog).call.keywords

    import datetime

    assert read("train --rows 3 --name 12 --deep --day 2024-05-01") == {
        "rows": 3,
        "name": "12",
        "deep": True,
        "day": datetime.date(2024, 5, 1),
    }
    assert read("""train --rows 3 --tags '["a"]' --how slow --pair '[1, "b"]' --no-deep""") == {
        "rows": 3,
        "tags": ["a"],
        "how": "slow",
        "pair": (1, "b"),
        "deep": False,
    }
    assert read("train --rows 3 --more '[1, 2.5]' --options '{\"a\": 1}' --rest '[1]'") == {
        "rows": 3,
        "more": (1.0, 2.5),
        "options": {"a": 1},
        "rest": [1],
    }
    with pytest.raises(InputTypeError, match="--rows takes a whole number, not 'x'"):
        read("train --rows x")


def test_annotations_of_what_is_not_known_promise_nothing(deployed: Callable[..., Any]) -> None:
    task = deployed("train").result
    assert annotations_for(task)["rest"] is Any
    assert annotations_for(task)["rows"] is int
