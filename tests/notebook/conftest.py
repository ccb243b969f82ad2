"""A shell with the extension in this process, and kernels of their own."""

from __future__ import annotations

import asyncio
import os
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from jupyter_client import AsyncKernelManager
from traitlets.config import Config

from flyte_jupyter import catalog


@pytest.fixture(scope="session")
def bare_shell() -> Iterator[InteractiveShell]:
    """The one shell of this process, without the extension."""
    config = Config()
    config.HistoryManager.enabled = False
    yield InteractiveShell.instance(config=config)
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(bare_shell: InteractiveShell, session_catalog: Any) -> Iterator[InteractiveShell]:
    """A shell with the extension loaded and an empty namespace."""
    bare_shell.reset()
    bare_shell.extension_manager.load_extension("flyte_jupyter")
    yield bare_shell
    bare_shell.extension_manager.unload_extension("flyte_jupyter")


@pytest.fixture
def session_catalog() -> Iterator[Any]:
    """The session's catalog, emptied afterwards."""
    current = catalog.current()
    yield current
    for scope in list(current.overrides):
        current.clear_override(scope)
    for name in [*current.environments, *current.tasks]:
        if name in current.environments or name in current.tasks:
            current.forget(name)


@dataclass
class Ran:
    """What executing a cell gave."""

    success: bool
    error: BaseException | None
    result: Any
    stdout: str
    stderr: str


@pytest.fixture
def cell(shell: InteractiveShell) -> Any:
    """Executes a cell in the shell and returns what it gave."""

    def execute(source: str, cell_id: str | None = None) -> Ran:
        with capture_output() as captured:
            result = shell.run_cell(source, cell_id=cell_id)
        error = result.error_before_exec or result.error_in_exec
        return Ran(result.success, error, result.result, captured.stdout, captured.stderr)

    return execute


@dataclass
class Answer:
    """What a kernel sent for one request."""

    status: str
    messages: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message["content"] for message in self.messages if message["msg_type"] == kind]

    @property
    def stdout(self) -> str:
        return "".join(part["text"] for part in self.of("stream") if part["name"] == "stdout")

    @property
    def stderr(self) -> str:
        return "".join(part["text"] for part in self.of("stream") if part["name"] == "stderr")

    @property
    def result(self) -> str | None:
        results = self.of("execute_result")
        return results[-1]["data"]["text/plain"] if results else None

    @property
    def error(self) -> str:
        return "\n".join(line for error in self.of("error") for line in error["traceback"])


class Kernel:
    """A kernel of its own process and what it answers."""

    def __init__(self, folder: Path, **environment: str) -> None:
        # a loop of its own: the blocking client leaves one open, which warns when it is collected
        self.loop = asyncio.new_event_loop()
        self.manager = AsyncKernelManager(kernel_name="python3")
        start = self.manager.start_kernel(cwd=str(folder), env={**os.environ, **environment})
        self.loop.run_until_complete(start)
        self.client = self.manager.client()
        self.client.start_channels()
        self.loop.run_until_complete(self.client.wait_for_ready(timeout=60))

    def send(self, source: str, cell_id: str | None = None, watched: bool = False) -> str:
        message = self.client.session.msg(
            "execute_request",
            {
                "code": source,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": watched,
                "stop_on_error": False,
            },
            metadata={"cellId": cell_id} if cell_id else None,
        )
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def answer(self, request: str, timeout: float = 120) -> Answer:
        deadline = time.monotonic() + timeout
        messages = []
        while True:
            left = deadline - time.monotonic()
            assert left > 0, "the kernel does not answer"
            message = self.loop.run_until_complete(self.client.get_iopub_msg(timeout=left))
            if message["parent_header"].get("msg_id") != request:
                continue
            messages.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        while True:
            left = max(0.1, deadline - time.monotonic())
            reply = self.loop.run_until_complete(self.client.get_shell_msg(timeout=left))
            if reply["parent_header"].get("msg_id") == request:
                return Answer(reply["content"]["status"], messages)

    def run(self, source: str, cell_id: str | None = None, watched: bool = False) -> Answer:
        return self.answer(self.send(source, cell_id, watched))

    def first(self, request: str, kind: str, timeout: float = 60) -> dict[str, Any]:
        """Wait for the first message of a kind while the cell goes on."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                message = self.loop.run_until_complete(self.client.get_iopub_msg(timeout=1))
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") == request and message["msg_type"] == kind:
                return message
        raise AssertionError(f"no {kind} came")

    def interrupt(self) -> None:
        self.loop.run_until_complete(self.manager.interrupt_kernel())

    def close(self) -> None:
        self.client.stop_channels()
        self.loop.run_until_complete(self.manager.shutdown_kernel(now=True))
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


@pytest.fixture
def another_kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel with the extension loaded for one test, which may kill it."""
    kernel = Kernel(tmp_path, FLYTE_JUPYTER_HOME=str(tmp_path / "home"))
    kernel.run("%load_ext flyte_jupyter")
    yield kernel
    kernel.close()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel with the extension loaded, shared by the tests of a module."""
    folder = tmp_path_factory.mktemp("kernel")
    kernel = Kernel(folder, FLYTE_JUPYTER_HOME=str(folder / "home"))
    answer = kernel.run("%load_ext flyte_jupyter")
    assert (answer.status, answer.stdout, answer.stderr) == ("ok", "", "")
    yield kernel
    kernel.close()
