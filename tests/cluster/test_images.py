"""Images of this machine in the cluster: built, loaded into the node, pushed to a registry."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.daemon import Daemon
from flyte_jupyter.daemon.labels import IMAGE as WORDS
from flyte_jupyter.images.stack import python_image

from .conftest import HOW, IMAGE, until

USER, PASSWORD = "someone", "open sesame"
# of that password, as htpasswd -B writes it
LOCK = "someone:$2b$05$FOypQgaOIQ7fbc6aQ6.uNOsFIqsx70DmWT4O/3LPwYJC7fhAVmZJq"
Init = Callable[..., None]


@pytest.fixture
def place(core: Any) -> Path:
    """The folder of the cluster that `.ci/cluster.py` made, whose node is this machine."""
    found = Path(os.environ["KUBECONFIG"]).parent
    if not (found / "containerd.sock").exists():
        pytest.skip(f"only a cluster of ours has a node that is here: {HOW}")
    return found


@pytest.fixture
def ctr(place: Path) -> Callable[..., str]:
    """A function that asks the node's container runtime."""

    def ask(*words: str) -> str:
        command = ["ctr", "--address", str(place / "containerd.sock"), "--namespace", "k8s.io"]
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=True)
        return done.stdout

    return ask


@pytest.fixture
def init(book: Any, namespace: str, tmp_path: Path) -> Init:
    """A function that begins a session with options of the target."""

    def begin(**options: str) -> None:
        flyte.shut_down()
        flyte.init(target="kubernetes", namespace=namespace, state=tmp_path / "state", **options)

    return begin


@pytest.fixture
def loading(init: Init, place: Path) -> None:
    """A session that loads images into the node."""
    init(containerd=str(place / "containerd.sock"))


@pytest.fixture
def mark(any_engine: Daemon, place: Path, ctr: Callable[..., str]) -> Iterator[str]:
    """A word that makes an image another one; those that have it are removed in the end."""
    word = f"test-{uuid.uuid4().hex[:8]}"
    yield word
    api = any_engine.fresh()
    for one in api.images():
        tags = one["RepoTags"] or ()
        if word in (one["Labels"] or {}).get(WORDS, "") or any(word in tag for tag in tags):
            for tag in tags:
                # others may stand for the same content
                if word in tag or tag.startswith("flyte-jupyter:"):
                    api.remove_image(tag, force=True)
                    ctr("images", "rm", f"docker.io/library/{tag}")
    api.close()


@pytest.fixture
def only_here(any_engine: Daemon, mark: str) -> str:
    """The name of an image that only this machine's engine has."""
    api = any_engine.fresh()
    name = f"only-here-{mark}:1"
    container = api.create_container(IMAGE, ["true"])["Id"]
    api.commit(container, *name.split(":"))
    api.remove_container(container)
    api.close()
    return name


@pytest.fixture
def registry(place: Path, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A function that starts a real registry, and returns the name by which all reach it."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("needs docker-registry: apt-get install docker-registry")
    started: list[subprocess.Popen[bytes]] = []
    folders: list[Path] = []
    server = json.loads((place / "kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
    # the host as the node sees it: the other end of its link
    host = (urlsplit(server).hostname or "").rpartition(".")[0] + ".1"

    def start(lock: str = "") -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        name = f"127.0.0.1:{port}"
        home = tmp_path / f"registry-{port}"
        home.mkdir()
        told: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(home)}},
            "http": {"addr": f":{port}"},
        }
        if lock:
            (home / "htpasswd").write_text(lock + "\n")
            told["auth"] = {"htpasswd": {"realm": "here", "path": str(home / "htpasswd")}}
        (home / "config.yml").write_text(json.dumps(told))
        with (home / "log").open("wb") as log:
            command = [program, "serve", str(home / "config.yml")]
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        folder = place / "config" / "registries" / name
        folder.mkdir(parents=True)
        folders.append(folder)
        (folder / "hosts.toml").write_text(
            f'server = "http://{host}:{port}"\n'
            f'[host."http://{host}:{port}"]\n  capabilities = ["pull", "resolve"]\n'
        )
        until(lambda: _answers(port))
        return name

    yield start
    for one in started:
        one.terminate()
        one.wait()
    for folder in folders:
        shutil.rmtree(folder)


def _answers(port: int) -> bool:
    with socket.socket() as asks:
        return asks.connect_ex(("127.0.0.1", port)) == 0


def login(folder: Path, registry: str) -> Path:
    """Write what ``docker login`` leaves, and return its folder."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(_auths(registry)))
    return folder


def _auths(registry: str) -> dict[str, Any]:
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return {"auths": {registry: {"auth": pair}}}


def steps(run: Any) -> list[str]:
    """Return what was said while a run was made ready, and why it waited."""
    said: list[str] = []

    def note(event: Any) -> None:
        if event.kind == "prepare":
            said.append(event.data["text"])
        elif event.kind == "phase" and event.data["why"]:
            said.append(event.data["why"])

    run.subscribe(note)
    return said


BUILT = """
    made = flyte.TaskEnvironment(
        "made",
        image=flyte.Image.from_debian_base()
        .with_commands(["echo {mark} > /etc/made"])
        .with_pip_packages("six==1.17.0"),
    )

    @made.task
    def there() -> tuple[str, str]:
        import six

        return open("/etc/made").read().strip(), six.__version__
