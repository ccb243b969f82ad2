"""A kernel for each test: a notebook's namespace, an engine with a state folder of its own."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte

PATIENCE = 20.0


@pytest.fixture(autouse=True)
def state(tmp_path: Path) -> Iterator[Path]:
    """The state folder of this test's engine, which is ended afterwards."""
    folder = tmp_path / "state"
    flyte.init(state=folder, oversize="refuse", pickle=True)
    yield folder
    flyte.shut_down()


@pytest.fixture
def logged() -> Callable[..., str]:
    """A function that waits until a run has printed a text, and returns all that it printed."""

    def wait(run: flyte.Run, text: str, seconds: float = PATIENCE) -> str:
        arrived = threading.Event()
        seen: list[str] = []

        def look(event: Any) -> None:
            if event.kind == "log":
                seen.append(event.data["text"])
                if text in "".join(seen):
                    arrived.set()
            elif event.kind == "end":
                arrived.set()

        run.subscribe(look)
        assert arrived.wait(seconds), f"{text!r} was not printed: {''.join(seen)!r}"
        assert text in "".join(seen), f"{text!r} was not printed: {''.join(seen)!r}"
        return "".join(seen)

    return wait


@pytest.fixture
def until() -> Callable[..., None]:
    """A function that returns once a condition holds, and fails when its time is over."""

    def wait(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        limit = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < limit, f"it did not become true within {seconds} s"
            time.sleep(0.005)

    return wait


def runs(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (ProcessLookupError, FileNotFoundError):
        return False
    return fields[0] not in "ZX"


@pytest.fixture
def process_runs() -> Callable[[int], bool]:
    """A function that says whether a process is there and no zombie."""
    return runs


@pytest.fixture
def journal(state: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """A function that returns rows of the journal, read as another process would."""

    def rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        flyte.shut_down()  # what is written behind is written now
        with sqlite3.connect(state / "journal.sqlite") as database:
            found = database.execute(statement, values).fetchall()
        database.close()
        return found

    return rows
