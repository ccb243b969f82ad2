"""What all tests share: folders, other Pythons, an engine, a cluster, and what a skip means."""

from __future__ import annotations

import linecache
import os
import subprocess
import sys
import textwrap
import time
import types
from collections.abc import Callable, Collection, Generator, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .clusters import core, fresh_namespace, node, place  # noqa: F401
from .sharing import ByFile, take_a_cluster

if TYPE_CHECKING:
    from flyte_jupyter.daemon import Daemon

CI = os.environ.get("FLYTE_JUPYTER_CI") == "1"
NEEDS = "needs "
# what is still being removed when a kernel has been killed is gone after so many seconds
GONE = 15.0
LARGE = 1 << 14
PAGE = 1 << 12

_cells = count(1)

take_a_cluster()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Share the tests out file by file."""
    return ByFile(config, log)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say where large buffers differ: a picture of their lines would be larger still."""
    kinds = (bytes, bytearray, memoryview)
    if op != "==" or not isinstance(left, kinds) or not isinstance(right, kinds):
        return None
    one, other = bytes(left), bytes(right)
    if max(len(one), len(other)) < LARGE:
        return None
    pages = range(0, max(len(one), len(other)), PAGE)
    differ = [at for at in pages if one[at : at + PAGE] != other[at : at + PAGE]]
    at = differ[0] if differ else 0
    return [
        f"{len(one)} bytes == {len(other)} bytes",
        f"{len(differ)} of {len(pages)} pages differ, first at {at}, last at {differ[-1:]}:",
        f"{one[at : at + 64]!r}",
        f"{other[at : at + 64]!r}",
    ]


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The folder of state and caches: one for all tests of a session, never the user's own."""
    folder = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLYTE_JUPYTER_HOME", folder)
        yield folder