"""


@pytest.mark.usefixtures("loading")
def test_what_is_built_is_loaded_into_the_node_once(
    cell: Callable[[str], Any], mark: str, ctr: Callable[..., str], init: Init, place: Path
) -> None:
    there = cell(BUILT.format(mark=mark))
    run = flyte.run(there.there)
    said = steps(run)
    assert run.result() == (mark, "1.17.0")
    assert f"RUN echo {mark} > /etc/made" in said
    loaded = [line.split()[1] for line in said if line.startswith("Loading ")]
    assert loaded
    assert not loaded[0].endswith("latest")
    assert f"docker.io/library/{loaded[0]}" in ctr("images", "ls", "-q").splitlines()
    # another session finds it there
    init(containerd=str(place / "containerd.sock"))
    again = flyte.run(there.there)
    said = steps(again)
    assert again.result() == (mark, "1.17.0")
    assert [line for line in said if line.startswith(("Loading", "Building", "Installing"))] == []


@pytest.mark.usefixtures("loading")
def test_debian_packages_and_a_dockerfile_are_built_for_pods(
    cell: Callable[[str], Any], mark: str, tmp_path: Path
) -> None:
    home = tmp_path / mark
    home.mkdir()
    (home / "data.txt").write_text(mark)
    (home / "Dockerfile").write_text(f"FROM {IMAGE}\nWORKDIR /srv\nCOPY data.txt .\n")
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "lib.py").write_text("X = 7\n")
    there = cell(f"""
        image = (
            flyte.Image.from_dockerfile({str(home / "Dockerfile")!r})
            .with_pip_packages("six==1.17.0")
            .with_apt_packages("hello")
            .with_source_folder({str(tmp_path / "module")!r}, "/opt/module")
        )
        paths = {{"PYTHONPATH": "/opt/module/module"}}
        made = flyte.TaskEnvironment("made", image=image, env_vars=paths)

        @made.task
        def there() -> tuple[str, str, str, int]:
            import subprocess, lib, six

            hello = subprocess.run(["hello"], capture_output=True, text=True).stdout
            return open("/srv/data.txt").read(), hello, six.__version__, lib.X
    """)
    data, hello, version, number = flyte.run(there.there).result()
    assert (data, hello.strip(), version, number) == (mark, "Hello, world!", "1.17.0", 7)


LOCAL = """
    here = flyte.TaskEnvironment("here", image={image!r})

    @here.task
    def there() -> int:
        return 1
