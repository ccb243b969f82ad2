"""Faults that are really injected into containers, and what has to be reported of each.

The tests walk this table, and so does ``benchmarks/faults.py``, which writes what was reported.
"""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["FAULTS", "READY", "Fault", "Scene"]

READY = "ready"


@dataclass(frozen=True)
class Scene:
    """What a fault has at hand once its task is under way.

    Args:
        api: a client of the engine.
        container: name of the task's container.
        end_engine: ends the engine, as its service manager does, and starts it again.
        kill_engine: the same with SIGKILL, which leaves no time for anything.
    """

    api: Any
    container: str
    end_engine: Callable[[], None]
    kill_engine: Callable[[], None]

    @property
    def pid(self) -> int:
        """The container's first process, as this machine numbers it."""
        return int(self.api.inspect_container(self.container)["State"]["Pid"])


@dataclass(frozen=True)
class Fault:
    """One fault.

    Args:
        name: what goes wrong, in a few words.
        how: how it is done.
        source: a cell that declares ``task``; ``flyte`` is there.
        type: class name of the exception that the notebook gets.
        code: its ``code``, ``""`` where it has none.
        says: has to be in what it says.
        advises: has to be in what it says to do next.
        strike: what is done to the task once it has printed `READY`.
        engine: ``"own"`` for an engine of its own, ``"small"`` for one on a small disk.
    """

    name: str
    how: str
    source: str
    type: str
    code: str
    says: str
    advises: str
    strike: Callable[[Scene], None] | None = None
    engine: str = ""

    @property
    def cell(self) -> str:
        """The source as a cell has it."""
        return textwrap.dedent(self.source).strip() + "\n"


WAITS = f"""
    env = flyte.TaskEnvironment("waits")

    @env.task
    def task():
        import time
        print("{READY}", flush=True)
        time.sleep(120)
"""

