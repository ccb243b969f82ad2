"""Runs that code of a cell starts and waits for, in a kernel whose cells somebody watches."""

from __future__ import annotations

from typing import Any

import pytest

DECLARE = """\
import flyte_jupyter as flyte
env = flyte.TaskEnvironment("env", resources=flyte.Resources(cpu=1, memory="256Mi"))
warm = flyte.TaskEnvironment("warm", reusable=flyte.ReusePolicy(replicas=2))

@env.task
def sleep(seconds: float) -> float:
    import time
    time.sleep(seconds)
    return seconds

@env.task
def fail(seconds: float) -> float:
    import time
    time.sleep(seconds)
    raise ValueError(f"{seconds} is refused")

@warm.task
def nap(seconds: float) -> float:
    import time
    time.sleep(seconds)
    return seconds
"""


@pytest.fixture(scope="module", autouse=True)
def declared(kernel: Any) -> None:
    answer = kernel.run(DECLARE, watched=True)
    assert answer.status == "ok", answer.error


def shown(answer: Any) -> list[dict[str, Any]]:
    """What the displays of a cell show, one after the other, each the last time."""
    places: dict[str, dict[str, Any]] = {}
    for message in answer.of("display_data"):
        places[message["transient"]["display_id"]] = message["data"]
    for message in answer.of("update_display_data"):
        if message["transient"]["display_id"] in places:
            places[message["transient"]["display_id"]] = message["data"]
    return list(places.values())


def update(kernel: Any, request: str, words: str) -> dict[str, Any]:
    """Wait until the view of a cell says something, and return it."""
    while True:
        data = kernel.first(request, "update_display_data")["content"]["data"]
        if words in data["text/html"]:
            return data


def test_a_map_is_shown_in_the_cell_that_takes_its_results(kernel: Any) -> None:
    answer = kernel.run("sum(flyte.map(nap, [0.1] * 12))", watched=True)
    (view,) = shown(answer)
    assert "nap × 12: 12 succeeded" in view["text/plain"]
    assert 'data-flyte-jupyter-run="nap-' in view["text/html"]


def test_a_map_in_asynchronous_code_is_shown_too(kernel: Any) -> None:
    answer = kernel.run(
        "[x async for x in flyte.map.aio(nap, [0.1] * 12)]",
        watched=True,
    )
    (view,) = shown(answer)
    assert "nap × 12: 12 succeeded" in view["text/plain"]


def test_a_run_is_shown_where_its_result_is_waited_for_and_its_failure_said_once(
    kernel: Any,
) -> None:
    answer = kernel.run("flyte.run(fail, 0.6).result()", watched=True)
    (view,) = shown(answer)
    assert "✗ fail failed" in view["text/plain"]
    assert "is refused" not in view["text/html"]
    assert answer.error.count("0.6 is refused") >= 1


def test_a_run_that_is_over_at_once_needs_no_view(kernel: Any) -> None:
    kernel.run("flyte.run(nap, 0).result()", watched=True)
    answer = kernel.run("flyte.run(nap, 0).result()", watched=True)
    assert answer.result == "0"
    assert shown(answer) == []


def test_a_run_has_one_view(kernel: Any) -> None:
    answer = kernel.run(
        "run = %flyte_run --no-wait nap(0.7)\nrun.wait()\nrun.result()", watched=True
    )
    views = [one for one in shown(answer) if "flyte-jupyter-run" in one.get("text/html", "")]
    assert len(views) == 1


def test_a_run_that_is_the_value_of_a_cell_goes_on_in_its_place(kernel: Any) -> None:
    answer = kernel.run("flyte.run(nap, 0.5)", watched=True)
    assert answer.result is None
    assert "running" in shown(answer)[0]["text/plain"] or "queued" in shown(answer)[0]["text/plain"]
    ended = kernel.run("_.wait()", watched=True)
    assert "Run(warm.nap: succeeded)" in ended.result


def test_nobody_who_does_not_watch_is_shown_anything(kernel: Any) -> None:
    answer = kernel.run("flyte.run(nap, 0.4).result(), list(flyte.map(nap, [0.2] * 9))[0]")
    assert answer.result == "(0.4, 0.2)"
    assert shown(answer) == []


def test_an_interrupt_of_a_map_ends_it_and_its_view_says_so(kernel: Any) -> None:
    request = kernel.send("list(flyte.map(sleep, [60.0] * 9))", watched=True)
    kernel.first(request, "update_display_data")
    kernel.interrupt()
    update(kernel, request, "9 aborted")


def test_what_a_worker_used_is_shown_though_it_ends_after_its_run(kernel: Any) -> None:
    request = kernel.send("%flyte_run sleep(0.3)", watched=True)
    kernel.answer(request)
    assert "of 256Mi" in update(kernel, request, "peak memory")["text/html"]
