"""What a front end hears through the comm that it opens, from a kernel of its own process."""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.asynchronous import AsyncKernelClient

from tests.notebook.conftest import Kernel

MAKE = "from flyte_jupyter.store.scratch import scratch_folder; print(scratch_folder())"
DECLARE = """%%flyte_env ml --cpu 1 --memory 512Mi
import time

def square(x: int) -> int:
    return x * x

def sleep(seconds: float, beside: int = 0):
    time.sleep(seconds)
"""


class FrontEnd:
    """A front end that has opened the comm of a kernel, on a subshell where it has them."""

    def __init__(self, kernel: Any, target: str = "flyte_jupyter") -> None:
        self.kernel = kernel
        # ears of its own: what is heard while a cell is waited for must not be lost
        self.client = AsyncKernelClient(connection_file=kernel.manager.connection_file)
        self.client.load_connection_file()
        self.client.start_channels()
        kernel.loop.run_until_complete(self.client.wait_for_ready(timeout=60))
        self.subshell = self._subshell()
        self.comm = f"comm-{time.monotonic_ns()}"
        self.numbers = itertools.count(1)
        self.messages: list[dict[str, Any]] = []
        self._send("comm_open", target_name=target, data={})

    def _subshell(self) -> str | None:
        client = self.client
        request = client.session.msg("create_subshell_request", {})
        client.control_channel.send(request)
        while True:
            reply = self.kernel.loop.run_until_complete(client.get_control_msg(timeout=10))
            if reply["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                return reply["content"].get("subshell_id")

    def _send(self, kind: str, **content: Any) -> None:
        message = self.client.session.msg(kind, {"comm_id": self.comm, **content})
        if self.subshell:
            message["header"]["subshell_id"] = self.subshell
        self.client.shell_channel.send(message)

    def wait(self, wanted: Any, timeout: float = 30) -> dict[str, Any]:
        """Return the first message that is wanted, of those that have come and those to come."""
        deadline = time.monotonic() + timeout
        place = 0
        while True:
            for message in self.messages[place:]:
                if wanted(message):
                    return message
            place = len(self.messages)
            left = deadline - time.monotonic()
            assert left > 0, f"it was not told; last came {self.messages[-3:]}"
            try:
                came = self.kernel.loop.run_until_complete(self.client.get_iopub_msg(timeout=left))
            except queue.Empty:
                continue
            if came["content"].get("comm_id") == self.comm:
                kind = came["msg_type"]
                self.messages.append({"op": kind, **came["content"].get("data", {})})

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Ask, and return the answer."""
        number = next(self.numbers)
        self._send("comm_msg", data={"op": op, "id": number, **fields})
        return self.wait(lambda said: said["op"] == "answer" and said["id"] == number)

    def part(self, name: str, holds: Any = lambda _: True) -> list[dict[str, Any]]:
        """Return a part as soon as it is told and something holds of its rows."""
        said = self.wait(
            lambda said: (
                said["op"] == "snapshot" and said["part"] == name and holds(said["data"][name])
            )
        )
        return list(said["data"][name])


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel that sees what it has itself, and nothing that others have left on this machine."""
    folder = tmp_path_factory.mktemp("kernel")
    own = {name: str(folder / name.lower()) for name in ("FLYTE_JUPYTER_HOME", "TMPDIR")}
    Path(own["TMPDIR"]).mkdir()
    kernel = Kernel(folder, **own, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert kernel.run("%load_ext flyte_jupyter").status == "ok"
    yield kernel
    kernel.close()


@pytest.fixture
def opens(kernel: Any) -> Iterator[Callable[[], FrontEnd]]:
    """A function that opens the comm as one more front end."""
    opened: list[FrontEnd] = []

    def open_one() -> FrontEnd:
        opened.append(FrontEnd(kernel))
        return opened[-1]

    yield open_one
    for one in opened:
        one.client.stop_channels()


@pytest.fixture
def front_end(kernel: Any, opens: Callable[[], FrontEnd]) -> FrontEnd:
    """A front end beside a kernel that has declared an environment."""
    assert kernel.run(DECLARE, "the-cell").status == "ok"
    return opens()


def test_environments_are_told_with_their_tasks_and_cells(front_end: FrontEnd) -> None:
    assert front_end.ask("hello", version=1)["ok"]
    assert front_end.ask("watch", parts=["environments"])["ok"]
    (ml,) = front_end.part("environments")
    assert (ml["name"], ml["cell"]) == ("ml", "the-cell")
    assert (ml["resources"], ml["accelerator"]) == ("cpu 1, memory 512Mi", "")
    calls = {task["label"]: task["call"] for task in ml["tasks"]}
    assert calls == {"square": "ml.square(x=)", "sleep": "ml.sleep(seconds=)"}
    assert {task["cell"] for task in ml["tasks"]} == {"the-cell"}
    front_end.part("environments", lambda rows: rows[0]["image_state"] == "ready")


def test_a_new_declaration_and_an_override_are_told(kernel: Any, front_end: FrontEnd) -> None:
    front_end.ask("watch", parts=["environments"])
    kernel.run("import flyte_jupyter as flyte\nother = flyte.TaskEnvironment('other')", "second")
    front_end.part("environments", lambda rows: [row["name"] for row in rows] == ["ml", "other"])
    kernel.run(
        "from flyte_jupyter.catalog import current\n"
        "_ = current().set_override('ml', resources=flyte.Resources(memory='1Gi'))"
    )
    rows = front_end.part("environments", lambda rows: rows[0]["overridden"] == ["resources"])
    assert rows[0]["resources"] == "cpu 1, memory 1Gi"
    kernel.run("current().clear_override('ml'); current().forget('other')")
    front_end.part("environments", lambda rows: not rows[0]["overridden"] and len(rows) == 1)


def test_a_run_is_cancelled_while_a_cell_waits_for_it(kernel: Any, front_end: FrontEnd) -> None:
    front_end.ask("watch", parts=["runs"])
    if front_end.subshell is None:
        pytest.skip("this kernel has no subshells")
    request = kernel.send("%flyte_run sleep(60)")
    rows = front_end.part("runs", lambda rows: any(row["phase"] == "running" for row in rows))
    (run,) = [row for row in rows if row["goes_on"]]
    assert (run["task"], run["mine"]) == ("ml.sleep", True)
    said = front_end.ask("cancel", run=run["name"])
    assert (said["ok"], said["message"]) == (True, f"{run['name']} is being cancelled.")
    assert kernel.answer(request, timeout=20).status == "error"
    front_end.part(
        "runs",
        lambda rows: any(row["name"] == run["name"] and row["phase"] == "aborted" for row in rows),
    )
    said = front_end.ask("cancel", run=run["name"])
    assert (said["ok"], said["message"]) == (False, f"{run['name']} has ended already.")
    assert "there is no run" in front_end.ask("cancel", run="never-1234")["message"]


def test_who_looks_on_is_told_that_a_button_works_while_a_cell_runs(
    kernel: Any, front_end: FrontEnd
) -> None:
    front_end.ask("hello", version=1)
    asked = "from flyte_jupyter.notebook.comm import can_act_while_busy\ncan_act_while_busy()"
    assert kernel.run(asked).result == str(front_end.subshell is not None)


def test_code_is_completed_while_a_cell_runs(kernel: Any, front_end: FrontEnd) -> None:
    request = kernel.send("import time\nprint('begun', flush=True)\ntime.sleep(3)")
    kernel.first(request, "stream")
    code = "%flyte_run squ"
    said = front_end.ask("complete", code=code, cursor=len(code))["data"]
    assert [match["text"] for match in said["matches"]] == ["square"]
    assert code[said["start"] : said["end"]] == "squ"


def test_targets_and_leftovers_are_told(front_end: FrontEnd) -> None:
    front_end.ask("watch", parts=["targets", "leftovers"])
    by_name = {row["name"]: row for row in front_end.part("targets")}
    assert by_name["local"]["default"]
    assert [row["what"] for row in by_name["local"]["rows"]][:2] == ["cpu", "memory"]
    assert by_name["kubernetes"]["trouble"] == "not used in this session"
    assert by_name["docker"]["trouble"].startswith("There is no Docker engine at /nowhere/")
    assert front_end.part("leftovers") == []
    assert front_end.ask("clean", names=[])["message"] == "Nothing is left over."
    said = front_end.ask("clean", names=["nothing"])
    assert not said["ok"]
    assert said["message"].startswith("there is nothing of ours called 'nothing'")


def test_what_a_dead_kernel_left_is_told_and_cleaned_up(kernel: Any, front_end: FrontEnd) -> None:
    made = kernel.run(
        "import subprocess, sys\n"
        f"print(subprocess.check_output([sys.executable, '-c', {MAKE!r}], text=True))"
    )
    front_end.ask("watch", parts=["leftovers"])
    (left,) = front_end.part("leftovers", bool)
    assert (left["name"], left["dead"]) == (made.stdout.strip(), True)
    assert front_end.ask("clean", names=[])["message"] == "1 thing removed."
    assert not Path(left["name"]).exists()


def test_what_has_changed_since_it_was_deployed_is_told(kernel: Any, front_end: FrontEnd) -> None:
    front_end.ask("watch", parts=["environments"])
    assert kernel.run("%flyte_deploy ml").status == "ok"
    front_end.ask("refresh", parts=["environments"])
    front_end.part("environments", lambda rows: rows[0]["deployed"].startswith("deployed as "))
    changed = DECLARE.replace("x * x", "x * x * x")
    assert kernel.run(changed, "the-cell").status == "ok"
    (ml,) = front_end.part("environments", lambda rows: "changed" in rows[0]["deployed"])
    assert ml["deployed"].startswith("changed since deployed: task square")


@pytest.mark.parametrize(
    ("op", "fields", "words"),
    [
        ("dance", {}, "There is no question 'dance'"),
        ("watch", {"parts": ["weather"]}, "There is no part 'weather'"),
        ("cancel", {}, "run is a text"),
        ("hello", {"version": 99}, "install the same version for both"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_wrong(
    front_end: FrontEnd, op: str, fields: dict[str, Any], words: str
) -> None:
    said = front_end.ask(op, **fields)
    assert not said["ok"]
    assert words in said["message"]


def test_unloading_lets_front_ends_go_and_loading_takes_them_again(
    kernel: Any, opens: Callable[[], FrontEnd]
) -> None:
    first = opens()
    first.ask("hello", version=1)
    kernel.run("%unload_ext flyte_jupyter")
    first.wait(lambda said: said["op"] == "comm_close")
    opens().wait(lambda said: said["op"] == "comm_close")
    kernel.run("%load_ext flyte_jupyter")
    assert opens().ask("hello", version=1)["ok"]