@pytest.fixture(autouse=True)
def configuration() -> Iterator[None]:
    """What a test configures is its own; an engine that it leaves keeps what it was given."""
    from flyte_jupyter.session import session

    before = session._config
    yield
    session._config = before


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A function that executes a cell of one notebook, with ``flyte`` and ``env``, as IPython does.

    It returns the notebook's namespace.
    """
    import flyte_jupyter as flyte

    module = types.ModuleType("__main__")
    module.__dict__.update(flyte=flyte, env=flyte.TaskEnvironment(name="env"))
    monkeypatch.setitem(sys.modules, "__main__", module)

    def execute(source: str) -> Any:
        source = textwrap.dedent(source)
        name = f"<cell {next(_cells)}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
        return module

    return execute


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """A function that runs a program in a process of its own, as a kernel would.

    The program has ``flyte`` and ``env``, and a state folder of its own.
    """
    started: list[subprocess.Popen[str]] = []

    def start(source: str) -> subprocess.Popen[str]:
        number = len(started)
        program = tmp_path / f"kernel_{number}.py"
        head = "import flyte_jupyter as flyte\nenv = flyte.TaskEnvironment(name='env')\n"
        program.write_text(head + textwrap.dedent(source))
        temporary = tmp_path / f"tmp_{number}"
        temporary.mkdir()
        process = subprocess.Popen(
            [sys.executable, str(program)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def needs_python(home: str) -> Callable[[str], str]:
    """A function that returns the path of a Python such as ``"3.9"``, or skips without it."""
    from pathlib import Path

    from flyte_jupyter.images import Interpreters

    interpreters = Interpreters(Path(home) / "cache" / "interpreters.json")

    def path(version: str) -> str:
        major, minor = version.split(".")
        found = interpreters.find((int(major), int(minor)))
        if found is None:
            pytest.skip(
                f"{NEEDS}Python {version}: install it, run .ci/pythons.py, or name it in "
                "FLYTE_JUPYTER_PYTHONS"
            )
        return found.path

    return path


@pytest.fixture(scope="session")
def any_engine(home: str) -> Iterator[Daemon]:
    """The Docker engine of this machine, whatever images it has; or skips without one."""
    from flyte_jupyter.daemon import connect
    from flyte_jupyter.errors import TargetError

    try:
        daemon = connect()
    except TargetError as error:
        pytest.skip(f"{NEEDS}a Docker engine: {error}")
    yield daemon
    daemon.close()


@pytest.fixture(scope="session")
def needs_image(any_engine: Daemon) -> Callable[[str], str]:
    """A function that returns the name of an image that the engine has, or skips without it."""
    from docker.errors import ImageNotFound

    def name(image: str) -> str:
        try:
            any_engine.api.inspect_image(image)
        except ImageNotFound:
            pytest.skip(f"{NEEDS}the image {image}: run .ci/base_images.py, or docker pull {image}")
        return image

    return name


@pytest.fixture(scope="session")
def docker_engine(any_engine: Daemon, needs_image: Callable[[str], str]) -> Daemon:
    """The Docker engine of this machine with the default base image, or skips without it."""
    needs_image("python:{}.{}-slim".format(*sys.version_info))
    return any_engine


@pytest.fixture(scope="session")
def leftovers(any_engine: Daemon, home: str) -> Iterator[Callable[..., list[str]]]:
    """A function that lists what the tests made since a time and left.

    That is what this process made, and what kernels of the tests made that have ended: their
    containers have folders of this session's home. Others may be at work with the same engine.
    """
    from flyte_jupyter.store.owners import is_alive, owner
    from flyte_jupyter.store.scratch import scratch_folders

    label, separator = "flyte_jupyter.owner", "+"
    client = any_engine.fresh()

    def made_here(row: dict[str, Any]) -> bool:
        """Whether it is this process's, or a dead one's that had the same home."""
        who = row["Labels"][label]
        mounted = any(each.get("Source", "").startswith(home) for each in row.get("Mounts", ()))
        return who == owner() or (mounted and is_alive(who) is False)

    def found(since: float, known: Collection[str] = ()) -> Iterator[str]:
        for kind, rows in (
            ("container", client.containers(all=True, filters={"label": label})),
            ("network", client.networks(filters={"label": label})),
            ("volume", client.volumes(filters={"label": label})["Volumes"] or []),
        ):
            for row in rows:
                # both are seconds, one of them rounded down
                created = row["Created"] if kind == "container" else _seconds(row)
                if created >= int(since) and made_here(row):
                    yield f"{kind} {row.get('Names') or row['Name']} {row['Labels']}"
        for path, who in scratch_folders():
            if who == owner() and str(path) not in known and path.stat().st_mtime >= since:
                yield f"folder {path}"
        # that of a kernel which was killed is removed by the next kernel
        for path in Path(home).rglob(owner().replace(":", separator)):
            yield f"folder {path}"

    yield lambda since, known=(): list(found(since, known))
    client.close()


def _seconds(row: dict[str, str]) -> float:
    from datetime import datetime

    # of the digits of a second more are written than Python reads
    text = row.get("Created") or row["CreatedAt"]
    return datetime.fromisoformat(text[:19] + "+00:00").timestamp()


@pytest.fixture(scope="session")
def gone(leftovers: Callable[..., list[str]]) -> Callable[..., None]:
    """A function that holds that nothing is left of what was made since a time.

    What a test before has left running may still change folders that are known from then.
    """

    def hold(since: float, known: Collection[str] = ()) -> None:
        limit = time.monotonic() + GONE
        while (left := leftovers(since, known)) and time.monotonic() < limit:
            time.sleep(0.05)
        assert left == []

    return hold


@pytest.fixture
def nothing_left(gone: Callable[..., None]) -> Iterator[None]:
    """Holds that a test leaves nothing in the engine and no folder; ask for it before a kernel."""
    from flyte_jupyter.store.scratch import scratch_folders

    start, known = time.time(), {str(path) for path, _ in scratch_folders()}
    yield
    gone(start, known)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what is skipped because something is missing, where everything has to be there."""
    report = yield
    if CI and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith(NEEDS):
            report.outcome = "failed"
            report.longrepr = f"{reason} (no test is skipped where FLYTE_JUPYTER_CI=1)"
    return report
