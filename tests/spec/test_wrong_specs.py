"""Wrong declarations, each with the whole sentence that a user reads.

The table is ``wrong_specs.txt`` beside this module.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flyte_jupyter import spec
from flyte_jupyter.errors import CycleError, SpecError
from flyte_jupyter.spec import Image, Resources, ReusePolicy, Secret, Task, TaskEnvironment

BASE = TaskEnvironment("base-utils")
BUSY = TaskEnvironment("busy", reusable=ReusePolicy(concurrency=4))


@BASE.task
def load(path):
    return path


@BASE.task
def train_model():
    return 1


LOAD, TRAIN = load, train_model
STUB = Task(
    None, env_name="far", func_name="away", signature=inspect.signature(load.func), is_async=False
)


def counter():
    yield 1


def plain():
    return 1


class Shelf:
    def load(self):
        return 1


@dataclass(frozen=True)
class Wrong:
    """One entry of the table."""

    declaration: str
    error: str
    message: str


def read_table() -> list[Wrong]:
    lines = (Path(__file__).parent / "wrong_specs.txt").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.strip() and not line.startswith("#")]
    return [
        Wrong(declaration, *answer.strip().split(": ", 1))
        for declaration, answer in zip(rows[::2], rows[1::2], strict=True)
    ]


TABLE = read_table()
NAMES: dict[str, Any] = {
    **{name: getattr(spec, name) for name in spec.__all__},
    "BASE": BASE,
    "BUSY": BUSY,
    "LOAD": LOAD,
    "TRAIN": TRAIN,
    "STUB": STUB,
    "counter": counter,
    "plain": plain,
    "Shelf": Shelf,
}


@pytest.mark.parametrize("wrong", TABLE, ids=[wrong.declaration for wrong in TABLE])
def test_a_wrong_declaration_is_refused_with_its_sentence(wrong: Wrong) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the table says which
        eval(wrong.declaration, dict(NAMES))
    assert str(caught.value) == wrong.message
    assert type(caught.value).__name__ == wrong.error


@pytest.mark.parametrize("wrong", TABLE, ids=[wrong.declaration for wrong in TABLE])
def test_a_sentence_ends_as_sentences_do(wrong: Wrong) -> None:
    assert wrong.message[-1] in ".?"


def test_an_error_of_a_declaration_is_also_what_python_would_raise() -> None:
    with pytest.raises(ValueError, match="banana"):
        Resources(memory="banana")
    with pytest.raises(TypeError, match="no unit"):
        Resources(memory=4)


def test_a_circle_is_named_as_its_path() -> None:
    base = TaskEnvironment("circle-base")
    ml = TaskEnvironment("circle-ml", depends_on=[base])
    api = TaskEnvironment("circle-api", depends_on=[ml])
    with pytest.raises(CycleError) as caught:
        base.add_dependency(api)
    line = caught.tb.tb_lineno
    assert str(caught.value) == (
        "depends_on would close a circle: circle-base → circle-api → circle-ml → circle-base; "
        "remove one of these dependencies.\n"
        f"  circle-base depends on circle-api: add_dependency in test_wrong_specs.py:{line}\n"
        f"  circle-api depends on circle-ml: depends_on in {api.origin.label}\n"
        f"  circle-ml depends on circle-base: depends_on in {ml.origin.label}"
    )
    assert base.depends_on == ()


def test_a_wrong_secret_is_not_repeated_in_its_error() -> None:
    with pytest.raises(SpecError) as caught:
        Secret("hunter2 is my password")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "=" * 50_000, "a-" * 50_000, "==1" * 30_000, "A." * 50_000]
)
def test_long_nonsense_is_refused_at_once(text: str) -> None:
    image = Image.from_debian_base()
    for attempt in (
        lambda: TaskEnvironment("x", image=text + "!"),
        lambda: image.with_pip_packages("p" + text + "!"),
        lambda: image.with_apt_packages(text + "!"),
        lambda: Resources(memory=text),
        lambda: TaskEnvironment(text + "!"),
        lambda: TaskEnvironment("x", service_account=text + "!"),
    ):
        with pytest.raises(SpecError):
            attempt()
