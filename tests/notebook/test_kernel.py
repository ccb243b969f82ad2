"""Cells executed by a real kernel: what a front end, nbclient and nbval get to see."""

import os
import signal
import time
from pathlib import Path

import pytest

from flyte_jupyter import api

DECLARE = """%%flyte_env ml --cpu 1
import time

def square(x: int) -> int:
    return x * x

async def both(a: int, b: int) -> int:
    return await square.aio(a) + await square.aio(b)

def speak(n: int):
    for i in range(n):
        print("line", i)

def fail(x: int):
    y = x + 1
    raise ValueError(f"bad {y}")

def sleep(seconds: float):
    time.sleep(seconds)

async def wait_long():
    import asyncio
    await asyncio.sleep(60)
"""


@pytest.fixture(scope="module", autouse=True)
def declared(kernel):
    answer = kernel.run(DECLARE, "declare")
    assert answer.status == "ok", answer.error
    return answer


def test_the_cell_says_its_tasks(declared) -> None:
    assert declared.stdout.startswith(
        "Environment ml: tasks square, both, speak, fail, sleep, wait_long."
    )


def test_a_run_gives_the_bare_result(kernel) -> None:
    answer = kernel.run("%flyte_run square(3)")
    assert (answer.status, answer.result) == ("ok", "9")


def test_the_result_can_be_assigned(kernel) -> None:
    answer = kernel.run("y = %flyte_run both(a=1, b=2)\ny + 1")
    assert answer.result == "6"


def test_an_unwatched_run_shows_logs_and_a_tree_without_names_and_times(kernel) -> None:
    first = kernel.run("%flyte_run speak(3)")
    second = kernel.run("%flyte_run speak(3)")
    assert first.stdout == "line 0\nline 1\nline 2\n"
    shown = [message["data"] for message in first.of("display_data")]
    assert shown == [{"text/plain": "Run(speak: succeeded)\n✓ speak succeeded [ml, cpu 1]"}]
    assert shown == [message["data"] for message in second.of("display_data")]
    assert not first.of("update_display_data")


def test_a_watched_run_is_updated_in_place(kernel) -> None:
    answer = kernel.run("%flyte_run sleep(0.9)", watched=True)
    shown = answer.of("display_data")
    updates = answer.of("update_display_data")
    assert len(shown) == 1
    assert 1 <= len(updates) <= 6
    identity = shown[0]["transient"]["display_id"]
    assert {update["transient"]["display_id"] for update in updates} == {identity}
    assert "succeeded" in updates[-1]["data"]["text/html"]


def test_a_failed_task_is_an_error_of_the_cell_with_the_users_lines_only(kernel) -> None:
    answer = kernel.run("%flyte_run fail(1)")
    assert answer.status == "error"
    assert answer.of("error")[0]["evalue"] == "bad 2"
    assert 'raise ValueError(f"bad {y}")' in answer.error
    assert "line 16, in fail" in answer.error
    assert "flyte_jupyter" not in answer.error


def test_a_failed_task_can_be_caught_by_its_own_type(kernel) -> None:
    answer = kernel.run(
        "try:\n    %flyte_run fail(1)\nexcept ValueError as error:\n    print(type(error).__name__)"
    )
    assert answer.status == "ok"
    assert "ValueError" in answer.stdout


def test_a_usage_error_is_an_error_of_the_cell(kernel) -> None:
    answer = kernel.run("%flyte_run sqare(3)")
    assert answer.status == "error"
    assert answer.of("error")[0]["ename"] == "MagicUsageError"
    assert answer.error == (
        "MagicUsageError: %flyte_run: no task is named 'sqare'; did you mean 'square'?"
    )


def test_an_error_in_an_environment_cell_points_to_its_line(kernel) -> None:
    answer = kernel.run("# comment\n%%flyte_env broken\nx = 1\ny = x / 0\nz = 3\n")
    assert answer.status == "error"
    assert "line 4" in answer.error
    assert "y = x / " in answer.error.replace("\x1b[30;43m", "").replace("\x1b[39;49m", "")
    assert "magics.py" not in answer.error
    assert kernel.run("broken").status == "error"


