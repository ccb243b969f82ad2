"""A run in a terminal: drawn in place while it runs, and plain lines where nobody can look."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from flyte_jupyter.engine.events import Event
from flyte_jupyter.notebook.drawn import picture
from flyte_jupyter.notebook.state import RunState, state_of

SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PROGRAM = """\
import asyncio
import flyte_jupyter as flyte
get_ipython().run_line_magic("load_ext", "flyte_jupyter")
steps = flyte.TaskEnvironment("steps")

@steps.task
async def whole(n: int) -> int:
    return sum(await asyncio.gather(*(part.aio(k) for k in range(n))))

@steps.task
def part(k: int) -> int:
    import time
    print("part", k)
    time.sleep(0.8)
    return k

%flyte_run whole(2)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program for IPython."""
    path = tmp_path / "program.ipy"
    path.write_text(PROGRAM)
    return path


def test_a_terminal_sees_a_run_change_in_place_and_keeps_its_end(program: Path) -> None:
    drawn, _ = pexpect.run(
        f"{sys.executable} -m IPython {program}",
        timeout=60,
        withexitstatus=True,
        env={**_surroundings(), "TERM": "xterm"},
        encoding="utf-8",
    )
    running = [piece for piece in drawn.split("\x1b[J") if "▶" in piece]
    assert len(running) >= 2
    assert all("\x1b[" in piece for piece in running)
    end = SEQUENCE.sub("", drawn.rpartition("\x1b[J")[2]).replace("\r", "")
    assert end.startswith("part 0\npart 1\n✓ succeeded whole on local · 3 actions · ")
    assert "├─ ✓ part succeeded [steps]" in end


def test_a_pipe_sees_no_drawing(program: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "IPython", str(program)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**_surroundings(), "TERM": "xterm"},
        check=True,
    )
    assert "\x1b[J" not in done.stdout
    assert "▶" not in done.stdout
    assert "part 0\npart 1\nRun(whole: succeeded)\n" in done.stdout


def _surroundings() -> dict[str, str]:
    import os

    return {name: text for name, text in os.environ.items() if name != "FLYTE_JUPYTER_INTERACTIVE"}


def state(calls: int) -> RunState:
    told: list[tuple[str, str | None, dict[str, object]]] = [
        ("run", None, {"name": "run-1", "task": "env.whole", "target": "local"}),
        ("action", "a0", {"parent": None, "task": "env.whole", "environment": "env"}),
        ("phase", "a0", {"phase": "running", "attempt": 1, "why": ""}),
    ]
    for n in range(1, calls + 1):
        told.append(("action", f"a{n}", {"parent": "a0", "task": f"env.part{n % 40}"}))
    told.append(("log", "a0", {"text": "".join(f"line {n} {'x' * 300}\n" for n in range(40))}))
    told.append(("prepare", None, {"environment": "env", "text": "installing pandas"}))
    return state_of(
        Event("run-1", seq, 100.0 + seq, kind, action, data)
        for seq, (kind, action, data) in enumerate(told)
    )


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (200, 60)])
def test_a_picture_fits_its_terminal(size: tuple[int, int]) -> None:
    width, height = size
    lines = picture(state(30), 1000.0, width, height)
    assert len(lines) <= height
    assert max(len(SEQUENCE.sub("", line)) for line in lines) < width
    assert "running whole" in SEQUENCE.sub("", lines[0])
    text = SEQUENCE.sub("", "\n".join(lines))
    assert "preparing env: installing pandas" in text
    assert "line 39" in text


def test_a_group_has_a_bar() -> None:
    calls = state(400)
    calls.feed(
        Event("run-1", calls.next_seq + n, 900.0, "phase", f"a{n}", {"phase": "succeeded"})
        for n in range(40, 201, 40)
    )
    text = SEQUENCE.sub("", "\n".join(picture(calls, 1000.0, 120, 60)))
    assert "part0 × 10: 5 queued, 5 succeeded ██████████░░░░░░░░░░ 50 %" in text