"""


@pytest.mark.usefixtures("loading")
def test_a_local_image_that_the_cluster_lacks_is_loaded_and_again_when_lost(
    cell: Callable[[str], Any], only_here: str, ctr: Callable[..., str], init: Init, place: Path
) -> None:
    there = cell(LOCAL.format(image=only_here))
    run = flyte.run(there.there)
    said = steps(run)
    assert run.result() == 1
    assert f"The cluster has no image {only_here!r}; it gets that of this machine" in said
    loaded = next(line.split()[1] for line in said if line.startswith("Loading "))
    ctr("images", "rm", "--sync", f"docker.io/library/{loaded}")
    init(containerd=str(place / "containerd.sock"))
    assert flyte.run(there.there).result() == 1


@pytest.mark.usefixtures("loading")
def test_a_cluster_that_reaches_no_registry_gets_the_default_image_from_here(
    cell: Callable[[str], Any], ctr: Callable[..., str]
) -> None:
    default = f"docker.io/library/{python_image(sys.version_info[:2])}"
    if default not in ctr("images", "ls", "-q").splitlines():
        pytest.skip(f"needs {default} in the engine: .ci/base_images.py makes it")
    ctr("images", "tag", default, "kept.invalid/image:1")
    try:
        ctr("images", "rm", "--sync", default)
        there = cell("""
            @env.task
            def there() -> int:
                return 1
        """)
        run = flyte.run(there.there)
        said = steps(run)
        assert run.result() == 1
    finally:
        ctr("images", "tag", "kept.invalid/image:1", default)
        ctr("images", "rm", "kept.invalid/image:1")
    assert len([line for line in said if line.startswith("The cluster has no image")]) == 1


def test_without_a_way_the_cluster_cannot_see_a_local_image(
    book: Callable[[str], Any], only_here: str
) -> None:
    there = book(LOCAL.format(image=only_here))
    with pytest.raises(flyte.errors.ImageBuildError) as caught:
        flyte.run(there.there).result()
    assert caught.value.sentence == f"The cluster cannot see your local image {only_here!r}."
    assert "registry=" in caught.value.remedy


def test_without_a_way_nothing_is_built(book: Callable[[str], Any], any_engine: Daemon) -> None:
    mark = uuid.uuid4().hex
    there = book(BUILT.format(mark=mark))
    with pytest.raises(flyte.errors.ImageBuildError, match="cannot see your local image") as caught:
        flyte.run(there.there).result()
    assert caught.value.evidence == ("It has to be built, which this machine would do.",)
    labels = [one["Labels"] or {} for one in any_engine.api.images()]
    assert not [one for one in labels if mark in one.get(WORDS, "")]


def test_what_is_built_is_pushed_to_a_registry_once(
    cell: Callable[[str], Any], mark: str, init: Init, registry: Callable[..., str]
) -> None:
    host = registry()
    init(registry=f"{host}/team")
    there = cell(BUILT.format(mark=mark))
    run = flyte.run(there.there)
    said = steps(run)
    assert run.result() == (mark, "1.17.0")
    assert any(line.startswith(f"Pushing {host}/team/flyte-jupyter:") for line in said)
    init(registry=f"{host}/team")
    again = flyte.run(there.there)
    said = steps(again)
    assert again.result() == (mark, "1.17.0")
    assert [line for line in said if line.startswith("Pushing")] == []


def test_a_registry_with_a_lock_takes_a_login_here_and_a_secret_there(
    cell: Callable[[str], Any],
    mark: str,
    init: Init,
    registry: Callable[..., str],
    core: Any,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = registry(LOCK)
    there = cell(BUILT.format(mark=mark))
    init(registry=host)
    with pytest.raises(flyte.errors.ImageBuildError, match="may not push") as caught:
        flyte.run(there.there).result()
    assert f"docker login {host}" in caught.value.remedy

    monkeypatch.setenv("DOCKER_CONFIG", str(login(tmp_path / "docker", host)))
    init(registry=host)
    with pytest.raises(flyte.errors.ImageBuildError, match="may not pull") as caught:
        flyte.run(there.there).result()
    assert "registry_secret" in caught.value.remedy

    core.create_namespaced_secret(
        namespace,
        {
            "metadata": {"name": mark},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps(_auths(host))},
        },
    )
    init(registry=host, registry_secret=mark)
    assert flyte.run(there.there).result() == (mark, "1.17.0")


KIND = """\
#!/bin/sh
# stands where kind stands, and does with its archive what kind has the runtime of its nodes do
[ "$1 $2 $4 $5" = "load image-archive --name lab" ] || { echo "unknown: $*" >&2; exit 1; }
exec ctr --address %s --namespace k8s.io images import "$3"
"""


def test_a_cluster_of_kind_is_loaded_by_its_own_program(
    cell: Callable[[str], Any],
    only_here: str,
    init: Init,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = json.loads((place / "kubeconfig").read_text())
    known["contexts"][0]["name"] = known["current-context"] = "kind-lab"
    (tmp_path / "kubeconfig").write_text(json.dumps(known))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    init(kubeconfig=str(tmp_path / "kubeconfig"))
    there = cell(LOCAL.format(image=only_here))
    with pytest.raises(flyte.errors.ImageBuildError, match="takes the program 'kind'"):
        flyte.run(there.there).result()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kind").write_text(KIND % (place / "containerd.sock"))
    (tmp_path / "bin" / "kind").chmod(0o755)
    run = flyte.run(there.there)
    said = steps(run)
    assert run.result() == 1
    assert any(line.endswith("into kind-lab") for line in said)


def test_a_containerd_that_is_not_there_is_told(
    cell: Callable[[str], Any], only_here: str, init: Init, tmp_path: Path
) -> None:
    init(containerd=str(tmp_path / "none.sock"))
    there = cell(LOCAL.format(image=only_here))
    with pytest.raises(flyte.errors.ImageBuildError, match="ctr could not load the image") as told:
        flyte.run(there.there).result()
    assert "none.sock" in str(told.value.evidence)


def test_packages_for_another_python_are_installed_once(
    cell: Callable[[str], Any], init: Init
) -> None:
    init()
    there = cell("""
        old = flyte.TaskEnvironment(
            "old",
            image=flyte.Image.from_base("python:3.9-slim").with_pip_packages("markupsafe==3.0.2"),
        )

        @old.task
        def there() -> tuple[str, str]:
            import sys, markupsafe._speedups as fast

            return "%d.%d" % sys.version_info[:2], fast.__file__.rpartition("/")[2].split(".")[1]
    """)
    run = flyte.run(there.there)
    said = steps(run)
    assert run.result() == ("3.9", "cpython-39-x86_64-linux-gnu")
    assert "Installing pip markupsafe==3.0.2, for pods" in said
    init()
    again = flyte.run(there.there)
    said = steps(again)
    assert again.result()[0] == "3.9"
    assert [line for line in said if line.startswith("Installing")] == []


def test_a_working_directory_that_is_declared_is_the_tasks_own(
    book: Callable[[str], Any], tmp_path: Path
) -> None:
    (tmp_path / "lib.py").write_text("X = 7\n")
    there = book(f"""
        image = flyte.Image.from_debian_base().with_workdir("/app").with_source_file(
            {str(tmp_path / "lib.py")!r}
        )
        here = flyte.TaskEnvironment("here", image=image)

        @here.task
        def there() -> tuple[str, str]:
            import os

            open("new", "w").close()
            return os.getcwd(), open("/app/lib.py").read()
    """)
    assert flyte.run(there.there).result() == ("/app", "X = 7\n")