def test_an_environment_that_cannot_be_closed_fails_its_cell(kernel) -> None:
    answer = kernel.run("%%flyte_env odd\ndef many():\n    yield 1\n")
    assert answer.status == "error"
    assert "many() is a generator" in answer.error
    assert kernel.run("odd").status == "error"


def test_top_level_await_works_in_an_environment_cell(kernel) -> None:
    answer = kernel.run(
        "%%flyte_env waits\nimport asyncio\nawait asyncio.sleep(0)\ndef f(): return 1\n'last'\n"
    )
    assert answer.status == "ok", answer.error
    assert answer.result == "'last'"
    assert "Environment waits: task f." in answer.stdout


def test_a_cell_that_is_edited_and_run_again_changes_what_runs(kernel) -> None:
    kernel.run("%%flyte_env edited\ndef f(): return 'old'\ndef gone(): ...\n", "edited")
    assert kernel.run("%flyte_run f()").result == "'old'"
    kernel.run("%%flyte_env edited\ndef f(): return 'new'\n", "edited")
    assert kernel.run("%flyte_run f()").result == "'new'"
    assert "gone" not in (kernel.run("%flyte_envs edited").result or "")


def test_without_waiting_the_value_is_the_run(kernel) -> None:
    answer = kernel.run("run = %flyte_run --no-wait square(4)\nrun.result()")
    assert answer.result == "16"
    answer = kernel.run("run")
    assert answer.result.startswith("Run(")
    assert "succeeded" in answer.of("execute_result")[0]["data"]["text/html"]


def test_options_reach_the_task(kernel) -> None:
    kernel.run("%%flyte_env variables\nimport os\ndef read(): return os.environ['COLOUR']\n")
    assert kernel.run("%flyte_run --env-vars COLOUR=red read()").result == "'red'"
    assert kernel.run("%flyte_run read() --env-vars COLOUR=blue").result == "'blue'"


def test_flytes_command_line_works_in_a_cell(kernel) -> None:
    assert kernel.run("%flyte run square --x 5").result == "25"
    assert "did you mean '--x'" in kernel.run("%flyte run square --xx 5").error


def test_inside_a_function_its_own_names_are_seen(kernel) -> None:
    answer = kernel.run(
        "def call(n):\n    return get_ipython().run_line_magic('flyte_run', 'square(n)')\ncall(7)"
    )
    assert answer.result == "49", answer.error


needs_run_cell = pytest.mark.skipif(not hasattr(api, "run_cell"), reason="api has no run_cell")


@needs_run_cell
def test_the_body_of_a_cell_runs_elsewhere_and_brings_back_what_it_assigns(kernel) -> None:
    kernel.run("n = 20")
    answer = kernel.run(
        "# why\n%%flyte_run --env ml\nimport os\nm = n + 1\npid = os.getpid()\nm * 2"
    )
    assert (answer.status, answer.result) == ("ok", "42"), answer.error
    assert kernel.run("import os\n(m, pid == os.getpid())").result == "(21, False)"


@needs_run_cell
def test_a_failing_body_points_to_its_line_in_the_cell(kernel) -> None:
    answer = kernel.run("# why\n%%flyte_run --env ml\nx = 1\ny = x / 0\n")
    assert answer.status == "error"
    assert "line 4" in answer.error
    assert "y = x / 0" in answer.error
    assert "flyte_jupyter" not in answer.error


@needs_run_cell
def test_a_body_that_is_no_python_is_said_before_anything_runs(kernel) -> None:
    answer = kernel.run("%%flyte_run --env ml\nx = 1\nx = = 2\n")
    assert answer.of("error")[0]["ename"] == "SyntaxError"
    assert "line 3" in answer.error


@needs_run_cell
def test_a_semicolon_silences_the_value_of_a_body(kernel) -> None:
    assert kernel.run("%%flyte_run --env ml\n1 + 1;").result is None


