"""What a call gives is held against the signature, for the root and for nested calls alike."""

from __future__ import annotations

from typing import Any

import pytest

import flyte_jupyter as flyte

TASKS = """
    @env.task
    def train(epochs: int, rate: float = 0.1) -> str:
        return f"{epochs} {rate}"

    @env.task
    def nothing() -> None:
        pass

    @env.task
    def several(*numbers: int, **words: str) -> int:
        return sum(numbers) + len(words)

    @env.task
    def wrong() -> int:
        return "text"

    @env.task
    async def call(name: str, args: list, kwargs: dict):
        task = {"train": train, "nothing": nothing, "several": several}[name]
        return await task.aio(*args, **kwargs)
"""

WRONG: tuple[tuple[str, tuple[Any, ...], dict[str, Any], str], ...] = (
    ("train", (), {"epoch": 1}, "train() has no input 'epoch'; did you mean 'epochs'?"),
    ("train", (), {}, "train() is missing the input epochs."),
    ("train", (1, 2.0, 3), {}, "train() takes 2 inputs by position, but 3 were given"),
    ("train", (1,), {"epochs": 2}, "train() was given 'epochs' twice"),
    ("nothing", (3,), {}, "nothing() takes no inputs, but 1 was given: 3."),
)

MISTYPED: tuple[tuple[str, tuple[Any, ...], dict[str, Any], tuple[str, ...]], ...] = (
    ("train", ("5",), {}, ("'epochs'", "int", "str")),
    ("train", (True,), {}, ("'epochs'", "int", "bool")),
    ("train", (1,), {"rate": "fast"}, ("'rate'", "float", "str")),
    ("several", (1, "2"), {}, ("'numbers[1]'", "int", "str")),
    ("several", (), {"a": 1}, ("'a'", "str", "int")),
)


@pytest.mark.parametrize(("name", "args", "kwargs", "sentence"), WRONG)
def test_arguments_that_do_not_fit_are_refused_before_anything_runs(
    cell: Any, name: str, args: Any, kwargs: Any, sentence: str
) -> None:
    book = cell(TASKS)
    with pytest.raises(flyte.errors.InputError) as caught:
        flyte.run(getattr(book, name), *args, **kwargs)
    assert sentence in str(caught.value)


def test_nested_calls_are_refused_with_the_same_sentences(cell: Any) -> None:
    book = cell(TASKS)
    for name, args, kwargs, sentence in WRONG:
        run = flyte.run(book.call, name, list(args), kwargs).wait()
        assert isinstance(run.error, flyte.errors.InputError)
        assert sentence in str(run.error)


@pytest.mark.parametrize(("name", "args", "kwargs", "words"), MISTYPED)
def test_a_wrong_type_names_variable_expected_and_actual(
    cell: Any, name: str, args: Any, kwargs: Any, words: tuple[str, ...]
) -> None:
    book = cell(TASKS)
    with pytest.raises(flyte.errors.InputTypeError) as caught:
        flyte.run(getattr(book, name), *args, **kwargs)
    for word in words:
        assert word in str(caught.value)


def test_a_wrong_type_of_a_nested_call_is_told_alike(cell: Any) -> None:
    book = cell(TASKS)
    for name, args, kwargs, words in MISTYPED:
        run = flyte.run(book.call, name, list(args), kwargs).wait()
        assert isinstance(run.error, flyte.errors.InputTypeError)
        for word in words:
            assert word in str(run.error)


def test_a_wrong_output_names_task_expected_and_actual(cell: Any) -> None:
    book = cell(TASKS)
    with pytest.raises(flyte.errors.RuntimeDataValidationError) as caught:
        flyte.run(book.wrong).outputs()
    for word in ("env.wrong", "int", "str"):
        assert word in str(caught.value)


def test_defaults_variadics_and_numbers_go_as_python_says(cell: Any) -> None:
    book = cell(TASKS)
    assert flyte.run(book.train, 3).outputs() == ("3 0.1",)
    assert flyte.run(book.train, epochs=3, rate=1).outputs() == ("3 1",)
    assert flyte.run(book.several, 1, 2, a="x", b="y").outputs() == (5,)
    assert flyte.run(book.call, "several", [1, 2], {"a": "x"}).outputs() == (4,)


def test_what_is_no_task_is_refused(cell: Any) -> None:
    book = cell("""
        def plain():
            pass
    """)
    with pytest.raises(flyte.errors.InputError, match=r"plain is no task") as caught:
        flyte.run(book.plain)
    assert "@env.task" in str(caught.value)
    with pytest.raises(flyte.errors.InputError, match="int is no task"):
        flyte.run(3)  # type: ignore[arg-type]
    with pytest.raises(flyte.errors.NotFoundError):
        flyte.run("env.absent")  # type: ignore[arg-type]


LIMITS = """
    small = flyte.TaskEnvironment(name="small", max_inline_io_bytes=1000)

    @small.task
    def size(text: str, other: str = "") -> int:
        return len(text)

    @small.task
    def make(count: int) -> str:
        return "x" * count

    @env.task
    async def call_size(count: int) -> int:
        return await size.aio("x" * count)

    @env.task
    async def override_size() -> int:
        return await size.with_overrides(max_inline_io_bytes=1 << 20).aio("x" * 5000)

    @env.task
    async def nothing() -> int:
        return 1

    @env.task
    async def parent() -> int:
        return await nothing.with_overrides(max_inline_io_bytes=1)()
"""


def test_inputs_over_the_inline_limit_name_the_largest_and_the_way_out(cell: Any) -> None:
    book = cell(LIMITS)
    assert flyte.run(book.size, "x" * 900).outputs() == (900,)
    with pytest.raises(flyte.errors.InlineIOMaxBytesBreached) as caught:
        flyte.run(book.size, text="x" * 5000, other="y")
    text = str(caught.value)
    for words in ("small.size", "max_inline_io_bytes=1,000", "'text'", "array"):
        assert words in text


def test_an_output_over_the_inline_limit_is_refused(cell: Any) -> None:
    book = cell(LIMITS)
    assert len(flyte.run(book.make, 900).outputs()[0]) == 900
    with pytest.raises(flyte.errors.InlineIOMaxBytesBreached, match=r"The output of small\.make"):
        flyte.run(book.make, 5000).outputs()


def test_the_input_of_a_child_over_the_inline_limit_is_refused(cell: Any) -> None:
    book = cell(LIMITS)
    assert flyte.run(book.call_size, 900).outputs() == (900,)
    with pytest.raises(flyte.errors.InlineIOMaxBytesBreached, match=r"The inputs of small\.size"):
        flyte.run(book.call_size, 5000).outputs()


def test_the_inline_limit_of_one_call_can_be_overridden(cell: Any) -> None:
    book = cell(LIMITS)
    assert flyte.run(book.override_size).outputs() == (5000,)
    assert flyte.run(book.size.override(max_inline_io_bytes=1 << 20), "x" * 5000).outputs() == (
        5000,
    )


def test_no_input_counts_nothing_and_an_output_counts_its_bytes(cell: Any) -> None:
    book = cell("""
        @env.task
        async def none() -> None:
            pass

        @env.task
        async def number() -> int:
            return 1234

        @env.task
        async def parent():
            await none.with_overrides(max_inline_io_bytes=1)()
            await number.with_overrides(max_inline_io_bytes=1)()
    """)
    with pytest.raises(flyte.errors.InlineIOMaxBytesBreached, match=r"The output of env\.number"):
        flyte.run(book.parent).outputs()