FAULTS = (
    Fault(
        "out of memory",
        "the body takes memory until it is killed, with a limit of 128Mi",
        """
        env = flyte.TaskEnvironment("small", resources=flyte.Resources(memory="128Mi"))

        @env.task
        def task():
            blocks = []
            while True:
                blocks.append(bytearray(1 << 24))
        """,
        "OOMError",
        "OOMError",
        "used more memory than its limit of 128Mi",
        'memory="256Mi"',
    ),
    Fault(
        "out of memory in a pool's process",
        "a process of a ProcessPoolExecutor takes 1 GiB, with a limit of 128Mi",
        """
        env = flyte.TaskEnvironment("small", resources=flyte.Resources(memory="128Mi"))

        @env.task
        def task():
            from concurrent.futures import ProcessPoolExecutor
            with ProcessPoolExecutor(1) as pool:
                pool.submit(bytes, 1 << 30).result()
        """,
        "BrokenProcessPool",
        "BrokenProcessPool",
        "terminated abruptly",
        "A process that it started was ended because the container reached its memory limit of "
        "128Mi",
    ),
    Fault(
        "out of memory in a program",
        "a program that the body starts takes memory until it is killed, with a limit of 128Mi",
        """
        env = flyte.TaskEnvironment("small", resources=flyte.Resources(memory="128Mi"))

        @env.task
        def task():
            import subprocess, sys
            eat = "b = []\\nwhile True: b.append(bytearray(1 << 24))"
            subprocess.run([sys.executable, "-c", eat], check=True)
        """,
        "CalledProcessError",
        "CalledProcessError",
        "SIGKILL",
        "A process that it started was ended because the container reached its memory limit",
    ),
    Fault(
        "segmentation fault",
        "the body reads address 0 through ctypes",
        """
        env = flyte.TaskEnvironment("env")

        @env.task
        def task():
            import ctypes
            ctypes.string_at(0)
        """,
        "RuntimeUserError",
        "SIGSEGV",
        "ended by SIGSEGV: a compiled library touched memory that is not its own",
        "%flyte_logs",
    ),
    Fault(
        "the process ends itself",
        "the body calls os._exit(7)",
        """
        env = flyte.TaskEnvironment("env")

        @env.task
        def task():
            import os
            os._exit(7)
        """,
        "RuntimeUserError",
        "Exited",
        "ended by itself with status 7",
        "os._exit",
    ),
    Fault(
        "docker kill",
        "docker kill of the container while the task runs",
        WAITS,
        "RuntimeSystemError",
        "ContainerKilled",
        "was ended from outside",
        "Run it again",
        lambda scene: scene.api.kill(scene.container),
    ),
    Fault(
        "docker rm -f",
        "docker rm -f of the container while the task runs",
        WAITS,
        "RuntimeSystemError",
        "ContainerKilled",
        "was ended from outside",
        "Run it again",
        lambda scene: scene.api.remove_container(scene.container, force=True),
    ),
    Fault(
        "kill -9 of the container's first process",
        "kill -9, on the machine, of the process that is PID 1 in the container",
        WAITS,
        "RuntimeUserError",
        "SIGKILL",
        "ended by SIGKILL from outside",
        "%flyte_logs",
        lambda scene: os.kill(scene.pid, signal.SIGKILL),
    ),
    Fault(
        "the engine is restarted",
        "dockerd gets SIGTERM while the task runs, and is started again",
        WAITS,
        "RuntimeSystemError",
        "EngineLost",
        "The docker engine stopped or was restarted while waits.task ran",
        "Run it again once the engine answers",
        lambda scene: scene.end_engine(),
        engine="own",
    ),
    Fault(
        "the engine is killed",
        "dockerd gets SIGKILL while the task runs, and is started again",
        WAITS,
        "RuntimeSystemError",
        "EngineLost",
        "The docker engine stopped or was restarted while waits.task ran",
        "Run it again once the engine answers",
        lambda scene: scene.kill_engine(),
        engine="own",
    ),
    Fault(
        "lost stream",
        "the body closes descriptors that are not its own, the stream's among them",
        """
        env = flyte.TaskEnvironment("env")

        @env.task
        def task():
            import os, time
            os.closerange(3, 256)
            time.sleep(120)
        """,
        "RuntimeSystemError",
        "StreamLost",
        "The connection to the worker of env.task was lost",
        "retries=",
    ),
    Fault(
        "missing image",
        "an image that no registry has",
        """
        env = flyte.TaskEnvironment("env", image="flyte-jupyter.invalid/there/is-none:1")

        @env.task
        def task(): ...
        """,
        "ImageBuildError",
        "",
        "'flyte-jupyter.invalid/there/is-none:1' is not on this engine",
        "docker load",
    ),
    Fault(
        "no Python in the image",
        "an image of Debian without Python",
        """
        env = flyte.TaskEnvironment("env", image="nopython:latest")

        @env.task
        def task(): ...
        """,
        "ImageBuildError",
        "",
        "'nopython:latest' has no Python",
        "Take an image with Python 3.9 or later",
    ),
    Fault(
        "another architecture",
        "an image whose programs are for another processor",
        """
        env = flyte.TaskEnvironment("env", image="otherarch:latest")

        @env.task
        def task(): ...
        """,
        "ImageBuildError",
        "",
        "'otherarch:latest' is made for another architecture",
        "Take an image for this architecture",
    ),
    Fault(
        "missing module",
        "the body imports sklearn in an image without it",
        """
        env = flyte.TaskEnvironment("env")

        @env.task
        def task():
            import sklearn
        """,
        "ModuleNotFoundError",
        "ModuleNotFoundError",
        "No module named 'sklearn'",
        'with_pip_packages("scikit-learn")',
    ),
    Fault(
        "missing command",
        "the body starts ffmpeg in an image without it",
        """
        env = flyte.TaskEnvironment("env")

        @env.task
        def task():
            import subprocess
            subprocess.run(["ffmpeg", "-version"])
        """,
        "FileNotFoundError",
        "FileNotFoundError",
        "No such file or directory: 'ffmpeg'",
        'with_apt_packages("ffmpeg")',
    ),
    Fault(
        "full disk",
        "the body writes until the engine's disk, a small tmpfs, is full",
        """
        env = flyte.TaskEnvironment("env")

        @env.task
        def task():
            with open("much", "wb") as file:
                while True:
                    file.write(bytes(1 << 24))
        """,
        "OSError",
        "OSError",
        "No space left on device",
        "The disk that it wrote to is full",
        engine="small",
    ),
    Fault(
        "full shared memory, mapped",
        "the body maps 256 MiB of /dev/shm, which has 64, and writes to them",
        """
        env = flyte.TaskEnvironment("env")

        @env.task
        def task():
            import mmap, os
            file = os.open("/dev/shm/much", os.O_CREAT | os.O_RDWR)
            os.ftruncate(file, 1 << 28)
            much = mmap.mmap(file, 1 << 28)
            for at in range(0, 1 << 28, 4096):
                much[at] = 1
        """,
        "RuntimeUserError",
        "SIGBUS",
        "ended by SIGBUS: a mapped file or shared memory ran out of space; its /dev/shm has 64",
        'shm="1Gi"',
    ),
    Fault(
        "full shared memory, written",
        "the body writes 256 MiB to /dev/shm, which has 64",
        """
        env = flyte.TaskEnvironment("env")

        @env.task
        def task():
            with open("/dev/shm/much", "wb") as file:
                for _ in range(16):
                    file.write(bytes(1 << 24))
        """,
        "OSError",
        "OSError",
        "No space left on device",
        "Shared memory ran out (/dev/shm has 64Mi): give it more, .override(resources="
        'flyte.Resources(shm="1Gi"))',
    ),
    Fault(
        "no network",
        "the body opens a connection with network=False",
        """
        env = flyte.TaskEnvironment("env", network=False)

        @env.task
        def task():
            import socket
            socket.create_connection(("192.0.2.1", 80), 5)
        """,
        "OSError",
        "OSError",
        "Network is unreachable",
        "network=False",
    ),
    Fault(
        "a server on the notebook's machine",
        "the body connects to localhost, where a notebook's server would be",
        """
        env = flyte.TaskEnvironment("env")

        @env.task
        def task():
            import socket
            socket.create_connection(("127.0.0.1", 9), 5)
        """,
        "ConnectionRefusedError",
        "ConnectionRefusedError",
        "Connection refused",
        "localhost is the container itself",
    ),
    Fault(
        "timeout",
        "the body sleeps for longer than its timeout of 1 s",
        """
        env = flyte.TaskEnvironment("env")

        @env.task(timeout=1)
        def task():
            import time
            time.sleep(120)
        """,
        "MaxRuntimeExceededError",
        "MaxRuntimeExceededError",
        "ran longer than its timeout of 1 s",
        "timeout=",
    ),
    Fault(
        "timeout of a body that ignores signals",
        "the body ignores SIGINT and SIGTERM and every exception, with a timeout of 1 s",
        """
        env = flyte.TaskEnvironment("env")

        @env.task(timeout=1)
        def task():
            import signal, time
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            while True:
                try:
                    time.sleep(120)
                except BaseException:
                    pass
        """,
        "MaxRuntimeExceededError",
        "MaxRuntimeExceededError",
        "ran longer than its timeout of 1 s",
        "timeout=",
    ),
    Fault(
        "a folder of another user",
        "the body lists a folder that only its owner may read",
        """
        env = flyte.TaskEnvironment("env")

        @env.task
        def task():
            import os
            os.listdir("/var/cache/apt/archives/partial")
        """,
        "PermissionError",
        "PermissionError",
        "Permission denied: '/var/cache/apt/archives/partial'",
        "A task runs as the notebook's user",
    ),
    Fault(
        "packages that there are not",
        "pip packages of the image that no index has",
        """
        image = flyte.Image.from_debian_base().with_pip_packages("flyte-jupyter-has-no-such")
        env = flyte.TaskEnvironment("env", image=image)

        @env.task
        def task(): ...
        """,
        "ImageBuildError",
        "",
        "pip flyte-jupyter-has-no-such could not be installed",
        "Check the spelling of 'flyte-jupyter-has-no-such'",
    ),
    Fault(
        "a command of a build that fails",
        "with_commands with a command that ends with status 3",
        """
        image = flyte.Image.from_debian_base().with_commands(["echo why; exit 3"])
        env = flyte.TaskEnvironment("env", image=image)

        @env.task
        def task(): ...
        """,
        "ImageBuildError",
        "",
        "ended with exit status 3",
        "the last that it wrote",
    ),
)
