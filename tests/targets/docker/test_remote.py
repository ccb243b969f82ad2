"""The target `docker` with an engine that shares no machine with the notebook."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound

sys.path.insert(0, str(Path(__file__).parent))

from second_engine import SecondEngine

import flyte_jupyter as flyte
from flyte_jupyter.daemon import Daemon, connect
from flyte_jupyter.daemon.labels import IMAGE, OWNER
from flyte_jupyter.session import session
from flyte_jupyter.targets.docker import launch

BASE = "python:{}.{}-slim".format(*sys.version_info)
PATIENCE = 30.0
GONE = 15.0

# the docker package lets a socket go unclosed when nobody listens at its other end
pytestmark = pytest.mark.filterwarnings("ignore:.*<socket:pytest.PytestUnraisableExceptionWarning")


class Remote:
    """An engine that is reached over TCP, and what it has."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.url = f"tcp://127.0.0.1:{self.port}"
        self.engine = SecondEngine(arguments=[f"--host={self.url}"])
        self.engine.load(BASE)
        self.daemon = connect({"host": self.engine.url})

    def containers(self) -> list[dict[str, Any]]:
        rows = self.daemon.api.containers(all=True, filters={"label": OWNER})
        assert isinstance(rows, list)
        return rows

    def inspected(self) -> list[dict[str, Any]]:
        """Return what the engine tells of those that are not being removed."""
        told = []
        for each in self.containers():
            with contextlib.suppress(NotFound):
                told.append(self.daemon.api.inspect_container(each["Id"]))
        return told

    def docker(self, *arguments: str) -> str:
        command = ["docker", "-H", self.engine.url, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def close(self) -> None:
        self.daemon.close()
        self.engine.close()


@pytest.fixture(scope="module")
def remote(docker_engine: Daemon) -> Iterator[Remote]:
    """The engine of this module."""
    if os.getuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("needs a second Docker engine: install docker.io and run this as root")
    made = Remote()
    yield made
    made.close()


@pytest.fixture
def options(remote: Remote) -> dict[str, Any]:
    """What names the engine."""
    return {"host": remote.url}


@pytest.fixture
def book(
    remote: Remote,
    options: dict[str, Any],
    cell: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Callable[[str], Any]]:
    """A function that executes a cell of a notebook; nothing of it is left in the engine."""
    monkeypatch.setattr(session, "_config", session.config())  # later tests have their own
    flyte.init(target="docker", state=tmp_path / "state", **options)
    yield cell
    flyte.shut_down()
    nothing_left(remote)
    gc.collect()  # what was left open is this test's to answer for


def nothing_left(remote: Remote, seconds: float = GONE) -> None:
    limit = time.monotonic() + seconds
    while left := remote.containers():
        assert time.monotonic() < limit, left
        time.sleep(0.05)


def printed(run: flyte.Run, text: str) -> None:
    """Wait until a run has printed a text."""
    arrived = threading.Event()

    def look(event: Any) -> None:
        if event.kind == "end" or (event.kind == "log" and text in event.data["text"]):
            arrived.set()

    run.subscribe(look)
    assert arrived.wait(PATIENCE)
    assert text in run.logs(), run.error


def test_tasks_call_each_other_there_and_what_they_print_comes_here(
    book: Any, remote: Remote
) -> None:
    assert not connect({"host": remote.url}).local
    cell = book("""
        import os, socket, subprocess

        @env.task
        def child(x: int):
            subprocess.run(["echo", "from a program"])
            return socket.gethostname(), os.getuid(), x + 1

        @env.task
        def parent():
            print("from the parent", flush=True)
            return [socket.gethostname(), *child(1)]
    """)
    run = flyte.run(cell.parent)
    first, second, user, number = run.outputs()[0]
    assert len({first, second, socket.gethostname()}) == 3
    assert (user, number) == (os.getuid(), 2)
    assert {"from the parent\n", "from a program\n"} <= set(run.logs().splitlines(keepends=True))


ARRAYS = """
    numeric = flyte.TaskEnvironment(
        "numeric", image=flyte.Image.from_debian_base().with_pip_packages("numpy")
    )

    @numeric.task
    def twice(array):
        array *= 2  # it is writable
        return array

    @env.task
    def passes_on(array):
        return twice(array)
"""


def test_packages_are_built_in_and_large_arrays_are_pulled(book: Any, remote: Remote) -> None:
    import numpy as np

    cell = book(ARRAYS)
    array = np.random.default_rng(7).random((64 << 20) // 8)
    (doubled,) = flyte.run(cell.passes_on, array).outputs()
    assert doubled.shape == array.shape
    assert (doubled == 2 * array).all()
    doubled += 1  # it is writable
    rows = remote.containers()
    mounts = [each["Mounts"] for each in rows]
    assert not any(mounts), mounts
    images = remote.daemon.api.images(filters={"label": IMAGE})
    assert len(images) == 1


def test_exceptions_are_the_notebook_s_own(book: Any) -> None:
    cell = book("""
        class OwnError(Exception):
            pass

        @env.task
        def fails():
            raise OwnError("of its own")

        @env.task
        def exits():
            import os
            print("before", flush=True)
            os._exit(3)
    """)
    with pytest.raises(cell.OwnError, match="of its own"):
        flyte.run(cell.fails).outputs()
    run = flyte.run(cell.exits)
    with pytest.raises(flyte.errors.RuntimeUserError, match="status 3"):
        run.outputs()
    assert "before" in run.logs()


def test_the_last_words_of_a_task_that_is_killed_are_heard(book: Any) -> None:
    cell = book("""
        @env.task
        def is_killed():
            import os, signal
            print("last", "word" * 1000, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    run = flyte.run(cell.is_killed)
    with pytest.raises(flyte.errors.RuntimeUserError, match="SIGKILL"):
        run.outputs()
    assert run.logs().endswith("word\n")


WAITS = """
    import signal, time

    @env.task(timeout=1)
    def too_long():
        time.sleep(600)

    @env.task
    def waits():
        print("waits", flush=True)
        time.sleep(600)

    @env.task
    def is_deaf():
        import ctypes
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("deaf", flush=True)
        ctypes.PyDLL(None).sleep(600)  # with the interpreter's lock held
"""


def test_what_lasts_too_long_is_ended(book: Any) -> None:
    cell = book(WAITS)
    with pytest.raises(flyte.errors.TaskTimeoutError):
        flyte.run(cell.too_long).outputs()


@pytest.mark.parametrize("name", ["waits", "is_deaf"])
def test_an_abort_ends_the_task(book: Any, name: str) -> None:
    cell = book(WAITS)
    run = flyte.run(getattr(cell, name))
    printed(run, name.removeprefix("is_"))
    run.abort()
    assert run.wait().phase == "aborted"


def test_an_interrupt_ends_the_run(book: Any) -> None:
    cell = book(WAITS)
    run = flyte.run(cell.waits)
    printed(run, "waits")
    interrupt = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        run.outputs()
    assert run.wait().phase == "aborted"


def test_a_warm_container_is_used_again(book: Any) -> None:
    cell = book("""
        warm = flyte.TaskEnvironment("warm", reusable=flyte.ReusePolicy(replicas=1))

        @warm.task
        def where():
            import socket
            return socket.gethostname()
    """)
    assert len({flyte.run(cell.where).outputs()[0] for _ in range(5)}) == 1


def test_secrets_are_handed_over_the_stream(
    book: Any, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "swordfish")
    cell = book("""
        import os

        safe = flyte.TaskEnvironment(
            "safe",
            secrets=[flyte.Secret("token", "team", "/etc/flyte/secrets", as_env_var="TOKEN")],
        )

        @safe.task
        def look(wait):
            import time
            if wait:
                print("waits", flush=True)
                time.sleep(600)
            return os.environ["TOKEN"], open("/etc/flyte/secrets/team/token").read()
    """)
    assert flyte.run(cell.look, False).outputs()[0] == ("swordfish", "swordfish")
    run = flyte.run(cell.look, True)
    printed(run, "waits")
    told = remote.inspected()
    run.abort()
    assert told
    assert "swordfish" not in json.dumps(told)


KERNEL = """
    import sys
    import flyte_jupyter as flyte

    env = flyte.TaskEnvironment("env")

    @env.task
    def waits():
        import time
        print("waits", flush=True)
        time.sleep(600)

    if __name__ == "__main__":
        flyte.init(target="docker", host={url!r}, state={state!r})
        run = flyte.run(waits)
        run.subscribe(lambda event: event.kind == "log" and print("waits", flush=True))
        run.wait()
"""


@pytest.fixture
def kernel(remote: Remote, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A kernel in a process of its own, whose task runs."""
    program = tmp_path / "kernel.py"
    source = textwrap.dedent(KERNEL).format(url=remote.url, state=str(tmp_path / "state"))
    program.write_text(source)
    process = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        said = process.stdout.readline()
        if said != "waits\n":
            process.kill()
        assert said == "waits\n"
        yield process
        process.kill()


def test_a_killed_kernel_leaves_nothing(remote: Remote, kernel: subprocess.Popen[str]) -> None:
    # one that it has created, and has not come to start
    (row, *_) = remote.containers()
    remote.daemon.api.create_container(BASE, ["true"], labels=row["Labels"])
    kernel.kill()
    kernel.wait()
    nothing_left(remote)


def test_a_kernel_that_is_silent_for_long_is_gone(
    book: Any, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SHORTEST_LEASE", timedelta(0))
    flyte.init(target="docker", lease=1, **options)
    monkeypatch.setattr("flyte_jupyter.targets.attachment.PULSE_SECONDS", 0.2)
    cell = book(WAITS)
    run = flyte.run(cell.waits)
    printed(run, "waits")
    over = threading.Event()
    run.subscribe(lambda event: event.kind == "end" and over.set())
    assert not over.wait(2), run.error  # signs of life have come
    monkeypatch.setattr("flyte_jupyter.targets.attachment.PULSE_SECONDS", 600.0)
    with pytest.raises(flyte.errors.RuntimeSystemError):
        run.outputs()


STARTS_BADLY = """
import os, sys
print("an image that prints when Python starts")
if os.getpid() == 1 and "worker.attached" in " ".join(sys.orig_argv) and {ends}:
    print("and that ends", file=sys.stderr)
    os._exit(3)
"""


@pytest.fixture
def image(remote: Remote, tmp_path: Path) -> Callable[[bool], str]:
    """A function that makes an image whose Python prints, and may end, as soon as it starts."""

    def make(ends: bool) -> str:
        name = f"starts-badly:{'ends' if ends else 'prints'}"
        if remote.docker("images", "-q", name):
            return name
        (tmp_path / "starts_badly.py").write_text(STARTS_BADLY.format(ends=ends))
        (tmp_path / "starts_badly.pth").write_text("import starts_badly")
        program = "import site; print(site.getsitepackages()[0])"
        place = remote.docker("run", "--rm", "--network=none", BASE, "python3", "-c", program)
        container = remote.docker("create", BASE)
        for file in ("starts_badly.py", "starts_badly.pth"):
            remote.docker("cp", str(tmp_path / file), f"{container}:{place}")
        remote.docker("commit", container, name)
        remote.docker("rm", container)
        return name

    return make


IN_IMAGE = """
    other = flyte.TaskEnvironment("other", image={image!r})

    @other.task
    def works():
        return 7
"""


def test_what_python_prints_at_its_start_is_no_part_of_the_stream(book: Any, image: Any) -> None:
    cell = book(IN_IMAGE.format(image=image(False)))
    assert flyte.run(cell.works).outputs()[0] == 7


def test_a_container_that_ends_at_its_start_tells_why(book: Any, image: Any) -> None:
    cell = book(IN_IMAGE.format(image=image(True)))
    with pytest.raises(flyte.errors.FlyteError, match="status 3 at its start") as caught:
        flyte.run(cell.works).outputs()
    assert "and that ends" in str(caught.value)


def test_what_was_created_and_never_started_is_removed_by_a_later_kernel(
    book: Any, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = remote.daemon.api.create_container(BASE, ["true"], labels={OWNER: "elsewhere:1:1-1"})
    try:
        cell = book(WAITS)
        with pytest.raises(flyte.errors.TaskTimeoutError):
            flyte.run(cell.too_long).outputs()
        assert kept["Id"] in {each["Id"] for each in remote.containers()}  # it may start yet
        flyte.shut_down()
        monkeypatch.setattr(launch, "UNSTARTED", 0)
        flyte.init(target="docker", host=remote.url)
        with pytest.raises(flyte.errors.TaskTimeoutError):
            flyte.run(cell.too_long).outputs()
        assert kept["Id"] not in {each["Id"] for each in remote.containers()}
    finally:
        if kept["Id"] in {each["Id"] for each in remote.containers()}:
            remote.daemon.api.remove_container(kept["Id"])


def test_an_engine_that_is_killed_is_told_and_used_again(book: Any, remote: Remote) -> None:
    cell = book(WAITS)
    run = flyte.run(cell.waits)
    printed(run, "waits")
    remote.engine.restart(signal.SIGKILL)
    with pytest.raises(flyte.errors.RuntimeSystemError, match="engine"):
        run.outputs()
    with pytest.raises(flyte.errors.TaskTimeoutError):
        flyte.run(cell.too_long).outputs()


# From here on the engine wants certificates.


@pytest.fixture(scope="module")
def secure(remote: Remote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a user's certificates, without which the engine lets nobody in."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl: apt-get install openssl")
    ours, theirs = tmp_path_factory.mktemp("client"), tmp_path_factory.mktemp("server")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    ca, ca_key = str(ours / "ca.pem"), str(ours / "ca-key.pem")
    openssl("req", "-x509", *key, "-keyout", ca_key, "-out", ca, "-subj", "/CN=ca", "-days", "2")
    for folder, name in ((theirs, "engine"), (ours, "user")):
        (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1")
        request = str(folder / "request")
        openssl(
            "req", *key, "-keyout", str(folder / "key.pem"), "-out", request, "-subj", f"/CN={name}"
        )
        openssl(
            *("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-days", "2"),
            *("-CAcreateserial", "-out", str(folder / "cert.pem")),
            *("-extfile", str(folder / "extensions")),
        )
    remote.engine.arguments = (
        f"--host={remote.url}",
        "--tlsverify",
        f"--tlscacert={ca}",
        f"--tlscert={theirs / 'cert.pem'}",
        f"--tlskey={theirs / 'key.pem'}",
    )
    remote.engine.restart()
    return ours


@pytest.fixture
def encrypted(secure: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that has the certificates, as the docker command would have them."""
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(secure))


def test_tasks_and_arrays_go_through_tls(encrypted: None, book: Any) -> None:
    import numpy as np

    cell = book(ARRAYS)
    array = np.random.default_rng(7).random((16 << 20) // 8)
    (doubled,) = flyte.run(cell.passes_on, array).outputs()
    assert (doubled == 2 * array).all()


def test_an_abort_goes_through_tls(encrypted: None, book: Any) -> None:
    cell = book(WAITS)
    run = flyte.run(cell.waits)
    printed(run, "waits")
    run.abort()
    assert run.wait().phase == "aborted"


def test_a_killed_kernel_leaves_nothing_behind_tls(
    encrypted: None, remote: Remote, kernel: subprocess.Popen[str]
) -> None:
    (row, *_) = remote.containers()
    remote.daemon.api.create_container(BASE, ["true"], labels=row["Labels"])
    kernel.kill()
    kernel.wait()
    nothing_left(remote)


def test_an_engine_that_asks_for_certificates_is_told_as_that(secure: Path, remote: Remote) -> None:
    with pytest.raises(flyte.errors.TargetError, match="its certificates") as caught:
        connect({"host": remote.url})
    assert "DOCKER_CERT_PATH" in caught.value.remedy
