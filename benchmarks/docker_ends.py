"""P11: how soon nothing is left of a run that is interrupted, and of a kernel that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

from timing import quiet, shown

from flyte_jupyter.daemon import connect

OWNER = "flyte_jupyter.owner"
NAPPERS = 4
PROGRAM = f"""
import signal
import threading
import flyte_jupyter as flyte

# a program that was started in the background ignores interrupts, and so would this
signal.signal(signal.SIGINT, signal.default_int_handler)

flyte.init(target="docker")
env = flyte.TaskEnvironment("naps", resources=flyte.Resources(cpu="100m"))

@env.task
async def nap(i: int) -> None:
    import time
    print("napping", flush=True)
    time.sleep(600)

@env.task
async def naps() -> None:
    import asyncio
    print("napping", flush=True)
    await asyncio.gather(*(nap(i) for i in range({NAPPERS})))

run = flyte.run(naps)
up, seen = threading.Event(), []

def look(event):
    if event.kind == "log":
        seen.append(event.data["text"])
        if "".join(seen).count("napping") == {NAPPERS} + 1:
            up.set()

run.subscribe(look)
up.wait()
try:
    print("up", flush=True)
    run.result()
except KeyboardInterrupt:
    run.abort()  # of no effect, unless the interrupt came before the run was waited for
input()
flyte.shut_down()
"""


def containers(client, pid: int) -> set[str]:
    """Return the containers of a kernel."""
    found = client.containers(all=True, filters={"label": OWNER})
    return {each["Id"] for each in found if f":{pid}:" in each["Labels"][OWNER]}


def until(condition: Callable[[], bool]) -> float:
    """Return the seconds until something is so."""
    start = time.perf_counter()
    while not condition():
        if time.perf_counter() - start > 60:
            raise RuntimeError("it is not so after a minute")
        time.sleep(0.01)
    return time.perf_counter() - start


def measured(kill: bool) -> float:
    """Return the seconds from a signal until the containers are gone."""
    daemon = connect()
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        before = containers(daemon.api, process.pid)
        if kill:
            process.send_signal(signal.SIGKILL)
            return until(lambda: not containers(daemon.api, process.pid))
        # what is left then is standby, and the namespace that the next containers share
        rest = len(before) - (NAPPERS + 1)
        process.send_signal(signal.SIGINT)
        return until(lambda: len(containers(daemon.api, process.pid) & before) <= rest)
    finally:
        process.communicate("\n")
        daemon.close()


def rows() -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    interrupted, killed = [], []
    for _ in range(5):
        for row, kill in ((interrupted, False), (killed, True)):
            quiet()
            row.append(measured(kill))
    what = f"with {NAPPERS + 1} containers at work"
    return [
        (f"P11 interrupt, {what}, until they are gone", shown(interrupted), "≤ 2,000", "", "", ""),
        (f"P11 `kill -9` of the kernel, {what}", shown(killed), "≤ 15,000", "", "", ""),
    ]
