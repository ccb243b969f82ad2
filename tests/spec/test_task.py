"""Tasks: plain functions outside a run, calls of their own inside one."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from flyte_jupyter.errors import InputError
from flyte_jupyter.spec import Resources, Task, TaskEnvironment
from flyte_jupyter.spec.binding import bind, spread
from flyte_jupyter.spec.calling import current_dispatcher, set_dispatcher

env = TaskEnvironment("tasks")


@env.task
def square(i: int = 3) -> int:
    """Return the square."""
    return i * i


@env.task(retries=2, short_name="greeter", max_inline_io_bytes=100)
async def greet(name: str, *, mark: str = "!") -> str:
    return f"hello {name}{mark}"


@env.task
async def train_model() -> str:
    return "trained"


class Recorder:
    """A dispatcher that answers every call with what it was asked."""

    def call(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return "call", task.name, task.bind(args, kwargs)

    async def aio(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return "aio", task.name, task.bind(args, kwargs), dict(task.overrides)


@contextmanager
def inside_a_run() -> Iterator[None]:
    before = set_dispatcher(Recorder())
    try:
        yield
    finally:
        set_dispatcher(before)


def test_outside_a_run_a_task_is_its_function() -> None:
    assert square(4) == 16
    assert asyncio.run(greet("you", mark="?")) == "hello you?"


def test_inside_a_run_a_call_goes_to_the_dispatcher() -> None:
    with inside_a_run():
        assert square(4) == ("call", "tasks.square", {"i": 4})
    assert current_dispatcher() is None
    assert square(4) == 16


def test_aio_of_a_sync_task_runs_in_a_thread_outside_a_run() -> None:
    @env.task
    def where() -> int:
        return threading.get_ident()

    assert asyncio.run(where.aio()) != threading.get_ident()
    assert asyncio.run(square.aio(5)) == 25


def test_aio_of_an_async_task_is_its_coroutine() -> None:
    assert asyncio.run(greet.aio("you")) == "hello you!"


def test_an_overridden_task_can_be_awaited_without_a_second_call() -> None:
    async def main() -> Any:
        return await train_model.override(task_queue="gcp-useast-1")

    assert asyncio.run(main()) == "trained"
    with inside_a_run():
        assert asyncio.run(main()) == ("aio", "tasks.train_model", {}, {"queue": "gcp-useast-1"})


def test_an_awaited_override_that_needs_inputs_says_so() -> None:
    async def main() -> Any:
        return await greet.override(queue="q")

    with pytest.raises(InputError) as caught:
        asyncio.run(main())
    assert str(caught.value) == "greet() is missing the input name."


def test_an_override_leaves_the_original_alone() -> None:
    other = square.override(resources=Resources(cpu=2)).override(gpu=1)
    assert other.overrides == {"resources": Resources(cpu=2, gpu=1)}
    assert not square.overrides
    assert other.func is square.func
    assert other.name == square.name
    assert other(3) == 9


def test_the_decorator_keeps_what_the_function_says_of_itself() -> None:
    assert (square.__name__, square.__doc__, square.doc) == (
        "square", "Return the square.", "Return the square.",
    )  # fmt: skip
    assert inspect.signature(square) == square.signature
    assert inspect.unwrap(square) is square.func
    assert square.name == "tasks.square"
    assert (square.is_async, greet.is_async) == (False, True)
    assert square.environment is env
    assert square.origin is not None
    assert square.origin.file == __file__


def test_the_layer_of_the_decorator_has_only_what_it_was_given() -> None:
    assert not square.settings
    assert set(greet.settings) == {"retries", "short_name", "max_inline_io_bytes"}
    assert greet.short_name == "greeter"
    assert square.short_name == "square"
    assert greet.override(short_name="other").short_name == "other"


def test_a_task_of_one_environment_can_be_declared_in_another_too() -> None:
    other = TaskEnvironment("tasks-other")
    again = other.task(square)
    assert again.func is square.func
    assert again.name == "tasks-other.square"


def test_wrong_inputs_are_named_outside_a_run_too() -> None:
    with pytest.raises(InputError) as caught:
        train_model({"path": "x"})
    assert str(caught.value) == "train_model() takes no inputs, but 1 was given: {'path': 'x'}."
    assert isinstance(caught.value, TypeError)


def test_an_error_of_the_function_itself_passes() -> None:
    @env.task
    def broken() -> None:
        raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$"):
        broken()


def test_binding_keeps_defaults_with_the_function() -> None:
    assert square.bind((), {}) == {}
    assert greet.bind(("you",), {}) == {"name": "you"}


def many(a: int, /, b: int = 2, *rest: int, c: int, d: int = 4, **more: int) -> tuple[Any, ...]:
    return a, b, rest, c, d, more


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((1,), {"c": 3}), ((1, 5, 6, 7), {"c": 3, "z": 9}), ((1,), {"b": 7, "c": 3, "d": 0})],
)
def test_what_is_bound_can_be_called_again(args: Any, kwargs: Any) -> None:
    signature = inspect.signature(many)
    again_args, again_kwargs = spread(signature, bind("many", signature, args, kwargs))
    assert many(*again_args, **again_kwargs) == many(*args, **kwargs)


def test_a_task_has_a_plain_and_a_rich_form() -> None:
    assert repr(square) == "<Task tasks.square(i: 'int' = 3) -> 'int'>"
    assert repr(square.override(queue="q")).endswith("with queue='q'>")
    assert "Return the square." in square._repr_html_()


def test_a_call_outside_a_run_costs_next_to_nothing() -> None:
    import timeit

    plain = square.func
    assert plain is not None
    rounds = 20_000
    task_time = min(timeit.repeat(lambda: square(3), number=rounds, repeat=5))
    func_time = min(timeit.repeat(lambda: plain(3), number=rounds, repeat=5))
    assert (task_time - func_time) / rounds < 1e-6