@pytest.mark.skipif(not hasattr(api, "explain"), reason="api has no explain")
def test_a_task_can_be_explained_without_running(kernel) -> None:
    answer = kernel.run("%flyte_explain both")
    assert answer.status == "ok", answer.error
    assert "square" in answer.result


@pytest.mark.parametrize("call", ["sleep(60)", "wait_long()"])
def test_an_interrupt_ends_the_run_in_less_than_a_second(kernel, call: str) -> None:
    request = kernel.send(f"%flyte_run {call}", watched=True)
    kernel.first(request, "display_data")
    began = time.monotonic()
    kernel.interrupt()
    answer = kernel.answer(request)
    assert time.monotonic() - began < 1.5
    assert answer.status == "error"
    assert answer.of("error")[0]["ename"] == "KeyboardInterrupt"
    assert "was aborted with all that it started" in answer.error
    assert kernel.run("%flyte_run square(2)").result == "4", "the engine goes on"


def test_the_kernel_that_dies_takes_its_processes_with_it(another_kernel, tmp_path) -> None:
    another_kernel.run(
        "%%flyte_env ml\ndef stay(path: str):\n    import os, time\n"
        "    open(path, 'w').write(str(os.getpid()))\n    time.sleep(600)\n"
    )
    path = tmp_path / "pid"
    another_kernel.send(f"%flyte_run stay({str(path)!r})")
    wait_until(lambda: path.exists() and path.read_text(), 60)
    worker = Path("/proc", path.read_text())
    assert worker.exists()
    os.kill(another_kernel.manager.provisioner.pid, signal.SIGKILL)
    wait_until(lambda: not worker.exists(), 15)


def wait_until(true, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def number_of(answer) -> int:
    """Return the number that the notebook shows beside a cell."""
    return answer.of("execute_input")[0]["execution_count"]


# a cell tells its number only where somebody sees it
WATCHED = """
import os
os.environ["FLYTE_JUPYTER_INTERACTIVE"] = "1"
import flyte_jupyter as flyte
"""


def test_a_circle_is_refused_with_the_cells_that_close_it(kernel) -> None:
    kernel.run(WATCHED)
    kernel.run("below = flyte.TaskEnvironment('below')\nabove = flyte.TaskEnvironment('above')")
    first = number_of(kernel.run("above.add_dependency(below)"))
    second = number_of(kernel.run("over = flyte.TaskEnvironment('over', depends_on=[above])"))
    closing = kernel.run("# closes it\nbelow.add_dependency(over)")
    assert closing.error == (
        "CycleError: depends_on would close a circle: below → over → above → below; "
        "remove one of these dependencies.\n"
        f"  below depends on over: add_dependency in cell {number_of(closing)}, line 2\n"
        f"  over depends on above: depends_on in cell {second}, line 1\n"
        f"  above depends on below: add_dependency in cell {first}, line 1"
    )


def test_a_cell_that_is_run_again_declares_under_its_new_number(kernel) -> None:
    kernel.run(f"{WATCHED}\nmade = []")
    declare = "made.append(flyte.TaskEnvironment('twice'))"
    numbers = [number_of(kernel.run(declare)) for _ in range(2)]
    told = kernel.run("print([each.origin.cell for each in made])").stdout
    assert told == f"{numbers}\n"


def test_dependencies_can_be_turned_round_cell_by_cell(kernel) -> None:
    kernel.run("import flyte_jupyter as flyte\nlow = flyte.TaskEnvironment('low')", "low")
    kernel.run("mid = flyte.TaskEnvironment('mid', depends_on=[low])", "mid")
    kernel.run("high = flyte.TaskEnvironment('high', depends_on=[mid])", "high")
    kernel.run("mid = flyte.TaskEnvironment('mid')", "mid")
    turned = kernel.run("low = flyte.TaskEnvironment('low', depends_on=[high])", "low")
    assert turned.status == "ok", turned.error
    refused = kernel.run("mid.add_dependency(low)", "other")
    assert "mid → low → high → mid; remove" in refused.error
