"""A kernel of the campaign: ``campaign_kernel.py work CALLS FAILING`` or ``... nap TIMES``."""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import sys
import threading
import time
import types

import flyte_jupyter as flyte

ENOUGH = flyte.Resources(cpu="200m", memory="128Mi")
fresh = flyte.TaskEnvironment("fresh", resources=ENOUGH)
kept = flyte.TaskEnvironment("kept", resources=ENOUGH, reusable=flyte.ReusePolicy(replicas=2))
tight = flyte.TaskEnvironment("tight", resources=flyte.Resources(cpu="200m", memory="48Mi"))
AT_ONCE = 40
PATIENCE = 60
NAPPERS = 2


@fresh.task
def good(x: int) -> int:
    return x + 1


@kept.task
def again(x: int) -> int:
    return x + 1


@fresh.task
def raises(x: int) -> int:
    raise ValueError(f"call {x}")


@fresh.task
def exits(x: int) -> int:
    import os

    os._exit(7)


@fresh.task
def dies(x: int) -> int:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGSEGV)
    signal.pause()


@tight.task
def eats(x: int) -> int:
    return len(b"x" * (256 << 20))


@fresh.task(timeout=1)
def lasts(x: int) -> int:
    import time

    time.sleep(600)


@fresh.task
async def nap(x: int) -> None:
    import time

    print("napping", flush=True)
    time.sleep(600)


@fresh.task
async def naps() -> None:
    import asyncio

    print("napping", flush=True)
    await asyncio.gather(*(nap(i) for i in range(NAPPERS)))


# task: share of the failures in percent, what is raised, words of it
FAILURES = {
    raises: (40, "ValueError", "call {x}"),
    exits: (20, "RuntimeUserError", "7"),
    dies: (10, "RuntimeUserError", "SIGSEGV"),
    eats: (15, "OOMError", "48Mi"),
    lasts: (15, "MaxRuntimeExceededError", "1 s"),
}


def plan(calls: int, failing: int) -> list[tuple[flyte.Task, int]]:
    """Return tasks and inputs, mixed, the same each time."""
    tasks = [task for task, (share, *_) in FAILURES.items() for _ in range(share * failing // 100)]
    tasks += [raises] * (failing - len(tasks))
    tasks += [good, again] * ((calls - failing) // 2)
    tasks += [good] * (calls - len(tasks))
    random.Random(7).shuffle(tasks)
    return list(zip(tasks, range(calls), strict=True))


def judged(task: flyte.Task, x: int, run: flyte.Run) -> str:
    """Return what is wrong with the end of a run, ``""`` if it ended as it had to."""
    error = run.error
    if task not in FAILURES:
        return "" if error is None and run.result() == x + 1 else f"{task.func_name}: {error!r}"
    _, kind, words = FAILURES[task]
    right = type(error).__name__ == kind and words.format(x=x) in str(error)
    return "" if right else f"{task.func_name}: {error!r}"


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def work(calls: int, failing: int) -> None:
    """Make the calls of the plan and print what was wrong."""
    flyte.init(target="docker")
    flyte.run(good, 1).result()
    flyte.shut_down()
    before = descriptors()
    flyte.init(target="docker")
    wrong, todo = [], plan(calls, failing)
    counts: dict[str, int] = {}
    while todo:
        wave, todo = todo[:AT_ONCE], todo[AT_ONCE:]
        runs = [(task, x, flyte.run(task, x)) for task, x in wave]
        for task, x, run in runs:
            run.wait()
            wrong.append(judged(task, x, run))
            counts[task.func_name] = counts.get(task.func_name, 0) + 1
    flyte.shut_down()
    wrong = [each for each in wrong if each]
    found = {"wrong": wrong, "counts": counts, "descriptors": descriptors() - before}
    print(json.dumps(found), flush=True)


def rest(times: int) -> None:
    """Start runs that are interrupted from outside; say when each is up and how each ended."""
    flyte.init(target="docker")
    for _ in range(times):
        run = flyte.run(naps)
        up, seen = threading.Event(), []

        def look(event: object, up: threading.Event = up, seen: list[str] = seen) -> None:
            if event.kind == "log":
                seen.append(event.data["text"])
                if "".join(seen).count("napping") == NAPPERS + 1:
                    up.set()

        run.subscribe(look)
        # it ends if the run hangs
        signal.alarm(PATIENCE)
        threading.Thread(target=announce, args=(up, threading.get_ident())).start()
        try:
            run.result()
        except KeyboardInterrupt:
            print(run.wait().phase, flush=True)
    flyte.shut_down()


def announce(up: threading.Event, main: int) -> None:
    """Print that a run is up once the main thread waits for it: then it may be interrupted."""
    up.wait()
    before = None
    while (place := waiting(sys._current_frames()[main])) is None or place != before:
        before = place
        time.sleep(0.01)
    print("up", flush=True)


def waiting(frame: types.FrameType | None) -> tuple[int, int] | None:
    """Return where a stack stands if it is inside of the wait for a run."""
    place = (id(frame), frame.f_lasti) if frame else None
    while frame is not None:
        if frame.f_globals["__name__"] == flyte.Run.__module__:
            return place
        frame = frame.f_back
    return None


if __name__ == "__main__":
    # a program that was started in the background ignores interrupts, and so would this
    signal.signal(signal.SIGINT, signal.default_int_handler)
    what, *numbers = sys.argv[1:]
    {"work": work, "nap": rest}[what](*map(int, numbers))
