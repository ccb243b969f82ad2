"""A notebook to launch from: its variables, and forms of tasks that it declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.launching.form import LaunchForm


@pytest.fixture(autouse=True)
def state(tmp_path: Path) -> Iterator[Path]:
    """The state folder of this test's engine, which is ended afterwards."""
    folder = tmp_path / "state"
    flyte.init(state=folder, target="local")
    yield folder
    flyte.shut_down()


@pytest.fixture
def form_of(cell: Callable[[str], Any]) -> Callable[..., LaunchForm]:
    """A function that declares a task with these parameters and returns its form."""

    def declare(parameters: str, before: str = "", **given: Any) -> LaunchForm:
        book = cell(
            "from __future__ import annotations\n"
            "import datetime\nimport enum\nimport pathlib\n"
            "from dataclasses import dataclass, field\n"
            "from typing import Annotated, Any, Literal, NamedTuple, NewType\n"
            "from typing import Optional, TypedDict\n"
            "import numpy as np\nimport pydantic\n"
            "from annotated_types import Ge, Gt, Le, Lt\n"
            f"{before}\n"
            f"@env.task\ndef train({parameters}) -> Any:\n    return locals()\n"
        )
        return LaunchForm(book.train, vars(book), **given)

    return declare
