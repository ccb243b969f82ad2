"""A package index of our own, so that what is installed does not depend on anybody else's."""

from __future__ import annotations

import base64
import hashlib
import io
import secrets
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker.errors
import pytest

from flyte_jupyter.daemon import Daemon
from flyte_jupyter.daemon.labels import IMAGE
from flyte_jupyter.images import VirtualEnvironments
from flyte_jupyter.images.containers import PACKAGES, ContainerImage, DockerImages


def wheel(name: str, version: str, requires: str = "", script: str = "") -> bytes:
    """Return a wheel with one module that knows its version, and a script that says it."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": f"VERSION = {version!r}\ndef main():\n    print(VERSION)\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if script:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{script} = {name}:main\n"
    record = []
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            record.append(f"{path},sha256={digest.decode().rstrip('=')},{len(text)}")
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))
    return data.getvalue()


# makes its wheel without anything else, and says in it where that was
BACKEND = """
import base64, hashlib, os, zipfile

def build_wheel(folder, settings=None, metadata=None):
    name, version, tag = {name!r}, {version!r}, {tag!r}
    info = f"{{name}}-{{version}}.dist-info"
    files = {{
        f"{{name}}.py": f"INSIDE = {{os.path.exists('/opt/flyte_jupyter/uv')}}",
        f"{{info}}/METADATA": f"Metadata-Version: 2.1\\nName: {{name}}\\nVersion: {{version}}\\n",
        f"{{info}}/WHEEL": f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {{tag}}\\n",
    }}
    files[f"{{info}}/RECORD"] = "".join(f"{{path}},,\\n" for path in [*files, f"{{info}}/RECORD"])
    file = f"{{name}}-{{version}}-{{tag}}.whl"
    with zipfile.ZipFile(os.path.join(folder, file), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return file
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def source(name: str, version: str, tag: str) -> bytes:
    """Return a source distribution whose wheel gets a tag."""
    files = {
        "pyproject.toml": PROJECT,
        "backend.py": BACKEND.format(name=name, version=version, tag=tag),
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(f"{name}-{version}/{path}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()


class Index:
    """A package index on this machine; ``password`` closes it to everyone else."""

    def __init__(self) -> None:
        self.password = ""
        self.asked: list[str] = []
        self.wheels: dict[str, bytes] = {}
        self.add("apple", "1.0")
        self.add("apple", "2.0")
        self.add("pear", "1.0")
        self.add("pie", "1.0", "apple<2")
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.answer(self)

            def do_HEAD(self) -> None:
                index.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def add(self, name: str, version: str, requires: str = "", script: str = "") -> None:
        data = wheel(name, version, requires, script)
        self.wheels[f"{name}-{version}-py3-none-any.whl"] = data

    def add_source(self, name: str, version: str, tag: str) -> None:
        self.wheels[f"{name}-{version}.tar.gz"] = source(name, version, tag)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def url_for(self, user: str, password: str) -> str:
        return self.url.replace("://", f"://{user}:{password}@")

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        given = request.headers.get("Authorization", "").removeprefix("Basic ")
        name = request.path.strip("/").split("/")[-1]
        links = [file for file in self.wheels if file.startswith(name + "-")]
        if self.password and base64.b64decode(given).decode() != f"bob:{self.password}":
            status, kind, body = 401, "text/plain", b""
        elif name in self.wheels:
            status, kind, body = 200, "application/octet-stream", self.wheels[name]
        elif links:
            page = "".join(f'<a href="/files/{file}">{file}</a>' for file in links)
            status, kind, body = 200, "text/html", f"<html><body>{page}</body></html>".encode()
        else:
            status, kind, body = 404, "text/plain", b""
        request.send_response(status)
        if status == 401:
            request.send_header("WWW-Authenticate", "Basic")
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)

    def stop(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


@pytest.fixture
def index() -> Iterator[Index]:
    served = Index()
    yield served
    served.stop()


@pytest.fixture(autouse=True)
def only_this_index(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages come from the test's index, through a cache of its own."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    for name in ("PIP_INDEX_URL", "PIP_FIND_LINKS", "UV_INDEX", "UV_FIND_LINKS", "UV_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def environments(tmp_path: Path) -> VirtualEnvironments:
    return VirtualEnvironments(tmp_path / "cache")


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def told(lines: list[str]) -> Callable[[str], None]:
    return lines.append


@pytest.fixture
def images(docker_engine: Daemon, tmp_path: Path) -> DockerImages:
    """The images of the engine, with a cache of their own."""
    return DockerImages(lambda: docker_engine, tmp_path / "cache")


@pytest.fixture
def unique(docker_engine: Daemon) -> Iterator[str]:
    """A name that tells the images of this test from all others; they end with it."""
    name = f"TEST_{secrets.token_hex(6)}"
    yield name
    for one in docker_engine.api.images():
        words = (one.get("Labels") or {}).get(IMAGE, "")
        if set(one.get("RepoTags") or ()) <= {
            "<none>:<none>"
        }:  # what a build that failed has left to begin with next time
            try:
                words = str(docker_engine.api.history(one["Id"]))
            except docker.errors.NotFound:  # who made it has removed it meanwhile
                continue
        if name in words:
            docker_engine.api.remove_image(one["Id"], force=True)


@pytest.fixture
def run_in(docker_engine: Daemon) -> Callable[..., str]:
    """A function that runs a program in a container as a worker would, and returns its output."""

    def run(made: ContainerImage, program: str, *command: str) -> str:
        api = docker_engine.api
        binds = [f"{made.packages}:{PACKAGES}:ro"] if made.packages else []
        container = api.create_container_from_config(
            {
                "Image": made.image,
                "Entrypoint": list(command or (*made.python, "-c")),
                "Cmd": [program] if program else [],
                "Env": [f"{name}={value}" for name, value in made.environ],
                "WorkingDir": made.workdir or "/",
                "User": docker_engine.user(),
                "HostConfig": {"Binds": binds, "NetworkMode": "none"},
            }
        )["Id"]
        try:
            api.start(container)
            code = api.wait(container)["StatusCode"]
            output = api.logs(container).decode()
        finally:
            api.remove_container(container, force=True)
        assert code == 0, output
        return output

    return run
